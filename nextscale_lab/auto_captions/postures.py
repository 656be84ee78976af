"""Postures that one takes from standing: squats, bends, picking up, kneeling, sitting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nextscale_lab.auto_captions.arms import Action, number, times
from nextscale_lab.auto_captions.body import SIDES, Body
from nextscale_lab.auto_captions.clauses import Clauses
from nextscale_lab.auto_captions.guards import speaks
from nextscale_lab.data.tracks import runs_of

_LONGEST = 9.0  # [s]
_STANDING = 0.91  # pelvis against standing
_SQUAT, _SQUAT_KNEE, _SQUAT_LEAN = 0.68, 80.0, 48.0  # pelvis; knees and trunk [deg]
_BEND, _UPRIGHT, _BEND_KNEE = 55.0, 22.0, 75.0  # trunk, trunk before and after, knees [deg]
_REACH, _FLOOR_REACH = 0.5, 0.3  # wrist over the floor in picking up and in touching it [m]
_KNEE_DOWN, _KNEE_OFF = 0.13, 0.18  # knee over the floor that kneels, and that does not [m]
_SEAT = (0.30, 0.66)  # pelvis over the floor in sitting [m]


@dataclass(frozen=True)
class _Visit:
    """A posture between two times of standing.

    Attributes:
        rest: Last frame of standing before it, or None.
        first: First frame of the posture.
        last: Frame after its last.
        back: First frame of standing after it, or None.
    """

    rest: int | None
    first: int
    last: int
    back: int | None

    def span(self, body: Body, margin: float) -> tuple[int, int]:
        """Window with a little of the standing around."""
        frames = body.signals.frames
        begin = self.first if self.rest is None else self.rest - frames(margin)
        begin = max(begin, 0)
        end = self.last if self.back is None else self.back + frames(margin)
        return begin, min(end, begin + frames(_LONGEST), len(body.signals))


def _visits(
    body: Body, posture: np.ndarray, stands: np.ndarray, seconds: float, within: float
) -> Iterator[_Visit]:
    """Stretches of a posture that last `seconds`, with the standing at most `within` away."""
    frames = body.signals.frames
    for first, last in runs_of(posture, frames(seconds), bridge=frames(0.3)):
        early = max(first - frames(within), 0)
        before = np.flatnonzero(stands[early:first])
        after = np.flatnonzero(stands[last : last + frames(within)])
        rest = early + int(before[-1]) if len(before) else None
        yield _Visit(rest, first, last, last + int(after[0]) if len(after) else None)


def _on_the_floor(body: Body, visit: _Visit) -> bool:
    """Whether both feet stay on the floor and no knee touches it."""
    span = slice(visit.first, visit.last)
    feet = max(float(np.percentile(body.foot_height[side][span], 90)) for side in SIDES)
    knees = min(float(body.knee_height[side][span].min()) for side in SIDES)
    return feet < 0.12 and knees > _KNEE_OFF and body.signals.clearance[span].max() < 0.06


def squats(body: Body) -> list[Action]:
    """Both knees bend deep with the feet on the floor, from standing, once or in a row."""
    s, frames = body.signals, body.signals.frames
    knees = np.minimum(body.knee_bend["left"], body.knee_bend["right"])
    deep = (s.height < _SQUAT) & (knees > _SQUAT_KNEE)
    rows: list[list[_Visit]] = []
    for visit in _visits(body, deep, s.height > _STANDING, 0.2, 2.2):
        bent = s.lean[visit.first : visit.last].max() > _SQUAT_LEAN
        if visit.rest is None or bent or not _on_the_floor(body, visit):
            continue
        back = rows[-1][-1].back if rows else None
        if back is not None and visit.rest - back < frames(1.2):
            rows[-1].append(visit)
        else:
            rows.append([visit])
    out = []
    for row in rows:
        start, end = row[0].span(body, 0.3)[0], row[-1].span(body, 0.3)[1]
        while end - start > frames(_LONGEST) and len(row) > 1:
            row = row[:-1]
            end = row[-1].span(body, 0.3)[1]
        if body.stays(start, end, 0.4, 45.0) and s.clearance[start:end].max() < 0.08:
            out.append(_squat(len(row), row[-1].back is not None, start, end))
    return out


def _squat(count: int, rises: bool, start: int, end: int) -> Action:
    if count > 1:
        plain: Clauses = (f"squats{times(count)}", "does squats")
        more: Clauses = (f"does {number(count)} squats", f"squats down{times(count)}")
        return Action("squats", start, end, plain, more)
    if rises:
        plain = ("squats", "squats down and stands up", "squats down and stands back up")
        more = (
            "does a squat",
            "crouches down and gets back up",
            "bends the knees deep and stands up again",
        )
        return Action("squat", start, end, plain, more)
    plain = ("squats down", "squats", "crouches down")
    return Action("squat_down", start, end, plain, ("bends the knees and squats down",))


def bends(body: Body, description: str) -> list[Action]:
    """The trunk bends far forward from upright; with a hand at the floor it may pick up."""
    s = body.signals
    picks = speaks(description, r"pick|scoop|bend, lift|laundry")
    stands = (s.lean < _UPRIGHT) & (s.height > _STANDING)
    out = []
    for visit in _visits(body, s.lean > _BEND, stands, 0.2, 2.5):
        span = slice(visit.first, visit.last)
        long = visit.last - visit.first > s.frames(4.0)
        if visit.rest is None or long or not _on_the_floor(body, visit):
            continue
        start, end = visit.span(body, 0.35)
        if not body.stays(start, end, 0.5, 40.0) or s.clearance[start:end].max() > 0.08:
            continue
        lowest = min(float(body.wrist_height[side][span].min()) for side in SIDES)
        rises = visit.back is not None
        if picks and lowest < _REACH and rises:
            out.append(_pick_up(start, end))
        elif np.minimum(*body.knee_bend.values())[span].max() < _BEND_KNEE:
            out.append(_bend(rises, lowest < _FLOOR_REACH, start, end))
    return out


def _pick_up(start: int, end: int) -> Action:
    plain: Clauses = (
        "picks something up from the floor",
        "picks something up",
        "bends down and picks something up",
    )
    more: Clauses = (
        "bends over and picks up an object",
        "leans down, picks something up and stands up again",
        "bends down to pick something up from the ground",
    )
    return Action("pick_up", start, end, plain, more)


def _bend(rises: bool, to_floor: bool, start: int, end: int) -> Action:
    plain: Clauses = ("bends down", "bends over", "bends forward")
    more: Clauses = ("bends forward at the waist", "leans far forward")
    if rises:
        more = (*more, "bends down and stands up again", "bends over and straightens up again")
    if to_floor:
        more = (*more, "bends down and touches the floor", "reaches down to the floor")
    return Action("bend", start, end, plain, more)


def kneels(body: Body) -> list[Action]:
    """A knee on the floor under a low pelvis, the hands off the floor."""
    s, t = body.signals, body.signals.tracks
    hands = np.minimum(body.wrist_height["left"], body.wrist_height["right"])
    low = (t.pelvis_height < 0.72 * t.standing_height) & (t.pelvis_height > 0.25)
    low &= (s.lean < 42.0) & (hands > 0.2)
    kneel = {
        side: (body.knee_height[side] < _KNEE_DOWN) & low & (body.foot[side][:, 0] < -0.15)
        for side in SIDES
    }
    out = []
    for visit in _visits(body, kneel["left"] | kneel["right"], s.height > 0.9, 0.5, 3.0):
        start, end = visit.span(body, 0.3)
        if body.way(visit.first, visit.last) > 0.25 or not body.stays(start, end, 0.8, 90.0):
            continue
        both = all(kneel[side][visit.first : visit.last].mean() > 0.7 for side in SIDES)
        which = "both knees" if both else "one knee"
        plain: Clauses = ("kneels down", f"kneels down on {which}", f"goes down on {which}")
        more: Clauses = (f"gets down on {which}", "lowers down to kneel on the floor")
        if visit.rest is None:
            plain, more = ("kneels", f"kneels on {which}"), (f"kneels on the floor on {which}",)
        elif visit.back is not None:
            more = (*more, "kneels down and gets up again", f"goes down on {which} and stands up")
        out.append(Action("kneel", start, end, plain, more))
    return out


def sits(body: Body) -> list[Action]:
    """Thighs level, pelvis behind both feet at the height of a chair, trunk upright, still."""
    s, t = body.signals, body.signals.tracks
    sitting = (t.pelvis_height > _SEAT[0]) & (t.pelvis_height < _SEAT[1]) & (s.lean < 45.0)
    for side in SIDES:
        drop = t.joint(f"{side}_hip")[:, 2] - body.knee_height[side]
        ahead = t.local(t.joint(f"{side}_ankle") - t.joint("pelvis"))[:, 0]
        sitting &= (np.abs(drop) < 0.17) & (ahead > 0.22) & (body.foot_height[side] < 0.15)
    out = []
    for visit in _visits(body, sitting, s.height > 0.9, 0.8, 2.5):
        start, end = visit.span(body, 0.3)
        if body.way(visit.first, visit.last) > 0.2 or not body.stays(start, end, 0.8, 70.0):
            continue
        words: dict[tuple[bool, bool], tuple[Clauses, Clauses]] = {
            (False, False): (("sits", "sits on a chair"), ("sits still on a seat",)),
            (True, False): (("sits down", "sits down on a chair"), ("takes a seat",)),
            (False, True): (("stands up", "stands up from a chair"), ("gets up from a seat",)),
            (True, True): (("sits down and stands up",), ("sits down on a chair and gets up",)),
        }
        kind = {(False, True): "stand_up"}.get((visit.rest is not None, visit.back is not None))
        plain, more = words[visit.rest is not None, visit.back is not None]
        out.append(Action(kind or "sit", start, end, plain, more))
    return out
