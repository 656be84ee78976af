"""Poses of the floating base, from those of links that are fixed to it."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.base_pose import (
    BasePoseBuffer,
    BasePoseError,
    ImuBuffer,
    told_jumps,
)
from nextscale_core.robots import Robot, load_robot

UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])
PLACE = np.array([0.3, -0.2, 0.75])


@pytest.fixture(scope="module", params=["g1", "icub"])
def robot(request: pytest.FixtureRequest) -> Robot:
    return load_robot(request.param)


@pytest.fixture
def turn() -> Rotation:
    return Rotation.from_euler("zyx", [0.7, 0.2, -0.1])


def root_link(robot: Robot) -> str:
    return str(robot.model.frames[2].name)


def test_a_pose_of_the_root_link_becomes_the_pose_of_the_base(robot: Robot, turn: Rotation) -> None:
    buffer = BasePoseBuffer(robot)
    of_root = robot.root_quaternion(turn.as_quat())
    buffer.update(PLACE, of_root, root_link(robot), 5.0, 0.0)
    pose = buffer.last(5.1, 0.2)
    assert pose is not None
    np.testing.assert_allclose(pose.position, PLACE, atol=1e-12)
    assert (Rotation.from_quat(pose.quaternion) * turn.inv()).magnitude() < 1e-9


def test_the_root_link_of_an_icub_looks_backwards_and_its_base_does_not() -> None:
    icub = load_robot("icub")
    buffer = BasePoseBuffer(icub)
    buffer.update(PLACE, UPRIGHT, root_link(icub), 1.0, 0.0)
    pose = buffer.last(1.0, 0.2)
    assert pose is not None
    ahead = Rotation.from_quat(pose.quaternion).apply([1.0, 0.0, 0.0])
    np.testing.assert_allclose(ahead, [-1.0, 0.0, 0.0], atol=1e-6)


def test_a_link_that_is_fixed_to_the_root_gives_the_base_too(robot: Robot, turn: Rotation) -> None:
    model = robot.model
    links = [frame for frame in model.frames if frame.type == pin.FrameType.BODY]
    fixed = [link for link in links if link.parentJoint == 1 and link.name != root_link(robot)]
    assert fixed
    for frame in fixed:
        link_place = PLACE + turn.apply(np.array(frame.placement.translation))
        link_turn = turn * Rotation.from_matrix(np.array(frame.placement.rotation))
        buffer = BasePoseBuffer(robot)
        buffer.update(link_place, link_turn.as_quat(), frame.name, 1.0, 0.0)
        pose = buffer.last(1.0, 0.2)
        assert pose is not None
        np.testing.assert_allclose(pose.position, PLACE, atol=1e-9)
        assert (Rotation.from_quat(pose.quaternion) * turn.inv()).magnitude() < 1e-6


def test_without_a_name_it_is_the_root_link(robot: Robot, turn: Rotation) -> None:
    poses = []
    for link in ("", root_link(robot)):
        buffer = BasePoseBuffer(robot)
        buffer.update(PLACE, turn.as_quat(), link, 1.0, 0.0)
        poses.append(buffer.last(1.0, 1.0))
    assert poses[0] is not None and poses[1] is not None
    np.testing.assert_array_equal(poses[0].quaternion, poses[1].quaternion)


def test_a_prefixed_frame_means_the_link_behind_the_prefix(robot: Robot, turn: Rotation) -> None:
    poses = []
    for prefix in ("", "left/", "/left/", "fleet/left/"):
        buffer = BasePoseBuffer(robot)
        buffer.update(PLACE, turn.as_quat(), prefix + root_link(robot), 1.0, 0.0)
        poses.append(buffer.last(1.0, 1.0))
    assert all(pose is not None for pose in poses)
    for pose in poses[1:]:
        np.testing.assert_array_equal(pose.quaternion, poses[0].quaternion)


def test_a_link_that_moves_against_the_base_is_refused(robot: Robot) -> None:
    moving = next(frame.name for frame in robot.model.frames if frame.parentJoint > 1)
    with pytest.raises(BasePoseError, match=f"'{moving}' do not determine.*{root_link(robot)}"):
        BasePoseBuffer(robot).update(PLACE, UPRIGHT, moving, 1.0, 0.0)


def test_an_unknown_link_is_refused(robot: Robot) -> None:
    with pytest.raises(BasePoseError, match="'base_footprint_of_r2d2'"):
        BasePoseBuffer(robot).update(PLACE, UPRIGHT, "base_footprint_of_r2d2", 1.0, 0.0)


@pytest.mark.parametrize(
    ("place", "quaternion", "reason"),
    [
        ([np.nan, 0, 0], UPRIGHT, "nan"),
        ([0, np.inf, 0], UPRIGHT, "inf"),
        (PLACE, [0, 0, 0, 0], "norm 0"),
        (PLACE, [0, 0, 0, 2], "norm 2"),
        (PLACE, [0, 0, np.nan, 1], "norm nan"),
    ],
)
def test_a_pose_that_is_none_is_refused_and_leaves_the_one_before(
    place: list[float], quaternion: list[float], reason: str
) -> None:
    buffer = BasePoseBuffer(load_robot("g1"))
    buffer.update(PLACE, UPRIGHT, "", 1.0, 0.0)
    with pytest.raises(BasePoseError, match=reason):
        buffer.update(np.array(place), np.array(quaternion), "", 1.1, 0.0)
    pose = buffer.last(1.1, 0.2)
    assert pose is not None and pose.time == 1.0


def test_an_old_pose_does_not_count() -> None:
    buffer = BasePoseBuffer(load_robot("g1"))
    assert buffer.last(0.0, 10.0) is None
    buffer.update(PLACE, UPRIGHT, "", 1.0, 0.0)
    assert buffer.last(1.3, 0.2) is None


def test_a_track_needs_two_poses_and_has_no_floor_of_its_own() -> None:
    buffer = BasePoseBuffer(load_robot("g1"))
    buffer.update(PLACE, UPRIGHT, "", 1.0, 0.0)
    assert buffer.track(0.0) is None
    buffer.update(PLACE + 0.1, UPRIGHT, "", 1.1, 0.0)
    track = buffer.track(0.0)
    assert track is not None and track.floor is None
    assert track.times.tolist() == [1.0, 1.1]
    np.testing.assert_allclose(track.positions, [PLACE, PLACE + 0.1])


def test_an_imu_gives_a_track_of_its_link(turn: Rotation) -> None:
    imu = ImuBuffer()
    assert imu.track(0.0, "head") is None
    for time in (1.0, 1.1, 1.2):
        imu.update(turn.as_quat(), time, 0.0)
    track = imu.track(1.05, "head")
    assert track is not None and track.link == "head"
    assert track.times.tolist() == [1.1, 1.2]
    with pytest.raises(BasePoseError):
        imu.update(np.zeros(4), 1.3, 0.0)


def fed(steps, at: float = 10.0, absence: float = 0.5) -> tuple[BasePoseBuffer, list[bool]]:
    """A buffer after (time, place, angles ZYX) steps, and which of them began a new world."""
    buffer, jumped = BasePoseBuffer(load_robot("g1"), absence), []
    for time, place, angles in steps:
        turn = Rotation.from_euler("ZYX", angles).as_quat()
        jumped.append(buffer.update(np.array(place), turn, "", at + time, 0.0) is not None)
    return buffer, jumped


@pytest.mark.parametrize(
    ("place", "yaw", "told"),
    [((2.0, 0.0, 0.78), 0.0, "2.00 m and 0 degrees"), ((0.0, 0.0, 0.78), -1.5, "0.00 m and 86")],
)
def test_after_a_step_that_no_robot_makes_the_world_is_another_one(
    place: tuple[float, float, float], yaw: float, told: str
) -> None:
    still = [(0.01 * k, (0.0, 0.0, 0.78), (0.0, 0.0, 0.0)) for k in range(10)]
    moved = [(0.1 + 0.01 * k, place, (yaw, 0.0, 0.0)) for k in range(3)]
    buffer, jumped = fed([*still, *moved])
    assert jumped == [False] * 10 + [True] + [False] * 2
    track, pose = buffer.track(0.0), buffer.last(10.2, 0.5)
    assert track is not None and np.allclose(track.positions, place)
    assert pose is not None and pose.world == 1
    assert told in told_jumps(buffer.new_jumps())
    assert told_jumps(buffer.new_jumps()) == ""


def test_several_jumps_are_told_as_one_line() -> None:
    buffer, _ = fed([(0.01 * k, (2.0 * (k % 2), 0.0, 0.8), (0.0, 0.0, 0.0)) for k in range(4)])
    assert "jumped 3 times, by up to 2.00 m and 0 degrees" in told_jumps(buffer.new_jumps())


def test_what_a_robot_can_do_is_no_jump() -> None:
    rng = np.random.default_rng(1)
    upright = (0.0, 0.0, 0.0)
    # A run whose messages are stamped too early or too late, at any rate.
    for rate in (500.0, 100.0, 20.0):
        true = np.arange(0.0, 3.0, 1.0 / rate)
        stamps = np.sort(true + rng.uniform(0.0, 0.02, len(true)))
        run = [(at, (3.0 * t, 0.0, 0.8), upright) for t, at in zip(true, stamps, strict=True)]
        assert not any(fed(run)[1]), rate
    # A spin, and a fall on the back with a roll through the pose where the heading turns over.
    times = np.arange(0.0, 1.0, 0.01)
    assert not any(fed([(t, (0.0, 0.0, 0.8), (6.0 * t, 0.0, 0.0)) for t in times])[1])
    fall = [(t, (0.0, 0.0, 0.8 - 0.6 * t), (0.3, -3.0 * t, 2.0 * t)) for t in times]
    assert not any(fed(fall)[1])


def test_a_base_that_comes_back_elsewhere_is_in_another_world() -> None:
    begin, upright = (0.0, (0.0, 0.0, 0.8), (0.0, 0.0, 0.0)), (0.0, 0.0, 0.0)
    assert fed([begin, (2.0, (1.0, 0.0, 0.8), upright)])[1] == [False, True]
    assert fed([begin, (2.0, (0.1, 0.0, 0.8), upright)])[1] == [False, False]
    # Odometry of a low rate is not away.
    assert fed([begin, (2.0, (1.0, 0.0, 0.8), upright)], absence=3.0)[1] == [False, False]
    # A clock that was set back does not hide it.
    assert fed([begin, (-5.0, (1.0, 0.0, 0.8), upright)])[1] == [False, True]
    assert fed([begin, (-5.0, (0.1, 0.0, 0.8), upright)])[1] == [False, False]
