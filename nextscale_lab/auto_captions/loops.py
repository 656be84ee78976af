"""Circles and figures of eight, found by fitted circles and by turning."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nextscale_core.motion.tracks import runs_of
from nextscale_lab.auto_captions.signals import Signals

_LONGEST = 9.8  # [s]
_GOING = 0.3  # minimum speed in a loop [m/s]
_FORWARD = (25.0, 50.0)  # maximum drift: median and 90th percentile [deg]
_SWEEP, _SWEEP_ABOUT = 265.0, 180.0  # minimum turn of the body, and about the centre [deg]
_ROUND = 0.30  # maximum standard deviation of the radius relative to its mean
_OBLONG = 0.66  # minimum ratio of extents; two turns joined by straights are not a circle
_OPEN = 1.5  # maximum distance of the end from the start relative to the radius
_EVEN = 2.4  # maximum turning speed over a second relative to the mean
_RADIUS = (0.35, 4.0)  # [m]
_LOBE, _LOBE_MENTIONED = 225.0, 140.0  # turn of each half of an eight; if mentioned [deg]
_FASTEST = 1.25  # maximum speedup of a long loop


@dataclass(frozen=True)
class Loop:
    """A circle or a figure of eight.

    Attributes:
        kind: 'circle' or 'eight'.
        start: First frame.
        end: Frame after the last.
        degrees: Net turn of a circle, or turn of the first half of an eight, positive to the left
            [deg].
        gait: 'walk' or 'run'.
        speed: Median speed [m/s].
        speedup: Playback speed that fits the loop into 9.8 s.
    """

    kind: str
    start: int
    end: int
    degrees: float
    gait: str
    speed: float
    speedup: float = 1.0


def find_loops(signals: Signals, known_gait: str, mentioned: bool) -> list[Loop]:
    """Loops of a recording; those of one kind overlap by half at most.

    Args:
        signals: Signals of the whole recording.
        known_gait: 'walk' or 'run' where the description mentions only this gait; else ''.
        mentioned: The description mentions a figure of eight.
    """
    going = signals.speed > _GOING
    found: list[tuple[float, Loop]] = []
    step = signals.frames(0.4)
    smooth_yaw = gaussian_filter1d(signals.yaw, signals.frames(0.4), mode="nearest")
    winding = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(smooth_yaw)))])
    least = 2.4 * (_LOBE_MENTIONED if mentioned else _LOBE)
    for first, last in runs_of(going, signals.frames(3.0), bridge=signals.frames(0.25)):
        for start in range(first, last - signals.frames(2.5), step):
            for seconds in np.arange(2.8, _LONGEST * _FASTEST, 0.4):
                end = start + signals.frames(float(seconds))
                if end > last:
                    break
                found.extend(_circle(signals, start, end, known_gait))
                if winding[end - 1] - winding[start] >= least:
                    yaw = smooth_yaw[start:end]
                    found.extend(_eight(signals, start, end, known_gait, mentioned, yaw))
    return _best(found)


def _best(found: list[tuple[float, Loop]]) -> list[Loop]:
    """Loops of highest score, of each kind with overlaps of half at most."""
    kept: list[Loop] = []
    for _, loop in sorted(found, key=lambda pair: -pair[0]):
        others = [k for k in kept if k.kind == loop.kind]
        if all(_overlap(loop, k) <= 0.5 for k in others):
            kept.append(loop)
    return sorted(kept, key=lambda k: k.start)


def _overlap(a: Loop, b: Loop) -> float:
    shared = min(a.end, b.end) - max(a.start, b.start)
    return max(shared, 0) / min(a.end - a.start, b.end - b.start)


def _faces_ahead(signals: Signals, start: int, end: int) -> bool:
    drift = np.abs(signals.drift[start:end])
    return float(np.median(drift)) < _FORWARD[0] and float(np.percentile(drift, 90)) < _FORWARD[1]


def _speedup(signals: Signals, start: int, end: int, speed: float) -> float | None:
    """Playback speed that fits the loop into 9.8 s; None if too fast for its gait."""
    factor = max(1.0, signals.seconds(start, end) / _LONGEST)
    return factor if factor == 1.0 or (factor <= _FASTEST and speed * factor < 1.5) else None


def _circle(signals: Signals, start: int, end: int, known_gait: str) -> list[tuple[float, Loop]]:
    yaw = signals.yaw[start:end]
    net = float(yaw[-1] - yaw[0])
    if abs(net) < _SWEEP:
        return []
    sign = 1.0 if net > 0 else -1.0
    along = sign * yaw
    if float((np.maximum.accumulate(along) - along).max()) > 12.0:
        return []
    second = signals.frames(1.0)
    fastest = float((along[second:] - along[:-second]).max())
    seconds = signals.seconds(start, end)
    if fastest > _EVEN * abs(net) / seconds:
        return []
    path = signals.path[start:end]
    centre, radius = fit_circle(path)
    arm = path - centre
    reach = np.linalg.norm(arm, axis=1)
    roundness = float(reach.std() / reach.mean())
    if not _RADIUS[0] < radius < _RADIUS[1] or roundness > _ROUND:
        return []
    around = np.unwrap(np.arctan2(arm[:, 1], arm[:, 0]))
    sweep = sign * float(np.degrees(around[-1] - around[0]))
    if sweep < _SWEEP_ABOUT or not _faces_ahead(signals, start, end):
        return []
    if oblong(path) < _OBLONG or np.linalg.norm(path[-1] - path[0]) > _OPEN * radius:
        return []
    speed = float(np.median(signals.speed[start:end]))
    gait, speedup = signals.gait_of(start, end, known_gait), _speedup(signals, start, end, speed)
    if not gait or speedup is None:
        return []
    # Whole laps look most like a circle.
    laps = abs(net) / 360.0
    score = min(laps, 1.1) - roundness - 0.3 * abs(laps - max(round(laps), 1)) - (speedup - 1.0)
    return [(score, Loop("circle", start, end, net, gait, speed, speedup))]


def _eight(
    signals: Signals, start: int, end: int, known_gait: str, mentioned: bool, yaw: np.ndarray
) -> list[tuple[float, Loop]]:
    lobes, borders = _lobes(yaw)
    least = _LOBE_MENTIONED if mentioned else _LOBE
    if len(lobes) not in (2, 3) or (not mentioned and len(lobes) != 2):
        return []
    left = sum(d for d in lobes if d > 0)
    right = -sum(d for d in lobes if d < 0)
    if min(left, right) < least or left + right < 2.4 * least:
        return []
    if not _faces_ahead(signals, start, end):
        return []
    path = signals.path[start:end]
    if not _two_rounds(path, yaw, borders) or not _crosses(path, signals.frames(2.0)):
        return []
    speed = float(np.median(signals.speed[start:end]))
    gait, speedup = signals.gait_of(start, end, known_gait), _speedup(signals, start, end, speed)
    if not gait or speedup is None:
        return []
    score = min(left, right) / 270.0 - 0.3 * abs(left + right - 540.0) / 540.0 - (speedup - 1.0)
    return [(score, Loop("eight", start, end, lobes[0], gait, speed, speedup))]


def _lobes(yaw: np.ndarray) -> tuple[list[float], list[int]]:
    """Net turns between reversals of more than 25 degrees, and the frames that border them."""
    turning = [0]
    extreme = 0
    for index in range(1, len(yaw)):
        way = yaw[extreme] - yaw[turning[-1]]
        if way == 0 or (yaw[index] - yaw[extreme]) * way >= 0:
            extreme = index
        elif abs(yaw[index] - yaw[extreme]) > 25.0:
            turning.append(extreme)
            extreme = index
    turning.append(extreme)
    if len(turning) > 2 and abs(yaw[turning[1]] - yaw[0]) < 25.0:
        del turning[0]
    lobes = [float(yaw[b] - yaw[a]) for a, b in itertools.pairwise(turning)]
    return lobes, turning


def _two_rounds(path: np.ndarray, yaw: np.ndarray, borders: list[int]) -> bool:
    """Whether the two longest lobes are rounds that lie side by side."""
    spans = sorted(itertools.pairwise(borders), key=lambda s: s[0] - s[1])[:2]
    rounds = [fit_circle(path[a : b + 1]) for a, b in spans]
    for (a, b), (centre, radius) in zip(spans, rounds, strict=True):
        reach = np.linalg.norm(path[a : b + 1] - centre, axis=1)
        flat = abs(yaw[b] - yaw[a]) > _LOBE and oblong(path[a : b + 1]) < 0.5
        if flat or reach.std() > 0.3 * radius or not _RADIUS[0] < radius < _RADIUS[1]:
            return False
    (one, r), (two, q) = rounds
    return bool(np.linalg.norm(one - two) > 0.75 * (r + q))


def _crosses(path: np.ndarray, apart: int) -> bool:
    """Whether the path comes back to itself after at least `apart` frames."""
    gaps = np.linalg.norm(path[:, None] - path[None], axis=2)
    index: np.ndarray = np.arange(len(path))
    far = np.abs(index[:, None] - index) > apart
    return bool(gaps[far].min(initial=9.0) < 0.4)


def oblong(path: np.ndarray) -> float:
    """Ratio of shorter and longer extent of an (N, 2) path along its main axes, 0..1."""
    centred = path - path.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    extent = np.ptp(centred @ axes.T, axis=0)
    return float(extent.min() / max(extent.max(), 1e-9))


def fit_circle(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and radius of the circle nearest to (N, 2) points, by linear least squares.

    |p|^2 = 2 p.c + (r^2 - |c|^2) is linear in the centre c and the bracket.
    """
    middle = points.mean(0)
    p = points - middle
    unknowns = np.column_stack([2.0 * p, np.ones(len(p))])
    solution, *_ = np.linalg.lstsq(unknowns, (p**2).sum(1), rcond=None)
    centre = solution[:2]
    return centre + middle, float(np.sqrt(max(solution[2] + centre @ centre, 0.0)))
