"""The base that the soles tell, one measurement after the other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.human_clips import walking_clip
from nextscale_core.exceptions import RobotError
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_ros.robot_state.leg_odometry import LegOdometry


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def walk(robot: Robot) -> RobotTrajectory:
    return Retargeter(robot).retarget(walking_clip(turn=0.4))


def path(robot: Robot, walk: RobotTrajectory, every: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """What the soles make of the walk's joints, at 25 Hz."""
    walked = LegOdometry(robot)
    rows = range(0, len(walk), every)
    poses = [walked.update(walk.positions[row], float(walk.time_from_start[row])) for row in rows]
    return np.array([place for place, _ in poses]), np.array([turn for _, turn in poses])


def test_a_walk_is_told_by_its_joints_alone(robot: Robot, walk: RobotTrajectory) -> None:
    places, turns = path(robot, walk)
    truth = walk.base_position[::2]
    truth = truth - [*truth[0, :2], 0.0]
    length = np.linalg.norm(truth[-1, :2])
    assert length > 1.0
    assert np.linalg.norm(places - truth, axis=1).max() < 0.08 * length
    apart = Rotation.from_quat(turns) * Rotation.from_quat(walk.base_quaternion[::2]).inv()
    assert apart.magnitude().max() < 0.15


def test_the_lowest_sole_is_always_on_the_floor(robot: Robot, walk: RobotTrajectory) -> None:
    places, turns = path(robot, walk)
    kinematics = kinematics_of(robot)
    poses = Poses(places, Rotation.from_quat(turns).as_matrix(), walk.positions[::2])
    np.testing.assert_allclose(kinematics.lowest_sole(poses), 0.0, atol=1e-6)


def test_a_robot_that_stands_stays_and_so_does_one_that_is_measured_twice(robot: Robot) -> None:
    walked = LegOdometry(robot)
    first = walked.update(robot.nominal, 0.0)
    for time in (0.03, 0.06, 0.06, 0.05):
        place, turn = walked.update(robot.nominal, time)
        np.testing.assert_allclose(place, first[0], atol=1e-6)
        np.testing.assert_allclose(Rotation.from_quat(turn).magnitude(), 0.0, atol=1e-6)


def test_the_first_measurement_stands_above_the_origin_facing_x(
    robot: Robot, walk: RobotTrajectory
) -> None:
    place, turn = LegOdometry(robot).update(walk.positions[len(walk) // 2], 3.0)
    np.testing.assert_allclose(place[:2], 0.0)
    facing = Rotation.from_quat(turn).apply([1.0, 0.0, 0.0])
    assert np.arctan2(facing[1], facing[0]) == pytest.approx(0.0, abs=1e-9)


def test_after_a_pause_the_robot_is_where_it_was(robot: Robot, walk: RobotTrajectory) -> None:
    walked = LegOdometry(robot)
    for row in range(0, 150, 2):
        before, turned = walked.update(walk.positions[row], float(walk.time_from_start[row]))
    after, turn = walked.update(walk.positions[148], 100.0)
    np.testing.assert_allclose(after[:2], before[:2])
    apart = Rotation.from_quat(turned).inv() * Rotation.from_quat(turn)
    assert apart.magnitude() < 0.05
