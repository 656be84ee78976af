"""Phases: a recording as a row of stands, walks, runs, turns, curves and jumps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from nextscale_lab.auto_captions.jumps import Jump
from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.data.tracks import runs_of

_MOVES, _RESTS = 0.32, 0.16  # speeds that begin and end a way [m/s]
_SHORTEST = 0.5  # way or stand [s]; shorter stretches belong to a transition
_GAP = 0.7  # longest transition that the next phase may swallow [s]

# Turns: the core of one is faster than the first rate; its flanks reach down to the second.
_TURN_CORE, _TURN_FLANK = 22.0, 8.0  # [deg/s]
_CURVE_RATE = 5.0  # [deg/s]
_TURN_LEAST, _CURVE_LEAST = 28.0, 35.0  # [deg]
_CURVE_RADIUS, _LOOP_RADIUS = 1.0, 0.6  # [m]; a loop is a curve by more than _LOOP_DEGREES
_LOOP_DEGREES = 130.0
_ON_THE_SPOT = 0.6  # a longer way during a turn must be told [m]

# Drift of the way against the body: clear directions with ambiguous room between them [deg].
_DIRECTIONS = (
    ("forward", 0.0, 25.0),
    ("left", 90.0, 24.0),
    ("right", -90.0, 24.0),
    ("diagonal left", 45.0, 14.0),
    ("diagonal right", -45.0, 14.0),
    ("backward", 180.0, 26.0),
)


@dataclass(frozen=True)
class Phase:
    """One stretch of a recording in which one thing happens.

    Attributes:
        kind: 'stand', 'go', 'turn', 'curve', 'jump', 'gap' (a short transition) or 'unknown'.
        start: First frame.
        end: Frame after the last.
        direction: Of a go: 'forward', 'backward', 'left', 'right', 'diagonal left' or
            'diagonal right', seen from the body.
        gait: 'walk', 'run' or '' where neither is certain.
        speed: Median speed [m/s].
        top_speed: 85th percentile: no start or stop at an edge makes it low [m/s].
        length: Length of the way [m].
        degrees: Net turn of the body, positive to the left.
        jump: The flight, of a jump.
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
    jump: Jump | None = None

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def side(self) -> str:
        """'left' or 'right': where it turns to."""
        return "left" if self.degrees > 0 else "right"


def find_phases(
    signals: Signals, jumps: list[Jump], perhaps: np.ndarray, evidence: str = ""
) -> list[Phase]:
    """Cut a recording into phases.

    Args:
        signals: Of the whole recording.
        jumps: Its certain jumps.
        perhaps: (T,) bool, see `find_jumps`.
        evidence: 'walk' or 'run' where the description names the only gait in the recording.

    Returns:
        Phases in order that cover every frame once.
    """
    taken = np.zeros(len(signals), dtype=bool)
    phases: list[Phase] = []
    for jump in jumps:
        start = max(jump.start - signals.frames(0.35), phases[-1].end if phases else 0)
        end = min(jump.end + signals.frames(0.35), len(signals))
        if start < jump.start:
            phases.append(Phase("jump", start, end, jump=jump, degrees=jump.degrees))
        taken[start:end] = True
    for phase in _turns(signals, taken, evidence):
        phases.append(phase)
        taken[phase.start : phase.end] = True
    moving = _moving(signals)
    for mask, make in ((moving & ~taken, _ways), (~moving & ~taken, _stands)):
        for start, end in runs_of(mask):
            phases.extend(make(signals, start, end, evidence))
    return [_doubtful(signals, p, perhaps) for p in sorted(phases, key=lambda p: p.start)]


def _doubtful(signals: Signals, phase: Phase, perhaps: np.ndarray) -> Phase:
    """A stand, turn or walk in which both feet perhaps left the floor is unknown."""
    hops = perhaps[phase.start : phase.end].sum()
    if phase.kind in ("gap", "jump", "unknown") or phase.gait == "run" or hops <= 1:
        return phase
    bounce = float(np.median(signals.gait[phase.start : phase.end]))
    if phase.kind != "stand" and (hops < 0.12 * len(phase) or bounce < -0.4):
        return phase
    return replace(phase, kind="unknown")


def _moving(signals: Signals) -> np.ndarray:
    """(T,) bool: on a way, with hysteresis so that slow steps do not tear it."""
    moving = np.zeros(len(signals), dtype=bool)
    for start, end in runs_of(signals.speed > _RESTS):
        moving[start:end] = signals.speed[start:end].max() > _MOVES
    return moving


