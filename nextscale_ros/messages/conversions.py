"""Conversions between core values and messages."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Twist, Vector3
from trajectory_msgs.msg import (
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)

from nextscale_core.robots import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.trajectory.reference import Reference
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReference

BASE_JOINT = "floating_base"
"""Name of the floating base in `MultiDOFJointTrajectory.joint_names`."""


def duration(seconds: float) -> Duration:
    """Convert seconds to a ROS duration, rounded to nanoseconds."""
    sec, nanosec = divmod(round(float(seconds) * NANOSECONDS), NANOSECONDS)
    return Duration(sec=int(sec), nanosec=int(nanosec))


def joint_trajectory(trajectory: RobotTrajectory) -> JointTrajectory:
    """Convert the joints of a trajectory to a controller's message.

    Args:
        trajectory: N points of J joints [rad, rad/s, s].
    """
    message = JointTrajectory(joint_names=list(trajectory.joint_names))
    message.points = [
        # The message stores array.array; Humble's type checks refuse NumPy rows.
        JointTrajectoryPoint(
            positions=array("d", q.tobytes()),
            velocities=array("d", v.tobytes()),
            time_from_start=duration(t),
        )
        for q, v, t in zip(
            trajectory.positions,
            trajectory.velocities,
            trajectory.time_from_start,
            strict=True,
        )
    ]
    return message


def of_joints(message: JointTrajectory, joints: Sequence[int]) -> JointTrajectory:
    """The same trajectory, of some joints, by their indices."""
    found = JointTrajectory(header=message.header)
    found.joint_names = [message.joint_names[j] for j in joints]
    found.points = [
        JointTrajectoryPoint(
            positions=array("d", [point.positions[j] for j in joints]),
            velocities=array("d", [point.velocities[j] for j in joints]),
            time_from_start=point.time_from_start,
        )
        for point in message.points
    ]
    return found


def motion_reference(
    robot: Robot, reference: Reference, frame: str, moving: bool
) -> MotionReference:
    """Convert a whole-body reference.

    Args:
        robot: The robot, whose root link may differ from x forward, z up.
        reference: Of one moment.
        frame: Name of the world frame, z up.
        moving: Whether the reference follows a trajectory.
    """
    x, y, z = reference.base_position.tolist()
    a, b, c, d = robot.root_quaternion(reference.base_quaternion).tolist()
    turn = robot.profile.axes.rotation().T
    linear = (turn @ reference.linear_velocity).tolist()
    angular = (turn @ reference.angular_velocity).tolist()
    message = MotionReference(
        joint_names=list(robot.joint_names),
        positions=array("d", reference.positions.tobytes()),
        velocities=array("d", reference.velocities.tobytes()),
        base_pose=Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=a, y=b, z=c, w=d)),
        base_twist=Twist(
            linear=Vector3(x=linear[0], y=linear[1], z=linear[2]),
            angular=Vector3(x=angular[0], y=angular[1], z=angular[2]),
        ),
        moving=moving,
    )
    message.header.frame_id = frame
    return message


def base_trajectory(
    trajectory: RobotTrajectory, frame: str, robot: Robot | None = None
) -> MultiDOFJointTrajectory:
    """Convert the floating base of a trajectory; one point per point of the joints.

    Args:
        trajectory: N base poses [m], quaternions x y z w.
        frame: Name of the world frame, z up.
        robot: The robot, whose root link may differ from x forward, z up; None if it does not.
    """
    message = MultiDOFJointTrajectory(joint_names=[BASE_JOINT])
    message.header.frame_id = frame
    quaternions = trajectory.base_quaternion
    if robot is not None:
        quaternions = robot.root_quaternion(quaternions)
    for p, q, t in zip(
        trajectory.base_position.tolist(),
        quaternions.tolist(),
        trajectory.time_from_start,
        strict=True,
    ):
        pose = Transform(
            translation=Vector3(x=p[0], y=p[1], z=p[2]),
            rotation=Quaternion(x=q[0], y=q[1], z=q[2], w=q[3]),
        )
        message.points.append(
            MultiDOFJointTrajectoryPoint(transforms=[pose], time_from_start=duration(t))
        )
    return message


def base_poses(message: MultiDOFJointTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) [m] and quaternions (N, 4) x y z w of a base trajectory."""
    poses = [point.transforms[0] for point in message.points]
    return (
        np.array([[p.translation.x, p.translation.y, p.translation.z] for p in poses]),
        np.array([[p.rotation.x, p.rotation.y, p.rotation.z, p.rotation.w] for p in poses]),
    )
