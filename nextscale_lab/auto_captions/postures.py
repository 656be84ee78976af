"""Windows of leg actions and of postures between two times of standing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from nextscale_core.motion.tracks import SIDES, other, runs_of
from nextscale_lab.auto_captions.arms import grouped
from nextscale_lab.auto_captions.clauses import Window, clauses, number, times
from nextscale_lab.auto_captions.filters import mentions
from nextscale_lab.auto_captions.signals import Signals

# --- legs -----------------------------------------------------------------------------------
_KICK_HEIGHT, _KICK_REACH, _KICK_SPEED = 0.42, 0.35, 3.0  # [m], [m], [m/s]
_UNMENTIONED_KICK = 0.65  # height where the description mentions no kick [m]
_HIGH_KICK = 0.85  # [m]
_ONE_LEG_SECONDS = 1.3


def kicks(signals: Signals, description: str) -> list[Window]:
    """A foot that swings up in front fast while the other stays on the floor."""
    mentioned = mentions(description, r"kick|mawashi|karate")
    least = _KICK_HEIGHT if mentioned else _UNMENTIONED_KICK
    frames = signals.frames
    out = []
    for side in SIDES:
        height = signals.foot_height[side]
        peaks, _ = find_peaks(height, height=least, prominence=0.3, distance=frames(0.6))
        for at in map(int, peaks):
            around = slice(max(at - frames(0.5), 0), at + frames(0.5))
            near = slice(max(at - 3, 0), at + 4)
            ahead = signals.foot[side][near, 0].max() > _KICK_REACH
            fast = signals.foot_speed[side][around].max() > _KICK_SPEED
            stands = signals.foot_height[other(side)][around].max() < 0.14
            straight = signals.knee_bend[side][near].min() < 60.0
            start, end = max(at - frames(0.9), 0), min(at + frames(0.9), len(height))
            if ahead and fast and stands and straight and signals.stays(start, end, 0.8, 120.0):
                part = clauses("kick", side=side)
                if height[at] > _HIGH_KICK:
                    part = clauses("kick_high", side=side) + part
                out.append(Window(f"kick_{side}", start, end, (part,)))
    return out


def one_leg_stands(signals: Signals) -> list[Window]:
    """One foot clear of the floor, the other standing still on it."""
    frames = signals.frames
    out = []
    for side in SIDES:
        lifted = signals.foot_height[other(side)] - signals.foot_height[side] > 0.13
        stands = signals.tracks.smooth(signals.foot_height[side], 0.05) < 0.06
        ankle = signals.tracks.rate(
            signals.tracks.smooth(signals.tracks.joint(f"{side}_ankle")[:, :2], 0.1)
        )
        still = np.linalg.norm(ankle, axis=1) < 0.25
        for first, last in runs_of(lifted & stands & still, frames(_ONE_LEG_SECONDS)):
            last = min(last, first + frames(8.0))
            level = float(np.ptp(signals.tracks.pelvis_height[first:last])) < 0.12
            if not level or signals.lean[first:last].max() > 35.0:
                continue
            swings = np.percentile(signals.foot_speed[other(side)][first:last], 80) > 0.8
            if swings or not signals.stays(first, last, 0.25, 50.0):
                continue
            begin, stop = max(first - frames(0.3), 0), min(last + frames(0.3), len(signals))
            part = clauses("one_leg", side=side, other=other(side))
            out.append(Window(f"one_leg_{side}", begin, stop, (part,)))
    return out


def jumping_jacks(signals: Signals, description: str) -> list[Window]:
    """Feet that open and close while the arms go up and down."""
    if not mentions(description, r"jumping jack"):
        return []
    t, frames = signals.tracks, signals.frames
    apart = np.abs(t.local(t.joint("left_ankle") - t.joint("right_ankle"))[:, 1])
    peaks, _ = find_peaks(apart, prominence=0.2, distance=frames(0.35))
    high = np.minimum(signals.hand["left"][:, 2], signals.hand["right"][:, 2])
    opens = [at for at in map(int, peaks) if high[max(at - 3, 0) : at + 4].max() >= 0.05]
    out = []
    for row in grouped(opens, frames(1.6)):
        if len(row) < 2 or np.ptp(high[row[0] : row[-1] + 1]) < 0.35:
            continue
        start, end = max(row[0] - frames(0.7), 0), min(row[-1] + frames(0.7), len(signals))
        count = number(len(row)) if end - start <= frames(9.0) else "several"
        part = clauses("jumping_jacks", number=count)
        out.append(Window("jumping_jacks", start, min(end, start + frames(9.0)), (part,)))
    return out


# --- postures -------------------------------------------------------------------------------
_LONGEST = 9.0  # [s]
_STANDING = 0.91  # pelvis height relative to standing
_SQUAT, _SQUAT_KNEE, _SQUAT_LEAN = 0.68, 80.0, 48.0  # pelvis; knees and trunk [deg]
_BEND, _UPRIGHT, _BEND_KNEE = 55.0, 22.0, 75.0  # trunk, trunk before and after, knees [deg]
_REACH, _FLOOR_REACH = 0.5, 0.3  # wrist over the floor in picking up and in touching it [m]
_KNEE_DOWN, _KNEE_OFF = 0.13, 0.18  # knee over the floor that kneels, and that does not [m]
_SEAT = (0.30, 0.66)  # pelvis over the floor in sitting [m]


@dataclass(frozen=True)
class _Posture:
    """Frames of a posture and of the standing around it.

    Attributes:
        rest: Last frame of standing before the posture, or None.
        first: First frame of the posture.
        last: Frame after its last.
        back: First frame of standing after the posture, or None.
    """

    rest: int | None
    first: int
    last: int
    back: int | None

    def span(self, signals: Signals, margin: float) -> tuple[int, int]:
        """First frame and end of a window with up to `margin` seconds of standing around it."""
        frames = signals.frames
        begin = self.first if self.rest is None else self.rest - frames(margin)
        begin = max(begin, 0)
        end = self.last if self.back is None else self.back + frames(margin)
        return begin, min(end, begin + frames(_LONGEST), len(signals))


def _postures(
    signals: Signals, held: np.ndarray, stands: np.ndarray, seconds: float, within: float
) -> Iterator[_Posture]:
    """Postures of at least `seconds`, with standing at most `within` seconds away."""
    frames = signals.frames
    for first, last in runs_of(held, frames(seconds), bridge=frames(0.3)):
        early = max(first - frames(within), 0)
        before = np.flatnonzero(stands[early:first])
        after = np.flatnonzero(stands[last : last + frames(within)])
        rest = early + int(before[-1]) if len(before) else None
        yield _Posture(rest, first, last, last + int(after[0]) if len(after) else None)


def _on_the_floor(signals: Signals, posture: _Posture) -> bool:
    """Whether both feet stay on the floor and no knee touches it."""
    span = slice(posture.first, posture.last)
    feet = max(float(np.percentile(signals.foot_height[side][span], 90)) for side in SIDES)
    knees = min(float(signals.knee_height[side][span].min()) for side in SIDES)
    return feet < 0.12 and knees > _KNEE_OFF and signals.clearance[span].max() < 0.06


def squats(signals: Signals) -> list[Window]:
    """Both knees bend deep with the feet on the floor, from standing, once or in a row."""
    frames = signals.frames
    knees = np.minimum(signals.knee_bend["left"], signals.knee_bend["right"])
    deep = (signals.height < _SQUAT) & (knees > _SQUAT_KNEE)
    rows: list[list[_Posture]] = []
    for posture in _postures(signals, deep, signals.height > _STANDING, 0.2, 2.2):
        bent = signals.lean[posture.first : posture.last].max() > _SQUAT_LEAN
        if posture.rest is None or bent or not _on_the_floor(signals, posture):
            continue
        back = rows[-1][-1].back if rows else None
        if back is not None and posture.rest - back < frames(1.2):
            rows[-1].append(posture)
        else:
            rows.append([posture])
    out = []
    for row in rows:
        start, end = row[0].span(signals, 0.3)[0], row[-1].span(signals, 0.3)[1]
        while end - start > frames(_LONGEST) and len(row) > 1:
            row = row[:-1]
            end = row[-1].span(signals, 0.3)[1]
        if signals.stays(start, end, 0.4, 45.0) and signals.clearance[start:end].max() < 0.08:
            alone = "squat_down" if row[-1].back is None else "squat"
            kind = "squats" if len(row) > 1 else alone
            part = clauses(kind, times=times(len(row)), number=number(len(row)))
            out.append(Window(kind, start, end, (part,)))
    return out


def bends(signals: Signals, description: str) -> list[Window]:
    """The trunk bends far forward from upright; with a hand at the floor it may pick up."""
    picks = mentions(description, r"pick|scoop|bend, lift|laundry")
    stands = (signals.lean < _UPRIGHT) & (signals.height > _STANDING)
    out = []
    for posture in _postures(signals, signals.lean > _BEND, stands, 0.2, 2.5):
        span = slice(posture.first, posture.last)
        long = posture.last - posture.first > signals.frames(4.0)
        if posture.rest is None or long or not _on_the_floor(signals, posture):
            continue
        start, end = posture.span(signals, 0.35)
        if not signals.stays(start, end, 0.5, 40.0) or signals.clearance[start:end].max() > 0.08:
            continue
        lowest = min(float(signals.wrist_height[side][span].min()) for side in SIDES)
        if picks and lowest < _REACH and posture.back is not None:
            out.append(Window("pick_up", start, end, (clauses("pick_up"),)))
        elif np.minimum(*signals.knee_bend.values())[span].max() < _BEND_KNEE:
            part = clauses("bend")
            if posture.back is not None:
                part += clauses("bend_rise")
            if lowest < _FLOOR_REACH:
                part += clauses("bend_to_floor")
            out.append(Window("bend", start, end, (part,)))
    return out


def kneels(signals: Signals) -> list[Window]:
    """A knee on the floor under a low pelvis, the hands off the floor."""
    t = signals.tracks
    hands = np.minimum(signals.wrist_height["left"], signals.wrist_height["right"])
    low = (t.pelvis_height < 0.72 * t.standing_height) & (t.pelvis_height > 0.25)
    low &= (signals.lean < 42.0) & (hands > 0.2)
    kneel = {
        side: (signals.knee_height[side] < _KNEE_DOWN) & low & (signals.foot[side][:, 0] < -0.15)
        for side in SIDES
    }
    out = []
    for posture in _postures(
        signals, kneel["left"] | kneel["right"], signals.height > 0.9, 0.5, 3.0
    ):
        start, end = posture.span(signals, 0.3)
        still = signals.displacement(posture.first, posture.last) <= 0.25
        if not still or not signals.stays(start, end, 0.8, 90.0):
            continue
        both = all(kneel[side][posture.first : posture.last].mean() > 0.7 for side in SIDES)
        knees = "both knees" if both else "one knee"
        part = clauses("kneel" if posture.rest is None else "kneel_down", knees=knees)
        if posture.rest is not None and posture.back is not None:
            part += clauses("kneel_rise", knees=knees)
        out.append(Window("kneel", start, end, (part,)))
    return out


def sits(signals: Signals) -> list[Window]:
    """Thighs level, pelvis behind both feet at the height of a chair, trunk upright, still."""
    t = signals.tracks
    sitting = (t.pelvis_height > _SEAT[0]) & (t.pelvis_height < _SEAT[1]) & (signals.lean < 45.0)
    for side in SIDES:
        drop = t.joint(f"{side}_hip")[:, 2] - signals.knee_height[side]
        ahead = t.local(t.joint(f"{side}_ankle") - t.joint("pelvis"))[:, 0]
        sitting &= (np.abs(drop) < 0.17) & (ahead > 0.22) & (signals.foot_height[side] < 0.15)
    out = []
    for posture in _postures(signals, sitting, signals.height > 0.9, 0.8, 2.5):
        start, end = posture.span(signals, 0.3)
        still = signals.displacement(posture.first, posture.last) <= 0.2
        if not still or not signals.stays(start, end, 0.8, 70.0):
            continue
        if posture.rest is None:
            kind = "sit" if posture.back is None else "stand_up"
            part = clauses(kind)
        else:
            kind, part = "sit", clauses("sit_down" if posture.back is None else "sit_and_stand")
        out.append(Window(kind, start, end, (part,)))
    return out
