"""When a simulation makes its steps."""

from __future__ import annotations

import pytest

from nextscale_ros.simulated_robot.pace import LARGEST_LAG, Pace

STEP = 0.01


class Wall:
    """A clock that is set by hand [s]."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(pace: Pace) -> int:
    count = pace.due()
    for _ in range(count):
        pace.made()
    return count


@pytest.mark.parametrize("speed", [0.5, 1.0, 3.0])
def test_as_much_time_is_simulated_as_passes_times_the_speed(speed: float) -> None:
    wall = Wall()
    pace = Pace(STEP, speed, clock=wall)
    for passed in (0.004, 0.013, 0.0001, 0.05, 0.02):
        wall.now += passed
        run(pace)
        assert abs(pace.seconds - speed * (wall.now - 1000.0)) < STEP
    assert pace.given_up == 0.0


def test_a_small_lag_is_made_up_for() -> None:
    wall = Wall()
    pace = Pace(STEP, clock=wall)
    wall.now += 0.9 * LARGEST_LAG
    assert run(pace) == round(0.9 * LARGEST_LAG / STEP)
    assert pace.simulated == pytest.approx(0.9 * LARGEST_LAG)


@pytest.mark.parametrize("wall_clock", [True, False])
def test_a_large_lag_is_left_out_of_wall_time_and_delays_a_clock_of_its_own(
    wall_clock: bool,
) -> None:
    wall = Wall()
    pace = Pace(STEP, wall_clock=wall_clock, clock=wall)
    wall.now += 5.0
    assert run(pace) == 1
    assert pace.given_up == pytest.approx(5.0)
    assert pace.seconds == pytest.approx(STEP + (5.0 if wall_clock else 0.0))
    # From then on it keeps pace again.
    before = pace.seconds
    for _ in range(10):
        wall.now += 0.05
        run(pace)
    assert pace.seconds - before == pytest.approx(0.5, abs=2 * STEP)
