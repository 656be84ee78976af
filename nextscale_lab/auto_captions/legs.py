"""Actions of legs: kicks, stands on one leg, jumping jacks."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from nextscale_lab.auto_captions.arms import Action, number
from nextscale_lab.auto_captions.body import SIDES, Body
from nextscale_lab.auto_captions.clauses import Clauses
from nextscale_lab.auto_captions.guards import speaks
from nextscale_lab.data.tracks import other, runs_of

_KICK_HEIGHT, _KICK_REACH, _KICK_SPEED = 0.42, 0.35, 3.0  # [m], [m], [m/s]
_KICK_UNTOLD = 0.65  # height where the description tells of no kick [m]
_HIGH_KICK = 0.85  # [m]
_ONE_LEG_SECONDS = 1.3


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
            if ahead and fast and stands and straight and body.stays(start, end, 0.8, 120.0):
                out.append(_kick(side, start, end, float(height[at])))
    return out


def _kick(side: str, start: int, end: int, height: float) -> Action:
    plain: Clauses = (f"kicks with the {side} leg", f"kicks with the {side} foot", "kicks")
    more: Clauses = (
        f"does a {side} kick",
        f"kicks the {side} leg up",
        f"kicks forward with the {side} leg",
        f"kicks the air with the {side} foot",
    )
    if height > _HIGH_KICK:
        more = (f"does a high kick with the {side} leg", f"kicks high with the {side} foot", *more)
    return Action(f"kick_{side}", start, end, plain, more)


def one_leg_stands(body: Body) -> list[Action]:
    """One foot clear of the floor for a good while, the other standing still on it."""
    s, frames = body.signals, body.signals.frames
    out = []
    for side in SIDES:
        lifted = body.foot_height[other(side)] - body.foot_height[side] > 0.13
        stands = s.tracks.smooth(body.foot_height[side], 0.05) < 0.06
        ankle = s.tracks.rate(s.tracks.smooth(s.tracks.joint(f"{side}_ankle")[:, :2], 0.1))
        still = np.linalg.norm(ankle, axis=1) < 0.25
        for first, last in runs_of(lifted & stands & still, frames(_ONE_LEG_SECONDS)):
            last = min(last, first + frames(8.0))
            level = float(np.ptp(s.tracks.pelvis_height[first:last])) < 0.12
            if not level or s.lean[first:last].max() > 35.0:
                continue
            if not body.stays(first, last, 0.25, 50.0) or body.swings(other(side), first, last):
                continue
            begin, stop = max(first - frames(0.3), 0), min(last + frames(0.3), len(s))
            plain: Clauses = (f"stands on the {side} leg", "stands on one leg")
            more: Clauses = (
                "balances on one leg",
                f"balances on the {side} leg",
                f"lifts the {other(side)} leg and balances on the {side} foot",
                f"stands on the {side} foot with the {other(side)} foot lifted",
            )
            out.append(Action(f"one_leg_{side}", begin, stop, plain, more))
    return out


def jumping_jacks(body: Body, description: str) -> list[Action]:
    """Feet that open and close while the arms go up and down."""
    if not speaks(description, r"jumping jack"):
        return []
    s, frames = body.signals, body.signals.frames
    opens, _ = find_peaks(body.feet_apart, prominence=0.2, distance=frames(0.35))
    high = np.minimum(body.hand["left"][:, 2], body.hand["right"][:, 2])
    rows: list[list[int]] = []
    for at in map(int, opens):
        if high[max(at - 3, 0) : at + 4].max() < 0.05:
            continue
        if rows and at - rows[-1][-1] < frames(1.6):
            rows[-1].append(at)
        else:
            rows.append([at])
    out = []
    for row in rows:
        if len(row) < 2 or np.ptp(high[row[0] : row[-1] + 1]) < 0.35:
            continue
        start, end = max(row[0] - frames(0.7), 0), min(row[-1] + frames(0.7), len(s))
        whole = end - start <= frames(9.0)
        end = min(end, start + frames(9.0))
        count = number(len(row)) if whole else "several"
        plain = ("does jumping jacks", "performs jumping jacks")
        more = (f"does {count} jumping jacks", "jumps while opening and closing arms and legs")
        out.append(Action("jumping_jacks", start, end, plain, more))
    return out
