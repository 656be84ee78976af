"""Feet of a body whose path or pose was changed: each stand stays a stand, at its new place."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from nextscale_core.editing.bone_lengths import SIDES, place_leg
from nextscale_core.editing.frame_mask import runs
from nextscale_core.editing.ground_transform import turned
from nextscale_core.motion.skeleton import JOINT_INDEX

_EASE = 8
"""Frames in which a foot moves to and from its stand."""
_MAX_DRIFT = 0.15
"""Largest distance of a stand from the changed motion of its foot before the foot steps [m]."""
_STRIDE = 0.5
"""Length of such a step [m]."""
_SAME = 0.03
"""Distance between two places of one stand that a foot does not step over [m]."""
_SWING = 8
"""Frames of a step."""
_APART = 12
"""Frames between the stand at a given place and the one before or after it."""
_LIFT = 0.06
"""Height of a step [m]."""
_PHASE = {"left": 0.0, "right": 0.5}
"""Where in its stride a foot steps: the feet take turns."""
_MAX_HEIGHT = 0.10
"""Largest height of the ball of a standing foot [m]."""
_STRAIGHT = 0.998
"""Length of a leg from hip to ankle, relative to a straight one, beyond which the hips sink."""
_MAX_SINK = 0.2
"""Largest distance by which the hips sink [m]."""


def place_feet(
    joints: np.ndarray,
    led: np.ndarray,
    before: np.ndarray,
    turn: np.ndarray,
    contacts: np.ndarray,
    held: np.ndarray,
    targets: Mapping[tuple[int, int], np.ndarray],
    lengths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Let standing feet stand still, on or above the floor.

    A body that moves farther than its standing feet can stretch makes steps.

    Args:
        joints: (T, 22, 3) changed positions [m].
        led: (T, 22, 3) positions whose feet are followed where they do not stand [m].
        before: (T, 22, 3) positions before the change [m].
        turn: (T,) change of the heading [rad].
        contacts: (T, 4) stands before the change.
        held: (T,) bool, frames whose feet do not move.
        targets: (Frame, joint) -> (3,) place of the ball of a foot [m].
        lengths: (21,) bone lengths [m].

    Returns:
        (T, 22, 3) positions and (T, 4) stands.
    """
    out, stands = joints.copy(), contacts.copy()
    ankles, feet = [], []
    for column, side in enumerate(SIDES):
        index, ankle = JOINT_INDEX[f"{side}_foot"], JOINT_INDEX[f"{side}_ankle"]
        ball = led[:, index]
        own = {frame: place for (frame, joint), place in targets.items() if joint == index}
        standing = contacts[:, 2 * column + 1] & (ball[:, 2] < _MAX_HEIGHT)
        shift, standing = _moved(ball, before[:, index], turn, standing, held, own, _PHASE[side])
        shift[~held, 2] += np.maximum(0.0, -(ball + shift)[~held, 2])
        stands[:, 2 * column : 2 * column + 2] &= standing[:, None]
        ankles.append(led[:, ankle] + shift)
        feet.append(ball - led[:, ankle])
    out[:, :, 2] -= _sink(joints, ankles, held, lengths)[:, None]
    every = np.tile(lengths, (len(joints), 1))
    moved = out.copy()
    for side, ankle, foot in zip(SIDES, ankles, feet, strict=True):
        place_leg(moved, side, ankle, foot, every)
    out[~held] = moved[~held]
    stands[held] = contacts[held]
    return out, stands


