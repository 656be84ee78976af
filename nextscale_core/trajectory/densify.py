"""Where a robot is between the samples of a trajectory."""

from __future__ import annotations

import numpy as np

from nextscale_core.robots.trajectory import MAX_SAMPLES, RobotTrajectory

STEP = 0.1
"""No joint turns further than about this from one place looked at to the next [rad]."""


def with_places_between(trajectory: RobotTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Samples, and places on the controller's cubics where samples are far apart.

    At usual rates and speeds, nothing is added.

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
    # A cubic goes no further than its control polygon.
    way = np.abs(h * v[:-1]) / 3 + np.abs(h * v[1:]) / 3
    way += np.abs(q[1:] - h * v[1:] / 3 - q[:-1] - h * v[:-1] / 3)
    wanted = np.nan_to_num(way.max(1) / STEP, nan=MAX_SAMPLES, posinf=MAX_SAMPLES)
    parts = np.clip(np.ceil(wanted - 1e-9), 1, max(1, MAX_SAMPLES // len(t))).astype(int)
    after = np.repeat(np.arange(len(parts)), parts)
    first = np.cumsum(parts) - parts
    u = ((np.arange(len(after)) - first[after]) / parts[after])[:, None]
    rise, bend = u * u * (3 - 2 * u), u * (1 - u)
    places = (
        (1 - rise) * q[after]
        + rise * q[after + 1]
        + h[after] * bend * ((1 - u) * v[after] - u * v[after + 1])
    )
    return np.concatenate([places, q[-1:]]), np.append(after, len(t) - 1)
