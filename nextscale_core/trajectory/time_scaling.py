"""Retiming: how slowly a path is played to keep the limits, and nowhere slower than that.

A path Q(u) that is played at the rate p = du/dt, with b = p^2, moves joint j at Q_j' p and
accelerates it by Q_j'' b + Q_j' b' / 2, where ' is d/du (Bobrow, Dubowsky and Gibson, 1985). So
the limits bound b at each place, and what they leave of the acceleration bounds how fast b may
fall and rise on the way to a slow place and from it. A controller draws cubics between samples,
which need a little more: `retime` plays the path, measures the samples and slows down again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.interpolate import PPoly

from nextscale_core.kernels import kernels, run
from nextscale_core.robots.robot import Robot
from nextscale_core.trajectory.config import TIMING, TimeParameterizationConfig
from nextscale_core.trajectory.curves import evaluate
from nextscale_core.trajectory.spline_limits import slowdown

_LEAST = 1e-3
"""Smallest square of a slowness: rounding before the beginning of a path."""


@dataclass(frozen=True)
class Samples:
    """A sampled path.

    Attributes:
        times: (N,) [s].
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
        base: (N, 3) [m].
        quaternion: (N, 4) x y z w.
        place: (N,) place on the path [s], its time before retiming.
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    base: np.ndarray
    quaternion: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Pace:
    """How slowly a path is played.

    Attributes:
        slowness: (G,) time per unit of path, at least about 1; linear between the places.
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
        # Slowness at the place x where first x + rise x^2 / 2 = late.
        here = np.sqrt(np.maximum(first * first + 2.0 * rise * late, _LEAST))
        return cell * self.cell + 2.0 * late / (first + here), 1.0 / here


class UniformScaling:
    """One pace for a whole path of `seconds` [s], `factor` times slower to begin with."""

    def __init__(self, seconds: float, factor: float):
        self._seconds, self._factor = seconds, factor

    def pace(self) -> Pace:
        """The current pace."""
        return Pace(np.full(2, self._factor), self._seconds)

    def slow(self, places: np.ndarray, need: np.ndarray, *, whole: bool = True) -> None:
        """Play everything slower; see `TimeScaling.slow`."""
        self._factor *= 1.02 * float(need.max())


class TimeScaling:
    """The fastest pace of one path within the limits.

    Args:
        robot: Whose limits.
        path: The joints over time [s], before retiming, from time 0 on.
        seconds: Duration of the path [s].
        cells: Parts of the path at whose ends the pace is chosen.
        reach: Cells around a sample that are slowed down with it.
        periodic: Whether the path repeats: its end leads into its beginning.
        config: Shares of the limits.
    """

    def __init__(
        self,
        robot: Robot,
        path: PPoly,
        seconds: float,
        cells: int,
        reach: int = 1,
        *,
        periodic: bool = False,
        config: TimeParameterizationConfig = TIMING,
    ):
        self._cell, self._reach, self._periodic = seconds / cells, reach, periodic
        self._config, self._mode = config, "wrap" if periodic else "nearest"
        at = np.linspace(0.0, seconds, cells + 1)
        speed, bend = (np.abs(one) for one in evaluate(path, at, 1, 2))
        self._bend = bend / robot.acceleration_limit
        self._push = np.maximum(speed / robot.acceleration_limit, 1e-9)
        rate = np.minimum(1.0, 1.0 / np.maximum((speed / robot.velocity_limit).max(1), 1e-9))
        most = np.maximum(self._bend.max(1), 1e-9)
        # Largest square of the rate at each place.
        self._most = np.minimum(rate * rate, config.path_share / most)

    def slow(self, places: np.ndarray, need: np.ndarray, *, whole: bool = False) -> None:
        """Play slower where samples were too fast.

        Args:
            places: (N,) of the samples on the path [s].
            need: (N - 1,) factor by which each segment between them should take longer.
            whole: Slow down the whole path, not only around the samples.
        """
        if whole:
            factor = float(need.max()) * 1.01
            self._most = np.minimum(self._most, self.pace().slowness ** -2.0) / factor**2
            return
        factors = np.ones(len(self._most))
        for ends in (places[:-1], places[1:]):
            cell = np.clip(np.rint(ends / self._cell).astype(int), 0, len(factors) - 1)
            np.maximum.at(factors, cell, need)
        factors = ndimage.maximum_filter1d(factors, 2 * self._reach + 1, mode=self._mode)
        self._most = self._most / np.where(factors > 1.0, 1.04 * factors * factors, 1.0)

    def pace(self) -> Pace:
        """The fastest pace that keeps the limits, nearly."""
        smoothing, total = self._config.smoothing, self._config.total_share
        most = ndimage.minimum_filter1d(self._most, 2 * smoothing + 1, mode=self._mode)
        square = most
        for _ in range(2):
            room = _room_to_change(self._bend, self._push, square, total)
            square = _gentle(most, 2.0 * self._cell * room, periodic=self._periodic)
        slowness = ndimage.gaussian_filter1d(square**-0.5, 0.5 * smoothing, mode=self._mode)
        if self._periodic:
            slowness[[0, -1]] = slowness[[0, -1]].max()
        return Pace(slowness, self._cell)


def _room_to_change(
    bend: np.ndarray, push: np.ndarray, square: np.ndarray, total: float
) -> np.ndarray:
    """(G,) what joints (G, J) that bend leave of their limits, over what a change of pace takes."""
    library = kernels()
    if library is None:
        left = np.maximum(total - bend * square[:, None], 1.0 - total)
        return np.asarray((left / push).min(1))
    room = np.empty(len(square))
    run(library, "ns_room_to_change", *bend.shape, bend, push, square, total, room)
    return room


def _gentle(most: np.ndarray, change: np.ndarray, *, periodic: bool) -> np.ndarray:
    """The largest (G,) curve below `most` that changes by at most `change` from cell to cell."""
    library = kernels()
    if library is not None:
        smooth, allow = most.copy(), np.ascontiguousarray(change)
        for _ in range(1 + periodic):
            if periodic:
                smooth[[0, -1]] = smooth[[0, -1]].min()
            run(library, "ns_gentle", len(smooth), smooth, allow)
        return smooth
    curve, allowed = most.tolist(), change.tolist()
    for _ in range(1 + periodic):
        if periodic:
            curve[0] = curve[-1] = min(curve[0], curve[-1])
        for g in range(1, len(curve)):
            curve[g] = min(curve[g], curve[g - 1] + allowed[g - 1])
        for g in range(len(curve) - 2, -1, -1):
            curve[g] = min(curve[g], curve[g + 1] + allowed[g + 1])
    return np.array(curve)


def retime(
    robot: Robot,
    scaling: TimeScaling | UniformScaling,
    play: Callable[[Pace], Samples | None],
    *,
    rounds: int,
    share: float = 1.0,
    adapt: Callable[[Samples, np.ndarray, int], bool] | None = None,
) -> Samples | None:
    """Play a path, slower in each round where its samples exceed the limits.

    Args:
        robot: Whose limits.
        scaling: The pace to begin with; afterwards, the one that was played last.
        play: Samples of the path at a pace; None where the path cannot be played so.
        rounds: Rounds at most; in the second half the whole path is slowed down.
        share: Share of the limits that the samples may use.
        adapt: Called with samples, need as in `TimeScaling.slow` and round where the limits are
            exceeded; returns whether the path is to be played slower.

    Returns:
        Samples inside the limits, or None where no round gives them.
    """
    for attempt in range(rounds):
        samples = play(scaling.pace())
        if samples is None:
            return None
        need = slowdown(robot, samples.positions, samples.velocities, samples.times) / share
        if need.max() <= 1.0:
            return samples
        if adapt is None or adapt(samples, need, attempt):
            scaling.slow(samples.place, need, whole=attempt > rounds // 2)
    return None
