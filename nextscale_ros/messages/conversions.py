"""From core values to messages and back."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Quaternion, Transform, Vector3
from trajectory_msgs.msg import (
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds

BASE_JOINT = "floating_base"
"""Name of the floating base in MultiDOFJointTrajectory."""


def duration(seconds: float) -> Duration:
    """Seconds [s] as a ROS duration, to the nanosecond."""
    sec, nanosec = divmod(round(float(seconds) * NANOSECONDS), NANOSECONDS)
    return Duration(sec=int(sec), nanosec=int(nanosec))


def joint_trajectory(trajectory: RobotTrajectory, stamp: Time | None = None) -> JointTrajectory:
    """The joints of a trajectory as a controller wants them.

    Args:
        trajectory: N points of J joints [rad, rad/s, s].
        stamp: When the trajectory begins; None is 0, which controllers read as 'now'.
    """
    message = JointTrajectory(joint_names=list(trajectory.joint_names))
    if stamp is not None:
        message.header.stamp = stamp
    message.points = [
        # array.array is what the message keeps; NumPy rows are refused by Humble's checks.
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


def base_trajectory(
    trajectory: RobotTrajectory, frame: str, stamp: Time | None = None, robot: Robot | None = None
) -> MultiDOFJointTrajectory:
    """The floating base that belongs to the joints, point by point at the same times.

    Args:
        trajectory: N base poses [m], quaternions x y z w.
        frame: Name of the world frame, z up.
        stamp: As for the joints.
        robot: Whose base it is; its root link may lie otherwise than x forward, z up. None: it
            does not.
    """
    message = MultiDOFJointTrajectory(joint_names=[BASE_JOINT])
    message.header.frame_id = frame
    if stamp is not None:
        message.header.stamp = stamp
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


def robot_trajectory(
    joints: JointTrajectory,
    base: MultiDOFJointTrajectory | None,
    *,
    robot: str,
    text: str = "",
) -> RobotTrajectory:
    """A received command as a core value.

    Args:
        joints: At least two points with positions and velocities.
        base: The floating base at the same times; None leaves it at the origin.
        robot: Name of the robot profile.
        text: The sentence behind it.

    Raises:
        RetargetError: fewer than two points, or base and joints of different lengths.
    """
    count = len(joints.points)
    if count < 2:
        raise RetargetError(f"a trajectory needs at least 2 points, got {count}")
    times = np.array([nanoseconds(point.time_from_start) for point in joints.points]) / NANOSECONDS
    position, quaternion = np.zeros((count, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (count, 1))
    if base is not None:
        position, quaternion = base_poses(base)
    return RobotTrajectory(
        robot=robot,
        joint_names=tuple(joints.joint_names),
        positions=np.array([point.positions for point in joints.points]),
        velocities=np.array([point.velocities for point in joints.points]),
        time_from_start=times,
        base_position=position,
        base_quaternion=quaternion,
        fps=float((count - 1) / (times[-1] - times[0])),
        text=text,
    )


def base_poses(message: MultiDOFJointTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) [m] and quaternions (N, 4) x y z w of a base trajectory."""
    poses = [point.transforms[0] for point in message.points]
    return (
        np.array([[p.translation.x, p.translation.y, p.translation.z] for p in poses]),
        np.array([[p.rotation.x, p.rotation.y, p.rotation.z, p.rotation.w] for p in poses]),
    )
