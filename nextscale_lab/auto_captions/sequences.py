"""Clauses for a row of segments: the words for each depend on what came before."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.signal import find_peaks

from nextscale_core.motion.tracks import SIDES
from nextscale_lab.auto_captions.clauses import Clauses, clauses
from nextscale_lab.auto_captions.segment_clauses import (
    curve_clauses,
    pace,
    travel_clauses,
    turn_clauses,
    verb_and_noun,
)
from nextscale_lab.auto_captions.segments import Segment
from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.captions.tables import table

_MOST_EVENTS = 3
_PAUSE = 0.9  # shortest stand between two events that is described [s]
_STILL = 0.35  # maximum limb speed in a stand on its own [m/s]
_CALM = 0.9  # maximum limb speed in a stand inside a sequence [m/s]
_SMALL_TURN = 62.0  # [deg]
_WALKING_TURN = 0.6  # path of a turn that is not on the spot [m]
_ON_THE_WAY = 0.7  # path of a turn in the middle of a walk [m]
_BACK = 35.0  # 'walks back' goes against the first direction within this angle [deg]

_SHARE, _ARMS_SHARE = 0.9, 0.85  # minimum share of frames in a carriage of the arms
_OUT, _AHEAD, _LEVEL = 0.34, 0.36, 0.3  # of the wrist from the shoulder [m]
_STOOP, _UPRIGHT = (32.0, 80.0), 30.0  # lean of the trunk [deg]
_CROUCH, _TALL = 0.84, 0.87  # pelvis height relative to standing
# Knee relative to the hip [m]: in every step of a march, and a lift that is not a step.
_HIGH_KNEE, _NO_STEP = -0.14, -0.04

Description = tuple[str, tuple[Clauses, ...]]
"""Kind of a window and the clauses for its events."""


def describe(signals: Signals, inside: list[Segment], mentioned: str) -> Description | None:
    """Kind and clauses of a row of segments.

    Args:
        signals: Signals of the recording.
        inside: Neighbouring segments, first and last already trimmed.
        mentioned: 'slow' or 'fast' where the description mentions it.

    Returns:
        None where a part of the row is not clear enough to be described.
    """
    if len(inside) == 1 and inside[0].kind in ("travel", "curve") and inside[0].gait == "walk":
        return _walk_alone(signals, inside[0], mentioned)
    events = _events(signals, inside)
    if events is None:
        return None
    if _is_back_and_forth(signals, events):
        return "back_and_forth", (clauses("back_and_forth"),)
    turns_only = len(events) > 2 and all(event.kind in ("turn", "curve") for event in events)
    if not 1 <= len(events) <= _MOST_EVENTS or turns_only:
        return None
    found = [_event(signals, events, index, mentioned) for index in range(len(events))]
    clear = [item for item in found if item is not None]
    if len(clear) < len(found):
        return None
    return _kind([name for name, _ in clear]), tuple(part for _, part in clear)


def _is_back_and_forth(signals: Signals, events: list[Segment]) -> bool:
    """Walks forward with half turns between, at least two of each."""
    turns = [event for event in events if event.kind == "turn"]
    walks = [event for event in events if event.kind == "travel"]
    if len(turns) < 2 or len(walks) < 2 or len(events) != len(turns) + len(walks):
        return False
    ahead = all(w.gait == "walk" and w.direction == "forward" and w.length > 0.6 for w in walks)
    halves = all(145.0 <= abs(turn.degrees) <= 222.0 for turn in turns)
    back = all(_opposite(signals, a, b) for a, b in itertools.pairwise(walks))
    return ahead and halves and back


def _walk_alone(signals: Signals, segment: Segment, mentioned: str) -> Description | None:
    """One walk, with the carriage of the body."""
    carriage = carriage_of(signals, segment.start, segment.end)
    event = None if carriage is None else _event(signals, [segment], 0, mentioned)
    if event is None or carriage is None:
        return None
    name, part = event
    if not carriage:
        return name, (part,)
    name = name.removesuffix("_slow").removesuffix("_fast")
    return f"{name}_{carriage}", (part.with_phrases(carriage_phrases(carriage)),)


def _kind(names: list[str]) -> str:
    special = {
        ("walk", "turn_around", "walk"): "walk_turn_walk",
        ("run", "turn_around", "run"): "run_turn_run",
        ("walk", "stop"): "walk_stop",
        ("run", "stop"): "run_stop",
    }
    plain = tuple(n.removesuffix("_slow").removesuffix("_fast") for n in names)
    if plain in special:
        return special[plain]
    return names[0] if len(names) == 1 else "+".join(n.replace("_slightly", "") for n in plain)


def _events(signals: Signals, inside: list[Segment]) -> list[Segment] | None:
    """The segments to describe; None where one of them is not clear."""
    events: list[Segment] = []
    for index, segment in enumerate(inside):
        unclear = segment.kind in ("travel", "curve") and not segment.gait
        ordinary = signals.ordinary(segment.start, segment.end, segment.gait)
        if segment.kind == "jump" or unclear or not ordinary:
            return None
        edge = index in (0, len(inside) - 1)
        brief = segment.kind == "stand" and len(segment) < signals.frames(_PAUSE)
        very_brief = len(segment) < signals.frames(0.5) and len(inside) > 1
        if not brief or (edge and not very_brief):
            events.append(segment)
    return events


def _event(
    signals: Signals, events: list[Segment], index: int, mentioned: str
) -> tuple[str, Clauses] | None:
    """Name and clauses of one event of a sequence."""
    segment = events[index]
    if segment.kind == "turn":
        size = abs(segment.degrees)
        # Between a half and a full turn, and beyond, the words are ambiguous; so are small turns
        # among other events.
        if 222.0 < size < 320.0 or size > 420.0 or (size < _SMALL_TURN and len(events) > 2):
            return None
        walking = segment.length > _WALKING_TURN
        if walking and (not segment.gait or (size < _SMALL_TURN and len(events) == 1)):
            return None
        alone = not any(event.kind in ("travel", "curve") for event in events)
        return _turn_name(segment), turn_clauses(segment, alone)
    if segment.kind == "curve":
        if abs(segment.degrees) > 235.0:
            return None
        runs = "run_" if segment.gait == "run" else ""
        shape = "half_circle" if abs(segment.degrees) >= 150 else "curve"
        return f"{runs}{shape}_{segment.side}", curve_clauses(segment, len(events) == 1)
    if segment.kind == "stand":
        return _stand(signals, events, index)
    return _travel(signals, events, index, mentioned) if segment.kind == "travel" else None


def _turn_name(segment: Segment) -> str:
    size = abs(segment.degrees)
    if size > 320:
        return f"spin_{segment.side}"
    if size >= 145:
        return "turn_around"
    return f"turn_{segment.side}" if size >= 62 else f"turn_slightly_{segment.side}"


def _stand(signals: Signals, events: list[Segment], index: int) -> tuple[str, Clauses] | None:
    segment = events[index]
    fastest = float(np.percentile(signals.limb_speed[segment.start : segment.end], 85))
    height = float(np.percentile(signals.height[segment.start : segment.end], 20))
    if height < 0.92 or fastest > (_STILL if len(events) == 1 else _CALM):
        return None
    if len(events) == 1:
        return "stand", clauses("stand")
    if index == 0:
        return "stand", clauses("stand_first")
    if index < len(events) - 1:
        return "stop", clauses("stop_between")
    if events[index - 1].kind in ("travel", "curve"):
        return "stop", clauses("stop_last")
    return "stand", clauses("stand_last")


def _travel(
    signals: Signals, events: list[Segment], index: int, mentioned: str
) -> tuple[str, Clauses] | None:
    segment = events[index]
    name = {"forward": "", "backward": "back", "left": "side_left", "right": "side_right"}.get(
        segment.direction, segment.direction.replace("diagonal ", "diagonal_")
    )
    if not name:
        name = "run" if segment.gait == "run" else "walk"
        speed = pace(segment, mentioned)
        name += {"slow": "_slow", "fast": "_fast", "sprint": "_fast"}.get(speed, "")
    elif segment.gait == "run":
        return None
    if segment.direction == "forward" and abs(segment.degrees) > 40.0:
        return None
    usual = travel_clauses(segment, mentioned)
    if index == 0 or segment.direction != "forward":
        return name, usual
    verb, noun = verb_and_noun(segment.gait)
    values = {"verb": verb, "noun": noun, "base": verb[:-1]}
    before = events[index - 1]
    if before.kind in ("turn", "curve"):
        if index >= 2 and _goes_back(signals, events, index):
            return name, clauses("come_back", **values)
        walking = before.kind == "curve" or before.length > _ON_THE_WAY
        continues = walking or (index >= 2 and events[index - 2].kind == "travel")
        return name, clauses("keep_going" if continues else "go_off", **values)
    if before.kind == "stand" and index == 1:
        return name, clauses("start_from_stand", **values) + Clauses((), usual.plain)
    if before.kind == "stand":
        return name, clauses("go_again", **values)
    if before.kind == "travel" and before.direction == "forward":
        return None if before.gait == segment.gait else (name, clauses("change_gait", **values))
    return name, usual


def _goes_back(signals: Signals, events: list[Segment], index: int) -> bool:
    """Whether travel leads against the direction before the turn."""
    first, turn, segment = events[index - 2 : index + 1]
    if first.kind != "travel" or first.direction != "forward" or abs(turn.degrees) < 130:
        return False
    return _opposite(signals, first, segment)


def _opposite(signals: Signals, a: Segment, b: Segment) -> bool:
    """Whether two segments lead in opposite directions."""
    steps = [signals.path[s.end - 1] - signals.path[s.start] for s in (a, b)]
    first, second = (step / max(float(np.linalg.norm(step)), 1e-9) for step in steps)
    return bool(first @ second < -np.cos(np.radians(_BACK)))


# --- carriage of the body ---------------------------------------------------------------------
def carriage_of(signals: Signals, start: int, end: int) -> str | None:
    """How the body is carried through a walk, if in one clear way.

    Returns:
        Name of the carriage; '' if ordinary, None if neither ordinary nor one clear carriage.
    """
    if signals.ordinary(start, end, "walk"):
        return _knees(signals, start, end)
    span = slice(start, end)
    stooped = np.percentile(signals.lean[span], 15) > _STOOP[0]
    upright = np.percentile(signals.lean[span], 85) < _UPRIGHT
    tall = np.percentile(signals.height[span], 10) > _TALL
    if upright and tall:
        return _arms(signals, span)
    if stooped and tall and signals.lean[span].max() < _STOOP[1]:
        return "stooped"
    low = np.percentile(signals.height[span], 85) < _CROUCH
    return "crouched" if low else None


def carriage_phrases(carriage: str | None) -> tuple[str, ...]:
    """Phrases that follow the verb ('with both arms out to the sides'); none for ordinary."""
    return tuple(table("auto_captions")["carriage"][carriage]) if carriage else ()


def _arms(signals: Signals, span: slice) -> str | None:
    hands = [signals.hand[side][span] for side in SIDES]
    for name, axis, distance in (("arms_out", 1, _OUT), ("arms_ahead", 0, _AHEAD)):
        held = [(np.abs(hand[:, 2]) < _LEVEL) & (hand[:, axis] > distance) for hand in hands]
        if np.all(held, axis=0).mean() > _ARMS_SHARE:
            return name
    up = np.all([signals.over_head[side][span] > 0.1 for side in SIDES], axis=0)
    return "arms_up" if up.mean() > _SHARE else None


def _knees(signals: Signals, start: int, end: int) -> str | None:
    """'march' for knees that come up high in each step, '' for ordinary steps, None if unclear."""
    t = signals.tracks
    peaks = []
    for side in SIDES:
        lift = (t.joint(f"{side}_knee") - t.joint(f"{side}_hip"))[start:end, 2]
        found, _ = find_peaks(lift, prominence=0.05)
        peaks.append(lift[found])
    if min(map(len, peaks)) >= 2 and min(float(p.min()) for p in peaks) > _HIGH_KNEE:
        return "march"
    return None if any(len(p) and p.max() > _NO_STEP for p in peaks) else ""