def _moved(
    ball: np.ndarray,
    old: np.ndarray,
    turn: np.ndarray,
    stands: np.ndarray,
    held: np.ndarray,
    targets: Mapping[int, np.ndarray],
    phase: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) movement of a foot, and (T,) bool where it stands."""
    shift, stands = np.zeros_like(ball), stands.copy()
    decided = held.copy()
    for frame, place in targets.items():
        shift[frame] = place - ball[frame]
        decided[frame] = True
        # A foot that is lifted to its target does not stand there.
        if place[2] > _MAX_HEIGHT:
            stands[max(frame - _SWING, 0) : frame + _SWING + 1] = False
    given = decided.copy()
    lift = np.zeros(len(ball))
    standing = np.zeros(len(ball), dtype=bool)
    for begin, end in runs(stands):
        at = np.arange(begin, end)
        # In a stand the foot moves as it did before, turned and shifted as a whole.
        mean = old[begin:end].mean(0)
        rigid = turned(old[begin:end] - mean, np.full(end - begin, turn[begin:end].mean()))
        off = (rigid + ball[begin:end].mean(0) - ball[begin:end]) * [1.0, 1.0, 0.0]
        known = begin + np.flatnonzero(given[begin:end])
        nodes = dict(zip(known.tolist(), shift[known] - off[known - begin], strict=True))
        nodes |= {
            frame: gap
            for frame, gap in _natural(begin, -off, phase).items()
            if not len(known) or np.abs(known - frame).min() >= _APART
        }
        places = np.array(sorted(nodes))
        gaps = np.stack([nodes[frame] for frame in places])
        shift[begin:end] = off + np.stack([np.interp(at, places, g) for g in gaps.T], axis=1)
        decided[begin:end] = standing[begin:end] = True
        for first, last in itertools.pairwise(places):
            way = np.linalg.norm((nodes[last] - nodes[first])[:2])
            if way <= _SAME or last - first < _SWING + 2:
                continue
            up = (first + last - _SWING) // 2 + 1
            down = up + _SWING
            shift[first:up] = off[first - begin : up - begin] + nodes[first]
            shift[down : last + 1] = off[down - begin : last + 1 - begin] + nodes[last]
            shift[up:down], decided[up:down], standing[up:down] = 0.0, False, False
            share = (np.arange(_SWING) + 1.0) / (_SWING + 1)
            lift[up:down] = min(_LIFT, 0.5 * way) * np.sin(np.pi * share) ** 2
    shift[held] = 0.0
    shift = _eased(shift, decided)
    shift[:, 2] += lift
    return shift, standing


def _natural(begin: int, drift: np.ndarray, phase: float) -> dict[int, np.ndarray]:
    """Frame -> where a foot in a stand would be without given places, against the whole's mean.

    Args:
        begin: First frame of the stand.
        drift: (n, 3) changed motion of the foot, against a foot that stands still [m].
        phase: Begin of the first step, in steps.
    """
    last = len(drift) - 1
    if np.linalg.norm(drift, axis=1).max() <= _MAX_DRIFT:
        return {begin: np.zeros(3), begin + last: np.zeros(3)}
    done = np.r_[0.0, np.linalg.norm(np.diff(drift, axis=0), axis=1).cumsum()]
    count = int(np.ceil(done[-1] / _STRIDE))
    shares = np.r_[0.0, (np.arange(count) + phase) / count, 1.0]
    frames = np.interp(shares * done[-1], done, np.arange(len(drift))).round().astype(int)
    chosen = [0]
    for frame in frames:
        if frame - chosen[-1] >= _SWING + 2:
            chosen.append(int(frame))
    if chosen[-1] != last:
        chosen = [*chosen[:-1], last] if len(chosen) > 1 else [0, last]
    return {begin + frame: drift[frame] for frame in chosen}


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
        longer = np.linalg.norm(line, axis=1) > np.maximum(leg, before + 1e-3)
        need = np.maximum(need, np.where(longer, line[:, 2] - height, 0.0))
    smooth = gaussian_filter1d(maximum_filter1d(np.clip(need, 0.0, _MAX_SINK), 9), 2.5)
    if held.any():
        away = np.abs(np.arange(len(joints))[:, None] - np.flatnonzero(held)).min(axis=1)
        smooth = smooth * np.clip(away / _EASE, 0.0, 1.0) ** 2
    return np.asarray(smooth)
