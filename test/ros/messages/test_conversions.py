"""Core values to messages and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_ros.messages.conversions import (
    base_poses,
    base_trajectory,
    duration,
    joint_trajectory,
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
    assert tuple(joints.joint_names) == before.joint_names
    np.testing.assert_array_equal([p.positions for p in joints.points], before.positions)
    np.testing.assert_array_equal([p.velocities for p in joints.points], before.velocities)
    position, quaternion = base_poses(base)
    np.testing.assert_array_equal(position, before.base_position)
    np.testing.assert_array_equal(quaternion, before.base_quaternion)
    for message in (joints, base):
        times = [nanoseconds(point.time_from_start) / NANOSECONDS for point in message.points]
        np.testing.assert_allclose(times, before.time_from_start, atol=1e-9)


def test_the_stamp_is_zero_unless_given(make_trajectory: MakeTrajectory) -> None:
    assert nanoseconds(joint_trajectory(make_trajectory()).header.stamp) == 0


def test_the_base_is_given_in_its_frame(make_trajectory: MakeTrajectory) -> None:
    message = base_trajectory(make_trajectory(), "odom")
    assert message.header.frame_id == "odom"
    assert all(len(point.transforms) == 1 for point in message.points)
