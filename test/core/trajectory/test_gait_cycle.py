from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.conftest import random_clip, waving_clip
from core.human_clips import squatting_clip, walking_clip
from nextscale_core.exceptions import RetargetError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.targets import make_targets
from nextscale_core.robots import Robot, RobotState
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.rotations import exp
from nextscale_core.trajectory.config import TIMING
from nextscale_core.trajectory.gait_cycle import Cycle, close_cycle, sample_cycle
from nextscale_core.trajectory.spline_limits import limit_use
from nextscale_core.trajectory.time_parameterization import sample

CLIPS = {
    "walk": walking_clip(100),
    "walk in a bend": walking_clip(100, turn=0.5),
    "squat": squatting_clip(),
    "wave": waving_clip(),
}
CASES = [(name, whole) for name in CLIPS for whole in (False, True)]


@pytest.fixture(scope="module")
def solved(g1: Robot) -> dict[str, Poses]:
    retargeter, kinematics = Retargeter(g1), kinematics_of(g1)
    return {name: retargeter.solve(make_targets(c, kinematics)) for name, c in CLIPS.items()}


def cycle_of(g1: Robot, solved: dict[str, Poses], name: str, whole: bool = False) -> Cycle:
    return close_cycle(kinematics_of(g1), solved[name], 20.0, whole=whole)


@pytest.mark.parametrize(("name", "whole"), CASES)
def test_nothing_jumps_where_the_rounds_meet(
    g1: Robot, solved: dict[str, Poses], name: str, whole: bool
) -> None:
    poses, cycle = solved[name], cycle_of(g1, solved, name, whole)
    path = cycle.unroll(3)
    seam = len(cycle.poses)

    def accelerations(track: np.ndarray) -> np.ndarray:
        return np.abs(np.diff(track, 2, axis=0)).reshape(len(track) - 2, -1).max(1)

    for some, all_of in (
        (path.joints, poses.joints),
        (path.base, poses.base),
        (path.rotation, poses.rotation),
    ):
        # The blend takes 0.6 s: it may move calm parts, never faster than about the motion does.
        limit = 1.5 * accelerations(all_of).max() + 0.004
        assert accelerations(some)[seam - 3 : seam + 3].max() < limit


def test_a_walk_goes_on_from_where_it_is(g1: Robot, solved: dict[str, Poses]) -> None:
    cycle = cycle_of(g1, solved, "walk")
    assert cycle.mismatch < 0.02
    assert 0.5 < np.linalg.norm(cycle.shift) < 1.5, "one or two strides"
    path = cycle.unroll(4)
    way = np.linalg.norm(path.base[-1, :2] - path.base[0, :2])
    assert way == pytest.approx(4 * np.linalg.norm(cycle.shift), rel=0.02)
    steps = np.linalg.norm(np.diff(path.base[:, :2], axis=0), axis=1)
    assert steps.min() > 0.3 * steps.mean(), "it never stops"


def test_a_bend_goes_round_in_a_circle(g1: Robot, solved: dict[str, Poses]) -> None:
    cycle = cycle_of(g1, solved, "walk in a bend")
    assert 0.4 < cycle.turn < 1.6
    count = round(2 * np.pi / cycle.turn)
    path = cycle.unroll(count)
    yaw = np.unwrap(np.arctan2(path.rotation[:, 1, 0], path.rotation[:, 0, 0]))
    assert yaw[-1] - yaw[0] == pytest.approx(count * cycle.turn, abs=1e-6)
    way = np.linalg.norm(np.diff(path.base[:, :2], axis=0), axis=1).sum()
    assert np.linalg.norm(path.base[-1, :2] - path.base[0, :2]) < 0.25 * way


