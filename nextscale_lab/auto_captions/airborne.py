"""Windows of jumps: rows of jumps with what comes before and after them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nextscale_lab.auto_captions.clauses import Clauses
from nextscale_lab.auto_captions.jumps import Jump
from nextscale_lab.auto_captions.leaps import Flights, flights_of, jump_clauses
from nextscale_lab.auto_captions.phases import Phase, gait_of
from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.auto_captions.windows import LONGEST, SHORTEST, Window
from nextscale_lab.data.tracks import runs_of

_BETWEEN = 1.8  # longest pause inside a row of jumps [s]
_STEP = 0.35  # way of the pelvis in such a pause that is no step yet [m]
_MARGIN = (0.6, 1.1)  # told or not, this much is seen before and after [s]
_APPROACH = (0.7, 2.6)  # length of a run-up that is told [s]
_AFTER = (1.0, 2.4)  # length of what is told after a landing [s]
_RUN_OUT = 0.9  # [s]
_ROOM = 0.2  # seen before and after the jumps of a part of a row [s]
_FOLLOWS = 0.9  # a way that begins within this time of a landing is told with it [s]
_CROUCH, _DEEP_CROUCH = 0.72, 0.60  # pelvis against standing before take-off
_HIGH = 0.36  # rise of a jump that is called high [m]


@dataclass(frozen=True)
class _Row:
    """Jumps in a row, and the window in which nothing else happens."""

    jumps: list[Jump]
    start: int
    end: int


@dataclass(frozen=True)
class _Part:
    """What comes before or after a row of jumps."""

    name: str
    start: int
    end: int
    clauses: Clauses


def jump_windows(
    signals: Signals,
    jumps: list[Jump],
    perhaps: np.ndarray,
    phases: list[Phase],
    evidence: str,
    rng: np.random.Generator,
) -> list[Window]:
    """A window for each row of jumps, alone and with its run-up or what follows.

    Args:
        signals: Of the recording.
        jumps: Its certain jumps.
        perhaps: (T,) bool, frames of uncertain flights.
        phases: Of the recording.
        evidence: 'walk' or 'run' where the description names the only gait.
        rng: For the length of margins.
    """
    out: list[Window] = []
    for row in _rows(signals, jumps):
        whole = _Row(row, *_alone(signals, row, phases, rng))
        for part in _parts(signals, whole):
            flights = flights_of(part.jumps)
            if flights is None:
                continue
            first, last = part.jumps[0] is row[0], part.jumps[-1] is row[-1]
            approach = _approach(signals, row[0], evidence, rng) if first else None
            after = _after(signals, row[-1], jumps, phases, rng) if last else None
            if approach is None and part.jumps[0].speed > 0.8:
                continue
            if flights.leg == "leap" and not flights.degrees and approach is None:
                continue
            for follow in (None, after) if after is not None else (None,):
                start = approach.start if approach is not None else part.start
                end = follow.end if follow is not None else part.end
                if approach is not None and follow is None and part.jumps[-1] is row[-1]:
                    # Who jumps from a run runs on for a few steps.
                    end = min(part.jumps[-1].end + signals.frames(_RUN_OUT), len(signals))
                window = _window(signals, part.jumps, flights, approach, follow, (start, end))
                if window is not None and not perhaps[start:end].any():
                    out.append(window)
    return out


def _parts(signals: Signals, row: _Row) -> list[_Row]:
    """The row, and rows of one to three of its jumps, cut in the middle of the pauses."""
    jumps = row.jumps
    cuts = [row.start, *((a.end + b.start) // 2 for a, b in itertools.pairwise(jumps)), row.end]
    out = [row]
    for count in (1, 2, 3):
        for first in range(len(jumps) - count + 1):
            part = _Row(jumps[first : first + count], cuts[first], cuts[first + count])
            room = min(part.jumps[0].start - part.start, part.end - part.jumps[-1].end)
            if count < len(jumps) and room >= signals.frames(_ROOM):
                out.append(part)
    return out


def _rows(signals: Signals, jumps: list[Jump]) -> list[list[Jump]]:
    """Jumps that follow each other on the spot or from landing to take-off."""
    rows: list[list[Jump]] = []
    for jump in jumps:
        last = rows[-1][-1] if rows else None
        if last is not None and signals.seconds(last.end, jump.start) < _BETWEEN:
            a, b = last.end + 3, max(jump.start - 3, last.end + 3)
            root = signals.tracks.root[:, :2]
            if float(np.linalg.norm(root[b] - root[a])) < _STEP:
                rows[-1].append(jump)
                continue
        rows.append([jump])
    return rows


def _alone(
    signals: Signals, row: list[Jump], phases: list[Phase], rng: np.random.Generator
) -> tuple[int, int]:
    """First frame and end of a row of jumps with a little of the stand around it."""
    before, after = (signals.frames(float(rng.uniform(*_MARGIN))) for _ in range(2))
    start, end = row[0].start - before, row[-1].end + after
    for phase in phases:
        # The path is smooth, so that a jump forward looks like a short way around its flight.
        leaks = phase.kind in ("go", "gap", "curve") and phase.length < _STEP
        if phase.kind in ("jump", "stand") or leaks:
            continue
        # Steps before or after are not told: they stay outside as far as may be.
        if phase.end <= row[0].start:
            start = max(start, min(phase.end, row[0].start - signals.frames(0.35)))
        if phase.start >= row[-1].end:
            end = min(end, max(phase.start, row[-1].end + signals.frames(0.35)))
    return max(start, 0), min(end, len(signals))


def _approach(
    signals: Signals, jump: Jump, evidence: str, rng: np.random.Generator
) -> _Part | None:
    """The run-up: a run or a walk forward right up to the take-off."""
    end = max(jump.start - 2, 0)
    going = (signals.speed[:end] > 0.4) & (np.abs(signals.drift[:end]) < 35.0)
    way = runs_of(going, 1, bridge=2)
    if not way or way[-1][1] < end - signals.frames(0.4):
        return None
    start = max(way[-1][0], end - signals.frames(float(rng.uniform(*_APPROACH))))
    seconds, length = signals.seconds(start, end), signals.length(start, end)
    if seconds < 0.3 or length < 0.5:
        return None
    speed = float(np.median(signals.speed[start:end]))
    if max(jump.speed, speed) > (1.5 if evidence == "run" else 1.9):
        return _Part("run", start, end, ("runs", "runs forward", "takes a run-up"))
    walks = gait_of(signals, start, end, evidence) == "walk"
    if walks and speed < 1.5 and seconds > 0.9 and signals.ordinary(start, end, "walk"):
        return _Part("walk", start, end, ("walks forward", "walks", "takes a few steps"))
    return None


def _after(
    signals: Signals,
    jump: Jump,
    jumps: list[Jump],
    phases: list[Phase],
    rng: np.random.Generator,
) -> _Part | None:
    """What follows a landing, where that is clear."""
    later = [
        p
        for p in phases
        if p.start >= jump.end - 2
        and p.kind not in ("gap", "jump")
        and p.start < jump.end + signals.frames(_FOLLOWS)
    ]
    if not later or later[0].kind not in ("go", "stand"):
        return None
    phase = later[0]
    keep = signals.frames(float(rng.uniform(*_AFTER)))
    end = min(phase.end, phase.start + keep)
    if signals.seconds(phase.start, end) < _AFTER[0] * 0.8:
        return None
    if any(other.start < end and other.start > jump.end for other in jumps):
        return None
    if not signals.ordinary(phase.start, end, phase.gait):
        return None
    if phase.kind == "stand":
        calm = float(np.percentile(signals.limb_speed[phase.start : end], 75)) < 0.7
        return _Part("stand", phase.start, end, ("stands still", "stops")) if calm else None
    if phase.direction == "backward":
        return _Part("back", phase.start, end, ("walks backward", "steps back"))
    if phase.direction != "forward" or not phase.gait:
        return None
    verb = {"run": "runs", "walk": "walks"}[phase.gait]
    return _Part(verb[:-1], phase.start, end, (f"{verb} forward", f"{verb} away", f"{verb} on"))


def _window(
    signals: Signals,
    row: list[Jump],
    flights: Flights,
    before: _Part | None,
    follow: _Part | None,
    span: tuple[int, int],
) -> Window | None:
    if not SHORTEST <= signals.seconds(*span) <= LONGEST:
        return None
    crouch = slice(max(row[0].start - signals.frames(1.2), 0), row[0].start)
    lowest = float(signals.height[crouch].min(initial=1.0))
    plain, more = jump_clauses(flights, flights.rise > _HIGH)
    if before is None and flights.count == 1 and not flights.degrees and not flights.leg:
        if lowest < _DEEP_CROUCH:
            deep = tuple(f"{v} and then {plain[0]}" for v in ("squats down", "crouches down"))
            more = (*more, *deep)
        elif lowest < _CROUCH:
            more = (*more, f"bends the knees and {plain[0]}")
    parts_plain: list[Clauses] = [plain]
    parts_more: list[Clauses] = [more]
    names = [flights.kind]
    if before is not None:
        parts_plain.insert(0, before.clauses[:1])
        parts_more.insert(0, before.clauses)
        names.insert(0, before.name)
    if follow is not None:
        parts_plain.append(follow.clauses[:1])
        parts_more.append(follow.clauses)
        names.append(follow.name)
    kind = "+".join(names)
    if before is not None and flights.count == 1 and not flights.degrees:
        kind = "+".join([f"{before.name}_jump", *names[2:]])
    return Window(kind, *span, tuple(parts_plain), tuple(parts_more))
