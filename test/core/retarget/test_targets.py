from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from core.conftest import standing_clip, standing_pose
from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget.contacts import Contacts, find_contacts, stance_spans, steady_heading
from nextscale_core.retarget.foot_locking import FootPlan, heading_left, plan_feet, spread
from nextscale_core.retarget.human_frames import body_of
from nextscale_core.retarget.targets import MAX_FRAMES, make_targets
from nextscale_core.robots import Robot
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.robots.profile import Sole
from nextscale_core.rotations import exp


def turned(pose: np.ndarray, angle: float, axis: str = "z") -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    turns = {
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
    }
    return pose @ turns[axis].T


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    trace = np.trace(a.T @ b)
    return float(np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


def test_a_standing_human_is_upright_and_faces_forward() -> None:
    joints = np.repeat(standing_pose()[None], 8, axis=0)
    body = body_of(joints, np.ones((8, 2), dtype=bool))
    for frame in (body.pelvis[0], body.torso[0], body.feet[0, 0], body.feet[0, 1]):
        assert degrees(frame, np.eye(3)) < 12


@pytest.mark.parametrize("angle", [-2.5, -1.0, 0.7, 3.0])
def test_a_turned_human_has_turned_frames(angle: float) -> None:
    pose = standing_pose()
    flat = np.ones((8, 2), dtype=bool)
    plain = body_of(np.repeat(pose[None], 8, axis=0), flat)
    other = body_of(np.repeat(turned(pose, angle)[None], 8, axis=0), flat)
    turn = turned(np.eye(3), angle).T
    assert np.allclose(other.pelvis, turn @ plain.pelvis, atol=1e-6)
    assert np.allclose(other.torso, turn @ plain.torso, atol=1e-6)
    assert np.allclose(other.feet, turn @ plain.feet, atol=1e-6)


def test_a_foot_whose_toes_point_down_still_has_a_steady_frame() -> None:
    pose = standing_pose()
    frames = []
    for tilt in np.deg2rad(np.linspace(60, 100, 41)):
        joints = np.repeat(pose[None], 8, axis=0)
        ankle = pose[JOINT_INDEX["left_ankle"]]
        joints[:, JOINT_INDEX["left_foot"]] = ankle + 0.14 * np.array(
            [np.cos(tilt), 0.0, -np.sin(tilt)]
        )
        frames.append(body_of(joints, np.zeros((8, 2), dtype=bool)).feet[0, 0])
    steps = [degrees(a, b) for a, b in pairwise(frames)]
    assert max(steps) < 5
    assert all(frame[1, 1] > 0.8 for frame in frames), "its left axis stays on the left"


def test_left_stays_left_when_the_human_bows_down() -> None:
    pelvis = np.stack([turned(np.eye(3), angle, "y").T for angle in np.linspace(-1.8, 1.8, 20)])
    assert np.allclose(heading_left(pelvis), [0.0, 1.0, 0.0], atol=1e-6)


def test_feet_that_stand_are_in_contact_and_raised_feet_are_not() -> None:
    joints = np.repeat(standing_pose()[None], 30, axis=0)
    for name in ("right_ankle", "right_foot"):
        joints[10:20, JOINT_INDEX[name], 2] += 0.3
    contacts = find_contacts(joints, 20.0)
    assert contacts.flat[:, 0].all()
    assert not contacts.flat[11:19, 1].any()
    assert contacts.flat[:9, 1].all() and contacts.flat[21:, 1].all()


def test_a_foot_that_moves_is_not_in_contact_even_if_labelled() -> None:
    joints = np.repeat(standing_pose()[None], 30, axis=0)
    joints[..., 0] += np.arange(30)[:, None] * 0.05  # 1 m/s
    assert not find_contacts(joints, 20.0, np.ones((30, 4), dtype=bool)).flat.any()


def test_labels_are_obeyed() -> None:
    joints = np.repeat(standing_pose()[None], 30, axis=0)
    labels = np.ones((30, 4), dtype=bool)
    labels[:, 2:] = False
    contacts = find_contacts(joints, 20.0, labels)
    assert contacts.flat[:, 0].all() and not contacts.flat[:, 1].any()


def test_a_shuffling_foot_stands_in_several_places() -> None:
    place = np.stack([np.linspace(0, 0.6, 60), np.zeros(60)], -1)
    spans = stance_spans(np.ones(60, dtype=bool), place)
    assert len(spans) > 2
    assert all(np.ptp(place[span, 0]) < 0.25 for span in spans)
    assert stance_spans(np.zeros(60, dtype=bool), place) == []


def test_a_foot_that_comes_and_goes_by_less_than_its_slip_stands_in_one_place() -> None:
    place = np.stack([0.09 * np.sign(np.sin(np.arange(60) / 5)), np.zeros(60)], -1)
    assert stance_spans(np.ones(60, dtype=bool), place) == [slice(0, 60)]


def test_a_standing_foot_turns_in_few_steps_and_stays_near_the_humans_heading() -> None:
    heading = np.linspace(0.0, np.deg2rad(90.0), 100)
    steady = steady_heading(heading)
    turning = np.abs(np.diff(steady)) > 1e-9
    assert turning.sum() <= 12, "it stands still most of the time"
    assert np.rad2deg(np.abs(np.diff(steady)).max()) < 20
    assert np.rad2deg(np.abs(steady - heading).max()) < 25
    small = np.deg2rad(15.0) * np.sin(np.arange(100) / 7)
    assert np.ptp(steady_heading(small)) == 0.0


def _standing_foot(heading: np.ndarray, ball_only: bool) -> tuple[FootPlan, Sole]:
    """Plan of feet that turn on the spot, flat or with 30 degrees of lifted heel."""
    sole = Sole(toe=(0.12, 0.0, -0.04), heel=(-0.05, 0.0, -0.04), half_width=0.03)
    frames = len(heading)
    pitch = np.full(frames, np.deg2rad(30.0) if ball_only else 0.0)
    turn = exp(heading[:, None] * np.array([0.0, 0.0, 1.0]))
    turn = turn @ exp(pitch[:, None] * np.array([0.0, 1.0, 0.0]))
    ankle = np.zeros((frames, 3))
    ankle[:, 2] = 0.04
    if ball_only:  # the ball stays where it is
        ankle = np.array([0.12, 0.0, 0.0]) - turn @ np.array(sole.toe)
    apart = np.array([0.0, 0.3, 0.0])
    ankles = np.stack([ankle + apart, ankle - apart], axis=1)
    down = np.ones((frames, 2), dtype=bool)
    contacts = Contacts(ankle=down & (not ball_only), ball=down, rest_height=np.array([0.04, 0.02]))
    lateral = np.tile([0.0, 1.0, 0.0], (frames, 1))
    rotation = np.stack([turn, turn], axis=1)
    return plan_feet(ankles, rotation, contacts, sole, lateral, 0.1), sole


def test_a_flat_foot_turns_on_the_spot_below_the_ankle() -> None:
    plan, _ = _standing_foot(np.deg2rad(np.linspace(0, 80, 60)), ball_only=False)
    assert (plan.stance > 0.75).all()
    assert np.ptp(plan.ankle, axis=0).max() < 1e-9
    turned = np.arctan2(plan.rotation[[0, -1], 0, 1, 0], plan.rotation[[0, -1], 0, 0, 0])
    assert np.rad2deg(turned[1] - turned[0]) > 30


def test_a_foot_on_its_ball_turns_about_the_ball() -> None:
    plan, sole = _standing_foot(np.deg2rad(np.linspace(0, 60, 40)), ball_only=True)
    ball = plan.ankle[:, 0] + plan.rotation[:, 0] @ np.array(sole.toe)
    assert np.ptp(ball[:, :2], axis=0).max() < 1e-6
    assert np.abs(ball[:, 2]).max() < 1e-6
    assert np.ptp(plan.ankle[:, 0, :2], axis=0).max() > 0.03


@pytest.mark.parametrize("compiled", [True, False])
def test_a_foot_that_comes_to_stand_beside_the_other_stands_apart(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the other one stands for long, whose place is the mean of its stance."""
    if not compiled:
        monkeypatch.setattr("nextscale_core.retarget.foot_locking.kernels", lambda: None)
    sole = Sole(toe=(0.12, 0.0, -0.035), heel=(-0.05, 0.0, -0.035), half_width=0.03)
    ankles = np.zeros((60, 2, 3))
    ankles[..., 2] = 0.035
    ankles[:, 1, 1] = np.interp(np.arange(60), [10, 45], [-0.3, 0.15])
    down = np.ones((60, 2), dtype=bool)
    down[11:45, 1] = False
    contacts = Contacts(ankle=down, ball=down, rest_height=np.array([0.035, 0.0]))
    rotation = np.tile(np.eye(3), (60, 2, 1, 1))
    lateral = np.tile([0.0, 1.0, 0.0], (60, 1))
    plan = plan_feet(ankles, rotation, contacts, sole, lateral, 0.2)
    both = (plan.stance >= 0.8).all(axis=1)
    across = plan.ankle[:, 0, 1] - plan.ankle[:, 1, 1]
    assert both.sum() > 20 and across[both].min() > 0.65 * 0.2
    stands = plan.stance[:, 0] >= 0.8
    assert np.ptp(plan.ankle[stands, 0], axis=0).max() < 1e-9


def test_feet_beside_each_other_are_spread_and_feet_in_step_are_not() -> None:
    lateral = np.tile([0.0, 1.0, 0.0], (10, 1))
    close = np.zeros((10, 2, 3))
    close[:, 0, 1] = 0.05
    apart = spread(close, lateral, width=0.16, length=0.17)
    assert np.allclose(apart[:, 0, 1] - apart[:, 1, 1], 0.16)
    close[:, 0, 0] = 0.5
    assert np.allclose(spread(close, lateral, width=0.16, length=0.17), close)


def test_standing_feet_are_flat_on_the_floor_and_as_wide_as_the_robots_hips(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(standing_clip(), kinematics)
    assert np.allclose(targets.feet.stance, 1.0, atol=0.05)
    assert np.allclose(targets.feet.ankle[..., 2], kinematics.ankle_height, atol=1e-3)
    assert np.allclose(targets.feet.rotation[..., 2, 2], 1.0, atol=1e-6)
    width = targets.feet.ankle[:, 0, 1] - targets.feet.ankle[:, 1, 1]
    assert 0.2 < width.mean() < 0.35


def test_a_floor_that_is_not_at_zero_is_found(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    clip = standing_clip()
    raised = MotionClip(clip.joints + np.array([0.0, 0.0, 0.15]))
    assert np.allclose(
        make_targets(raised, kinematics).base, make_targets(clip, kinematics).base, atol=1e-3
    )


@pytest.mark.parametrize("scale", [1e-3, 0.1, 10.0, 1e4])
def test_a_motion_that_is_not_in_metres_is_refused(g1: Robot, scale: float) -> None:
    clip = MotionClip(standing_clip().joints * scale)
    with pytest.raises(InvalidMotionError, match="is the motion in metres"):
        make_targets(clip, kinematics_of(g1))


def test_a_motion_that_is_too_long_is_refused(g1: Robot) -> None:
    joints = np.broadcast_to(standing_pose(), (MAX_FRAMES + 1, 22, 3))
    with pytest.raises(InvalidMotionError, match="too long"):
        make_targets(MotionClip(joints), kinematics_of(g1))


@pytest.mark.parametrize(("fps", "frames"), [(120.0, 240), (60.0, 120), (5.0, 10), (20.0, 1)])
def test_any_frame_rate_and_a_single_frame_will_do(g1: Robot, fps: float, frames: int) -> None:
    clip = MotionClip(np.repeat(standing_pose()[None], frames, axis=0), fps=fps)
    targets = make_targets(clip, kinematics_of(g1))
    assert 15 <= targets.fps <= 40
    assert len(targets) >= 6
    assert np.isfinite(targets.goal).all()


def test_joints_in_one_point_give_finite_targets(g1: Robot) -> None:
    joints = np.repeat(standing_pose()[None], 20, axis=0)
    for name in ("neck", "spine1", "left_collar", "right_collar", "left_shoulder", "left_elbow"):
        joints[:, JOINT_INDEX[name]] = joints[:, 0]
    joints[:, JOINT_INDEX["right_shoulder"]] = joints[:, 0]
    targets = make_targets(MotionClip(joints), kinematics_of(g1))
    assert np.isfinite(targets.goal).all() and np.isfinite(targets.rotation).all()
