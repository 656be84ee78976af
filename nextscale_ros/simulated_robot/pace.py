"""`Pace`: when a simulation that keeps pace with real time makes its steps."""

from __future__ import annotations

import time
from collections.abc import Callable

LARGEST_LAG = 0.2
"""Lag behind real time that is made up for by faster steps; a larger one is given up [s]."""


class Pace:
    """Steps of a simulation at a multiple of real time.

    Args:
        step: Simulated time of one step [s].
        speed: Simulated time per real time.
        wall_clock: True if the simulated time is that of the wall clock, which jumps over a lag
            that is given up; False if it is a clock of its own, which then is late.
        clock: Monotonic clock [s].

    Attributes:
        seconds: Simulated time since the start [s].
        given_up: Sum of the lags that were given up [s].
    """

    def __init__(
        self,
        step: float,
        speed: float = 1.0,
        wall_clock: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._step, self._speed, self._wall_clock, self._clock = step, speed, wall_clock, clock
        self._begin, self._made = clock(), 0
        self.seconds = self.given_up = 0.0

    @property
    def simulated(self) -> float:
        """Time of the steps that were made [s]."""
        return self._made * self._step

    @property
    def real(self) -> float:
        """The clock [s]."""
        return self._clock()

    def due(self) -> int:
        """Number of steps to make now."""
        lag = (self._clock() - self._begin) * self._speed - self.seconds
        if lag > LARGEST_LAG:
            self.given_up += lag
            if self._wall_clock:
                self.seconds += lag
            else:
                self._begin += lag / self._speed
            return 1
        return int(lag / self._step + 1e-6)

    def made(self) -> None:
        """Count a step that was made."""
        self.seconds += self._step
        self._made += 1
