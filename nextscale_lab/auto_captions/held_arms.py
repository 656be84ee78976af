"""Arms that are lifted and held: up, out to the side, or out in front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_lab.auto_captions.arms import Action
from nextscale_lab.auto_captions.body import SIDES, Body
from nextscale_lab.auto_captions.clauses import Clauses
from nextscale_lab.data.tracks import other, runs_of

_OVER_HEAD, _OVER_SHOULDER = 0.12, 0.36  # wrist over the middle of the head, over the shoulder [m]
_OUT, _LEVEL = 0.40, 0.14  # wrist from the shoulder, and off its height, of an arm held out [m]
_DOWN = -0.25  # wrist under the shoulder before and after [m]
_FOOT_UP = 0.2  # a foot lifted higher does more than step [m]
_LIFT_SECONDS, _HOLD_SECONDS, _LONGEST = 1.8, 0.3, 5.0
_STILL, _SLOW = 0.35, 0.8  # way [m] and median speed [m/s] of a hand that is held


@dataclass(frozen=True)
class _Lift:
    """An arm that goes from rest to a held pose."""

    start: int
    held: int
    end: int


def held_arms(body: Body) -> list[Action]:
    """One or both arms that rise from rest into a pose, and stay there for a moment."""
    out: list[Action] = []
    for pose in ("up", "side", "front"):
        lifts = {side: _lifts(body, side, pose) for side in SIDES}
        for left in lifts["left"]:
            for right in lifts["right"]:
                out.extend(_both(body, pose, left, right))
        for side in SIDES:
            for lift in lifts[side]:
                end = _upright_until(body, lift)
                if end <= lift.held or not body.stays(lift.start, end):
                    continue
                if body.hand_rests(other(side), lift.start, end):
                    lowered = bool(body.hand[side][end - 1, 2] < _DOWN + 0.1)
                    out.append(_one(pose, side, lift.start, end, lowered))
    return out


def _in_pose(body: Body, side: str, pose: str) -> np.ndarray:
    hand = body.hand[side]
    if pose == "up":
        return (body.over_head[side] > _OVER_HEAD) & (hand[:, 2] > _OVER_SHOULDER)
    level = np.abs(hand[:, 2]) < _LEVEL
    along = hand[:, 1] if pose == "side" else hand[:, 0]
    across = hand[:, 0] if pose == "side" else hand[:, 1]
    return (along > _OUT) & (np.abs(across) < 0.2) & level


def _lifts(body: Body, side: str, pose: str) -> list[_Lift]:
    frames = body.signals.frames
    low = body.hand[side][:, 2] < _DOWN
    found = []
    for up, down in runs_of(_in_pose(body, side, pose), frames(_HOLD_SECONDS), bridge=2):
        earliest = max(up - frames(_LIFT_SECONDS), 0)
        before = np.flatnonzero(low[earliest:up])
        # A hand that moves about up there waves, wipes or reaches: more than a raise.
        moves = np.ptp(body.hand[side][up:down, :2], axis=0).max() > _STILL
        quick = np.median(body.hand_speed[side][up:down]) > _SLOW
        if len(before) == 0 or moves or quick:
            continue
        start = max(earliest + int(before[-1]) - frames(0.3), 0)
        after = np.flatnonzero(low[down : down + frames(_LIFT_SECONDS)])
        end = down + int(after[0]) + frames(0.3) if len(after) else down
        end = min(end, start + frames(_LONGEST), len(body.signals))
        if end > up:
            found.append(_Lift(start, up, end))
    return found


def _upright_until(body: Body, lift: _Lift) -> int:
    """Where the body begins to do more than hold an arm; before `held` where it does from there."""
    s = body.signals
    span = slice(lift.start, lift.end)
    other_things = (s.lean[span] > 26.0) | (s.height[span] < 0.88) | (s.clearance[span] > 0.06)
    for side in SIDES:
        other_things |= body.foot_height[side][span] > _FOOT_UP
    busy = np.flatnonzero(other_things)
    return lift.start + int(busy[0]) if len(busy) else lift.end


def _both(body: Body, pose: str, left: _Lift, right: _Lift) -> list[Action]:
    frames = body.signals.frames
    if abs(left.held - right.held) > frames(0.5) or abs(left.end - right.end) > frames(1.5):
        return []
    start, held = min(left.start, right.start), max(left.held, right.held)
    end = _upright_until(body, _Lift(start, held, max(left.end, right.end)))
    if end < held + frames(_HOLD_SECONDS) or not body.stays(start, end):
        return []
    plain: Clauses = ("raises both arms", "raises the arms", "lifts both arms up")
    more: Clauses = (
        "raises both arms above the head",
        "puts both hands up in the air",
        "lifts the arms over the head",
    )
    if pose == "side":
        plain = ("holds both arms out to the sides", "stretches both arms out to the sides")
        more = ("lifts both arms out sideways", "spreads the arms wide")
    elif pose == "front":
        plain = ("holds both arms out in front", "stretches both arms out in front")
        more = ("lifts both arms forward", "reaches forward with both arms")
    if all(body.hand[side][end - 1, 2] < _DOWN + 0.1 for side in SIDES):
        more = (*more, f"{plain[0]} and lowers them again")
    return [Action({"up": "raise_both"}.get(pose, f"arms_{pose}"), start, end, plain, more)]


def _one(pose: str, side: str, start: int, end: int, lowered: bool) -> Action:
    plain: Clauses = (f"raises the {side} arm", f"lifts the {side} arm", f"raises the {side} hand")
    more: Clauses = (
        f"raises the {side} arm above the head",
        f"puts the {side} hand up in the air",
        f"lifts the {side} hand high",
    )
    if pose == "side":
        plain = (f"holds the {side} arm out to the side", f"lifts the {side} arm out to the side")
        more = (f"stretches the {side} arm out sideways", f"points to the {side}")
    elif pose == "front":
        plain = (f"holds the {side} arm out in front", f"stretches the {side} arm forward")
        more = (f"reaches forward with the {side} hand", f"points forward with the {side} arm")
    if lowered:
        more = (*more, f"{plain[0]} and lowers it again")
    kind = f"raise_{side}" if pose == "up" else f"arm_{pose}_{side}"
    return Action(kind, start, end, plain, more)
