"""History of the robot's states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.human_clips import walking_clip
from nextscale_core.estimation.history import MAX_GAP, SHORTEST, RobotHistory, prefix_of, with_base
from nextscale_core.estimation.leg_odometry import BaseSource
from nextscale_core.estimation.samples import BaseTrack, OrientationTrack
from nextscale_core.exceptions import InvalidMotionError, RobotError
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotState
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.trajectory import RobotTrajectory

BEGIN = 50.0


@pytest.fixture(scope="module")
def walk(g1: Robot) -> RobotTrajectory:
    return Retargeter(g1).retarget(walking_clip(), rate=100.0)


@pytest.fixture
def past(walk: RobotTrajectory) -> RobotHistory:
    return RobotHistory(BEGIN + walk.time_from_start, walk.positions)


def base_of(walk: RobotTrajectory, floor: float | None = 0.0) -> BaseTrack:
    times = BEGIN + walk.time_from_start
    return BaseTrack(times, walk.base_position, walk.base_quaternion, floor)


def standing(g1: Robot, seconds: float = 2.0, rate: float = 100.0) -> RobotHistory:
    times = BEGIN + np.arange(int(seconds * rate)) / rate
    return RobotHistory(times, np.tile(g1.nominal, (len(times), 1)))


# -- the states


def test_times_and_joints_must_agree() -> None:
    with pytest.raises(RobotError, match=r"3 times need as many rows of joints, got \(2, 5\)"):
        RobotHistory(np.arange(3.0), np.zeros((2, 5)))


def test_nothing_is_at_rest_and_has_no_length() -> None:
    nothing = RobotHistory(np.empty(0), np.empty((0, 29)))
    assert nothing.at_rest and nothing.seconds == 0.0
    assert len(nothing.last(1.0)) == 0


@pytest.mark.parametrize("rate", [50.0, 100.0, 1000.0])
@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_the_last_part_is_as_long_as_it_is_asked_for(
    rate: float, seconds: float, g1: Robot
) -> None:
    last = standing(g1, 2.0, rate).last(seconds)
    assert last.seconds == pytest.approx(seconds)
    assert last.times[-1] == pytest.approx(BEGIN + 2.0 - 1 / rate)


def test_a_longer_past_than_there_is_is_all_there_is(past: RobotHistory) -> None:
    assert len(past.last(1e3)) == len(past)


@pytest.mark.parametrize(("pause", "kept"), [(0.8 * MAX_GAP, 1.0), (1.5 * MAX_GAP, 0.5)])
def test_the_last_part_begins_after_a_pause(past: RobotHistory, pause: float, kept: float) -> None:
    end = past.times[-1]
    silent = (past.times > end - 0.5 - pause) & (past.times < end - 0.5)
    heard = replace(past, times=past.times[~silent], positions=past.positions[~silent])
    assert heard.last(1.0).seconds == pytest.approx(kept, abs=0.02)


def test_a_robot_is_at_rest_when_it_no_longer_moves(past: RobotHistory, g1: Robot) -> None:
    assert standing(g1).at_rest
    middle = past.times < BEGIN + 2.5
    assert not replace(past, times=past.times[middle], positions=past.positions[middle]).at_rest
    # It walked and then stood for a while.
    after = past.times[-1] + np.arange(1, 50) * 0.01
    stood = RobotHistory(
        np.concatenate([past.times, after]),
        np.concatenate([past.positions, past.positions[-1:].repeat(len(after), 0)]),
    )
    assert stood.at_rest


def test_noise_does_not_make_a_standing_robot_move(g1: Robot) -> None:
    past = standing(g1)
    noise = np.random.default_rng(0).normal(0.0, 0.003, past.positions.shape)
    assert replace(past, positions=past.positions + noise).at_rest


# -- what a motion continues


def test_the_prefix_ends_with_the_last_state(past: RobotHistory, g1: Robot) -> None:
    used = past.last(2.5)
    prefix = prefix_of(g1, used, 1.0)
    assert prefix.end == pytest.approx(past.times[-1])
    assert prefix.begin == pytest.approx(past.times[-1] - 1.0, abs=0.051)
    assert len(prefix.human) == 21
    np.testing.assert_allclose(prefix.human.poses.joints[-1], past.positions[-1], atol=1e-9)


def test_too_short_a_past_cannot_be_continued(past: RobotHistory, g1: Robot) -> None:
    with pytest.raises(InvalidMotionError, match=rf"reach back 0\.3\d s.*{SHORTEST} s are needed"):
        prefix_of(g1, past.last(0.32))


def test_a_pause_shortly_before_the_end_leaves_nothing_to_continue(
    past: RobotHistory, g1: Robot
) -> None:
    end = past.times[-1]
    silent = (past.times > end - 0.7) & (past.times < end - 0.2)
    heard = replace(past, times=past.times[~silent], positions=past.positions[~silent])
    with pytest.raises(InvalidMotionError, match="without a gap"):
        prefix_of(g1, heard)


def test_a_base_measured_at_other_times_than_the_joints_counts(
    past: RobotHistory, walk: RobotTrajectory, g1: Robot
) -> None:
    track = base_of(walk)
    # Heard from before the history until shortly before its end, at another rate.
    some = (np.arange(len(track.times)) % 3 == 0) & (track.times < past.times[-1] - 0.05)
    track = BaseTrack(track.times[some], track.positions[some], track.quaternions[some])
    prefix = prefix_of(g1, replace(past, base=track), 1.0)
    assert prefix.human.base_source is BaseSource.MEASURED
    assert prefix.human.clip.seconds == pytest.approx(1.05, abs=0.06)


@pytest.mark.parametrize("lost", ["before", "after", "between"])
def test_a_base_that_does_not_cover_the_joints_is_replaced_by_leg_odometry(
    lost: str, past: RobotHistory, walk: RobotTrajectory, g1: Robot
) -> None:
    track, end = base_of(walk), past.times[-1]
    heard = {
        "before": track.times > end - 0.4,
        "after": track.times < end - 0.4,
        "between": (track.times < end - 0.8) | (track.times > end - 0.4),
    }[lost]
    track = BaseTrack(track.times[heard], track.positions[heard], track.quaternions[heard])
    prefix = prefix_of(g1, replace(past, base=track), 1.0)
    assert prefix.human.base_source is not BaseSource.MEASURED


def test_an_imu_stands_in_for_the_base(
    past: RobotHistory, walk: RobotTrajectory, g1: Robot
) -> None:
    track = OrientationTrack(BEGIN + walk.time_from_start, walk.base_quaternion)
    prefix = prefix_of(g1, replace(past, imu=track), 1.0)
    assert prefix.human.base_source is BaseSource.IMU_ODOMETRY


# -- the state to begin in


def test_the_state_gets_the_measured_base_on_the_floor(
    past: RobotHistory, walk: RobotTrajectory, g1: Robot
) -> None:
    track = base_of(walk, floor=None)
    # Odometry whose zero is a metre under the floor, turned and far away.
    turn, shift = Rotation.from_euler("z", 2.0), np.array([4.0, -3.0, 1.0])
    moved = BaseTrack(
        track.times,
        turn.apply(track.positions) + shift,
        (turn * Rotation.from_quat(track.quaternions)).as_quat(),
        None,
    )
    state = with_base(g1, RobotState(walk.positions[-1]), replace(past, base=moved))
    assert state.base_position is not None and state.base_quaternion is not None
    expected = turn.apply(walk.base_position[-1]) + shift
    np.testing.assert_allclose(state.base_position[:2], expected[:2], atol=1e-3)
    rotation = Rotation.from_quat(state.base_quaternion)
    wanted = turn * Rotation.from_quat(walk.base_quaternion[-1])
    assert (rotation * wanted.inv()).magnitude() < 1e-3
    pose = Poses(state.base_position[None], rotation.as_matrix()[None], state.positions[None])
    assert abs(float(kinematics_of(g1).lowest_sole(pose)[0])) < 0.01


def test_without_any_past_the_base_stays_unknown(g1: Robot) -> None:
    nothing = RobotHistory(np.empty(0), np.empty((0, g1.num_joints)))
    state = with_base(g1, RobotState(g1.nominal), nothing)
    assert state.base_position is None and state.base_quaternion is None


def test_without_base_measurements_the_soles_give_the_base(g1: Robot) -> None:
    state = with_base(g1, RobotState(g1.nominal), standing(g1))
    assert state.base_position is not None and state.base_quaternion is not None
    rotation = Rotation.from_quat(state.base_quaternion).as_matrix()
    pose = Poses(state.base_position[None], rotation[None], state.positions[None])
    assert abs(float(kinematics_of(g1).lowest_sole(pose)[0])) < 0.005
    assert Rotation.from_quat(state.base_quaternion).magnitude() < 0.1
