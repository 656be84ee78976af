"""Actions of arms: raises, waves, punches, claps and throws; each told by clear geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from nextscale_core.evaluation.tracks import other, runs_of
from nextscale_core.training.narration.body import SIDES, Body
from nextscale_core.training.narration.clauses import Clauses
from nextscale_core.training.narration.guards import speaks

TIMES = {1: "once", 2: "twice", 3: "three times", 4: "four times"}


@dataclass(frozen=True)
class Action:
    """Something that a person does on the spot.

    Attributes:
        kind: For balancing.
        start: First frame; the body is at rest or the action is about to begin.
        end: Frame after the last.
        plain: Shortest ways to say it.
        detailed: Ways that say more.
    """

    kind: str
    start: int
    end: int
    plain: Clauses
    detailed: Clauses


def times(count: int) -> str:
    """'', ' twice', ' three times' ... after a verb."""
    return "" if count == 1 else f" {TIMES.get(count, 'several times')}"


# --- raised arms ----------------------------------------------------------------------------
_UP = 0.05  # wrist over the middle of the head [m]
_DOWN = -0.25  # wrist under the shoulder before and after [m]
_LIFT_SECONDS = 1.6


def raised_arms(body: Body) -> list[Action]:
    """Arms that rise from below the shoulder to above the head, and stay there."""
    out = []
    frames = body.signals.frames
    spans = {side: _lifts(body, side) for side in SIDES}
    for first, hold, end in spans["left"]:
        partner = [s for s in spans["right"] if abs(s[0] - first) < frames(0.6)]
        if partner:
            span = min(first, partner[0][0]), max(end, partner[0][2])
            if abs(partner[0][1] - hold) < frames(0.5) and body.stays(*span):
                out.append(_both_arms(body, *span))
    for side in SIDES:
        for first, _, end in spans[side]:
            quiet = body.hand_rests(other(side), first, end)
            if quiet and body.stays(first, end) and body.upright(first, end):
                lowered = body.hand[side][end - 1, 2] < _DOWN + 0.1
                out.append(_one_arm(side, first, end, lowered))
    return out


def _lifts(body: Body, side: str) -> list[tuple[int, int, int]]:
    """(Start at rest, frame when up, end) of each lift of an arm."""
    frames = body.signals.frames
    low = body.hand[side][:, 2] < _DOWN
    found = []
    for up, down in runs_of(body.over_head[side] > _UP, frames(0.35), bridge=frames(0.15)):
        before = np.flatnonzero(low[max(up - frames(_LIFT_SECONDS), 0) : up])
        if len(before) == 0:
            continue
        start = max(up - frames(_LIFT_SECONDS), 0) + int(before[-1]) - frames(0.3)
        after = np.flatnonzero(low[down : down + frames(_LIFT_SECONDS)])
        if len(after):
            end = down + int(after[0]) + frames(0.3)
        else:
            end = min(down, up + frames(2.5))
        # A wave or a reach to and fro is more than a raise.
        swings = body.hand[side][up:down, :2]
        if len(swings) and np.ptp(swings, axis=0).max() > 0.35:
            continue
        found.append((max(start, 0), up, min(end, len(body.signals))))
    return found


def _one_arm(side: str, start: int, end: int, lowered: bool) -> Action:
    plain: Clauses = (
        f"raises the {side} arm",
        f"lifts the {side} arm up",
        f"raises the {side} hand",
    )
    more: Clauses = (
        f"raises the {side} arm above the head",
        f"puts the {side} hand up in the air",
        f"lifts the {side} hand high",
    )
    if lowered:
        more = (
            *more,
            f"raises the {side} arm and lowers it again",
            f"lifts the {side} arm up and puts it down",
        )
    return Action(f"raise_{side}", start, end, plain, more)


def _both_arms(body: Body, start: int, end: int) -> Action:
    lowered = all(body.hand[side][end - 1, 2] < _DOWN + 0.1 for side in SIDES)
    plain: Clauses = ("raises both arms", "raises the arms", "lifts both arms up")
    more: Clauses = (
        "raises both arms above the head",
        "puts both hands up in the air",
        "lifts the arms over the head",
    )
    if lowered:
        more = (
            *more,
            "raises both arms and lowers them again",
            "lifts both arms and puts them down",
        )
    return Action("raise_both", start, end, plain, more)


# --- waves ----------------------------------------------------------------------------------
_SWING = 0.07  # amplitude of the hand from turn to turn [m]


def waves(body: Body, description: str) -> list[Action]:
    """One raised hand that swings to and fro; only where the description speaks of it.

    Wiping a window looks the same.
    """
    if not speaks(description, r"\bwav|hello|traffic"):
        return []
    out = []
    frames = body.signals.frames
    for side in SIDES:
        hand = body.signals.tracks.smooth(body.hand[side], 0.05)
        for start, end in runs_of(hand[:, 2] > 0.0, frames(1.0), bridge=frames(0.1)):
            turns = _reversals(hand[start:end, 1])
            if len(turns) < 4 or np.diff(turns).max() > frames(0.9):
                continue
            first = max(start + int(turns[0]) - frames(0.9), 0)
            last = min(start + int(turns[-1]) + frames(0.7), len(body.signals))
            last = min(last, first + frames(6.0))
            if not body.hand_rests(other(side), first, last) or not body.stays(first, last):
                continue
            plain = (f"waves the {side} hand", f"waves with the {side} hand", "waves")
            more = (f"raises the {side} hand and waves", f"waves hello with the {side} hand")
            more = (*more, f"waves the {side} arm")
            out.append(Action(f"wave_{side}", first, last, plain, more))
    return out


def _reversals(track: np.ndarray) -> np.ndarray:
    """Frames at which a track turns back by more than the least swing."""
    highs, _ = find_peaks(track, prominence=_SWING)
    lows, _ = find_peaks(-track, prominence=_SWING)
    return np.sort(np.concatenate([highs, lows]))


# --- punches --------------------------------------------------------------------------------
_FIGHTS = r"punch|strike|boxing|\bbox\b|attack|fists"
_PUNCH_SPEED, _PUNCH_REACH, _PUNCH_BACK = 2.3, 0.42, 0.15  # [m/s], [m], [m]
_PUNCH_HEIGHT = (-0.22, 0.28)  # of the wrist against the shoulder [m]
_BETWEEN_PUNCHES = 1.3  # [s]


def punches(body: Body, description: str) -> list[Action]:
    """Fast straight extensions of an arm at the height of the chest, and back."""
    if not speaks(description, _FIGHTS):
        return []
    hits = sorted((at, side) for side in SIDES for at in _hits(body, side))
    rows: list[list[tuple[int, str]]] = []
    for hit in hits:
        if rows and hit[0] - rows[-1][-1][0] < body.signals.frames(_BETWEEN_PUNCHES):
            rows[-1].append(hit)
        else:
            rows.append([hit])
    return [a for row in rows for a in _punch_row(body, row)]


def _hits(body: Body, side: str) -> list[int]:
    frames = body.signals.frames
    reach = body.signals.tracks.smooth(body.hand[side][:, 0], 0.03)
    peaks, _ = find_peaks(reach, height=_PUNCH_REACH, prominence=_PUNCH_BACK)
    out = []
    for at in map(int, peaks):
        before = slice(max(at - frames(0.4), 0), at + 1)
        after = reach[at : at + frames(0.9)]
        height = body.hand[side][at, 2]
        quick = float(body.hand_speed[side][before].max()) > _PUNCH_SPEED
        drawn = float(reach[before].min()) < reach[at] - 0.2
        back = float(after.min()) < reach[at] - _PUNCH_BACK
        if quick and drawn and back and _PUNCH_HEIGHT[0] < height < _PUNCH_HEIGHT[1]:
            out.append(at)
    return out


def _punch_row(body: Body, row: list[tuple[int, str]]) -> list[Action]:
    frames = body.signals.frames
    start = max(row[0][0] - frames(0.9), 0)
    end = min(row[-1][0] + frames(0.8), len(body.signals))
    if body.signals.seconds(start, end) > 9.0:
        row = [hit for hit in row if hit[0] < start + frames(7.0)]
        end = min(row[-1][0] + frames(0.6), len(body.signals))
    if body.way(start, end) > 0.9 or body.turned(start, end) > 90.0:
        return []
    sides = {side for _, side in row}
    count = len(row)
    if len(sides) == 2:
        plain: Clauses = ("punches", "throws punches", "throws some punches")
        more: Clauses = (
            "punches with both hands",
            "throws punches with the left and right hand",
            "punches with one hand and then the other",
            "boxes in the air",
        )
        return [Action("punch_both", start, end, plain, more)]
    side = row[0][1]
    plain = (f"punches with the {side} hand{times(count)}", f"punches{times(count)}")
    more = (
        f"throws a {side} punch",
        f"throws a punch with the {side} hand",
        f"punches forward with the {side} fist",
    )
    if count > 1:
        number = {2: "two", 3: "three", 4: "four"}.get(count, "several")
        more = (
            f"throws {number} punches with the {side} hand",
            f"punches {times(count).strip()} with the {side} fist",
        )
    return [Action(f"punch_{side}", start, end, plain, more)]


# --- claps ----------------------------------------------------------------------------------
_MEET, _PART = 0.20, 0.10  # distance of the wrists when the hands meet; its rise between [m]


def claps(body: Body) -> list[Action]:
    """Hands that meet in front again and again, evenly."""
    t, frames = body.signals.tracks, body.signals.frames
    gap = body.hands_apart
    meets, _ = find_peaks(-gap, prominence=_PART)
    in_front = np.minimum(body.hand["left"][:, 0], body.hand["right"][:, 0]) > 0.05
    low = t.joint("pelvis")[:, 2]
    high = t.joint("head")[:, 2] + 0.1
    wrist = (body.wrist_height["left"] + body.wrist_height["right"]) / 2
    good = [int(m) for m in meets if gap[m] < _MEET and in_front[m] and low[m] < wrist[m] < high[m]]
    out = []
    rows: list[list[int]] = []
    for at in good:
        if rows and at - rows[-1][-1] < frames(1.0):
            rows[-1].append(at)
        else:
            rows.append([at])
    for row in rows:
        steps = np.diff(row)
        if len(row) < 3 or steps.std() > 0.4 * steps.mean() or np.ptp(gap[row]) > 0.1:
            continue
        start, end = max(row[0] - frames(0.6), 0), min(row[-1] + frames(0.6), len(gap))
        if not body.stays(start, end, 0.4, 60.0) or not body.upright(start, end):
            continue
        count = {3: " three times", 4: " four times"}.get(len(row), " several times")
        plain = ("claps", "claps the hands", "claps both hands together")
        more = (f"claps{count}", f"claps the hands{count}", "claps in front of the body")
        out.append(Action("clap", start, end, plain, more))
    return out


# --- throws ---------------------------------------------------------------------------------
_THROW_SPEED, _THROW_WAY = 3.6, 0.45  # of the wrist [m/s]; forward sweep [m]


def throws(body: Body, description: str) -> list[Action]:
    """One hand that sweeps forward fast from behind or above the shoulder."""
    if not speaks(description, r"throw|toss|strew"):
        return []
    out = []
    frames = body.signals.frames
    for side in SIDES:
        hand = body.hand[side]
        fast, _ = find_peaks(body.hand_speed[side], height=_THROW_SPEED, distance=frames(0.8))
        for at in map(int, fast):
            start, end = max(at - frames(1.2), 0), min(at + frames(0.9), len(hand))
            drawn = hand[max(at - frames(0.4), 0) : at + 1]
            sweep = hand[at : at + frames(0.35), 0].max(initial=-1.0) - drawn[:, 0].min()
            high = drawn[:, 2].max() > -0.1
            if sweep < _THROW_WAY or not high or not body.stays(start, end, 0.8, 100.0):
                continue
            if body.hand_speed[other(side)][start:end].max() > 0.8 * body.hand_speed[side][at]:
                continue
            plain = ("throws something", "throws a ball", f"throws something with the {side} hand")
            more = (f"throws a ball with the {side} hand", f"throws an object with the {side} arm")
            out.append(Action(f"throw_{side}", start, end, plain, more))
    return out
