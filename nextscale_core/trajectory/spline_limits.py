"""Positions, velocities and accelerations between samples, against the robot's limits.

A joint trajectory controller draws a cubic through the positions and velocities of two successive
points. Its acceleration is linear in time, so it is largest at one end of a segment.
"""

from __future__ import annotations

import numpy as np

from nextscale_core.kernels import kernels, run
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import MAX_SAMPLES, RobotTrajectory

STEP = 0.1
"""Approximate maximum joint step between collision samples [rad]."""


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
    """Extremes of the cubics between samples; arguments as in `segment_accelerations`.

    Returns:
        Lowest and highest position (N - 1, J) [rad] and highest speed (N - 1, J) [rad/s].
    """
    library = kernels()
    if library is not None:
        motion = _contiguous(positions, velocities, times)
        low, high, speed = (np.empty((len(times) - 1, positions.shape[1])) for _ in range(3))
        run(library, "ns_extremes", *positions.shape, *motion, low, high, speed)
        return low, high, speed
    h = np.diff(times)[:, None]
    a0, a1 = segment_accelerations(positions, velocities, times).transpose(1, 0, 2)
    q0, v0 = positions[:-1], velocities[:-1]
    jerk = (a1 - a0) / h
    low = np.minimum(positions[:-1], positions[1:])
    high = np.maximum(positions[:-1], positions[1:])
    # The velocity v0 + a0 u + jerk u^2 / 2 is 0 at the extremes inside a segment.
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
    """(N - 1,) used share of the velocity and of the acceleration limits in each segment."""
    library = kernels()
    if library is not None:
        motion = _contiguous(positions, velocities, times)
        limits = _contiguous(robot.velocity_limit, robot.acceleration_limit)
        use = np.empty(len(times) - 1), np.empty(len(times) - 1)
        run(library, "ns_limit_use", *positions.shape, *motion, *limits, *use)
        return use
    _, _, speed = segment_extremes(positions, velocities, times)
    acceleration = np.abs(segment_accelerations(positions, velocities, times)).max(1)
    return (
        (speed / robot.velocity_limit).max(-1),
        (acceleration / robot.acceleration_limit).max(-1),
    )


def _contiguous(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(array, np.float64) for array in arrays]


def slowdown(
    robot: Robot, positions: np.ndarray, velocities: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """(N - 1,) factor by which each segment has to take longer; at most 1 inside the limits."""
    velocity, acceleration = limit_use(robot, positions, velocities, times)
    return np.maximum(velocity, np.sqrt(acceleration))


def soft_clamp(
    positions: np.ndarray, velocities: np.ndarray, robot: Robot, room: float
) -> tuple[np.ndarray, np.ndarray]:
    """Keep positions inside the limits with a continuous velocity.

    Within `room` of a limit, positions are compressed so that they only approach it. A spline
    through knots inside the limits may overshoot, and clipping it would make its velocity jump.

    Args:
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
        robot: Whose limits.
        room: Width of the compressed zone [rad].

    Returns:
        Positions strictly inside the limits and their velocities.
    """
    if room <= 0:
        return np.clip(positions, robot.position_lower, robot.position_upper), velocities
    lower, upper = robot.position_lower, robot.position_upper
    near = ((positions > upper - room) | (positions < lower + room)).any(0)
    if not near.any():
        return positions, velocities
    lower, upper, at = lower[near], upper[near], positions[:, near]
    over, under = (at - (upper - room)) / room, ((lower + room) - at) / room
    squeeze_over, squeeze_under = (np.exp(-np.maximum(side, 0.0)) for side in (over, under))
    at = np.where(over > 0, upper - room * squeeze_over, at)
    positions, velocities = positions.copy(), velocities.copy()
    positions[:, near] = np.where(under > 0, lower + room * squeeze_under, at)
    velocities[:, near] *= squeeze_over * squeeze_under
    return positions, velocities


def with_places_between(trajectory: RobotTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Samples, and places on the controller's cubics where samples are more than `STEP` apart.

    Args:
        trajectory: Finite numbers at increasing times.

    Returns:
        Joint positions (M, J) [rad], M >= N, in the order of time, and (M,) the sample that each
        is or comes after.
    """
    q, v, t = trajectory.positions, trajectory.velocities, trajectory.time_from_start
    if len(t) < 2:
        return q, np.arange(len(t))
    h = np.diff(t)[:, None]
    # The control polygon of a cubic bounds its length.
    way = np.abs(h * v[:-1]) / 3 + np.abs(h * v[1:]) / 3
    way += np.abs(q[1:] - h * v[1:] / 3 - q[:-1] - h * v[:-1] / 3)
    wanted = np.nan_to_num(way.max(1) / STEP, nan=MAX_SAMPLES, posinf=MAX_SAMPLES)
    parts = np.clip(np.ceil(wanted - 1e-9), 1, max(1, MAX_SAMPLES // len(t))).astype(int)
    after = np.repeat(np.arange(len(parts)), parts)
    first = np.cumsum(parts) - parts
    places, part = q[after], np.arange(len(after)) - first[after]
    between = np.flatnonzero(part)
    if len(between):
        row = after[between]
        u = (part[between] / parts[row])[:, None]
        rise, bend = u * u * (3 - 2 * u), u * (1 - u)
        places[between] = (
            (1 - rise) * q[row]
            + rise * q[row + 1]
            + h[row] * bend * ((1 - u) * v[row] - u * v[row + 1])
        )
    return np.concatenate([places, q[-1:]]), np.append(after, len(t) - 1)
