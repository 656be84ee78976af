"""Manners of a walk that the body shows: arms held out, a stoop, a crouch, high knees."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from nextscale_lab.auto_captions.body import SIDES, Body
from nextscale_lab.auto_captions.signals import Signals

_SHARE = 0.9  # of the frames in which a manner must show; less for arms that balance
_ARMS_SHARE = 0.85
_OUT, _AHEAD, _LEVEL = 0.34, 0.36, 0.3  # of the wrist from the shoulder [m]
_STOOP, _UPRIGHT = (32.0, 80.0), 30.0  # trunk [deg]
_CROUCH, _TALL = 0.84, 0.87  # pelvis against standing
# Knee against the hip [m]: in every step of a march, and where one lift is more than a step.
_HIGH_KNEE, _NO_STEP = -0.14, -0.04


def manner_of(signals: Signals, start: int, end: int) -> tuple[str, tuple[str, ...]] | None:
    """How the body is carried through a stretch, if in one clear way.

    Returns:
        A name, and phrases that follow the verb ('with both arms out to the sides'); ('', ()) for
        ordinary carriage; None where it is neither ordinary nor one clear manner.
    """
    if signals.ordinary(start, end, "walk"):
        return _knees(signals, start, end)
    span = slice(start, end)
    stooped = bool(np.percentile(signals.lean[span], 15) > _STOOP[0])
    upright = bool(np.percentile(signals.lean[span], 85) < _UPRIGHT)
    low = bool(np.percentile(signals.height[span], 85) < _CROUCH)
    tall = bool(np.percentile(signals.height[span], 10) > _TALL)
    if upright and tall:
        return _arms(Body(signals), span)
    if stooped and tall and signals.lean[span].max() < _STOOP[1]:
        return "stooped", ("bent forward", "while bending forward", "bent over at the waist")
    if low:
        return "crouched", ("in a crouch", "crouched down", "with bent knees")
    return None


def with_manner(clauses: tuple[str, ...], phrases: tuple[str, ...]) -> tuple[str, ...]:
    """Every clause with every phrase: 'walks forward' + 'in a crouch'."""
    return tuple(f"{clause} {phrase}" for phrase in phrases for clause in clauses)


def _arms(body: Body, span: slice) -> tuple[str, tuple[str, ...]] | None:
    hands = [body.hand[side][span] for side in SIDES]
    level = [np.abs(hand[:, 2]) < _LEVEL for hand in hands]
    out = np.all([lv & (hand[:, 1] > _OUT) for lv, hand in zip(level, hands, strict=True)], axis=0)
    if out.mean() > _ARMS_SHARE:
        return "arms_out", (
            "with both arms held out to the sides",
            "with the arms out to the sides",
            "with outstretched arms",
        )
    ahead = np.all(
        [lv & (hand[:, 0] > _AHEAD) for lv, hand in zip(level, hands, strict=True)], axis=0
    )
    if ahead.mean() > _ARMS_SHARE:
        return "arms_ahead", (
            "with both arms stretched out in front",
            "with the arms held out in front",
        )
    up = np.all([body.over_head[side][span] > 0.1 for side in SIDES], axis=0)
    if up.mean() > _SHARE:
        return "arms_up", ("with both arms above the head", "with the arms raised")
    return None


def _knees(signals: Signals, start: int, end: int) -> tuple[str, tuple[str, ...]] | None:
    """Ordinary carriage, with knees that come up high in each step, or not."""
    t = signals.tracks
    peaks = []
    for side in SIDES:
        lift = (t.joint(f"{side}_knee") - t.joint(f"{side}_hip"))[start:end, 2]
        found, _ = find_peaks(lift, prominence=0.05)
        peaks.append(lift[found])
    if min(map(len, peaks)) >= 2 and min(float(p.min()) for p in peaks) > _HIGH_KNEE:
        return "march", ("with high knees", "lifting the knees high", "raising the knees high")
    if any(len(p) and p.max() > _NO_STEP for p in peaks):
        return None
    return "", ()
