"""Segmentation of a recording into stands, walks, runs, turns, curves and jumps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from nextscale_core.motion.tracks import runs_of
from nextscale_lab.auto_captions.jumps import Jump
from nextscale_lab.auto_captions.signals import Signals

_MOVES, _RESTS = 0.32, 0.16  # speed at which travel begins and ends [m/s]
_SHORTEST = 0.5  # minimum duration of travel or a stand; shorter is a transition [s]
_GAP = 0.7  # longest transition [s]

_TURN_CORE, _TURN_FLANK = 22.0, 8.0  # yaw rate inside a turn, and at its ends [deg/s]
_CURVE_RATE = 5.0  # minimum yaw rate of a curve [deg/s]
_TURN_LEAST, _CURVE_LEAST = 28.0, 35.0  # minimum angle [deg]
_CURVE_RADIUS, _LOOP_RADIUS = 1.0, 0.6  # minimum radius of a curve, and of a loop [m]
_LOOP_DEGREES = 130.0  # minimum angle of a loop [deg]
_ON_THE_SPOT = 0.6  # maximum path of a turn on the spot [m]

# Drift relative to the heading: name, centre and half width, with ambiguous ranges between [deg].
_DIRECTIONS = (
    ("forward", 0.0, 25.0),
    ("left", 90.0, 24.0),
    ("right", -90.0, 24.0),
    ("diagonal left", 45.0, 14.0),
    ("diagonal right", -45.0, 14.0),
    ("backward", 180.0, 26.0),
)


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording with one kind of motion.

    Attributes:
        kind: 'stand', 'travel', 'turn', 'curve', 'jump', 'gap' (a short transition) or 'unknown'.
        start: First frame.
        end: Frame after the last.
        direction: Of travel relative to the body: 'forward', 'backward', 'left', 'right',
            'diagonal left' or 'diagonal right'.
        gait: 'walk', 'run' or '' where neither is certain.
        speed: Median speed [m/s].
        top_speed: 85th percentile of the speed, which starts and stops do not lower [m/s].
        length: Length of the path [m].
        degrees: Net turn of the body, positive to the left [deg].
    """

    kind: str
    start: int
    end: int
    direction: str = ""
    gait: str = ""
    speed: float = 0.0
    top_speed: float = 0.0
    length: float = 0.0
    degrees: float = 0.0

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def side(self) -> str:
        """'left' or 'right': where it turns to."""
        return "left" if self.degrees > 0 else "right"


def find_segments(
    signals: Signals, jumps: list[Jump], possible_flight: np.ndarray, known_gait: str = ""
) -> list[Segment]:
    """Cut a recording into segments.

    Args:
        signals: Signals of the whole recording.
        jumps: Its certain jumps.
        possible_flight: (T,) bool, see `find_jumps`.
        known_gait: 'walk' or 'run' where the description mentions only this gait; else ''.

    Returns:
        Segments in order that cover every frame once.
    """
    taken = np.zeros(len(signals), dtype=bool)
    segments: list[Segment] = []
    for jump in jumps:
        start = max(jump.start - signals.frames(0.35), segments[-1].end if segments else 0)
        end = min(jump.end + signals.frames(0.35), len(signals))
        if start < jump.start:
            segments.append(Segment("jump", start, end, degrees=jump.degrees))
        taken[start:end] = True
    for segment in _turns(signals, taken, known_gait):
        segments.append(segment)
        taken[segment.start : segment.end] = True
    moving = _moving(signals)
    for start, end in runs_of(moving & ~taken):
        segments.extend(_travels(signals, start, end, known_gait))
    segments += [_stand(signals, start, end) for start, end in runs_of(~moving & ~taken)]
    return [_checked(signals, p, possible_flight) for p in sorted(segments, key=lambda p: p.start)]


def _checked(signals: Signals, segment: Segment, possible_flight: np.ndarray) -> Segment:
    """The segment, of kind 'unknown' if it is a stand, turn or walk with possible flights."""
    hops = possible_flight[segment.start : segment.end].sum()
    if segment.kind in ("gap", "jump", "unknown") or segment.gait == "run" or hops <= 1:
        return segment
    bounce = float(np.median(signals.gait[segment.start : segment.end]))
    if segment.kind != "stand" and (hops < 0.12 * len(segment) or bounce < -0.4):
        return segment
    return replace(segment, kind="unknown")


def _moving(signals: Signals) -> np.ndarray:
    """(T,) bool: travelling, with hysteresis against interruptions by slow steps."""
    moving = np.zeros(len(signals), dtype=bool)
    for start, end in runs_of(signals.speed > _RESTS):
        moving[start:end] = signals.speed[start:end].max() > _MOVES
    return moving


