"""Minimum-jerk curves, quintics without slope and curvature at their ends, and cubic splines.

Those quintics minimise the integral of the squared jerk between two states (Flash and Hogan, 1985).
"""

from __future__ import annotations

import ctypes

import numpy as np
from scipy.interpolate import PPoly

from nextscale_core.kernels import address, kernels, run

PEAK_VELOCITY, PEAK_ACCELERATION = 1.875, 5.774
"""Largest derivatives of `minimum_jerk` by u."""


def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 while u goes from 0 to 1."""
    return u**3 * (10 - 15 * u + 6 * u * u)


def quintic_fade(
    times: np.ndarray, seconds: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Curves by which a gap and its rate of change vanish.

    Args:
        times: (N,) since the beginning [s].
        seconds: Time by which both are gone.

    Returns:
        h0 from 1 to 0 and its derivative [1/s]; h1 [s], which is 0 with slope 1 in the beginning,
        and its derivative.
    """
    u = np.clip(times / seconds, 0.0, 1.0)
    return (
        1 - minimum_jerk(u),
        -30 * u * u * (1 - u) ** 2 / seconds,
        seconds * u * (1 - u) ** 3 * (1 + 3 * u),
        (1 - u) ** 2 * (1 + 2 * u - 15 * u * u),
    )


def quintic_arrival(u: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves that begin with no effect and end with a unit of position, velocity, acceleration.

    Args:
        u: (N,) from 0 to 1.
        frames: Length of the curves; velocity and acceleration are per frame.
    """
    return (
        minimum_jerk(u),
        frames * u**3 * (-4 + 7 * u - 3 * u * u),
        frames**2 * u**3 * (0.5 - u + 0.5 * u * u),
    )


def smooth_start(times: np.ndarray, ramp: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance [s] and speed of a motion whose speed rises from 0 to 1 as a smooth step.

    Args:
        times: (N,) since the beginning [s].
        ramp: Duration of the rise [s].
    """
    u = np.clip(times / ramp, 0.0, 1.0)
    rising = ramp * (u**3 - u**4 / 2)
    return np.where(times < ramp, rising, times - ramp / 2), u * u * (3 - 2 * u)


def evaluate(spline: PPoly, at: np.ndarray, *orders: int) -> list[np.ndarray]:
    """Derivatives of a cubic spline through (K, D), of orders 0 to 2, at places (N,): (N, D) each.

    As `spline(at, order)` for each order.
    """
    library = kernels()
    if library is None:
        return [spline(at, order) for order in orders]
    found = {order: np.empty((len(at), spline.c.shape[2])) for order in orders}
    arrays = [np.ascontiguousarray(part, np.float64) for part in (spline.x, spline.c, at)]
    pointers = (ctypes.c_void_p(address(found.get(order))) for order in range(3))
    sizes = len(spline.x), spline.c.shape[2]
    run(library, "ns_cubics", *sizes, *arrays[:2], len(at), arrays[2], *pointers)
    return list(found.values())
