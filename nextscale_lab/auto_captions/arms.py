"""Windows of arm actions: waves, punches, claps, throws, and arms that are lifted and held."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from nextscale_core.motion.tracks import SIDES, other, runs_of
from nextscale_lab.auto_captions.clauses import Clauses, Window, clauses, number, times
from nextscale_lab.auto_captions.filters import mentions
from nextscale_lab.auto_captions.signals import Signals


def grouped(frames: list[int], longest_gap: int) -> list[list[int]]:
    """Frame numbers in rows whose neighbours are less than `longest_gap` apart."""
    rows: list[list[int]] = []
    for at in frames:
        if rows and at - rows[-1][-1] < longest_gap:
            rows[-1].append(at)
        else:
            rows.append([at])
    return rows


def waves(signals: Signals, description: str) -> list[Window]:
    """A raised hand where the description is of a wave; wiping a window looks the same."""
    if not mentions(description, r"^wave( hello)?$"):
        return []
    out = []
    frames = signals.frames
    for side in SIDES:
        for start, end in runs_of(signals.hand[side][:, 2] > -0.1, frames(0.8), bridge=frames(0.1)):
            first, last = max(start - frames(0.6), 0), min(end + frames(0.5), len(signals))
            if signals.hand_rests(other(side), first, last) and signals.stays(first, last):
                out.append(Window(f"wave_{side}", first, last, (clauses("wave", side=side),)))
    return out


# --- punches --------------------------------------------------------------------------------
_FIGHTS = r"punch|strike|boxing|\bbox\b|attack|fists"
_PUNCH_SPEED, _PUNCH_REACH, _PUNCH_BACK = 1.7, 0.38, 0.17  # [m/s], [m], [m]
_JAB_SPEED, _JAB_REACH = 1.3, 0.32  # of a possible punch [m/s], [m]
_PUNCH_HEIGHT = (-0.22, 0.24)  # of the wrist relative to the shoulder [m]
_BETWEEN_PUNCHES = 1.3  # longest pause in a row of punches [s]
_STEP_HEIGHT = 0.22  # greatest lift of a foot in a step [m]
_CHUNKS = (3, 5, 2, 8)  # numbers of punches of the windows of a long row


def punches(signals: Signals, description: str) -> list[Window]:
    """Fast straight extensions of an arm at the height of the chest, and back."""
    if not mentions(description, _FIGHTS):
        return []
    hits = sorted((at, side) for side in SIDES for at in _hits(signals, side, True))
    jabs = [at for side in SIDES for at in _hits(signals, side, False)]
    rows: list[list[tuple[int, str]]] = []
    for hit in hits:
        if rows and hit[0] - rows[-1][-1][0] < signals.frames(_BETWEEN_PUNCHES):
            rows[-1].append(hit)
        else:
            rows.append([hit])
    out = []
    for row in rows:
        for part, start, end in _chunks(signals, row):
            possible = sum(start < at < end for at in jabs)
            window = _punch_row(signals, part, start, end, possible > len(part))
            if window is not None:
                out.append(window)
    return out


def _hits(signals: Signals, side: str, certain: bool) -> list[int]:
    """Frames of furthest reach of punches; of all possible punches where not `certain`."""
    frames = signals.frames
    speed, least = (_PUNCH_SPEED, _PUNCH_REACH) if certain else (_JAB_SPEED, _JAB_REACH)
    reach = signals.tracks.smooth(signals.hand[side][:, 0], 0.03)
    peaks, _ = find_peaks(reach, height=least, prominence=0.12)
    out = []
    for at in map(int, peaks):
        before = slice(max(at - frames(0.4), 0), at + 1)
        if float(signals.hand_speed[side][before].max()) < speed:
            continue
        back = float(reach[at] - reach[at : at + frames(0.9)].min())
        drawn = float(reach[before].min()) < 0.25
        height = signals.hand[side][before, 2]
        level = height.max() < _PUNCH_HEIGHT[1] and height[-1] > _PUNCH_HEIGHT[0]
        straight = np.ptp(height) < reach[at] - reach[before].min() + 0.05
        if not certain or (back > _PUNCH_BACK and drawn and level and straight):
            out.append(at)
    return out


def _chunks(
    signals: Signals, row: list[tuple[int, str]]
) -> list[tuple[list[tuple[int, str]], int, int]]:
    """A row of punches whole, or cut between punches where it is long."""
    frames, last = signals.frames, len(signals)
    start, end = max(row[0][0] - frames(0.9), 0), min(row[-1][0] + frames(0.8), last)
    if len(row) <= 4 and signals.seconds(start, end) < 5.0:
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
    signals: Signals, row: list[tuple[int, str]], start: int, end: int, more_possible: bool
) -> Window | None:
    feet = max(float(signals.foot_height[side][start:end].max()) for side in SIDES)
    if not signals.stays(start, end, 0.9, 100.0) or feet > _STEP_HEIGHT:
        return None
    pairs = itertools.pairwise(row)
    if any(a[1] != b[1] and b[0] - a[0] < signals.frames(0.15) for a, b in pairs):
        return None  # both hands at once push, swing or reach
    sides, count = {side for _, side in row}, len(row)
    if len(sides) == 2:
        return Window("punch_both", start, end, (clauses("punch_both"),))
    if more_possible:
        return None
    values = {"side": row[0][1], "times": times(count), "number": number(count)}
    detail = clauses("punch_once" if count == 1 else "punch_often", **values)
    return Window(f"punch_{row[0][1]}", start, end, (clauses("punch", **values) + detail,))


# --- claps ----------------------------------------------------------------------------------
_PALM = 0.09  # from wrist to palm [m]
_MEET, _PART, _PALMS_LEVEL = 0.16, 0.10, 0.07  # palms in a clap, rise between claps, height [m]
_CLAP_SECONDS = (0.22, 0.75)


def claps(signals: Signals) -> list[Window]:
    """Palms that meet in front repeatedly and evenly."""
    t, frames = signals.tracks, signals.frames
    palms = {}
    for side in SIDES:
        wrist = t.joint(f"{side}_wrist")
        along = wrist - t.joint(f"{side}_elbow")
        palms[side] = wrist + _PALM * along / np.linalg.norm(along, axis=1, keepdims=True)
    between = palms["left"] - palms["right"]
    gap = np.linalg.norm(between, axis=1)
    wrists_apart = np.linalg.norm(t.joint("left_wrist") - t.joint("right_wrist"), axis=1)
    peaks, _ = find_peaks(-wrists_apart, prominence=_PART)
    ahead = np.minimum(signals.hand["left"][:, 0], signals.hand["right"][:, 0])
    height = (signals.hand["left"][:, 2] + signals.hand["right"][:, 2]) / 2
    meets = []
    for at in map(int, peaks):
        near = slice(max(at - 1, 0), at + 2)
        meet = gap[near].min() < _MEET and np.abs(between[near, 2]).min() < _PALMS_LEVEL
        if meet and ahead[at] >= 0.05 and -0.25 < height[at] < 0.2:
            meets.append(at)
    out = []
    for row in grouped(meets, frames(_CLAP_SECONDS[1])):
        steps = np.diff(row) / signals.clip.fps
        if len(row) < 3 or steps.std() > 0.35 * steps.mean() or steps.min() < _CLAP_SECONDS[0]:
            continue
        start, end = max(row[0] - frames(0.6), 0), min(row[-1] + frames(0.6), len(gap))
        if signals.stays(start, end, 0.4, 60.0):
            out.append(Window("clap", start, end, (clauses("clap", times=times(len(row))),)))
    return out


# --- throws ---------------------------------------------------------------------------------
_THROW_SPEED, _SWEEP = 2.6, 0.40  # of the wrist [m/s]; its path forward [m]
_TOSS_SPEED, _TOSS_SWEEP = 3.3, 0.5


def throws(signals: Signals, description: str) -> list[Window]:
    """One hand that sweeps forward fast from above the shoulder, or low for a toss."""
    toss = mentions(description, "toss")
    thrown = toss or mentions(description, r"throw(?! punch)")
    if not thrown or mentions(description, r"jump|free throw"):
        return []
    out = []
    frames = signals.frames
    for side in SIDES:
        hand, speed = signals.hand[side], signals.hand_speed[side]
        fast, _ = find_peaks(speed, height=_THROW_SPEED, distance=frames(0.8))
        for at in map(int, fast):
            start, end = max(at - frames(1.3), 0), min(at + frames(0.9), len(hand))
            drawn = hand[max(at - frames(0.4), 0) : at + 1]
            sweep = float(hand[at : at + frames(0.35), 0].max(initial=-1.0) - drawn[:, 0].min())
            # Higher up or without a draw it may be a catch.
            over = 0.1 < drawn[:, 2].max() < 0.36 and sweep > _SWEEP and drawn[:, 0].min() < 0.08
            under = toss and speed[at] > _TOSS_SPEED and sweep > _TOSS_SWEEP
            if not (over or under) or not signals.stays(start, end, 0.9, 100.0):
                continue
            near = slice(max(at - frames(0.3), 0), at + frames(0.2))
            if signals.hand_speed[other(side)][near].max() > 0.75 * speed[at]:
                continue
            detail = clauses("throw_overhand" if over else "throw_underhand", side=side)
            part = clauses("throw", side=side) + detail
            out.append(Window(f"throw_{side}", start, end, (part,)))
    return out


# --- arms that are lifted and held ------------------------------------------------------------
_OVER_HEAD, _OVER_SHOULDER = 0.12, 0.36  # wrist over the middle of the head, over the shoulder [m]
_OUT, _LEVEL = 0.40, 0.14  # distance of the wrist from the shoulder, and height difference [m]
_DOWN = -0.25  # wrist under the shoulder before and after [m]
_FOOT_UP = 0.2  # greatest lift of a foot in a step [m]
_LIFT_SECONDS, _HOLD_SECONDS, _LONGEST = 1.8, 0.3, 5.0
_STILL, _SLOW = 0.35, 0.8  # range [m] and median speed [m/s] of a held hand


@dataclass(frozen=True)
class _Lift:
    """Frames of an arm that goes from rest to a held pose."""

    start: int
    held: int
    end: int


def held_arms(signals: Signals) -> list[Window]:
    """One or both arms that rise from rest into a pose and stay there for a moment."""
    out: list[Window] = []
    for pose in ("up", "side", "front"):
        lifts = {side: _lifts(signals, side, pose) for side in SIDES}
        for left in lifts["left"]:
            for right in lifts["right"]:
                out.extend(_both_arms(signals, pose, left, right))
        for side in SIDES:
            for lift in lifts[side]:
                end = _upright_until(signals, lift)
                if end <= lift.held or not signals.stays(lift.start, end):
                    continue
                if signals.hand_rests(other(side), lift.start, end):
                    part = clauses(f"arm_{pose}", side=side)
                    if signals.hand[side][end - 1, 2] < _DOWN + 0.1:
                        part += Clauses((), (f"{part.plain[0]} and lowers it again",))
                    kind = f"raise_{side}" if pose == "up" else f"arm_{pose}_{side}"
                    out.append(Window(kind, lift.start, end, (part,)))
    return out


def _in_pose(signals: Signals, side: str, pose: str) -> np.ndarray:
    hand = signals.hand[side]
    if pose == "up":
        return (signals.over_head[side] > _OVER_HEAD) & (hand[:, 2] > _OVER_SHOULDER)
    level = np.abs(hand[:, 2]) < _LEVEL
    along, across = (hand[:, 1], hand[:, 0]) if pose == "side" else (hand[:, 0], hand[:, 1])
    return (along > _OUT) & (np.abs(across) < 0.2) & level


def _lifts(signals: Signals, side: str, pose: str) -> list[_Lift]:
    frames = signals.frames
    low = signals.hand[side][:, 2] < _DOWN
    found = []
    for up, down in runs_of(_in_pose(signals, side, pose), frames(_HOLD_SECONDS), bridge=2):
        earliest = max(up - frames(_LIFT_SECONDS), 0)
        before = np.flatnonzero(low[earliest:up])
        # A moving hand waves, wipes or reaches.
        moves = np.ptp(signals.hand[side][up:down, :2], axis=0).max() > _STILL
        quick = np.median(signals.hand_speed[side][up:down]) > _SLOW
        if len(before) == 0 or moves or quick:
            continue
        start = max(earliest + int(before[-1]) - frames(0.3), 0)
        after = np.flatnonzero(low[down : down + frames(_LIFT_SECONDS)])
        end = down + int(after[0]) + frames(0.3) if len(after) else down
        end = min(end, start + frames(_LONGEST), len(signals))
        if end > up:
            found.append(_Lift(start, up, end))
    return found


def _upright_until(signals: Signals, lift: _Lift) -> int:
    """First frame of the lift with another movement of the body, or its end."""
    span = slice(lift.start, lift.end)
    busy = (signals.lean[span] > 26.0) | (signals.height[span] < 0.88)
    busy |= signals.clearance[span] > 0.06
    for side in SIDES:
        busy |= signals.foot_height[side][span] > _FOOT_UP
    first = np.flatnonzero(busy)
    return lift.start + int(first[0]) if len(first) else lift.end


def _both_arms(signals: Signals, pose: str, left: _Lift, right: _Lift) -> list[Window]:
    frames = signals.frames
    if abs(left.held - right.held) > frames(0.5) or abs(left.end - right.end) > frames(1.5):
        return []
    start, held = min(left.start, right.start), max(left.held, right.held)
    end = _upright_until(signals, _Lift(start, held, max(left.end, right.end)))
    if end < held + frames(_HOLD_SECONDS) or not signals.stays(start, end):
        return []
    part = clauses(f"both_arms_{pose}")
    if all(signals.hand[side][end - 1, 2] < _DOWN + 0.1 for side in SIDES):
        part += Clauses((), (f"{part.plain[0]} and lowers them again",))
    return [Window("raise_both" if pose == "up" else f"arms_{pose}", start, end, (part,))]