def _turns(signals: Signals, taken: np.ndarray, known_gait: str) -> list[Segment]:
    """Turns on the spot or in a walk, and curves."""
    found = []
    free = ~taken
    rate = signals.yaw_rate
    slow_rate = gaussian_filter1d(rate, signals.frames(0.6), mode="nearest")
    for sign in (1, -1):
        flank = (sign * rate > _TURN_FLANK) & free
        for start, end in runs_of(flank, signals.frames(0.3), bridge=signals.frames(0.15)):
            if (sign * rate[start:end]).max() < _TURN_CORE:
                continue
            segment = _turn_or_curve(signals, start, end, known_gait)
            if abs(segment.degrees) >= _TURN_LEAST:
                found.append(segment)
    found.sort(key=lambda p: p.start)
    kept: list[Segment] = []
    for segment in found:
        if kept and segment.start < kept[-1].end:
            segment = replace(segment, start=kept[-1].end)
        if len(segment) >= signals.frames(0.3):
            kept.append(segment)
            free[segment.start : segment.end] = False
    steady = free & (signals.speed > _MOVES)
    for sign in (1, -1):
        for start, end in runs_of((sign * slow_rate > _CURVE_RATE) & steady, signals.frames(1.2)):
            degrees = signals.yaw[end - 1] - signals.yaw[start]
            if abs(degrees) >= _CURVE_LEAST:
                kept.append(_along(signals, "curve", start, end, known_gait))
    return sorted(kept, key=lambda p: p.start)


def _turn_or_curve(signals: Signals, start: int, end: int, known_gait: str) -> Segment:
    segment = _along(signals, "turn", start, end, known_gait)
    radius = segment.length / max(abs(np.radians(segment.degrees)), 1e-3)
    # The percentile leaves out a start or stop at the ends of a loop.
    slowest = float(np.percentile(signals.speed[start:end], 15))
    wide = radius > _CURVE_RADIUS and slowest > 0.3
    loop = abs(segment.degrees) > _LOOP_DEGREES and radius > _LOOP_RADIUS and slowest > 0.35
    drift = np.abs(signals.drift[start:end])
    if (wide or loop) and float(np.median(drift)) < 30.0:
        return replace(segment, kind="curve", direction="forward")
    walks = signals.speed[start:end] > _MOVES
    if segment.length > _ON_THE_SPOT and walks.any() and float(np.median(drift[walks])) > 35.0:
        # A turn during travel sideways or backward.
        return replace(segment, kind="unknown")
    return segment


def _along(signals: Signals, kind: str, start: int, end: int, known_gait: str) -> Segment:
    """A segment with its measured speed, length and turn."""
    speed = float(np.median(signals.speed[start:end]))
    drift = float(np.median(np.abs(signals.drift[start:end])))
    direction = "forward" if drift < 30.0 else "backward" if drift > 150.0 else ""
    if kind == "curve" and direction != "forward":
        kind = "unknown"
    return Segment(
        kind,
        start,
        end,
        direction=direction if kind == "curve" else "",
        gait=signals.gait_of(start, end, known_gait),
        speed=speed,
        top_speed=float(np.percentile(signals.speed[start:end], 85)),
        length=signals.length(start, end),
        degrees=float(signals.yaw[end - 1] - signals.yaw[start]),
    )


def _travels(signals: Signals, start: int, end: int, known_gait: str) -> list[Segment]:
    """A moving stretch, cut at changes of its direction relative to the body."""
    drift = signals.drift[start:end]
    labels = np.full(end - start, -1)
    for index, (_, centre, width) in enumerate(_DIRECTIONS):
        off = np.abs((drift - centre + 180.0) % 360.0 - 180.0)
        labels[off <= width] = index
    labels = median_filter(labels, size=signals.frames(0.35) // 2 * 2 + 1, mode="nearest")
    # At low speed, the direction of travel is meaningless.
    labels[signals.speed[start:end] < 0.22] = -1
    out = []
    at = 0
    for index in range(1, len(labels) + 1):
        if index < len(labels) and labels[index] == labels[at]:
            continue
        out.append(_travel(signals, start + at, start + index, int(labels[at]), known_gait))
        at = index
    return out


def _travel(signals: Signals, start: int, end: int, label: int, known_gait: str) -> Segment:
    kind = "travel" if label >= 0 else "gap"
    if end - start < signals.frames(_SHORTEST):
        kind = "gap"
    elif kind == "gap" and end - start > signals.frames(_GAP):
        kind = "unknown"
    segment = _along(signals, kind, start, end, known_gait)
    if kind != "travel":
        return segment
    return replace(segment, direction=_DIRECTIONS[label][0])


def _stand(signals: Signals, start: int, end: int) -> Segment:
    if end - start < signals.frames(_SHORTEST):
        return Segment("gap", start, end)
    # A slow turn on the spot, under the rate of a turn, is not a stand.
    kind = "stand" if float(np.ptp(signals.yaw[start:end])) < 25.0 else "unknown"
    return Segment(kind, start, end, speed=float(np.median(signals.speed[start:end])))
