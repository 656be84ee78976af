from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.trajectory.curves import (
    PEAK_ACCELERATION,
    PEAK_VELOCITY,
    minimum_jerk,
    quintic_arrival,
    quintic_fade,
    smooth_start,
)

U = np.linspace(0.0, 1.0, 20001)


def derivatives(curve: np.ndarray) -> list[np.ndarray]:
    """A curve over `U` and its first two derivatives."""
    first = np.gradient(curve, U, edge_order=2)
    return [curve, first, np.gradient(first, U, edge_order=2)]


def test_a_minimum_jerk_curve_rises_without_slope_and_curvature_at_its_ends() -> None:
    rise, slope, bend = derivatives(minimum_jerk(U))
    assert (rise[0], rise[-1]) == (0.0, 1.0)
    for derivative in (slope, bend):
        np.testing.assert_allclose(derivative[[0, -1]], 0.0, atol=1e-2)
    assert np.abs(slope).max() == pytest.approx(PEAK_VELOCITY, rel=1e-4)
    assert np.abs(bend).max() == pytest.approx(PEAK_ACCELERATION, rel=1e-3)


def test_a_fade_takes_a_gap_and_its_rate_to_nothing() -> None:
    place, place_rate, slope, slope_rate = quintic_fade(2.0 * U, 2.0)
    for curve, rate in ((place, place_rate), (slope, slope_rate)):
        np.testing.assert_allclose(np.gradient(curve, 2.0 * U)[1:-1], rate[1:-1], atol=1e-3)
        np.testing.assert_allclose([curve[-1], rate[-1]], 0.0, atol=1e-12)
    assert (place[0], place_rate[0], slope[0], slope_rate[0]) == (1.0, 0.0, 0.0, 1.0)


def test_an_arrival_ends_with_a_unit_of_each_derivative() -> None:
    frames = 10
    for number, curve in enumerate(quintic_arrival(U, frames)):
        for order, values in enumerate(derivatives(curve)):
            expected = float(order == number) * frames**order
            np.testing.assert_allclose([values[0], values[-1]], [0.0, expected], atol=0.1)


def test_a_smooth_start_reaches_full_speed_after_half_its_ramp_of_delay() -> None:
    distance, speed = smooth_start(3.0 * U, 0.5)
    np.testing.assert_allclose(np.gradient(distance, 3.0 * U)[1:-1], speed[1:-1], atol=1e-3)
    assert (speed[0], speed[-1]) == (0.0, 1.0)
    assert distance[-1] == pytest.approx(3.0 - 0.25)
