"""Clauses for one segment or loop: travel, turns, curves, circles and figures of eight."""

from __future__ import annotations

from nextscale_lab.auto_captions.clauses import Clauses, clauses
from nextscale_lab.auto_captions.loops import Loop
from nextscale_lab.auto_captions.segments import Segment

_SLOW, _FAST = 0.72, 1.62  # walks that are called slow and fast [m/s]
_SLOW_MENTIONED, _FAST_MENTIONED = 0.92, 1.25  # where the description mentions the pace [m/s]
_SLOW_LENGTH = 0.7  # minimum path of a slow walk [m]
_SPRINT = 3.3  # runs that are called sprints [m/s]
_WALKING_TURN = 0.8  # path of a turn that is described as a walk [m]
_STRAIGHT = 9.0  # maximum net turn of a straight path [deg]


def verb_and_noun(gait: str) -> tuple[str, str]:
    """'walks' and 'walking', or 'runs' and 'running'."""
    return ("runs", "running") if gait == "run" else ("walks", "walking")


def _clock(degrees: float) -> str:
    return "counterclockwise" if degrees > 0 else "clockwise"


def pace(segment: Segment, mentioned: str = "") -> str:
    """'slow', 'fast' or '' for a walk; 'sprint' or '' for a run.

    Args:
        segment: Travel or a curve.
        mentioned: 'slow' or 'fast' where the description mentions it.
    """
    if segment.gait == "run":
        return "sprint" if segment.speed > _SPRINT else ""
    if segment.gait != "walk":
        return ""
    slow = segment.top_speed < (_SLOW_MENTIONED if mentioned == "slow" else _SLOW)
    if slow and mentioned != "fast" and segment.length > _SLOW_LENGTH:
        return "slow"
    fast = segment.speed > (_FAST_MENTIONED if mentioned == "fast" else _FAST)
    return "fast" if fast and mentioned != "slow" else ""


def travel_clauses(segment: Segment, mentioned: str = "") -> Clauses:
    """Clauses for a walk or run in one direction; `mentioned` as in `pace`."""
    speed = pace(segment, mentioned)
    straight = abs(segment.degrees) < _STRAIGHT
    if segment.direction == "forward" and segment.gait == "run":
        if speed == "sprint":
            return clauses("sprint")
        return clauses("run") + (clauses("run_straight") if straight else Clauses())
    if segment.direction == "forward":
        if speed:
            return clauses(f"walk_{speed}")
        detail = "walk_straight" if straight and segment.length > 1.5 else "walk_normal"
        return clauses("walk") + clauses(detail)
    if segment.direction == "backward":
        slowly = " slowly" if speed == "slow" and segment.length > 1.0 else ""
        plain = clauses("step_back" if segment.length < 1.3 else "walk_back")
        return plain + clauses("go_back", slowly=slowly)
    side = segment.direction.split(" ")[-1]
    if segment.direction.startswith("diagonal"):
        return clauses("diagonal", side=side)
    plain = clauses("sideways_short" if segment.length < 1.2 else "sideways", side=side)
    return plain + clauses("go_sideways", side=side)


def turn_clauses(segment: Segment, alone: bool = True) -> Clauses:
    """Clauses for a turn, with degrees near round numbers only.

    Args:
        segment: The turn.
        alone: No other clause states that the person walks meanwhile.
    """
    side, size = segment.side, abs(segment.degrees)
    clock = _clock(segment.degrees)
    in_place = segment.length < 0.35
    if alone and segment.length > _WALKING_TURN and segment.gait and size < 222:
        verb, noun = verb_and_noun(segment.gait)
        name = "_slightly" if size < 62 else "" if size < 145 else "_around"
        return clauses(f"walk_and_turn{name}", side=side, verb=verb, noun=noun)
    if size < 62:
        exact = clauses("turn_45", side=side) if 38 < size < 52 else Clauses()
        return clauses("turn_slightly", side=side) + exact
    if size < 125:
        exact = clauses("turn_90", side=side) if 78 < size < 103 else Clauses()
        found = exact + clauses("turn", side=side)
        return found + (clauses("turn_in_place", side=side, clock=clock) if in_place else Clauses())
    if size < 145:
        return clauses("turn_far", side=side)
    if size < 222:
        found = clauses("turn_around", side=side, clock=clock)
        if 165 < size < 195:
            found += clauses("turn_180", side=side)
        return found + (clauses("turn_around_in_place") if in_place else Clauses())
    return clauses("spin" if size > 320 else "turn_very_far", side=side, clock=clock)


def curve_clauses(segment: Segment, alone: bool = True) -> Clauses:
    """Clauses for an evenly bent path.

    Args:
        segment: The curve.
        alone: The sentence has no other clause.
    """
    name = "curve" if alone else "curve_in_sequence"
    if abs(segment.degrees) >= 150:
        name = "half_circle"
    verb, _ = verb_and_noun(segment.gait)
    return clauses(name, side=segment.side, verb=verb, clock=_clock(segment.degrees))


def loop_clauses(loop: Loop, corners: bool = False) -> Clauses:
    """Clauses for a circle or a figure of eight.

    Args:
        loop: The loop.
        corners: The path is nearer to a square.
    """
    size, runs = abs(loop.degrees), loop.gait == "run"
    found = Clauses()
    for verb in ("runs", "jogs") if runs else ("walks",):
        if loop.kind == "eight":
            found += clauses("figure_eight", verb=verb)
            continue
        side = "left" if loop.degrees > 0 else "right"
        values = {"verb": verb, "side": side, "clock": _clock(loop.degrees)}
        found += clauses("circle", **values)
        found += clauses("circle_whole" if size > 330 else "circle_part", **values)
        if corners:
            square = clauses("square", **values)
            found = Clauses(found.plain, square.detailed + found.detailed[:2])
        if size > 600:
            found += clauses("circles", **values)
    if not runs and loop.speed < 0.62:
        found += clauses("circle_slow" if loop.kind == "circle" else "figure_eight_slow")
    return found
