"""Time to come to a trajectory's first pose from wherever the robot stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory


def approach_seconds(robot: Robot) -> float:
    """Time in which any joint can cross its whole range within its limits [s].

    A controller draws a cubic from rest to rest to the first point. Over a distance d in a time
    T, that reaches 3/2 d / T and 6 d / T^2.
    """
    distance = robot.position_upper - robot.position_lower
    by_velocity = 1.5 * distance / robot.velocity_limit
    by_acceleration = np.sqrt(6.0 * distance / robot.acceleration_limit)
    return float(np.maximum(by_velocity, by_acceleration).max())


def with_approach(robot: Robot, trajectory: RobotTrajectory) -> RobotTrajectory:
    """The same trajectory, with time before its first pose.

    For a robot whose state is unknown: a first pose at time 0 would make a controller jump to
    it. Standing still within its limits, the robot now comes there within all limits; what it
    may touch on the way is not known.

    Args:
        robot: The robot.
        trajectory: A trajectory that begins at rest.

    Raises:
        RetargetError: the trajectory has no samples.
    """
    if not len(trajectory):
        raise RetargetError("a trajectory without samples has no first pose to come to")
    times = trajectory.time_from_start - trajectory.time_from_start[0] + approach_seconds(robot)
    return replace(trajectory, time_from_start=times)
