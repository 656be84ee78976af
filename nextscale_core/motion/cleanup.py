"""Clean-up of decoded motion: limb lengths, standing feet, the floor.

Features hold every joint's position separately, so a decoder's small errors change bone lengths
and move standing feet. The corrections, in this order:

1. the motion is shifted up or down so that its standing feet are at their height in recordings;
2. where a foot that bears the body slides, the whole body moves the other way;
3. every bone gets the standard length along its decoded direction; the legs keep their ankles
   and bend at the knee;
4. a standing foot (low and slow) is held in place and eased in and out;
5. every foot is lifted to the floor or above.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import (
    BALLS,
    JOINT_INDEX,
    NUM_JOINTS,
    PARENTS,
    STANDARD_BONES,
    bend_leg,
)

STANDING_BALL = 0.025
"""Mean height of the ball of a standing foot in the training recordings [m].

Their floor is below the lowest foot of the whole clip. A decoder gives all stands the mean height,
so that no foot comes as low as the floor.
"""

_STAND_SPEED = 0.30  # maximum speed of the ball of a standing foot [m/s]
_STAND_HEIGHT = 0.06  # maximum height of the ball of a standing foot [m]
_LOW = 0.12  # the same before the motion is shifted [m]
_SLIDE_SPEED = 0.6  # maximum speed of a foot that its contact label says to stand [m/s]
_SMOOTH = 1.0  # deviation of the Gaussian that smooths the body's correction [frames]
_MAX_LIFT = 0.15  # maximum shift of the motion [m]
_MIN_STAND = 3  # [frames]
_EASE = 5  # blend before and after a stand [frames]
_MAX_SHIFT = 0.10  # maximum shift of a standing foot; one that moves further steps [m]
_BLOCK = 64  # frames whose distances from a mean are computed at once


def clean_up(clip: MotionClip, *, free: bool = True) -> MotionClip:
    """Correct limb lengths, standing feet and the floor of a decoded motion.

    Args:
        clip: The decoded motion [m], z up, floor at z = 0, with the decoder's contact labels.
        free: Move the body to its standing feet, up or down and along the floor; not for a motion
            with known frames, which have a floor and a place.

    Returns:
        The corrected motion. Its contacts label the foot joints that stand.
    """
    joints = clip.joints.astype(np.float64)
    if free:
        joints[..., 2] += _lift(joints, clip.fps)
        if clip.contacts is not None:
            joints[..., :2] += _carried(joints, clip.contacts, clip.fps)[:, None]
    ankles = {side: joints[:, JOINT_INDEX[f"{side}_ankle"]].copy() for side in ("left", "right")}
    joints = _with_standard_bones(joints)
    stands = np.zeros((len(joints), 4), dtype=bool)
    for column, side in enumerate(("left", "right")):
        foot = joints[:, JOINT_INDEX[f"{side}_foot"]] - joints[:, JOINT_INDEX[f"{side}_ankle"]]
        ball = ankles[side] + foot
        standing = _standing(ball, clip.fps)
        shift = _hold(ball, standing)
        shift[:, 2] += np.maximum(0.0, -(ball + shift)[:, 2])
        _place_leg(joints, side, ankles[side] + shift, foot)
        stands[:, 2 * column + 1] = standing
        ankle_height = joints[:, JOINT_INDEX[f"{side}_ankle"], 2]
        stands[:, 2 * column] = standing & (ankle_height < _STAND_HEIGHT + 0.05)
    return replace(clip, joints=joints, contacts=stands)


def _lift(joints: np.ndarray, fps: float) -> float:
    """Shift of (T, 22, 3) positions that brings standing feet to `STANDING_BALL` [m]."""
    balls = joints[:, BALLS]
    stands = np.stack([_standing(ball, fps, _LOW) for ball in balls.swapaxes(0, 1)], axis=1)
    if not stands.any():
        return 0.0
    lift = STANDING_BALL - float(np.median(balls[stands, 2]))
    return float(np.clip(lift, -_MAX_LIFT, _MAX_LIFT))


def _carried(joints: np.ndarray, contacts: np.ndarray, fps: float) -> np.ndarray:
    """(T, 2) shift along the floor by which feet stand that the labels (T, 4) say to stand [m].

    Decoded legs and the decoded way of the body are separate features and do not quite agree.
    """
    balls = joints[:, BALLS]
    step = np.diff(balls[..., :2], axis=0)
    stands = contacts[:, 1::2] & (balls[..., 2] < _STAND_HEIGHT)
    stands = stands[:-1] & stands[1:] & (np.linalg.norm(step, axis=-1) * fps < _SLIDE_SPEED)
    back = -(step * stands[..., None]).sum(1) / np.maximum(stands.sum(1), 1)[:, None]
    if len(back):
        back = gaussian_filter1d(back, _SMOOTH, axis=0, mode="nearest")
    return np.concatenate([np.zeros((1, 2)), np.cumsum(back, axis=0)])


def _with_standard_bones(joints: np.ndarray) -> np.ndarray:
    out = joints.copy()
    for joint in range(1, NUM_JOINTS):
        bone = joints[:, joint] - joints[:, PARENTS[joint]]
        length = np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-6)
        out[:, joint] = out[:, PARENTS[joint]] + bone / length * STANDARD_BONES[joint - 1]
    return out


def _standing(ball: np.ndarray, fps: float, low: float = _STAND_HEIGHT) -> np.ndarray:
    """(T,) bool: the ball of the foot is low and slow for at least `_MIN_STAND` frames."""
    speed = np.zeros(len(ball))
    if len(ball) > 1:
        step = np.linalg.norm(np.diff(ball, axis=0), axis=1) * fps
        speed = np.minimum(np.append(step, step[-1]), np.insert(step, 0, step[0]))
    standing = (speed < _STAND_SPEED) & (ball[:, 2] < low)
    for begin, end in _runs(standing):
        if end - begin < _MIN_STAND:
            standing[begin:end] = False
    return standing


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _hold(ball: np.ndarray, standing: np.ndarray) -> np.ndarray:
    """(T, 3) shift that keeps the ball where it stands, eased outside of the stands."""
    shift = np.zeros_like(ball)
    for begin, end in _runs(standing):
        # A long drift is split into several stands, so that the shift stays small.
        while begin < end:
            stop = begin + _steady(ball[begin:end])
            shift[begin:stop] = ball[begin:stop].mean(0) - ball[begin:stop]
            begin = stop
    out = shift.copy()
    total = standing.astype(np.float64)
    for begin, end in _runs(standing):
        for step in range(1, _EASE + 1):
            weight = 0.5 * (1 + np.cos(np.pi * step / (_EASE + 1)))
            for frame, edge in ((begin - step, begin), (end - 1 + step, end - 1)):
                if 0 <= frame < len(ball) and not standing[frame]:
                    # Between two stands both shifts count; the nearer one weighs more.
                    out[frame] = (out[frame] * total[frame] + shift[edge] * weight**2) / (
                        total[frame] + weight
                    )
                    total[frame] += weight
    return out


def _steady(ball: np.ndarray) -> int:
    """First frames (T, 3) of which one is over `_MAX_SHIFT` from their mean; T if none."""
    means = ball.cumsum(0) / np.arange(1, len(ball) + 1)[:, None]
    # In blocks of last frames: long motions have long stands.
    for last in range(0, len(ball), _BLOCK):
        wide = np.linalg.norm(ball[: last + _BLOCK] - means[last : last + _BLOCK, None], axis=2)
        far = (np.tril(wide, last) > _MAX_SHIFT).any(1)
        if far.any():
            return last + int(far.argmax()) + 1
    return len(ball)


def _place_leg(joints: np.ndarray, side: str, ankle: np.ndarray, foot: np.ndarray) -> None:
    """Move a leg in place to a wanted ankle (T, 3) and ball of the foot seen from it (T, 3) [m]."""
    hip = joints[:, JOINT_INDEX[f"{side}_hip"]]
    knee = joints[:, JOINT_INDEX[f"{side}_knee"]]
    old_ankle = joints[:, JOINT_INDEX[f"{side}_ankle"]]
    # The knee bends towards its decoded position, or towards the foot if the leg is straight. Seen
    # from between hip and ankle, it is clear of their line also where they are close together.
    forward = knee - (hip + old_ankle) / 2 + 0.15 * foot
    new_knee, new_ankle = bend_leg(hip, ankle, forward)
    joints[:, JOINT_INDEX[f"{side}_knee"]] = new_knee
    joints[:, JOINT_INDEX[f"{side}_ankle"]] = new_ankle
    joints[:, JOINT_INDEX[f"{side}_foot"]] = new_ankle + foot
