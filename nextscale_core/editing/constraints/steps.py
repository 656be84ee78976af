"""Feet of a body whose path or pose was changed: each stand stays a stand, at its new place."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from nextscale_core.editing.bone_lengths import SIDES, place_leg
from nextscale_core.editing.frame_mask import runs
from nextscale_core.motion.skeleton import JOINT_INDEX

_EASE = 8
"""Frames in which a foot moves to and from its stand."""
_MAX_DRIFT = 0.15
"""Largest distance of a stand from the changed motion of its foot before the foot steps [m]."""
_STRIDE = 0.5
"""Length of such a step [m]."""
_SWING, _MIN_STAND = 8, 3
"""Frames of such a step, and smallest number of frames of the stands beside it."""
_LIFT = 0.06
"""Height of such a step [m]."""
_PHASE = {"left": 0.25, "right": 0.75}
"""Where in its stride a foot steps: the feet take turns."""
_MAX_HEIGHT = 0.10
"""Largest height of the ball of a standing foot [m]."""
_STRAIGHT = 0.998
"""Length of a leg from hip to ankle, relative to a straight one, beyond which the hips sink."""
_MAX_SINK = 0.2
"""Largest distance by which the hips sink [m]."""


def place_feet(
    joints: np.ndarray,
    contacts: np.ndarray,
    held: np.ndarray,
    targets: Mapping[tuple[int, int], np.ndarray],
    lengths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Let standing feet stand still, on or above the floor.

    A body that moves farther than its standing feet can stretch makes steps.

    Args:
        joints: (T, 22, 3) changed positions [m].
        contacts: (T, 4) stands of the motion before the change.
        held: (T,) bool, frames whose feet do not move.
        targets: (Frame, joint) -> (3,) place of the ball of a foot [m].
        lengths: (21,) bone lengths [m].

    Returns:
        (T, 22, 3) positions and (T, 4) stands.
    """
    out, stands = joints.copy(), contacts.copy()
    goals = []
    for column, side in enumerate(SIDES):
        index = JOINT_INDEX[f"{side}_foot"]
        ball = joints[:, index]
        own = {frame: place for (frame, joint), place in targets.items() if joint == index}
        standing = contacts[:, 2 * column + 1] & (ball[:, 2] < _MAX_HEIGHT)
        shift, standing = _shifts(ball, standing, held, own, _PHASE[side])
        shift[~held, 2] += np.maximum(0.0, -(ball + shift)[~held, 2])
        stands[:, 2 * column : 2 * column + 2] &= standing[:, None]
        goals.append(joints[:, JOINT_INDEX[f"{side}_ankle"]] + shift)
    out[:, :, 2] -= _sink(joints, goals, held, lengths)[:, None]
    every = np.tile(lengths, (len(joints), 1))
    moved = out.copy()
    for side, ankle in zip(SIDES, goals, strict=True):
        foot = joints[:, JOINT_INDEX[f"{side}_foot"]] - joints[:, JOINT_INDEX[f"{side}_ankle"]]
        place_leg(moved, side, ankle, foot, every)
    out[~held] = moved[~held]
    stands[held] = contacts[held]
    return out, stands


