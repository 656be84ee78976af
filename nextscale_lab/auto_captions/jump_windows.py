"""Windows of jumps: rows of jumps with a run-up before and travel or a stand after them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nextscale_core.motion.tracks import runs_of
from nextscale_lab.auto_captions.clauses import Clauses, Window, clauses
from nextscale_lab.auto_captions.jumps import Flights, Jump, flights_of, jump_clauses
from nextscale_lab.auto_captions.segments import Segment
from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.auto_captions.windows import LONGEST, SHORTEST

_BETWEEN = 1.8  # longest pause inside a row of jumps [s]
_STEP = 0.35  # path of the pelvis in such a pause without a step [m]
_MARGIN = (0.6, 1.1)  # margin before and after a row [s]
_APPROACH = (0.7, 2.6)  # length of a run-up [s]
_AFTER = (1.0, 2.4)  # length of the segment after a landing [s]
_RUN_OUT = 0.9  # margin after a jump with a run-up [s]
_ROOM = 0.2  # minimum margin around a part of a row [s]
_FOLLOWS = 0.9  # longest pause between a landing and the segment after it [s]
_CROUCH, _DEEP_CROUCH = 0.72, 0.60  # pelvis height before take-off, relative to standing
_HIGH = 0.36  # minimum rise of a high jump [m]


@dataclass(frozen=True)
class _Row:
    """Jumps in a row, and the window without another event."""

    jumps: list[Jump]
    start: int
    end: int


@dataclass(frozen=True)
class _Neighbour:
    """The event before or after a row of jumps."""

    name: str
    start: int
    end: int
    clauses: Clauses


def jump_windows(
    signals: Signals,
    jumps: list[Jump],
    possible_flight: np.ndarray,
    segments: list[Segment],
    known_gait: str,
    rng: np.random.Generator,
) -> list[Window]:
    """A window for each row of jumps, alone and with its run-up or what follows.

    Args:
        signals: Signals of the recording.
        jumps: Its certain jumps.
        possible_flight: (T,) bool, frames of uncertain flights.
        segments: Its segments.
        known_gait: 'walk' or 'run' where the description mentions only this gait; else ''.
        rng: Source of the lengths of margins.
    """
    out: list[Window] = []
    for row in _rows(signals, jumps):
        whole = _Row(row, *_alone(signals, row, segments, rng))
        for part in _parts(signals, whole):
            flights = flights_of(part.jumps)
            if flights is None:
                continue
            first, last = part.jumps[0] is row[0], part.jumps[-1] is row[-1]
            approach = _approach(signals, row[0], known_gait, rng) if first else None
            after = _after(signals, row[-1], jumps, segments, rng) if last else None
            if approach is None and part.jumps[0].speed > 0.8:
                continue
            if flights.leg == "leap" and not flights.degrees and approach is None:
                continue
            for follow in (None, after) if after is not None else (None,):
                start = approach.start if approach is not None else part.start
                end = follow.end if follow is not None else part.end
                if approach is not None and follow is None and part.jumps[-1] is row[-1]:
                    # A jump from a run ends with a few more steps.
                    end = min(part.jumps[-1].end + signals.frames(_RUN_OUT), len(signals))
                window = _window(signals, part.jumps, flights, approach, follow, (start, end))
                if window is not None and not possible_flight[start:end].any():
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
    signals: Signals, row: list[Jump], segments: list[Segment], rng: np.random.Generator
) -> tuple[int, int]:
    """First frame and end of a row of jumps with a little of the stand around it."""
    before, after = (signals.frames(float(rng.uniform(*_MARGIN))) for _ in range(2))
    start, end = row[0].start - before, row[-1].end + after
    for segment in segments:
        # In the smoothed path a jump forward looks like short travel around its flight.
        artefact = segment.kind in ("travel", "gap", "curve") and segment.length < _STEP
        if segment.kind in ("jump", "stand") or artefact:
            continue
        # Steps before or after are not described and stay outside as far as possible.
        if segment.end <= row[0].start:
            start = max(start, min(segment.end, row[0].start - signals.frames(0.35)))
        if segment.start >= row[-1].end:
            end = min(end, max(segment.start, row[-1].end + signals.frames(0.35)))
    return max(start, 0), min(end, len(signals))


def _approach(
    signals: Signals, jump: Jump, known_gait: str, rng: np.random.Generator
) -> _Neighbour | None:
    """The run-up: a run or a walk forward right up to the take-off."""
    end = max(jump.start - 2, 0)
    going = (signals.speed[:end] > 0.4) & (np.abs(signals.drift[:end]) < 35.0)
    ways = runs_of(going, 1, bridge=2)
    if not ways or ways[-1][1] < end - signals.frames(0.4):
        return None
    start = max(ways[-1][0], end - signals.frames(float(rng.uniform(*_APPROACH))))
    seconds, length = signals.seconds(start, end), signals.length(start, end)
    if seconds < 0.3 or length < 0.5:
        return None
    speed = float(np.median(signals.speed[start:end]))
    if max(jump.speed, speed) > (1.5 if known_gait == "run" else 1.9):
        return _Neighbour("run", start, end, clauses("run_up"))
    walks = signals.gait_of(start, end, known_gait) == "walk"
    if walks and speed < 1.5 and seconds > 0.9 and signals.ordinary(start, end, "walk"):
        return _Neighbour("walk", start, end, clauses("walk_up"))
    return None


def _after(
    signals: Signals,
    jump: Jump,
    jumps: list[Jump],
    segments: list[Segment],
    rng: np.random.Generator,
) -> _Neighbour | None:
    """The segment after a landing, where it is clear."""
    later = [
        p
        for p in segments
        if p.start >= jump.end - 2
        and p.kind not in ("gap", "jump")
        and p.start < jump.end + signals.frames(_FOLLOWS)
    ]
    if not later or later[0].kind not in ("travel", "stand"):
        return None
    segment = later[0]
    keep = signals.frames(float(rng.uniform(*_AFTER)))
    end = min(segment.end, segment.start + keep)
    if signals.seconds(segment.start, end) < _AFTER[0] * 0.8:
        return None
    if any(other.start < end and other.start > jump.end for other in jumps):
        return None
    if not signals.ordinary(segment.start, end, segment.gait):
        return None
    if segment.kind == "stand":
        calm = float(np.percentile(signals.limb_speed[segment.start : end], 75)) < 0.7
        return _Neighbour("stand", segment.start, end, clauses("land_and_stand")) if calm else None
    if segment.direction == "backward":
        return _Neighbour("back", segment.start, end, clauses("land_and_back"))
    if segment.direction != "forward" or not segment.gait:
        return None
    verb = {"run": "runs", "walk": "walks"}[segment.gait]
    return _Neighbour(verb[:-1], segment.start, end, clauses("land_and_go", verb=verb))


def _window(
    signals: Signals,
    row: list[Jump],
    flights: Flights,
    before: _Neighbour | None,
    follow: _Neighbour | None,
    span: tuple[int, int],
) -> Window | None:
    if not SHORTEST <= signals.seconds(*span) <= LONGEST:
        return None
    crouch = slice(max(row[0].start - signals.frames(1.2), 0), row[0].start)
    lowest = float(signals.height[crouch].min(initial=1.0))
    part = jump_clauses(flights, flights.rise > _HIGH)
    single = flights.count == 1 and not flights.degrees
    if before is None and single and not flights.leg:
        if lowest < _DEEP_CROUCH:
            part += clauses("crouch_and_jump", jump=part.plain[0])
        elif lowest < _CROUCH:
            part += clauses("bend_and_jump", jump=part.plain[0])
    parts, names = [part], [flights.kind]
    if before is not None:
        parts.insert(0, before.clauses)
        names = [f"{before.name}_jump"] if single else [before.name, *names]
    if follow is not None:
        parts.append(follow.clauses)
        names.append(follow.name)
    return Window("+".join(names), *span, tuple(parts))