def _turns(signals: Signals, taken: np.ndarray, evidence: str) -> list[Phase]:
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
            phase = _turn_or_curve(signals, start, end, evidence)
            if abs(phase.degrees) >= _TURN_LEAST:
                found.append(phase)
    found.sort(key=lambda p: p.start)
    kept: list[Phase] = []
    for phase in found:
        if kept and phase.start < kept[-1].end:
            phase = replace(phase, start=kept[-1].end)
        if len(phase) >= signals.frames(0.3):
            kept.append(phase)
            free[phase.start : phase.end] = False
    steady = free & (signals.speed > _MOVES)
    for sign in (1, -1):
        for start, end in runs_of((sign * slow_rate > _CURVE_RATE) & steady, signals.frames(1.2)):
            degrees = signals.yaw[end - 1] - signals.yaw[start]
            if abs(degrees) >= _CURVE_LEAST:
                kept.append(_along(signals, "curve", start, end, evidence))
    return sorted(kept, key=lambda p: p.start)


def _turn_or_curve(signals: Signals, start: int, end: int, evidence: str) -> Phase:
    phase = _along(signals, "turn", start, end, evidence)
    radius = phase.length / max(abs(np.radians(phase.degrees)), 1e-3)
    # At its ends a loop may set off or stop.
    slowest = float(np.percentile(signals.speed[start:end], 15))
    wide = radius > _CURVE_RADIUS and slowest > 0.3
    loop = abs(phase.degrees) > _LOOP_DEGREES and radius > _LOOP_RADIUS and slowest > 0.35
    drift = np.abs(signals.drift[start:end])
    if (wide or loop) and float(np.median(drift)) < 30.0:
        return replace(phase, kind="curve", direction="forward")
    walks = signals.speed[start:end] > _MOVES
    if phase.length > _ON_THE_SPOT and walks.any() and float(np.median(drift[walks])) > 35.0:
        # It turns while it goes sideways or backward: more than a turn.
        return replace(phase, kind="unknown")
    return phase


def _along(signals: Signals, kind: str, start: int, end: int, evidence: str) -> Phase:
    """A phase with its measures."""
    speed = float(np.median(signals.speed[start:end]))
    drift = float(np.median(np.abs(signals.drift[start:end])))
    direction = "forward" if drift < 30.0 else "backward" if drift > 150.0 else ""
    if kind == "curve" and direction != "forward":
        kind = "unknown"
    return Phase(
        kind,
        start,
        end,
        direction=direction if kind == "curve" else "",
        gait=gait_of(signals, start, end, evidence),
        speed=speed,
        top_speed=float(np.percentile(signals.speed[start:end], 85)),
        length=signals.length(start, end),
        degrees=float(signals.yaw[end - 1] - signals.yaw[start]),
    )


def gait_of(signals: Signals, start: int, end: int, evidence: str) -> str:
    """'walk', 'run', or '' where neither is certain."""
    speed = float(np.median(signals.speed[start:end]))
    bounce = float(np.median(signals.gait[start:end]))
    if speed > 2.4 or (speed > 1.2 and bounce > 0.2 and evidence != "walk"):
        return "run"
    if evidence == "run" and speed > 1.3 and bounce > -0.3:
        return "run"
    if speed < 1.9 and bounce < -0.25 and evidence != "run":
        return "walk"
    if evidence == "walk" and speed < 1.7 and bounce < 0.4:
        return "walk"
    return "walk" if speed < 1.05 else ""


def _ways(signals: Signals, start: int, end: int, evidence: str) -> list[Phase]:
    """A moving stretch, cut where its direction against the body changes."""
    drift = signals.drift[start:end]
    labels = np.full(end - start, -1)
    for index, (_, centre, width) in enumerate(_DIRECTIONS):
        off = np.abs((drift - centre + 180.0) % 360.0 - 180.0)
        labels[off <= width] = index
    labels = median_filter(labels, size=signals.frames(0.35) // 2 * 2 + 1, mode="nearest")
    # Where it sets off or stops, the direction of the little speed says nothing.
    labels[signals.speed[start:end] < 0.22] = -1
    out = []
    at = 0
    for index in range(1, len(labels) + 1):
        if index < len(labels) and labels[index] == labels[at]:
            continue
        out.append(_way(signals, start + at, start + index, int(labels[at]), evidence))
        at = index
    return out


def _way(signals: Signals, start: int, end: int, label: int, evidence: str) -> Phase:
    kind = "go" if label >= 0 else "gap"
    if end - start < signals.frames(_SHORTEST):
        kind = "gap"
    elif kind == "gap" and end - start > signals.frames(_GAP):
        kind = "unknown"
    phase = _along(signals, kind, start, end, evidence)
    if kind != "go":
        return phase
    return replace(phase, direction=_DIRECTIONS[label][0])


def _stands(signals: Signals, start: int, end: int, evidence: str) -> list[Phase]:
    del evidence
    if end - start < signals.frames(_SHORTEST):
        return [Phase("gap", start, end)]
    turned = float(np.ptp(signals.yaw[start:end]))
    # A slow turn on the spot, under the rate of a turn, is no stand.
    kind = "stand" if turned < 25.0 else "unknown"
    return [Phase(kind, start, end, speed=float(np.median(signals.speed[start:end])))]
