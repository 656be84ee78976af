"""Validation of JointTrajectory messages by the rules of joint_trajectory_controller.

The rules are those of ros2_controllers' joint_trajectory_controller with its default parameters (no
partial goals, no integration, no velocity at the end). NaN and duplicate names, which it accepts,
are refused as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

MAX_END_VELOCITY = float(np.finfo(np.float32).eps)
"""Maximum speed at rest in the last point, as in the controller [rad/s]."""

NANOSECONDS = 1_000_000_000


def nanoseconds(stamp: Time | Duration) -> int:
    """Convert a ROS time or duration to nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def check_joint_trajectory(
    message: JointTrajectory,
    joint_names: Sequence[str],
    now: int | None = None,
    partial: bool = False,
) -> list[str]:
    """List the reasons for which a controller of these joints would refuse a message.

    Args:
        message: The trajectory.
        joint_names: The joints of the robot.
        now: Time of arrival on the clock of the stamp [ns]; None skips the check that the
            trajectory has not ended yet.
        partial: Whether joints may be left out (allow_partial_joints_goal).

    Returns:
        The reasons; empty for a valid message.
    """
    problems = _check_names(message.joint_names, joint_names, partial)
    if not message.points:
        return [*problems, "the trajectory has no points"]
    count = len(message.joint_names)
    for index, point in enumerate(message.points):
        problems += _check_point(index, point, count)
    problems += _check_times(message.points)
    last = np.asarray(message.points[-1].velocities, dtype=np.float64)
    moving = np.flatnonzero(np.abs(last) > MAX_END_VELOCITY)
    if len(moving) and len(last) == count:
        joint = int(moving[0])
        problems.append(
            f"the last point moves: {message.joint_names[joint]} at {last[joint]:.4g} rad/s, "
            "must be 0"
        )
    start = nanoseconds(message.header.stamp)
    if now is not None and start != 0:
        end = start + nanoseconds(message.points[-1].time_from_start)
        if end < now:
            problems.append(f"the trajectory ended {(now - end) / NANOSECONDS:.3f} s ago")
    return problems


def _check_names(given: Sequence[str], known: Sequence[str], partial: bool) -> list[str]:
    problems = []
    if not given:
        problems.append("joint_names is empty")
    unknown = sorted(set(given) - set(known))
    if unknown:
        problems.append(f"unknown joints: {', '.join(unknown)}")
    missing = [name for name in known if name not in set(given)]
    if given and missing and not partial:
        problems.append(f"missing joints: {', '.join(missing)}")
    if len(set(given)) != len(given):
        twice = sorted({name for name in given if list(given).count(name) > 1})
        problems.append(f"joints named more than once: {', '.join(twice)}")
    return problems


def _check_point(index: int, point: JointTrajectoryPoint, count: int) -> list[str]:
    problems = []
    for name in ("positions", "velocities", "accelerations", "effort"):
        values = np.asarray(getattr(point, name), dtype=np.float64)
        if name == "effort":
            if len(values):
                problems.append(f"point {index}: effort must be empty, has {len(values)} values")
            continue
        if len(values) != count and (len(values) or name == "positions"):
            problems.append(
                f"point {index}: {name} has {len(values)} values for {count} joint names"
            )
        if not np.isfinite(values).all():
            joint = int(np.flatnonzero(~np.isfinite(values))[0])
            problems.append(f"point {index}: {name}[{joint}] is {values[joint]}")
    return problems


def _check_times(points: Sequence[JointTrajectoryPoint]) -> list[str]:
    times = [nanoseconds(point.time_from_start) for point in points]
    problems = []
    if times[0] < 0:
        problems.append(f"point 0: time_from_start is negative ({times[0] / NANOSECONDS:.6f} s)")
    for index in range(1, len(times)):
        if times[index] <= times[index - 1]:
            problems.append(
                f"time_from_start does not increase from point {index - 1} "
                f"({times[index - 1] / NANOSECONDS:.6f} s) to point {index} "
                f"({times[index] / NANOSECONDS:.6f} s)"
            )
            break
    return problems
