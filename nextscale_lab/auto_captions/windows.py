"""Windows: stretches of one to three phases with all that may be said of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nextscale_lab.auto_captions.clauses import Clauses, loop_clauses
from nextscale_lab.auto_captions.loops import Loop
from nextscale_lab.auto_captions.manners import manner_of, with_manner
from nextscale_lab.auto_captions.phases import Phase
from nextscale_lab.auto_captions.sequences import describe
from nextscale_lab.auto_captions.signals import Signals

SHORTEST, LONGEST = 1.5, 9.8
"""Length of a window [s]."""

_EDGE = (1.0, 3.2)  # what is left of a way at the edge of a window [s]
_STAND_EDGE = (0.5, 1.4)
_LEAST_WAY = 0.5  # of a walk that is told [m]
_UNIFORM = (1.8, 6.0)  # pieces of a long way [s]


@dataclass(frozen=True)
class Window:
    """A stretch of a recording with the clauses for its phases.

    Attributes:
        kind: For balancing, such as 'walk', 'circle_left' or 'walk_turn_walk'.
        start: First frame.
        end: Frame after the last.
        plain: For each phase, the shortest ways to say it.
        detailed: For each phase, ways that say more.
        play: Factor by which the motion is to be played faster.
    """

    kind: str
    start: int
    end: int
    plain: tuple[Clauses, ...]
    detailed: tuple[Clauses, ...]
    play: float = 1.0


def loop_windows(
    signals: Signals, loops: list[Loop], told: bool = False, corners: bool = False
) -> list[Window]:
    """A window for each loop in which the body moves as in ordinary walking or running.

    Args:
        signals: Of the recording.
        loops: Its loops.
        told: The description speaks of a loop: then the loop is what one sees, whatever the arms
            do.
        corners: The description speaks of right angles.
    """
    out = []
    for loop in loops:
        runs = loop.gait == "run"
        manner = None if runs else manner_of(signals, loop.start, loop.end)
        usual = signals.ordinary(loop.start, loop.end, "run") if runs else manner is not None
        if not usual and not told:
            continue
        side = "left" if loop.degrees > 0 else "right"
        kind = "figure_eight" if loop.kind == "eight" else f"circle_{side}"
        if loop.gait == "run":
            kind = "figure_eight_run" if loop.kind == "eight" else f"circle_run_{side}"
        plain, more = loop_clauses(loop, corners)
        if manner is not None and manner[1]:
            plain, more = with_manner(plain, manner[1]), with_manner(more, manner[1])
        out.append(Window(kind, loop.start, loop.end, (plain,), (more,), loop.play))
    return out


def phase_windows(
    signals: Signals, phases: list[Phase], told: str, rng: np.random.Generator
) -> list[Window]:
    """Windows of one to three neighbouring phases.

    Args:
        signals: Of the recording.
        phases: Of the recording, see `find_phases`.
        told: 'slow' or 'fast' where the description says so.
        rng: For the length of what is left of long phases at the edges.
    """
    out = []
    for row in _rows(phases, signals):
        for first in range(len(row)):
            if row[first].kind == "go" or row[first].kind == "stand":
                out.extend(_uniform(signals, row[first], told, rng))
            for last in range(first, min(first + 6, len(row))):
                window = _window(signals, row, first, last, told, rng)
                if window is not None:
                    out.append(window)
    return out


def _rows(phases: list[Phase], signals: Signals) -> list[list[Phase]]:
    """Neighbouring phases without an unknown one between; gaps go to the phase before."""
    rows: list[list[Phase]] = [[]]
    for phase in phases:
        if phase.kind == "unknown" or (phase.kind == "gap" and len(phase) > signals.frames(0.8)):
            rows.append([])
        elif phase.kind != "gap":
            rows[-1].append(phase)
        elif rows[-1] and rows[-1][-1].end == phase.start:
            rows[-1][-1] = replace(rows[-1][-1], end=phase.end)
    return [_merged(row) for row in rows if row]


def _merged(row: list[Phase]) -> list[Phase]:
    """Two ways of one direction with only a gap between are one; so are two stands."""
    out: list[Phase] = []
    for phase in row:
        last = out[-1] if out else None
        if last and last.kind == phase.kind == "stand":
            out[-1] = replace(last, end=phase.end)
        elif (
            last
            and last.kind == phase.kind == "go"
            and ((last.direction, last.gait) == (phase.direction, phase.gait))
        ):
            share = len(phase) / (len(phase) + len(last))
            out[-1] = replace(
                last,
                end=phase.end,
                speed=share * phase.speed + (1 - share) * last.speed,
                top_speed=max(phase.top_speed, last.top_speed),
                length=last.length + phase.length,
                degrees=last.degrees + phase.degrees,
            )
        else:
            out.append(phase)
    return out


def _uniform(signals: Signals, phase: Phase, told: str, rng: np.random.Generator) -> list[Window]:
    """Pieces of a long way or stand."""
    out = []
    at = phase.start
    while phase.end - at >= signals.frames(_UNIFORM[0]):
        length = int(rng.integers(signals.frames(_UNIFORM[0]), signals.frames(_UNIFORM[1])))
        end = min(at + length, phase.end)
        if phase.end - end < signals.frames(1.0):
            end = min(phase.end, at + signals.frames(LONGEST))
        piece = _cut(signals, phase, at, end)
        told_of = describe(signals, [piece], told)
        if told_of is not None and end - at >= signals.frames(SHORTEST):
            out.append(Window(told_of[0], at, end, *told_of[1:]))
        at = end
    return out


def _cut(signals: Signals, phase: Phase, start: int, end: int) -> Phase:
    """A part of a way, measured anew."""
    return replace(
        phase,
        start=start,
        end=end,
        speed=float(np.median(signals.speed[start:end])),
        top_speed=float(np.percentile(signals.speed[start:end], 85)),
        length=signals.length(start, end),
        degrees=float(signals.yaw[end - 1] - signals.yaw[start]),
    )


def _window(
    signals: Signals,
    row: list[Phase],
    first: int,
    last: int,
    told: str,
    rng: np.random.Generator,
) -> Window | None:
    """The window from one phase to another with its edges trimmed."""
    inside = list(row[first : last + 1])
    if len(inside) == 1 and inside[0].kind in ("go", "stand"):
        return None
    for index, at_start in ((0, True), (len(inside) - 1, False)):
        phase = inside[index]
        if phase.kind not in ("go", "stand"):
            continue
        low, high = _EDGE if phase.kind == "go" else _STAND_EDGE
        keep = int(rng.integers(signals.frames(low), signals.frames(high) + 1))
        if phase.kind == "go" and phase.length < _LEAST_WAY:
            return None
        if len(phase) > keep:
            start = phase.end - keep if at_start else phase.start
            inside[index] = _cut(signals, phase, start, start + keep)
    start, end = inside[0].start, inside[-1].end
    if len(inside) == 1:
        # A lone turn or jump: a little of what is around it, if that is a stand.
        before = row[first - 1] if first else None
        after = row[last + 1] if last + 1 < len(row) else None
        margin = signals.frames(0.6)
        if before is not None and before.kind == "stand":
            start = max(before.start, start - margin)
        if after is not None and after.kind == "stand":
            end = min(after.end, end + margin)
    if not SHORTEST <= signals.seconds(start, end) <= LONGEST:
        return None
    told_of = describe(signals, inside, told)
    return None if told_of is None else Window(told_of[0], start, end, *told_of[1:])
