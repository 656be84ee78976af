"""Windows of a recording: actions on the spot, loops, and rows of one to three segments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nextscale_lab.auto_captions import filters
from nextscale_lab.auto_captions.arms import claps, held_arms, punches, throws, waves
from nextscale_lab.auto_captions.clauses import Window
from nextscale_lab.auto_captions.loops import Loop
from nextscale_lab.auto_captions.postures import (
    bends,
    jumping_jacks,
    kicks,
    kneels,
    one_leg_stands,
    sits,
    squats,
)
from nextscale_lab.auto_captions.segment_clauses import loop_clauses
from nextscale_lab.auto_captions.segments import Segment
from nextscale_lab.auto_captions.sequences import carriage_of, carriage_phrases, describe
from nextscale_lab.auto_captions.signals import Signals

SHORTEST, LONGEST = 1.5, 9.8
"""Length of a window [s]."""

_EDGE = (1.0, 3.2)  # length of travel at the edge of a window [s]
_STAND_EDGE = (0.5, 1.4)  # length of a stand at the edge of a window [s]
_LEAST_LENGTH = 0.5  # minimum path of a walk [m]
_UNIFORM = (1.8, 6.0)  # length of pieces of long travel [s]


def action_windows(signals: Signals, description: str) -> list[Window]:
    """Windows of arm, leg and posture actions.

    Args:
        signals: Signals of the recording.
        description: Its one-line description. Some actions are only accepted where it mentions
            them, and it excludes recordings that the rules do not cover.
    """
    found: list[Window] = []
    unusual = filters.has_unusual_actions(description)
    if not unusual or filters.is_chicken_dance(description):
        found += claps(signals)
    if not unusual:
        found += held_arms(signals) + waves(signals, description) + punches(signals, description)
        found += throws(signals, description) + kicks(signals, description)
        found += squats(signals) + bends(signals, description) + kneels(signals) + sits(signals)
        found += one_leg_stands(signals) + jumping_jacks(signals, description)
    out = []
    for window in found:
        start, end = window.start, window.end
        missing = signals.frames(SHORTEST) - (end - start)
        if missing > 0:
            start = max(start - missing, 0)
            end = min(start + signals.frames(SHORTEST), len(signals))
        if SHORTEST <= signals.seconds(start, end) <= LONGEST:
            out.append(replace(window, start=start, end=end))
    return out


def loop_windows(
    signals: Signals, loops: list[Loop], mentioned: bool = False, corners: bool = False
) -> list[Window]:
    """A window for each loop in which the body moves as in ordinary walking or running.

    Args:
        signals: Signals of the recording.
        loops: Its loops.
        mentioned: The description mentions a loop: then the carriage of the body is ignored.
        corners: The description mentions right angles.
    """
    out = []
    for loop in loops:
        runs = loop.gait == "run"
        carriage = None if runs else carriage_of(signals, loop.start, loop.end)
        usual = signals.ordinary(loop.start, loop.end, "run") if runs else carriage is not None
        if not usual and not mentioned:
            continue
        run = "_run" if runs else ""
        side = "left" if loop.degrees > 0 else "right"
        kind = f"figure_eight{run}" if loop.kind == "eight" else f"circle{run}_{side}"
        part = loop_clauses(loop, corners).with_phrases(carriage_phrases(carriage))
        out.append(Window(kind, loop.start, loop.end, (part,), loop.speedup))
    return out


def segment_windows(
    signals: Signals, segments: list[Segment], mentioned: str, rng: np.random.Generator
) -> list[Window]:
    """Windows of one to three neighbouring segments.

    Args:
        signals: Signals of the recording.
        segments: Its segments, see `find_segments`.
        mentioned: 'slow' or 'fast' where the description mentions it.
        rng: Source of the lengths of trimmed segments at the edges.
    """
    out = []
    for row in _rows(segments, signals):
        for first in range(len(row)):
            if row[first].kind == "travel" or row[first].kind == "stand":
                out.extend(_uniform(signals, row[first], mentioned, rng))
            for last in range(first, min(first + 6, len(row))):
                window = _window(signals, row, first, last, mentioned, rng)
                if window is not None:
                    out.append(window)
    return out


def _rows(segments: list[Segment], signals: Signals) -> list[list[Segment]]:
    """Neighbouring segments without an unknown one between; gaps join the segment before."""
    rows: list[list[Segment]] = [[]]
    for segment in segments:
        if segment.kind == "unknown" or (
            segment.kind == "gap" and len(segment) > signals.frames(0.8)
        ):
            rows.append([])
        elif segment.kind != "gap":
            rows[-1].append(segment)
        elif rows[-1] and rows[-1][-1].end == segment.start:
            rows[-1][-1] = replace(rows[-1][-1], end=segment.end)
    return [_merged(row) for row in rows if row]


def _merged(row: list[Segment]) -> list[Segment]:
    """Join neighbouring stands, and neighbouring travel of one direction and gait."""
    out: list[Segment] = []
    for segment in row:
        last = out[-1] if out else None
        if last and last.kind == segment.kind == "stand":
            out[-1] = replace(last, end=segment.end)
        elif (
            last
            and last.kind == segment.kind == "travel"
            and ((last.direction, last.gait) == (segment.direction, segment.gait))
        ):
            share = len(segment) / (len(segment) + len(last))
            out[-1] = replace(
                last,
                end=segment.end,
                speed=share * segment.speed + (1 - share) * last.speed,
                top_speed=max(segment.top_speed, last.top_speed),
                length=last.length + segment.length,
                degrees=last.degrees + segment.degrees,
            )
        else:
            out.append(segment)
    return out


def _uniform(
    signals: Signals, segment: Segment, mentioned: str, rng: np.random.Generator
) -> list[Window]:
    """Pieces of long travel or of a long stand."""
    out = []
    at = segment.start
    while segment.end - at >= signals.frames(_UNIFORM[0]):
        length = int(rng.integers(signals.frames(_UNIFORM[0]), signals.frames(_UNIFORM[1])))
        end = min(at + length, segment.end)
        if segment.end - end < signals.frames(1.0):
            end = min(segment.end, at + signals.frames(LONGEST))
        piece = _cut(signals, segment, at, end)
        found = describe(signals, [piece], mentioned)
        if found is not None and end - at >= signals.frames(SHORTEST):
            out.append(Window(found[0], at, end, found[1]))
        at = end
    return out


def _cut(signals: Signals, segment: Segment, start: int, end: int) -> Segment:
    """A part of a segment, measured again."""
    return replace(
        segment,
        start=start,
        end=end,
        speed=float(np.median(signals.speed[start:end])),
        top_speed=float(np.percentile(signals.speed[start:end], 85)),
        length=signals.length(start, end),
        degrees=float(signals.yaw[end - 1] - signals.yaw[start]),
    )


def _window(
    signals: Signals,
    row: list[Segment],
    first: int,
    last: int,
    mentioned: str,
    rng: np.random.Generator,
) -> Window | None:
    """The window from one segment to another with its edges trimmed."""
    inside = list(row[first : last + 1])
    if len(inside) == 1 and inside[0].kind in ("travel", "stand"):
        return None
    for index, at_start in ((0, True), (len(inside) - 1, False)):
        segment = inside[index]
        if segment.kind not in ("travel", "stand"):
            continue
        low, high = _EDGE if segment.kind == "travel" else _STAND_EDGE
        keep = int(rng.integers(signals.frames(low), signals.frames(high) + 1))
        if segment.kind == "travel" and segment.length < _LEAST_LENGTH:
            return None
        if len(segment) > keep:
            start = segment.end - keep if at_start else segment.start
            inside[index] = _cut(signals, segment, start, start + keep)
    start, end = inside[0].start, inside[-1].end
    if len(inside) == 1:
        # A single turn or jump gets a margin where it is next to a stand.
        before = row[first - 1] if first else None
        after = row[last + 1] if last + 1 < len(row) else None
        margin = signals.frames(0.6)
        if before is not None and before.kind == "stand":
            start = max(before.start, start - margin)
        if after is not None and after.kind == "stand":
            end = min(after.end, end + margin)
    if not SHORTEST <= signals.seconds(start, end) <= LONGEST:
        return None
    found = describe(signals, inside, mentioned)
    return None if found is None else Window(found[0], start, end, found[1])
