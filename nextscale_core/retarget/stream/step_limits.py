"""Velocities with which a step may end so that position, velocity and acceleration limits hold.

A step has constant acceleration: a cubic through the positions and velocities of its ends, as a
joint trajectory controller draws it, is that parabola. A step is allowed if braking after it stops
inside the position limits. Then there is always a next step, whatever its duration.
"""

from __future__ import annotations

import numpy as np

_POSITION, _VELOCITY = 0.72, 0.34
"""Gains of the distance and of the relative velocity: both fade by a factor of 7 in a step."""

_BRAKING = 0.5
"""Share of the acceleration that braking towards a goal needs; the rest is for its own."""

_WAYS = np.array([[1.0], [-1.0]])
"""Up and down."""

_WITHIN = 1.0 - 1e-6
"""Share of a limit that is used, for rounding."""


def clipped(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """`np.clip` without its overhead, which is longer than the work for one frame."""
    return np.minimum(np.maximum(values, low), high)


class StepLimits:
    """Limits of J joints.

    Args:
        lower: (J,) lower position limits [rad].
        upper: (J,) upper position limits [rad].
        velocity: (J,) limits [rad/s].
        acceleration: (J,) limits [rad/s^2].
    """

    def __init__(
        self, lower: np.ndarray, upper: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray
    ):
        self._ends = np.stack([upper, -lower])
        self.velocity, self.acceleration = _WITHIN * velocity, _WITHIN * acceleration

    def velocities(
        self, positions: np.ndarray, velocities: np.ndarray, seconds: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest velocity (J,) at the end of a step [rad/s].

        Args:
            positions: (J,) at its begin [rad].
            velocities: (J,) at its begin [rad/s].
            seconds: Duration of the step [s].
        """
        change = self.acceleration * seconds
        # Both directions at once: for so few joints, NumPy's calls take longer than the work.
        ahead = _WAYS * velocities
        high = np.minimum(self._fastest(_WAYS * positions, ahead, seconds), self.velocity)
        high, down = clipped(high, ahead - change, ahead + change)
        # Where both ends of a narrow range are too near, braking is what is left.
        narrow = -down > high
        if np.count_nonzero(narrow):
            brake = self.braked(velocities, seconds)
            return np.where(narrow, brake, -down), np.where(narrow, brake, high)
        return -down, high

    def towards(
        self, away: np.ndarray, rate: np.ndarray, velocities: np.ndarray, seconds: float
    ) -> np.ndarray:
        """(J,) velocities at the end of a step that follows a moving goal without overshoot.

        Near the goal the step ends at it; further away, no faster than half of the acceleration
        can brake relative to it.

        Args:
            away: (J,) from where the step begins to the goal at its end [rad].
            rate: (J,) velocity of the goal [rad/s].
            velocities: (J,) at the begin [rad/s].
            seconds: Duration of the step [s].
        """
        # Steps that end exactly at the goal would leave an oscillation that never fades.
        left = away - rate * seconds
        wanted = rate + _POSITION * left / seconds - _VELOCITY * (velocities - rate)
        left, force = np.abs(left), _BRAKING * self.acceleration
        most = force * (np.sqrt(seconds * seconds / 4 + 2 * left / force) - seconds / 2)
        return clipped(wanted, rate - most, rate + most)

    def braked(self, velocities: np.ndarray, seconds: float) -> np.ndarray:
        """(J,) velocities at the end of a step that brakes [rad/s]."""
        change = self.acceleration * seconds
        return np.sign(velocities) * np.maximum(np.abs(velocities) - change, 0.0)

    def braking_path(
        self, positions: np.ndarray, velocities: np.ndarray, seconds: float
    ) -> np.ndarray:
        """(N, J) positions at the ends of the steps that brake to a standstill [rad].

        Args:
            positions: (J,) now, the first row [rad].
            velocities: (J,) now [rad/s].
            seconds: Duration of a step [s].
        """
        change = self.acceleration * seconds
        count = int(np.ceil((np.abs(velocities) / change).max(initial=0.0)))
        speeds = np.abs(velocities) - np.arange(count + 1)[:, None] * change
        speeds = np.sign(velocities) * np.maximum(speeds, 0.0)
        steps = (speeds[1:] + speeds[:-1]) / 2 * seconds
        return np.concatenate([positions[None], positions + steps.cumsum(0)])

    def _fastest(self, positions: np.ndarray, velocities: np.ndarray, seconds: float) -> np.ndarray:
        """(2, J) highest end velocity after which braking stops inside the limits, up and down."""
        upper = self._ends
        room = upper - (positions + velocities * (seconds / 2))
        # End v with v^2 / 2 a + v seconds / 2 = room.
        root = np.sqrt(seconds * seconds / 4 + 2 * np.maximum(room, 0.0) / self.acceleration)
        stops = self.acceleration * (root - seconds / 2)
        # The parabola turns back inside the step, at `upper` at the latest.
        ahead = np.maximum(upper - positions, 1e-9)
        turns = velocities - velocities * velocities * (seconds / 2) / ahead
        return np.where(room >= 0, stops, turns)
