"""Constraints are met by the motion, reported as they are met, and refused where they conflict."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.editing.sway import sway
from nextscale_core.editing.constraints.json_file import read_constraints, write_residuals
from nextscale_core.editing.constraints.meet import meet
from nextscale_core.editing.constraints.plan import Plan
from nextscale_core.editing.constraints.root_path import RootGoal, bend_path
from nextscale_core.exceptions import ConfigError
from nextscale_core.motion import MotionClip, write_motion
from nextscale_core.motion.constraints import (
    BODIES,
    Constraint,
    Keyframe,
    Target,
    Waypoint,
    residual,
)
from nextscale_core.motion.features import canonicalize, heading_yaw
from nextscale_core.motion.skeleton import STANDARD_BONES, bone_lengths

TEXT = "a person walks forward"
CENTIMETRE = 0.01


@pytest.fixture(scope="module")
def walk(trained) -> MotionClip:
    return trained.generate(TEXT, seconds=4.0, seed=1)


@pytest.fixture(scope="module")
def other(trained) -> MotionClip:
    return trained.generate(TEXT, seconds=4.0, seed=2)


@pytest.fixture(scope="module")
def wave(trained) -> MotionClip:
    return trained.generate("a person waves with the right hand", seconds=4.0, seed=1)


def met(clip: MotionClip, *constraints: Constraint) -> MotionClip:
    return meet(clip, Plan.build(constraints, len(clip), np.zeros(3))).clip


def sliding(clip: MotionClip) -> float:
    """Largest speed along the floor of a standing foot [m/s]."""
    assert clip.contacts is not None
    balls = clip.joints[:, [BODIES["left_foot"], BODIES["right_foot"]]]
    speed = np.linalg.norm(np.diff(balls[..., :2], axis=0), axis=-1) * clip.fps
    stands = clip.contacts[1:, [1, 3]] & clip.contacts[:-1, [1, 3]]
    return float(speed[stands].max(initial=0.0))


def farthest_from(clip: MotionClip, frame: int, away: int, old: MotionClip) -> float:
    """Largest change of a joint at least `away` frames from a frame [m]."""
    far = np.abs(np.arange(len(clip)) - frame) >= away
    return float(np.abs(clip.joints - old.joints)[far].max())


def test_without_constraints_only_straight_knees_move_by_millimetres(walk):
    change = np.abs(met(walk).joints - walk.joints).max(axis=(0, 2))
    assert change[[4, 5]].max() < 3e-3
    assert np.delete(change, [4, 5]).max() < 1e-4


@pytest.mark.parametrize(("x", "y"), [(1.0, 1.5), (1.2, -0.8), (-1.0, 0.4), (4.0, 0.0)])
def test_a_walk_bends_through_a_waypoint_and_its_feet_stand_still(walk, x, y):
    clip = met(walk, Waypoint(3.0, x, y))
    assert np.linalg.norm(clip.joints[60, 0, :2] - [x, y]) < CENTIMETRE
    assert np.abs(clip.joints[0, 0, :2]).max() < 1e-4
    turned = heading_yaw(clip.joints[:1]) - heading_yaw(walk.joints[:1])
    assert abs(turned[0]) < 1e-3
    assert sliding(clip) < sliding(walk) + 0.3
    assert clip.residuals[0].met and clip.residuals[0].distance < CENTIMETRE


def test_a_walk_faces_the_heading_of_a_waypoint(walk):
    clip = met(walk, Waypoint(2.0, 1.0, 0.3, 0.6), Waypoint(3.5, 1.2, 1.2, 1.5))
    for frame, heading in ((40, 0.6), (70, 1.5)):
        assert heading_yaw(clip.joints[frame : frame + 1])[0] == pytest.approx(heading, abs=0.02)
    assert all(one.met and one.heading is not None for one in clip.residuals)


def test_a_body_that_stands_steps_to_a_waypoint(wave):
    clip = met(wave, Waypoint(3.5, 0.9, 0.3))
    assert clip.residuals[0].met
    balls = clip.joints[:, [10, 11]]
    speed = np.linalg.norm(np.diff(balls[..., :2], axis=0), axis=-1) * clip.fps
    fast = speed > 1.0
    assert fast.any()
    # Feet that move fast are in the air, not on the floor.
    assert np.maximum(balls[1:, :, 2], balls[:-1, :, 2])[fast].mean() > 0.03


def test_a_pose_of_another_motion_is_taken_at_its_time(walk, other):
    pose = other.joints[40]
    clip = met(walk, Keyframe(2.0, pose))
    assert np.linalg.norm(clip.joints[40] - pose, axis=-1).max() < CENTIMETRE
    jump = np.linalg.norm(np.diff(clip.joints, 2, axis=0), axis=-1).max()
    assert jump < 2.5 * np.linalg.norm(np.diff(walk.joints, 2, axis=0), axis=-1).max()


def test_a_keyframe_without_a_place_leaves_the_path_alone(walk, wave):
    turned = canonicalize(MotionClip(wave.joints[40:]))
    far = turned.joints[0] + np.float32([5.0, -3.0, 0.0])
    clip = met(walk, Keyframe(2.0, far, placed=False))
    assert clip.residuals[0].met
    assert np.linalg.norm(clip.joints[40, 0, :2] - walk.joints[40, 0, :2]) < CENTIMETRE


def test_a_small_body_gives_its_posture_and_the_residual_says_what_differs(walk, other):
    clip = met(walk, Keyframe(2.0, other.joints[40] * 0.8))
    assert not clip.residuals[0].met
    assert bone_lengths(clip.joints) == pytest.approx(
        np.tile(STANDARD_BONES, (len(clip), 1)), abs=1e-3
    )


@pytest.mark.parametrize("body", list(BODIES))
def test_a_target_is_reached_and_distant_frames_stay(wave, body):
    start = wave.joints[40, BODIES[body]].astype(float)
    side = 1.0 if body.startswith("left") else -1.0
    goal = start + np.array([0.12, 0.08 * side, 0.06])
    clip = met(wave, Target(2.0, body, tuple(goal)))
    assert np.linalg.norm(clip.joints[40, BODIES[body]] - goal) < CENTIMETRE
    assert farthest_from(clip, 40, 30, wave) < 2 * CENTIMETRE
    assert np.abs(bone_lengths(clip.joints) - bone_lengths(wave.joints)).max() < 1e-3


def test_both_hands_reach_at_the_same_time(wave):
    goals = {"left_hand": (0.4, 0.3, 1.3), "right_hand": (0.45, -0.2, 1.0)}
    clip = met(wave, *(Target(2.0, body, goal) for body, goal in goals.items()))
    assert all(one.met for one in clip.residuals)


def test_a_hand_too_far_away_brings_the_body_nearer(walk):
    clip = met(walk, Target(3.0, "left_hand", (2.0, 1.2, 1.2)))
    assert clip.residuals[0].met


def test_what_is_out_of_reach_is_approached_and_reported(wave):
    high, fast = Target(2.0, "right_hand", (0.2, -0.2, 3.0)), Waypoint(0.5, 6.0, 0.0)
    clip = met(wave, fast, high)
    first, second = clip.residuals
    assert not first.met and first.distance == pytest.approx(4.0, abs=0.1)
    assert "faster than" in first.note
    assert not second.met and second.distance > 0.5
    assert clip.joints[40, BODIES["right_hand"], 2] > 1.7
    assert np.isfinite(clip.joints).all()


def test_frames_that_are_given_stay_and_the_others_meet_the_constraint(walk):
    fixed = np.arange(len(walk)) < 20
    start = np.array([*walk.joints[19, 0, :2], heading_yaw(walk.joints[19:20])[0]])
    plan = Plan.build([Waypoint(3.0, 1.5, 1.0)], len(walk), start, fixed)
    clip = meet(walk, plan, fixed).clip
    assert np.array_equal(clip.joints[:20], walk.joints[:20])
    assert clip.residuals[0].met
    with pytest.raises(ConfigError, match="is given and cannot change"):
        Plan.build([Waypoint(0.5, 0.0, 0.0)], len(walk), start, fixed)


def test_a_path_turned_and_shifted_bends_the_same_way():
    line = np.c_[np.linspace(0, 3, 80), np.zeros(80)]
    fixed, goal = np.arange(80) < 1, np.array([1.5, 1.0])
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    here = bend_path(line, np.zeros(80), [RootGoal(60, goal)], fixed, 20.0)
    there = bend_path(
        line @ turn.T, np.full(80, np.pi / 2), [RootGoal(60, turn @ goal)], fixed, 20.0
    )
    assert here.place[60] == pytest.approx(goal, abs=1e-4)
    assert there.place == pytest.approx(here.place @ turn.T, abs=1e-6)
    assert there.cost == pytest.approx(here.cost, rel=1e-6)


def test_the_model_meets_constraints_with_the_seed_and_length_that_are_asked_for(pipeline):
    wanted = [Waypoint(1.0, 0.3, 0.1), Keyframe(2.0, sway(60).joints[40])]
    one, two = (pipeline.generate(TEXT, constraints=wanted, seed=5) for _ in range(2))
    assert np.array_equal(one.joints, two.joints)
    assert one.seed == 5 and one.text == TEXT and one.contacts is not None
    assert len(one) > 40
    assert [r.constraint for r in one.residuals] == ["waypoint at 1 s", "keyframe at 2 s"]
    for found, constraint in zip(one.residuals, wanted, strict=True):
        assert found.distance == residual(one.joints, one.fps, constraint).distance


def test_a_motion_lasts_until_its_last_constraint(pipeline):
    wanted = [Waypoint(7.0, 1.0, 0.0)]
    assert pipeline.generate(TEXT, constraints=wanted).seconds > 7.0
    with pytest.raises(ConfigError, match="waypoint at 7 s: the motion lasts 2 s only"):
        pipeline.generate(TEXT, constraints=wanted, seconds=2.0)
    with pytest.raises(ConfigError, match=r"9\.75 s"):
        pipeline.generate(TEXT, constraints=[Waypoint(9.8, 1.0, 0.0)])


def test_a_continued_motion_meets_constraints_after_its_known_part(pipeline):
    clip = sway(20)
    out = pipeline.complete(clip, None, TEXT, constraints=[Waypoint(2.5, 0.8, 0.4)], seed=1)
    assert np.abs(out.joints[:20] - clip.joints).max() < 1e-3
    assert out.residuals[0].met
    with pytest.raises(ConfigError, match="known_frames"):
        pipeline.complete(
            clip, [(0.0, 1.0)], TEXT, constraints=[Waypoint(2.0, 0.0, 0.0)], seconds=3.0
        )


@pytest.mark.parametrize(
    "constraints",
    [
        (Waypoint(1.0, 0.5, 0.0), Waypoint(1.0, 0.0, 0.5)),
        (Waypoint(1.0, 0.5, 0.0, 0.0), Waypoint(1.0, 0.5, 0.0, 1.0)),
        (Target(1.0, "left_hand", (0.3, 0.2, 1.0)), Target(1.0, "left_hand", (0.3, 0.2, 1.2))),
        (Waypoint(1.0, 3.0, 0.0), Keyframe(1.0, sway(60).joints[20])),
        (Target(1.0, "left_hand", (0.3, 0.2, 2.0)), Keyframe(1.0, sway(60).joints[20])),
        (Keyframe(1.0, sway(60).joints[20]), Keyframe(1.0, sway(60).joints[30])),
        (Waypoint(0.0, 1.0, 0.0),),
        (Waypoint(0.0, 0.0, 0.0, 1.0),),
    ],
)
def test_contradictions_are_refused(constraints):
    with pytest.raises(ConfigError, match=r"contradicts|starts above the origin"):
        Plan.build(constraints, 60, np.zeros(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Waypoint(-0.1, 0.0, 0.0),
        lambda: Waypoint(1.0, float("nan"), 0.0),
        lambda: Waypoint(1.0, 0.0, 1e9),
        lambda: Waypoint("1", 0.0, 0.0),
        lambda: Waypoint(1.0, 0.0, 0.0, float("inf")),
        lambda: Target(1.0, "tail", (0.0, 0.0, 1.0)),
        lambda: Target(1.0, "left_hand", (0.0, 0.0)),
        lambda: Target(1.0, "left_foot", (0.0, 0.0, -0.2)),
        lambda: Keyframe(1.0, np.zeros((22, 3))),
        lambda: Keyframe(1.0, np.zeros((24, 3))),
        lambda: Keyframe(1.0, sway(1).joints[0] * 100),
        lambda: Keyframe(1.0, np.full((22, 3), np.nan)),
        lambda: Plan.build(["waypoint"], 60, np.zeros(3)),
    ],
)
def test_values_that_make_no_sense_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_constraints_come_from_a_json_file_and_residuals_go_into_one(tmp_path):
    clip = sway(60)
    write_motion(clip, tmp_path / "sway.npz")
    path = tmp_path / "constraints.json"
    entries = [
        {"type": "waypoint", "time": 1, "x": 1e-3, "y": 0.5, "heading": 0.1},
        {"type": "target", "time": 2.0, "body": "left_hand", "position": [0.3, 0.2, 1]},
        {"type": "keyframe", "time": 1.5, "file": "sway.npz", "at": 0.5, "placed": False},
        {"type": "keyframe", "time": 2.5, "pose": clip.joints[50].tolist()},
    ]
    path.write_text(json.dumps(entries))
    waypoint, target, first, second = read_constraints(path)
    assert waypoint == Waypoint(1.0, 0.001, 0.5, 0.1)
    assert target == Target(2.0, "left_hand", (0.3, 0.2, 1.0))
    assert isinstance(first, Keyframe) and isinstance(second, Keyframe)
    assert np.array_equal(first.pose, clip.joints[10]) and not first.placed
    assert second.placed and second.pose == pytest.approx(clip.joints[50])
    found = met(clip, waypoint, target).residuals
    write_residuals(found, tmp_path / "found.json")
    written = json.loads((tmp_path / "found.json").read_text())
    assert [one["distance"] for one in written] == [one.distance for one in found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("{}", "list of 1 to 200"),
        ("[]", "list of 1 to 200"),
        ("[3]", "entry 1: must be an object"),
        ('[{"type": "way"}]', "entry 1: type must be one of keyframe, waypoint, target"),
        ('[{"type": "waypoint", "time": 1, "x": 0}]', "entry 1: waypoint lacks y"),
        ('[{"type": "waypoint", "time": 1, "x": 0, "y": NaN}]', "NaN is not a number"),
        ('[{"type": "waypoint", "time": 1, "x": 0, "y": 0, "headin": 1}]', "'heading'"),
        ('[{"type": "waypoint", "time": 1, "x": 0, "y": true}]', "entry 1: y must be a number"),
        ('[{"type": "keyframe", "time": 1}]', "entry 1: keyframe needs either"),
        ('[{"type": "keyframe", "time": 1, "pose": [["a"]]}]', "entry 1: pose must"),
        ('[{"type": "keyframe", "time": 1, "file": "no.npz"}]', "entry 1: "),
        ('[{"type": "target", "time": 1, "body": ["x"], "position": 3}]', "entry 1: body must"),
        ('[{"type": "target", "time": 1, "body": "left_hand", "position": {"x": 3}}]', "entry 1: "),
    ],
)
def test_a_malformed_file_is_refused_with_its_entry(tmp_path, text, message):
    path = tmp_path / "constraints.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"constraints\.json") as error:
        read_constraints(path)
    assert message in str(error.value)
