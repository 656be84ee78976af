"""Actions of trunk and legs: kicks, squats, bends, kneeling, sitting, one-legged stands."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from nextscale_core.evaluation.tracks import other, runs_of
from nextscale_core.training.narration.actions import Action, times
from nextscale_core.training.narration.body import SIDES, Body
from nextscale_core.training.narration.clauses import Clauses
from nextscale_core.training.narration.guards import speaks

# --- kicks ----------------------------------------------------------------------------------
_KICK_HEIGHT, _KICK_REACH, _KICK_SPEED = 0.42, 0.35, 3.2  # [m], [m], [m/s]
_KICK_UNTOLD = 0.65  # height where the description tells of no kick [m]


def kicks(body: Body, description: str) -> list[Action]:
    """A foot that swings up in front fast while the other stays on the floor."""
    told = speaks(description, r"kick|mawashi|karate")
    frames = body.signals.frames
    out = []
    for side in SIDES:
        height = body.foot_height[side]
        least = _KICK_HEIGHT if told else _KICK_UNTOLD
        peaks, _ = find_peaks(height, height=least, prominence=0.3, distance=frames(0.6))
        for at in map(int, peaks):
            around = slice(max(at - frames(0.5), 0), at + frames(0.5))
            near = slice(max(at - 3, 0), at + 4)
            ahead = body.foot[side][near, 0].max() > _KICK_REACH
            fast = body.foot_speed[side][around].max() > _KICK_SPEED
            stands = body.foot_height[other(side)][around].max() < 0.14
            straight = body.knee_bend[side][near].min() < 60.0
            start, end = max(at - frames(0.9), 0), min(at + frames(0.9), len(height))
            if not (ahead and fast and stands and straight) or not body.stays(start, end, 0.7, 120):
                continue
            plain = (f"kicks with the {side} leg", f"kicks with the {side} foot", "kicks")
            more: Clauses = (
                f"does a {side} kick",
                f"kicks the {side} leg up",
                f"kicks forward with the {side} leg",
            )
            if height[at] > 0.85:
                more = (
                    *more,
                    f"does a high kick with the {side} leg",
                    f"kicks high with the {side} foot",
                )
            out.append(Action(f"kick_{side}", start, end, plain, more))
    return out


# --- squats, bends, picking up --------------------------------------------------------------
_SQUAT, _SQUAT_KNEE = 0.68, 80.0  # pelvis against standing; knees [deg]
_STAND = 0.92
_BEND, _UPRIGHT = 55.0, 22.0  # trunk [deg]


def _feet_stand(body: Body, start: int, end: int) -> bool:
    lowest = [np.percentile(body.foot_height[side][start:end], 90) for side in SIDES]
    return bool(max(lowest) < 0.12)


def squats(body: Body) -> list[Action]:
    """Both knees bend deep with the feet on the floor, from standing and back."""
    s, frames = body.signals, body.signals.frames
    height = s.height
    knees = np.minimum(body.knee_bend["left"], body.knee_bend["right"])
    deep = runs_of((height < _SQUAT) & (knees > _SQUAT_KNEE), frames(0.2), bridge=frames(0.2))
    downs = []
    for first, last in deep:
        start = _last_true(height > _STAND, first, frames(2.0))
        end = _first_true(height > _STAND, last, frames(2.5))
        if start is None or s.lean[first:last].max() > 60.0 or s.clearance[first:last].max() > 0.06:
            continue
        if body.knee_height["left"][first:last].min() < 0.2:
            continue
        if body.knee_height["right"][first:last].min() < 0.2 or not _feet_stand(body, first, last):
            continue
        downs.append((start, first, last, end))
    out = []
    for row in _in_rows(downs, frames(1.2)):
        start = max(row[0][0] - frames(0.3), 0)
        rises = row[-1][3] is not None
        end = row[-1][3] + frames(0.3) if row[-1][3] is not None else row[-1][2]
        end = min(end, start + frames(9.0), len(s))
        if not body.stays(start, end, 0.4, 45.0) or s.clearance[start:end].max() > 0.08:
            continue
        count = len(row)
        if count > 1:
            plain: Clauses = (f"squats{times(count)}", f"does squats", f"squats down{times(count)}")
            more: Clauses = (
                f"does {_number(count)} squats",
                "squats down and stands up again and again"[:40],
            )
            more = more[:1]
        elif rises:
            plain = ("squats down and stands up", "squats down and stands back up", "squats")
            more = (
                "does a squat",
                "crouches down and gets back up",
                "bends the knees deep and stands up again",
            )
        else:
            plain, more = (
                ("squats down", "crouches down", "squats"),
                ("bends the knees and squats down",),
            )
        out.append(Action("squat" if count == 1 else "squats", start, end, plain, more))
    return out


def _number(count: int) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(count, "several")


def bends(body: Body, description: str) -> list[Action]:
    """The trunk bends far forward from upright; with a hand at the floor it may pick up."""
    s, frames = body.signals, body.signals.frames
    picks = speaks(description, r"pick|scoop|bend, lift|laundry")
    out = []
    for first, last in runs_of(s.lean > _BEND, frames(0.2), bridge=frames(0.3)):
        start = _last_true((s.lean < _UPRIGHT) & (s.height > 0.9), first, frames(2.2))
        end = _first_true((s.lean < _UPRIGHT) & (s.height > 0.9), last, frames(2.5))
        if start is None or last - first > frames(4.0) or not _feet_stand(body, first, last):
            continue
        if s.height[first:last].min() < 0.45 or _knee_down(body, first, last):
            continue
        rises = end is not None
        stop = (end + frames(0.3)) if end is not None else last
        begin = max(start - frames(0.4), 0)
        stop = min(stop, len(s))
        if not body.stays(begin, stop, 0.5, 60.0) or s.clearance[begin:stop].max() > 0.08:
            continue
        lowest = min(float(body.wrist_height[side][first:last].min()) for side in SIDES)
        if picks and lowest < 0.5 and rises:
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
            out.append(Action("pick_up", begin, stop, plain, more))
            continue
        squats_too = float(np.minimum(*body.knee_bend.values())[first:last].max()) > 75.0
        if squats_too:
            continue
        plain = ("bends down", "bends over", "bends forward")
        more = ("bends forward at the waist", "leans far forward")
        if rises:
            more = (*more, "bends down and stands up again", "bends over and straightens up again")
        if lowest < 0.3:
            more = (*more, "bends down and touches the floor", "reaches down to the floor")
        out.append(Action("bend", begin, stop, plain, more))
    return out


def _knee_down(body: Body, start: int, end: int) -> bool:
    return min(float(body.knee_height[s][start:end].min()) for s in SIDES) < 0.16


# --- kneeling, sitting, standing on one leg -------------------------------------------------
def kneels(body: Body) -> list[Action]:
    """A knee on the floor under a low pelvis."""
    s, frames = body.signals, body.signals.frames
    down = {side: body.knee_height[side] < 0.13 for side in SIDES}
    low = (s.tracks.pelvis_height < 0.72 * s.tracks.standing_height) & (s.lean < 50.0)
    behind = {side: body.foot[side][:, 0] < -0.15 for side in SIDES}
    kneel = {side: down[side] & low & behind[side] for side in SIDES}
    out = []
    for first, last in runs_of(kneel["left"] | kneel["right"], frames(0.5), bridge=frames(0.3)):
        if body.way(first, last) > 0.25 or s.tracks.pelvis_height[first:last].min() < 0.3:
            continue
        start = _last_true(s.height > 0.9, first, frames(3.0))
        end = _first_true(s.height > 0.9, last, frames(3.0))
        begin = max(first - frames(0.2) if start is None else start - frames(0.2), 0)
        stop = min(last if end is None else end + frames(0.2), begin + frames(9.0), len(s))
        if not body.stays(begin, stop, 0.7, 90.0):
            continue
        both = all(kneel[side][first:last].mean() > 0.7 for side in SIDES)
        which = "both knees" if both else "one knee"
        if start is None:
            plain: Clauses = ("kneels", f"kneels on {which}", "is kneeling on the floor")
            more: Clauses = (f"kneels on the floor on {which}",)
        else:
            plain = ("kneels down", f"kneels down on {which}", f"goes down on {which}")
            more = (f"gets down on {which}", "lowers down to kneel on the floor")
        if end is not None and start is not None:
            more = (
                *more,
                "kneels down and stands up again",
                f"goes down on {which} and gets up again",
            )
        out.append(Action("kneel", begin, stop, plain, more))
    return out


def sits(body: Body) -> list[Action]:
    """Thighs level, pelvis behind the feet at the height of a chair, trunk upright, still."""
    s, frames = body.signals, body.signals.frames
    t = s.tracks
    seat = t.pelvis_height
    level = np.ones(len(s), dtype=bool)
    for side in SIDES:
        thigh = t.joint(f"{side}_hip")[:, 2] - body.knee_height[side]
        ahead = t.local(t.joint(f"{side}_ankle") - t.joint("pelvis"))[:, 0]
        level &= (np.abs(thigh) < 0.17) & (ahead > 0.18) & (body.foot_height[side] < 0.15)
    sitting = level & (seat > 0.3) & (seat < 0.66) & (s.lean < 45.0)
    out = []
    for first, last in runs_of(sitting, frames(0.8), bridge=frames(0.3)):
        start = _last_true(s.height > 0.9, first, frames(2.5))
        end = _first_true(s.height > 0.9, last, frames(2.5))
        begin = max(first if start is None else start - frames(0.3), 0)
        stop = min(last if end is None else end + frames(0.3), begin + frames(9.0), len(s))
        if start is None and end is None:
            plain: Clauses = ("sits", "sits on a chair", "is sitting")
            more: Clauses = ("sits still on a seat",)
        elif end is None:
            plain, more = (
                ("sits down", "sits down on a chair"),
                ("takes a seat", "sits down and stays seated"),
            )
        elif start is None:
            plain, more = ("stands up", "stands up from a chair"), ("gets up from a seat",)
        else:
            plain, more = (
                ("sits down and stands up", "sits down and gets up"),
                ("sits down on a chair and stands up again",),
            )
        if body.stays(begin, stop, 0.8, 60.0):
            out.append(Action("sit", begin, stop, plain, more))
    return out


def one_leg_stands(body: Body) -> list[Action]:
    """One foot clear of the floor for a good while, the other standing still."""
    s, frames = body.signals, body.signals.frames
    out = []
    for side in SIDES:
        lifted = body.foot_height[other(side)] - body.foot_height[side] > 0.13
        stands = s.tracks.smooth(body.foot_height[side], 0.1) < 0.06
        for first, last in runs_of(lifted & stands & (s.speed < 0.25), frames(1.4)):
            last = min(last, first + frames(8.0))
            if s.lean[first:last].max() > 45.0 or not body.stays(first, last, 0.3, 60.0):
                continue
            begin, stop = max(first - frames(0.3), 0), min(last + frames(0.3), len(s))
            plain: Clauses = (
                f"stands on the {side} leg",
                "stands on one leg",
                "balances on one leg",
            )
            more: Clauses = (
                f"balances on the {side} leg",
                f"lifts the {other(side)} leg and balances",
            )
            more = (*more, f"stands on the {side} foot with the {other(side)} foot lifted")
            out.append(Action(f"one_leg_{side}", begin, stop, plain, more))
    return out


def jumping_jacks(body: Body, description: str) -> list[Action]:
    """Feet that open and close while the arms go up and down."""
    if not speaks(description, r"jumping jack"):
        return []
    s, frames = body.signals, body.signals.frames
    opens, _ = find_peaks(body.feet_apart, prominence=0.2, distance=frames(0.35))
    high = np.minimum(body.hand["left"][:, 2], body.hand["right"][:, 2])
    good = [int(a) for a in opens if high[max(a - 3, 0) : a + 4].max() > 0.05]
    rows: list[list[int]] = []
    for at in good:
        if rows and at - rows[-1][-1] < frames(1.6):
            rows[-1].append(at)
        else:
            rows.append([at])
    out = []
    for row in rows:
        if len(row) < 2 or np.ptp(high[row[0] : row[-1] + 1]) < 0.35:
            continue
        start = max(row[0] - frames(0.7), 0)
        end = min(row[-1] + frames(0.7), start + frames(9.0), len(s))
        number = _number(len(row)) if len(row) < 5 and row[-1] < end else "several"
        plain = ("does jumping jacks", "performs jumping jacks")
        more = (f"does {number} jumping jacks", "jumps while opening and closing arms and legs")
        out.append(Action("jumping_jacks", start, end, plain, more))
    return out


def _last_true(mask: np.ndarray, before: int, within: int) -> int | None:
    """Last frame of the mask in the `within` frames before a frame."""
    first = max(before - within, 0)
    found = np.flatnonzero(mask[first:before])
    return first + int(found[-1]) if len(found) else None


def _first_true(mask: np.ndarray, after: int, within: int) -> int | None:
    """First frame of the mask in the `within` frames from a frame on."""
    found = np.flatnonzero(mask[after : after + within])
    return after + int(found[0]) if len(found) else None


def _in_rows(
    downs: list[tuple[int, int, int, int | None]], gap: int
) -> list[list[tuple[int, int, int, int | None]]]:
    rows: list[list[tuple[int, int, int, int | None]]] = []
    for down in downs:
        last = rows[-1][-1] if rows else None
        if last is not None and last[3] is not None and down[0] - last[3] < gap:
            rows[-1].append(down)
        else:
            rows.append([down])
    return rows
