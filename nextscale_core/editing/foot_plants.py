"""Foot plants of generated frames: standing feet are held still, also across a seam."""

from __future__ import annotations

import numpy as np

from nextscale_core.editing.bone_lengths import SIDES, place_leg
from nextscale_core.editing.frame_mask import Timeline, runs
from nextscale_core.motion.skeleton import JOINT_INDEX, bone_lengths

_MAX_SPEED = 0.35
"""Maximum speed of the ball of a standing foot [m/s]."""
_MAX_HEIGHT = 0.06
"""Maximum height of the ball of a standing foot [m]."""
_MIN_FRAMES = 3
"""Minimum frames of a stand."""
_EASE = 6
"""Frames in which a foot moves to and from its stand."""
_MAX_DRIFT = 0.12
"""Maximum drift of a standing foot [m]; beyond it, the foot is stepping."""


def hold_feet(joints: np.ndarray, timeline: Timeline, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Keep standing feet still and above the floor, in the frames that are not known.

    A foot that stands in the known frame beside a seam stays at that position.

    Args:
        joints: (T, 22, 3) positions [m], without jumps.
        timeline: Which frames are known.
        fps: Frames per second [Hz].

    Returns:
        (T, 22, 3) positions; (T, 4) contacts: left ankle, left ball, right ankle, right ball.
    """
    out = joints.copy()
    free = ~timeline.known
    lengths = bone_lengths(joints)
    contacts = np.zeros((len(joints), 4), dtype=bool)
    distance, nearest = _nearest(timeline.known)
    for column, side in enumerate(SIDES):
        ankle_index, ball_index = JOINT_INDEX[f"{side}_ankle"], JOINT_INDEX[f"{side}_foot"]
        ankle, ball = joints[:, ankle_index], joints[:, ball_index]
        standing = _standing(ball, fps)
        shift = _shifts(ball, standing, timeline.known)
        # Known feet may be a little below the floor: new ones rise from there.
        depth = np.maximum(0.0, -ball[nearest, 2]) * np.clip(1 - distance / _EASE, 0.0, 1.0)
        shift[:, 2] += np.maximum(0.0, -(ball + shift)[:, 2] - depth)
        moved = out.copy()
        place_leg(moved, side, ankle + shift, ball - ankle, lengths)
        out[free] = moved[free]
        contacts[:, 2 * column + 1] = standing
        contacts[:, 2 * column] = standing & (out[:, ankle_index, 2] < _MAX_HEIGHT + 0.05)
    if timeline.contacts is not None:
        contacts[timeline.known] = timeline.contacts[timeline.known]
    return out, contacts


def _standing(ball: np.ndarray, fps: float) -> np.ndarray:
    step = np.linalg.norm(np.diff(ball, axis=0), axis=1) * fps
    speed = np.minimum(np.append(step, step[-1]), np.insert(step, 0, step[0]))
    standing = (speed < _MAX_SPEED) & (ball[:, 2] < _MAX_HEIGHT)
    for begin, end in runs(standing):
        if end - begin < _MIN_FRAMES:
            standing[begin:end] = False
    return standing


def _shifts(ball: np.ndarray, standing: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(T, 3) shift of each frame's foot, 0 where known."""
    shift = np.zeros_like(ball)
    held = known.copy()
    for begin, end in runs(standing & ~known):
        first = begin
        while first < end:
            stop, target = _stand(ball, standing, known, first, end)
            shift[first:stop] = target - ball[first:stop]
            held[first:stop] = True
            first = stop
    return _eased(shift, held)


def _stand(
    ball: np.ndarray, standing: np.ndarray, known: np.ndarray, first: int, end: int
) -> tuple[int, np.ndarray]:
    """End of the stand that begins at `first`, and positions of the foot in it, (3,) or (n, 3)."""
    from_known = first > 0 and known[first - 1] and standing[first - 1]
    to_known = end < len(ball) and known[end] and standing[end]
    if from_known and to_known and np.linalg.norm(ball[end] - ball[first - 1]) < _MAX_DRIFT:
        share = (np.arange(first, end) - first + 1.0)[:, None] / (end - first + 1)
        return end, (1 - share) * ball[first - 1] + share * ball[end]
    anchor = ball[first - 1] if from_known else None
    stop = first
    while stop < end:
        some = ball[first : stop + 1]
        centre = some.mean(0) if anchor is None else anchor
        if np.linalg.norm((some - centre)[:, :2], axis=1).max() > _MAX_DRIFT and stop > first:
            break
        stop += 1
    if stop == end and to_known and anchor is None:
        anchor = ball[end]
    if anchor is None:
        return stop, np.asarray(ball[first:stop].mean(0))
    # The height is that of the motion: a known foot held a little high comes down to it.
    target = ball[first:stop].copy()
    target[:, :2] = anchor[:2]
    return stop, target


def _eased(shift: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The shift, decaying to zero away from the held frames."""
    out = shift.copy()
    for begin, end in runs(~held):
        at = np.arange(end - begin)
        for edge, distance in ((begin - 1, at + 1), (end, at[::-1] + 1)):
            if 0 <= edge < len(shift):
                width = min(_EASE, end - begin)
                weight = 0.5 + 0.5 * np.cos(np.pi * np.clip(distance / (width + 1), 0, 1))
                out[begin:end] += weight[:, None] * shift[edge]
    return out


def _nearest(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T,) distance to the nearest known frame, and (T,) its index; inf and 0 without one."""
    places = np.flatnonzero(known)
    if not len(places):
        return np.full(len(known), np.inf), np.zeros(len(known), dtype=int)
    away = np.abs(np.arange(len(known))[:, None] - places[None])
    return away.min(axis=1), places[away.argmin(axis=1)]
