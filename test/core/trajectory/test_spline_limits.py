from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from nextscale_core.robots import Robot
from nextscale_core.trajectory.spline_limits import (
    segment_accelerations,
    segment_extremes,
    soft_clamp,
)


def random_samples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    times = np.cumsum(generator.uniform(0.01, 0.05, 12))
    return generator.normal(size=(12, 3)), generator.normal(size=(12, 3)) * 5, times


def test_accelerations_are_those_of_the_cubics_between_samples() -> None:
    positions, velocities, times = random_samples()
    spline = CubicHermiteSpline(times, positions, velocities)
    ends = segment_accelerations(positions, velocities, times)
    assert np.allclose(ends[:, 0], spline(times[:-1] + 1e-12, 2), rtol=1e-4, atol=1e-3)
    assert np.allclose(ends[:, 1], spline(times[1:] - 1e-12, 2), rtol=1e-4, atol=1e-3)


def test_extremes_are_those_of_the_cubics_between_samples() -> None:
    positions, velocities, times = random_samples()
    low, high, speed = segment_extremes(positions, velocities, times)
    spline = CubicHermiteSpline(times, positions, velocities)
    for segment in range(len(times) - 1):
        dense = np.linspace(times[segment], times[segment + 1], 2000)
        assert np.allclose(low[segment], spline(dense).min(0), atol=1e-5)
        assert np.allclose(high[segment], spline(dense).max(0), atol=1e-5)
        assert np.allclose(speed[segment], np.abs(spline(dense, 1)).max(0), rtol=1e-4)


def test_a_resting_segment_has_no_extremes(g1: Robot) -> None:
    still = np.tile(g1.nominal, (4, 1))
    low, high, speed = segment_extremes(still, np.zeros_like(still), np.arange(4.0))
    assert np.allclose(low, g1.nominal) and np.allclose(high, g1.nominal)
    assert np.allclose(speed, 0.0)


def test_the_soft_clamp_keeps_the_limits_and_the_slope(g1: Robot) -> None:
    width = g1.position_upper - g1.position_lower
    u = np.linspace(-0.3, 1.3, 4001)[:, None]
    positions, slope = g1.position_lower + u * width, np.broadcast_to(width, (4001, len(width)))
    clamped, slopes = soft_clamp(positions, slope, g1, room=0.01)
    assert (clamped >= g1.position_lower).all() and (clamped <= g1.position_upper).all()
    inside = (positions > g1.position_lower + 0.01) & (positions < g1.position_upper - 0.01)
    assert (clamped[inside] == positions[inside]).all()
    assert np.allclose(np.gradient(clamped, u[:, 0], axis=0), slopes, atol=0.2 * width.max())
    assert (np.diff(clamped, axis=0) >= 0).all()
