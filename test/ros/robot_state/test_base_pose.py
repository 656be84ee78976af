"""Published base poses, read back by the buffer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.base_pose import BasePoseBuffer, root_link
from nextscale_core.robots import RobotTrajectory, load_robot
from nextscale_ros.messages.conversions import base_poses, base_trajectory

PLACE = np.array([0.3, -0.2, 0.75])


@pytest.mark.parametrize("name", ["g1", "icub"])
def test_what_is_published_comes_back_as_it_was(name: str) -> None:
    robot, turn = load_robot(name), Rotation.from_euler("zyx", [0.7, 0.2, -0.1])
    plan = RobotTrajectory(
        robot=robot.name,
        joint_names=(),
        positions=np.zeros((2, 0)),
        velocities=np.zeros((2, 0)),
        time_from_start=np.array([0.0, 1.0]),
        base_position=np.tile(PLACE, (2, 1)),
        base_quaternion=np.tile(turn.as_quat(), (2, 1)),
        fps=1.0,
    )
    place, quaternion = base_poses(base_trajectory(plan, "odom", robot=robot))
    buffer = BasePoseBuffer(robot)
    buffer.update(place[0], quaternion[0], root_link(robot), 1.0, 0.0)
    pose = buffer.last(1.0, 0.2)
    assert pose is not None
    assert (Rotation.from_quat(pose.quaternion) * turn.inv()).magnitude() < 1e-9
