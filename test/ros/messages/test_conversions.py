"""Core values to messages and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_ros.messages.conversions import (
    base_trajectory,
    duration,
    joint_trajectory,
    robot_trajectory,
)
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds

MakeTrajectory = Callable[..., RobotTrajectory]


@given(st.floats(-1000.0, 1000.0))
def test_a_duration_keeps_its_nanoseconds(seconds: float) -> None:
    message = duration(seconds)
    assert 0 <= message.nanosec < NANOSECONDS
    assert nanoseconds(message) == round(seconds * NANOSECONDS)


def test_a_trajectory_survives_the_way_over_the_wire(make_trajectory: MakeTrajectory) -> None:
    before = make_trajectory()
    joints, base = (
        deserialize_message(serialize_message(message), kind)
        for message, kind in (
            (joint_trajectory(before), JointTrajectory),
            (base_trajectory(before, "odom"), MultiDOFJointTrajectory),
        )
    )
    after = robot_trajectory(joints, base, robot="made-up")
    assert after.joint_names == before.joint_names
    np.testing.assert_array_equal(after.positions, before.positions)
    np.testing.assert_array_equal(after.velocities, before.velocities)
    np.testing.assert_array_equal(after.base_position, before.base_position)
    np.testing.assert_array_equal(after.base_quaternion, before.base_quaternion)
    np.testing.assert_allclose(after.time_from_start, before.time_from_start, atol=1e-9)
    assert after.fps == pytest.approx(before.fps)


def test_the_stamp_is_zero_unless_given(make_trajectory: MakeTrajectory) -> None:
    assert nanoseconds(joint_trajectory(make_trajectory()).header.stamp) == 0


def test_the_base_is_given_in_its_frame(make_trajectory: MakeTrajectory) -> None:
    message = base_trajectory(make_trajectory(), "odom")
    assert message.header.frame_id == "odom"
    assert all(len(point.transforms) == 1 for point in message.points)


def test_a_trajectory_of_one_point_is_none(make_trajectory: MakeTrajectory) -> None:
    message = joint_trajectory(make_trajectory())
    message.points = message.points[:1]
    with pytest.raises(RetargetError, match="at least 2 points, got 1"):
        robot_trajectory(message, None, robot="made-up")