@pytest.mark.parametrize(("name", "whole"), CASES)
def test_every_round_is_the_first_one_moved(
    g1: Robot, solved: dict[str, Poses], name: str, whole: bool
) -> None:
    cycle = cycle_of(g1, solved, name, whole)
    frames = len(cycle.poses)
    path = cycle.unroll(3)
    turn = exp(np.array([0.0, 0.0, cycle.turn]))
    assert np.allclose(path.joints[frames : 2 * frames], path.joints[:frames])
    assert np.allclose(
        path.base[frames : 2 * frames],
        path.base[:frames] @ turn.T + [*cycle.shift, 0.0],
    )
    assert np.allclose(path.rotation[2 * frames : 3 * frames], turn @ turn @ path.rotation[:frames])
    back = cycle.at_round(-1)
    assert np.allclose(back.base @ turn.T + [*cycle.shift, 0.0], path.base[:frames])


@pytest.mark.parametrize(("name", "whole"), CASES)
def test_soles_stay_on_the_floor(
    g1: Robot, solved: dict[str, Poses], name: str, whole: bool
) -> None:
    before = kinematics_of(g1).lowest_sole(solved[name])
    after = kinematics_of(g1).lowest_sole(cycle_of(g1, solved, name, whole).unroll(2))
    assert after.min() > before.min() - 0.003
    assert after.max() < before.max() + 0.003


def test_standing_feet_hardly_slide_where_a_walk_repeats(
    g1: Robot, solved: dict[str, Poses]
) -> None:
    kinematics = kinematics_of(g1)
    path = cycle_of(g1, solved, "walk").unroll(3)
    rows = [kinematics.index[f"{side}_{end}"] for side in ("left", "right") for end in
            ("heel", "toe")]  # fmt: skip
    soles = kinematics.points(path)[:, rows]
    speed = np.linalg.norm(np.diff(soles, axis=0), axis=-1).min(1) * 20.0
    assert speed.max() < 0.08, "in each frame some part of a sole stands"


def test_all_frames_can_be_repeated(g1: Robot, solved: dict[str, Poses]) -> None:
    cycle = cycle_of(g1, solved, "squat", whole=True)
    assert len(cycle.poses) == len(solved["squat"]) - 1
    assert np.allclose(cycle.poses.joints[:20], solved["squat"].joints[:20])
    assert cycle.seconds == pytest.approx(2.45)


def test_a_still_part_is_not_taken_for_the_motion(g1: Robot) -> None:
    # Stands for two seconds, then walks: standing repeats perfectly, and is not what is meant.
    walk = walking_clip(100)
    joints = np.concatenate([np.repeat(walk.joints[:1], 40, axis=0), walk.joints])
    poses = Retargeter(g1).solve(make_targets(MotionClip(joints), kinematics_of(g1)))
    assert np.linalg.norm(close_cycle(kinematics_of(g1), poses, 20.0).shift) > 0.5


@pytest.mark.parametrize("rate", [50.0, 187.0])
@pytest.mark.parametrize("name", list(CLIPS))
def test_samples_of_a_round_end_as_they_begin_and_keep_the_limits(
    g1: Robot, solved: dict[str, Poses], name: str, rate: float
) -> None:
    cycle = cycle_of(g1, solved, name)
    samples = sample_cycle(g1, cycle, rate)
    assert np.array_equal(samples.positions[-1], samples.positions[0])
    assert np.array_equal(samples.velocities[-1], samples.velocities[0])
    assert np.allclose(np.diff(samples.times), 1 / rate)
    assert samples.times[-1] > cycle.seconds - 1e-9
    # Two rounds after each other: the seam is inside the limits as well.
    times = np.concatenate([samples.times, samples.times[1:] + samples.times[-1]])
    positions = np.concatenate([samples.positions, samples.positions[1:]])
    velocities = np.concatenate([samples.velocities, samples.velocities[1:]])
    speed, acceleration = limit_use(g1, positions, velocities, times)
    assert speed.max() <= 1.0 and acceleration.max() <= 1.0
    assert (positions >= g1.position_lower).all() and (positions <= g1.position_upper).all()
    turn = exp(np.array([0.0, 0.0, cycle.turn]))
    assert np.allclose(samples.base[-1], turn @ samples.base[0] + [*cycle.shift, 0.0], atol=1e-6)
    first, last = Rotation.from_quat(samples.quaternion[[0, -1]]).as_matrix()
    assert np.allclose(last, turn @ first, atol=1e-6)