def _shifts(
    ball: np.ndarray,
    stands: np.ndarray,
    held: np.ndarray,
    targets: Mapping[int, np.ndarray],
    phase: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) movement of a foot, and (T,) bool where it stands."""
    shift = np.zeros_like(ball)
    decided = held.copy()
    for frame, place in targets.items():
        shift[frame] = place - ball[frame]
        decided[frame] = True
        # A foot that is lifted to its target does not stand there.
        if place[2] > _MAX_HEIGHT:
            stands = stands.copy()
            stands[max(frame - _SWING, 0) : frame + _SWING + 1] = False
    fixed = decided.copy()
    lift = np.zeros(len(ball))
    standing = held & stands
    for begin, end in runs(stands):
        known = begin + np.flatnonzero(fixed[begin:end])
        if len(known):
            at = np.arange(begin, end)
            for axis, values in enumerate((ball + shift)[known].T):
                along = shift[known, 2] if axis == 2 else values
                wanted = np.interp(at, known, along)
                shift[begin:end, axis] = wanted if axis == 2 else wanted - ball[begin:end, axis]
            parts = [(begin, end)]
        else:
            parts = _parts(ball, begin, end, phase)
            for first, stop in parts:
                shift[first:stop, :2] = (ball[first:stop].mean(0) - ball[first:stop])[:, :2]
            for (_, lifted), (landed, _) in itertools.pairwise(parts):
                share = (np.arange(lifted, landed) - lifted + 1.0) / (landed - lifted + 1)
                lift[lifted:landed] = _LIFT * np.sin(np.pi * share) ** 2
        for first, stop in parts:
            decided[first:stop] = standing[first:stop] = True
    shift[held] = 0.0
    shift = _eased(shift, decided)
    shift[:, 2] += lift
    return shift, standing


def _parts(ball: np.ndarray, begin: int, end: int, phase: float) -> list[tuple[int, int]]:
    """[first, stop) of the stands between which a foot steps; the whole where it need not."""
    way = ball[begin:end, :2]
    if np.linalg.norm(way - way.mean(0), axis=1).max() <= _MAX_DRIFT:
        return [(begin, end)]
    done = np.r_[0.0, np.linalg.norm(np.diff(way, axis=0), axis=1).cumsum()]
    count = int(np.ceil(done[-1] / _STRIDE))
    share = (np.arange(count) + phase) / count
    middles = np.interp(share * done[-1], done, np.arange(begin, end)).round().astype(int)
    parts, first = [], begin
    for middle in middles:
        lifted, landed = int(middle) - _SWING // 2, int(middle) + _SWING // 2
        if lifted - first >= _MIN_STAND and end - landed >= _MIN_STAND:
            parts.append((first, lifted))
            first = landed
    return [*parts, (first, end)]


def _eased(shift: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """The shift between decided frames: from one to the next, or to zero within `_EASE` frames."""
    out = shift.copy()
    places = np.flatnonzero(decided)
    for begin, end in runs(~decided):
        sides = [edge for edge in (begin - 1, end) if 0 <= edge < len(shift)]
        at = np.arange(begin, end)
        for edge in sides:
            width = min(_EASE, end - begin) + 1 if len(sides) == 2 else _EASE + 1
            share = np.clip(np.abs(at - edge) / width, 0.0, 1.0)
            out[begin:end] += (0.5 + 0.5 * np.cos(np.pi * share))[:, None] * shift[edge]
    return out if len(places) else shift


def _sink(
    joints: np.ndarray, ankles: list[np.ndarray], held: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """(T,) distance by which the hips sink so that the legs reach their feet [m]."""
    need = np.zeros(len(joints))
    for side, ankle in zip(SIDES, ankles, strict=True):
        knee, end = JOINT_INDEX[f"{side}_knee"], JOINT_INDEX[f"{side}_ankle"]
        leg = _STRAIGHT * (lengths[knee - 1] + lengths[end - 1])
        line = joints[:, JOINT_INDEX[f"{side}_hip"]] - ankle
        height = np.sqrt(np.maximum(leg**2 - (line[:, :2] ** 2).sum(1), 0.0))
        before = np.linalg.norm(joints[:, end] - joints[:, JOINT_INDEX[f"{side}_hip"]], axis=1)
        longer = np.linalg.norm(line, axis=1) > np.maximum(leg, before)
        need = np.maximum(need, np.where(longer, line[:, 2] - height, 0.0))
    smooth = gaussian_filter1d(maximum_filter1d(np.clip(need, 0.0, _MAX_SINK), 9), 2.5)
    if held.any():
        away = np.abs(np.arange(len(joints))[:, None] - np.flatnonzero(held)).min(axis=1)
        smooth = smooth * np.clip(away / _EASE, 0.0, 1.0) ** 2
    return np.asarray(smooth)
