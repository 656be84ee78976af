"""How slowly a motion is played: as fast as the limits allow, and slow only where they ask."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from nextscale_core.robots import Robot
from nextscale_core.trajectory.spline_limits import slowdown
from nextscale_core.trajectory.time_scaling import Pace, TimeScaling

SECONDS = 6.0


def path_of(robot: Robot, bump: float) -> CubicSpline:
    """All joints sway calmly; around the third second the first one does something hasty."""
    times = np.linspace(0.0, SECONDS, 121)
    sway = 0.1 * np.sin(times)[:, None] * np.ones(robot.num_joints)
    sway[:, 0] += bump * np.exp(-(((times - 3.0) / 0.12) ** 2))
    return CubicSpline(times, sway)


def played(path: CubicSpline, pace: Pace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times = np.arange(int(pace.seconds * 50) + 1) / 50
    place, rate = pace.play(times)
    return path(place), path(place, 1) * rate[:, None], times


def test_the_rate_is_the_derivative_of_the_place() -> None:
    generator = np.random.default_rng(0)
    pace = Pace(generator.uniform(1.0, 3.0, 40), 0.05)
    times = np.linspace(1e-3, pace.seconds - 1e-3, 300)
    place, rate = pace.play(times)
    step = 1e-7
    slope = (pace.play(times + step)[0] - pace.play(times - step)[0]) / (2 * step)
    np.testing.assert_allclose(rate, slope, rtol=1e-4)
    # At each place the rate is one over the slowness there.
    slowness = np.interp(place, 0.05 * np.arange(40), pace.slowness)
    np.testing.assert_allclose(rate, 1.0 / slowness, rtol=1e-9)
    ends = pace.play(np.array([0.0, pace.seconds]))[0]
    np.testing.assert_allclose(ends, [0.0, 39 * 0.05], atol=1e-12)


def test_a_calm_motion_is_played_as_it_is(g1: Robot) -> None:
    pace = TimeScaling(g1, path_of(g1, 0.0), SECONDS, 480).pace()
    np.testing.assert_allclose(pace.slowness, 1.0, atol=1e-12)


@pytest.mark.parametrize("bump", [1.0, 2.0, 6.0])
def test_a_hasty_moment_is_played_slower_and_the_rest_is_not(g1: Robot, bump: float) -> None:
    path = path_of(g1, bump)
    times = np.arange(301) / 50
    needed = slowdown(g1, path(times), path(times, 1), times).max()
    assert needed > 1.0
    pace = TimeScaling(g1, path, SECONDS, 480).pace()
    # Half of it and more may need no change, and a uniform pace would take far longer.
    assert (pace.slowness[:160] < 1.0 + 1e-6).all() and (pace.slowness[-160:] < 1.0 + 1e-6).all()
    assert pace.seconds - SECONDS < 0.4 * (needed - 1.0) * SECONDS
    assert slowdown(g1, *played(path, pace)).max() < 1.03
    # And it is not slower than it must be: the limits are nearly used.
    assert slowdown(g1, *played(path, pace)).max() > 0.85


def test_what_samples_say_makes_a_place_slower(g1: Robot) -> None:
    slowing = TimeScaling(g1, path_of(g1, 0.0), SECONDS, 480)
    places, need = np.array([1.0, 1.02, 1.04]), np.array([1.0, 1.5])
    slowing.slow(places, need)
    pace = slowing.pace()
    assert pace.slowness[round(1.02 / SECONDS * 480)] > 1.5
    assert pace.slowness[0] == pytest.approx(1.0) and pace.slowness[-1] == pytest.approx(1.0)
    before = pace.seconds
    slowing.slow(places, np.full(2, 1.2), whole=True)
    assert slowing.pace().seconds >= 1.19 * before
