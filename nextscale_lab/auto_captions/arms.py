"""Quick actions of arms: waves, punches, claps and throws; each told by clear geometry."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from nextscale_lab.auto_captions.body import SIDES, Body
from nextscale_lab.auto_captions.clauses import Clauses
from nextscale_lab.auto_captions.guards import speaks
from nextscale_lab.data.tracks import other, runs_of


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
    return "" if count == 1 else {2: " twice", 3: " three times"}.get(count, " several times")


def number(count: int) -> str:
    """'two', 'three', 'several'."""
    return {2: "two", 3: "three", 4: "four"}.get(count, "several")


# --- waves ----------------------------------------------------------------------------------
def waves(body: Body, description: str) -> list[Action]:
    """A raised hand, only where the description is of a wave: wiping a window looks the same."""
    if not speaks(description, r"^wave( hello)?$"):
        return []
    out = []
    frames = body.signals.frames
    for side in SIDES:
        for start, end in runs_of(body.hand[side][:, 2] > -0.1, frames(0.8), bridge=frames(0.1)):
            first, last = max(start - frames(0.6), 0), min(end + frames(0.5), len(body.signals))
            if not body.hand_rests(other(side), first, last) or not body.stays(first, last):
                continue
            plain = (f"waves the {side} hand", f"waves with the {side} hand", "waves")
            more = (f"raises the {side} hand and waves", f"waves hello with the {side} hand")
            out.append(Action(f"wave_{side}", first, last, plain, (*more, f"waves the {side} arm")))
    return out


# --- punches --------------------------------------------------------------------------------
_FIGHTS = r"punch|strike|boxing|\bbox\b|attack|fists"
_PUNCH_SPEED, _PUNCH_REACH, _PUNCH_BACK = 1.7, 0.38, 0.17  # [m/s], [m], [m]
_JAB_SPEED, _JAB_REACH = 1.3, 0.32  # of what may be a punch
_PUNCH_HEIGHT = (-0.22, 0.24)  # of the wrist against the shoulder [m]
_BETWEEN_PUNCHES = 1.3  # [s]
_STEP_HEIGHT = 0.22  # a foot lifted higher does more than step [m]
_CHUNKS = (3, 5, 2, 8)  # long rows of punches are cut into windows of so many


def punches(body: Body, description: str) -> list[Action]:
    """Fast straight extensions of an arm at the height of the chest, and back."""
    if not speaks(description, _FIGHTS):
        return []
    hits = sorted((at, side) for side in SIDES for at in _hits(body, side, True))
    jabs = {side: _hits(body, side, False) for side in SIDES}
    rows: list[list[tuple[int, str]]] = []
    for hit in hits:
        if rows and hit[0] - rows[-1][-1][0] < body.signals.frames(_BETWEEN_PUNCHES):
            rows[-1].append(hit)
        else:
            rows.append([hit])
    out = []
    for row in rows:
        for part, start, end in _chunks(body, row):
            seen = sum(start < at < end for side in SIDES for at in jabs[side])
            action = _punch_row(body, part, start, end, seen > len(part))
            if action is not None:
                out.append(action)
    return out


def _hits(body: Body, side: str, certain: bool) -> list[int]:
    """Frames of the furthest reach of punches; of all that may be one where not `certain`."""
    frames = body.signals.frames
    speed, least = (_PUNCH_SPEED, _PUNCH_REACH) if certain else (_JAB_SPEED, _JAB_REACH)
    reach = body.signals.tracks.smooth(body.hand[side][:, 0], 0.03)
    peaks, _ = find_peaks(reach, height=least, prominence=0.12)
    out = []
    for at in map(int, peaks):
        before = slice(max(at - frames(0.4), 0), at + 1)
        if float(body.hand_speed[side][before].max()) < speed:
            continue
        back = float(reach[at] - reach[at : at + frames(0.9)].min())
        drawn = float(reach[before].min()) < 0.25
        height = body.hand[side][before, 2]
        level = height.max() < _PUNCH_HEIGHT[1] and height[-1] > _PUNCH_HEIGHT[0]
        straight = np.ptp(height) < reach[at] - reach[before].min() + 0.05
        if not certain or (back > _PUNCH_BACK and drawn and level and straight):
            out.append(at)
    return out


def _chunks(body: Body, row: list[tuple[int, str]]) -> list[tuple[list[tuple[int, str]], int, int]]:
    """A row of punches whole, or cut between punches where it is long."""
    frames, last = body.signals.frames, len(body.signals)
    start, end = max(row[0][0] - frames(0.9), 0), min(row[-1][0] + frames(0.8), last)
    if len(row) <= 4 and body.signals.seconds(start, end) < 5.0:
        return [(row, start, end)]
    out: list[tuple[list[tuple[int, str]], int, int]] = []
    at = 0
    for size in itertools.cycle(_CHUNKS):
        part = row[at : at + size]
        if not part:
            return out
        a = start if at == 0 else (row[at - 1][0] + row[at][0]) // 2
        after = at + len(part)
        b = end if after == len(row) else (row[after - 1][0] + row[after][0]) // 2
        out.append((part, a, b))
        at = after
    return out


def _punch_row(
    body: Body, row: list[tuple[int, str]], start: int, end: int, more_unsure: bool
) -> Action | None:
    feet = max(float(body.foot_height[side][start:end].max()) for side in SIDES)
    if body.way(start, end) > 0.9 or body.turned(start, end) > 100.0 or feet > _STEP_HEIGHT:
        return None
    pairs = itertools.pairwise(row)
    if any(a[1] != b[1] and b[0] - a[0] < body.signals.frames(0.15) for a, b in pairs):
        return None  # both hands at once push, swing or reach
    sides, count = {side for _, side in row}, len(row)
    if len(sides) == 2:
        plain: Clauses = ("punches", "throws punches", "throws some punches")
        more: Clauses = (
            "punches with both hands",
            "throws punches with the left and right hand",
            "punches with one hand and then the other",
            "boxes in the air",
        )
        return Action("punch_both", start, end, plain, more)
    if more_unsure:
        return None
    side = row[0][1]
    plain = (f"punches with the {side} hand{times(count)}", f"punches{times(count)}")
    more = (
        f"throws a {side} punch",
        f"throws a punch with the {side} hand",
        f"punches forward with the {side} fist",
    )
    if count > 1:
        more = (
            f"throws {number(count)} punches with the {side} hand",
            f"punches{times(count)} with the {side} fist",
        )
    return Action(f"punch_{side}", start, end, plain, more)


# --- claps ----------------------------------------------------------------------------------
_PALM = 0.09  # from wrist to palm [m]
_MEET, _PART, _LEVEL = 0.16, 0.10, 0.07  # palms at a clap; rise between claps; height [m]
_CLAP_SECONDS = (0.22, 0.75)


def claps(body: Body) -> list[Action]:
    """Palms that meet in front again and again, evenly."""
    t, frames = body.signals.tracks, body.signals.frames
    palms = {}
    for side in SIDES:
        wrist = t.joint(f"{side}_wrist")
        along = wrist - t.joint(f"{side}_elbow")
        palms[side] = wrist + _PALM * along / np.linalg.norm(along, axis=1, keepdims=True)
    between = palms["left"] - palms["right"]
    gap = np.linalg.norm(between, axis=1)
    meets, _ = find_peaks(-body.hands_apart, prominence=_PART)
    ahead = np.minimum(body.hand["left"][:, 0], body.hand["right"][:, 0])
    height = (body.hand["left"][:, 2] + body.hand["right"][:, 2]) / 2
    rows: list[list[int]] = []
    for at in map(int, meets):
        near = slice(max(at - 1, 0), at + 2)
        meet = gap[near].min() < _MEET and np.abs(between[near, 2]).min() < _LEVEL
        if not meet or ahead[at] < 0.05 or not -0.25 < height[at] < 0.2:
            continue
        if rows and at - rows[-1][-1] < frames(_CLAP_SECONDS[1]):
            rows[-1].append(at)
        else:
            rows.append([at])
    out = []
    for row in rows:
        steps = np.diff(row) / body.signals.clip.fps
        if len(row) < 3 or steps.std() > 0.35 * steps.mean() or steps.min() < _CLAP_SECONDS[0]:
            continue
        start, end = max(row[0] - frames(0.6), 0), min(row[-1] + frames(0.6), len(gap))
        if not body.stays(start, end, 0.4, 60.0):
            continue
        plain: Clauses = ("claps", "claps the hands", "claps both hands together")
        more = (f"claps{times(len(row))}", f"claps the hands{times(len(row))}", "claps in front")
        out.append(Action("clap", start, end, plain, more))
    return out


# --- throws ---------------------------------------------------------------------------------
_THROW_SPEED, _SWEEP = 2.6, 0.40  # of the wrist [m/s]; its way forward [m]
_TOSS_SPEED, _TOSS_SWEEP = 3.3, 0.5


def throws(body: Body, description: str) -> list[Action]:
    """One hand that sweeps forward fast from above the shoulder, or low for a toss."""
    if not speaks(description, r"throw(?! punch)|toss") or speaks(description, r"jump|free throw"):
        return []
    out = []
    frames = body.signals.frames
    for side in SIDES:
        hand, speed = body.hand[side], body.hand_speed[side]
        fast, _ = find_peaks(speed, height=_THROW_SPEED, distance=frames(0.8))
        for at in map(int, fast):
            start, end = max(at - frames(1.3), 0), min(at + frames(0.9), len(hand))
            drawn = hand[max(at - frames(0.4), 0) : at + 1]
            sweep = float(hand[at : at + frames(0.35), 0].max(initial=-1.0) - drawn[:, 0].min())
            # Higher up or without a draw it may be a catch.
            over = 0.1 < drawn[:, 2].max() < 0.36 and sweep > _SWEEP and drawn[:, 0].min() < 0.08
            under = speaks(description, "toss") and speed[at] > _TOSS_SPEED and sweep > _TOSS_SWEEP
            if not (over or under) or not body.stays(start, end, 0.9, 100.0):
                continue
            near = slice(max(at - frames(0.3), 0), at + frames(0.2))
            if body.hand_speed[other(side)][near].max() > 0.75 * speed[at]:
                continue
            plain: Clauses = ("throws something", "throws a ball", f"throws with the {side} hand")
            more: Clauses = (
                f"throws a ball with the {side} hand",
                f"throws something with the {side} arm",
                *((f"throws a ball overhand with the {side} hand",) if over else ()),
                *((f"tosses something with the {side} hand",) if not over else ()),
            )
            out.append(Action(f"throw_{side}", start, end, plain, more))
    return out
