"""How close a sampled trajectory comes to the robot's limits, between the samples too.

A joint trajectory controller draws a cubic through the positions and velocities of two successive
points. Its acceleration is linear in time, so the two ends of each segment tell the largest.
"""

from __future__ import annotations

import numpy as np

from nextscale_core.robots.robot import Robot


def segment_accelerations(
    positions: np.ndarray, velocities: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Accelerations at both ends of the cubics between samples.

    Args:
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
        times: (N,) strictly increasing [s].

    Returns:
        (N - 1, 2, J) at the beginning and the end of each segment [rad/s^2].
    """
    h = np.diff(times)[:, None]
    slope = np.diff(positions, axis=0) / h
    v0, v1 = velocities[:-1], velocities[1:]
    return np.stack([6 * slope - 4 * v0 - 2 * v1, 4 * v1 + 2 * v0 - 6 * slope], axis=1) / h[:, None]


def segment_extremes(
    positions: np.ndarray, velocities: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extremes of the cubics between samples.

    Args:
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
        times: (N,) strictly increasing [s].

    Returns:
        Lowest and highest position (N - 1, J) [rad] and highest speed (N - 1, J) [rad/s].
    """
    h = np.diff(times)[:, None]
    a0, a1 = segment_accelerations(positions, velocities, times).transpose(1, 0, 2)
    q0, v0 = positions[:-1], velocities[:-1]
    jerk = (a1 - a0) / h
    low = np.minimum(positions[:-1], positions[1:])
    high = np.maximum(positions[:-1], positions[1:])
    # v0 + a0 u + jerk u^2 / 2 = 0 where the position turns round inside a segment
    root = np.sqrt(np.maximum(a0 * a0 - 2 * jerk * v0, 0.0))
    tiny = 1e-12
    for sign in (1.0, -1.0):
        denominator = a0 + sign * root
        u = -2 * v0 / np.where(np.abs(denominator) < tiny, tiny, denominator)
        u = np.clip(u, 0.0, h)
        q = q0 + u * (v0 + u * (a0 / 2 + u * jerk / 6))
        low, high = np.minimum(low, q), np.maximum(high, q)
    u = np.clip(-a0 / np.where(np.abs(jerk) < tiny, tiny, jerk), 0.0, h)
    inside = np.abs(v0 + u * (a0 + u * jerk / 2))
    speed = np.maximum(inside, np.maximum(np.abs(v0), np.abs(velocities[1:])))
    return low, high, speed


def limit_use(
    robot: Robot, positions: np.ndarray, velocities: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Used share of the velocity and the acceleration limits in each segment.

    Returns:
        Two arrays (N - 1,); 1 is the limit.
    """
    _, _, speed = segment_extremes(positions, velocities, times)
    acceleration = np.abs(segment_accelerations(positions, velocities, times)).max(1)
    return (
        (speed / robot.velocity_limit).max(-1),
        (acceleration / robot.acceleration_limit).max(-1),
    )


def slowdown(
    robot: Robot, positions: np.ndarray, velocities: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """(N - 1,) factor by which each segment would have to take longer; below 1 it need not."""
    velocity, acceleration = limit_use(robot, positions, velocities, times)
    return np.maximum(velocity, np.sqrt(acceleration))


def soft_clamp(
    positions: np.ndarray, velocities: np.ndarray, robot: Robot, room: float
) -> tuple[np.ndarray, np.ndarray]:
    """Keep positions inside the limits with a continuous velocity.

    Nothing changes further than `room` from a limit; closer than that, positions are compressed
    so that they only approach it. A spline through knots inside the limits may overshoot between
    them, and cutting it off would be a jump in velocity.

    Args:
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
        robot: Whose limits.
        room: Width of the compressed zone [rad].

    Returns:
        Positions strictly inside the limits and the velocities that belong to them.
    """
    if room <= 0:
        return np.clip(positions, robot.position_lower, robot.position_upper), velocities
    over = (positions - (robot.position_upper - room)) / room
    under = ((robot.position_lower + room) - positions) / room
    squeeze_over, squeeze_under = (np.exp(-np.maximum(side, 0.0)) for side in (over, under))
    positions = np.where(over > 0, robot.position_upper - room * squeeze_over, positions)
    positions = np.where(under > 0, robot.position_lower + room * squeeze_under, positions)
    return positions, velocities * squeeze_over * squeeze_under
