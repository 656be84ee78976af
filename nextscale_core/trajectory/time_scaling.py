"""How slowly a motion has to be played to keep the limits, and nowhere slower than that.

A path Q(u) that is played at the rate p = du/dt, with b = p^2, moves joint j at Q_j' p and
accelerates it by Q_j'' b + Q_j' b' / 2, where ' is d/du (Bobrow, Dubowsky and Gibson, 1985). So
the limits bound b at each place, and what they leave of the acceleration bounds how fast b may
fall and rise on the way to a slow place and from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.interpolate import PPoly

from nextscale_core.robots.robot import Robot

_BEND = 0.85
"""Share of the acceleration limits that the path itself may use."""

_CHANGE = 0.9
"""Share of them that path and change of pace may use together."""

_SMOOTH = 2
"""Cells over which a change of pace is smoothed, so that it does not jerk."""

_ROUNDS = 2
_LEAST = 1e-3


@dataclass(frozen=True)
class Pace:
    """How slowly a path is played.

    Attributes:
        slowness: (G,) time for a unit of path, at least about 1; linear between the places.
        cell: Path between two places [s].
    """

    slowness: np.ndarray
    cell: float

    @property
    def seconds(self) -> float:
        """Time for the whole path [s]."""
        return float(self._passed[-1])

    @property
    def _passed(self) -> np.ndarray:
        """(G,) time at which each place is passed [s]."""
        steps = 0.5 * self.cell * (self.slowness[1:] + self.slowness[:-1])
        return np.concatenate([[0.0], np.cumsum(steps)])

    def play(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place on the path [s] and its rate of change at times (N,) [s]."""
        passed = self._passed
        cell = np.searchsorted(passed, times, side="right") - 1
        cell = np.clip(cell, 0, len(passed) - 2)
        first = self.slowness[cell]
        rise = (self.slowness[cell + 1] - first) / self.cell
        late = times - passed[cell]
        # Where first way + rise way^2 / 2 = late, and what the slowness is there.
        here = np.sqrt(np.maximum(first * first + 2.0 * rise * late, _LEAST))
        return cell * self.cell + 2.0 * late / (first + here), 1.0 / here


class Slowing:
    """The pace of one path, slower with every place that turns out to be too fast.

    Args:
        robot: Whose limits.
        path: The joints over time [s], as they would be played, from time 0 on.
        seconds: How long that takes [s].
        cells: So many parts are looked at.
        reach: A sample that is too fast tells about so many cells around it.
    """

    def __init__(self, robot: Robot, path: PPoly, seconds: float, cells: int, reach: int = 1):
        self._cell, self._reach = seconds / cells, reach
        at = np.linspace(0.0, seconds, cells + 1)
        speed = np.abs(path(at, 1))
        self._bend = np.abs(path(at, 2)) / robot.acceleration_limit
        self._push = np.maximum(speed / robot.acceleration_limit, 1e-9)
        rate = np.minimum(1.0, 1.0 / np.maximum((speed / robot.velocity_limit).max(1), 1e-9))
        bend = np.maximum(self._bend.max(1), 1e-9)
        self._most = np.minimum(rate * rate, _BEND / bend)

    def where(self, places: np.ndarray, need: np.ndarray) -> None:
        """Play slower where samples were too fast.

        Args:
            places: (N,) of the samples on the path [s].
            need: (N - 1,) factor by which each segment between them should take longer.
        """
        factor = np.ones(len(self._most))
        for ends in (places[:-1], places[1:]):
            cell = np.clip(np.rint(ends / self._cell).astype(int), 0, len(factor) - 1)
            np.maximum.at(factor, cell, need)
        factor = ndimage.maximum_filter1d(factor, 2 * self._reach + 1, mode="nearest")
        self._most = self._most / np.where(factor > 1.0, 1.04 * factor * factor, 1.0)

    def all_by(self, factor: float) -> None:
        """Play everything slower by a factor."""
        self._most = np.minimum(self._most, self.pace().slowness ** -2.0) / factor**2

    def pace(self) -> Pace:
        """The fastest pace that keeps the limits, nearly."""
        most = ndimage.minimum_filter1d(self._most, 2 * _SMOOTH + 1, mode="nearest")
        square = most
        for _ in range(_ROUNDS):
            left = np.maximum(_CHANGE - self._bend * square[:, None], 1.0 - _CHANGE)
            change = 2.0 * self._cell * (left / self._push).min(1)
            square = _gentle(most, change)
        slowness = ndimage.gaussian_filter1d(square**-0.5, 0.5 * _SMOOTH, mode="nearest")
        return Pace(slowness, self._cell)


def _gentle(most: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The largest (G,) curve below `most` that changes by at most `change` from cell to cell."""
    curve, allowed = most.tolist(), change.tolist()
    for g in range(1, len(curve)):
        curve[g] = min(curve[g], curve[g - 1] + allowed[g - 1])
    for g in range(len(curve) - 2, -1, -1):
        curve[g] = min(curve[g], curve[g + 1] + allowed[g + 1])
    return np.array(curve)