def test_a_quick_motion_is_slowed_down_to_repeat(g1: Robot) -> None:
    poses = Retargeter(g1).solve(make_targets(waving_clip(speed=3.0), kinematics_of(g1)))
    quick = Poses(poses.base, poses.rotation, poses.joints)
    cycle = close_cycle(kinematics_of(g1), quick, 50.0, whole=True)  # much faster
    samples = sample_cycle(g1, cycle, 100.0)
    _, acceleration = limit_use(g1, samples.positions, samples.velocities, samples.times)
    assert acceleration.max() <= 1.0
    assert samples.times[-1] > 1.05 * cycle.seconds


def test_rounds_play_from_rest_to_rest(g1: Robot, solved: dict[str, Poses]) -> None:
    samples = sample(g1, cycle_of(g1, solved, "walk").unroll(3), 20.0, 50.0)
    assert np.allclose(samples.velocities[[0, -1]], 0.0)
    speed, acceleration = limit_use(g1, samples.positions, samples.velocities, samples.times)
    assert speed.max() <= 1.0 and acceleration.max() <= 1.0


def test_what_cannot_repeat_is_refused(g1: Robot, solved: dict[str, Poses]) -> None:
    poses = solved["squat"]
    short = Poses(poses.base[:15], poses.rotation[:15], poses.joints[:15])
    with pytest.raises(RetargetError, match=rf"0.75 s is too short .* than {TIMING.cycle_min:g} s"):
        close_cycle(kinematics_of(g1), short, 20.0)
    with pytest.raises(RetargetError, match="blend must be a positive time"):
        close_cycle(kinematics_of(g1), poses, 20.0, blend=0.0)
    with pytest.raises(RetargetError, match="at least 1 round, got 0"):
        cycle_of(g1, solved, "squat").unroll(0)
    with pytest.raises(RetargetError, match="rate must be"):
        sample_cycle(g1, cycle_of(g1, solved, "squat"), 0.0)
    tiled = Poses(*(np.concatenate([a] * 25) for a in (poses.base, poses.rotation, poses.joints)))
    with pytest.raises(RetargetError, match="too long to find a cycle in"):
        close_cycle(kinematics_of(g1), tiled, 20.0)


def test_a_walk_is_played_in_rounds(g1: Robot, solved: dict[str, Poses]) -> None:
    cycle = cycle_of(g1, solved, "walk")
    three = Retargeter(g1).retarget(CLIPS["walk"], rounds=3)
    least = 3 * cycle.seconds
    assert least <= three.seconds < 1.5 * least + 1.0
    assert np.all(three.velocities[0] == 0.0) and np.abs(three.velocities[-1]).max() < 1e-9
    velocity, acceleration = limit_use(g1, three.positions, three.velocities, three.time_from_start)
    assert velocity.max() <= 1.0 and acceleration.max() <= 1.0
    way = np.linalg.norm(three.base_position[-1, :2] - three.base_position[0, :2])
    assert way == pytest.approx(3 * np.linalg.norm(cycle.shift), rel=0.1)


@pytest.mark.parametrize("rounds", [0, -2])
def test_fewer_than_one_round_is_an_error(g1: Robot, rounds: int) -> None:
    with pytest.raises(RetargetError, match="rounds must be at least 1"):
        Retargeter(g1).retarget(CLIPS["walk"], rounds=rounds)


def test_a_motion_that_does_not_repeat_is_an_error(g1: Robot) -> None:
    with pytest.raises(RetargetError, match="does not repeat"):
        Retargeter(g1).retarget(random_clip(1, 24), rounds=2)
    with pytest.raises(RetargetError, match="too short to repeat"):
        Retargeter(g1).retarget(walking_clip(12), rounds=2)


def test_rounds_of_a_motion_under_way_are_refused(g1: Robot) -> None:
    with pytest.raises(RetargetError, match="under way"):
        Retargeter(g1).retarget(CLIPS["walk"], rounds=2, begin=0.5, start=RobotState(g1.nominal))
