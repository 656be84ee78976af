"""Poses with other bone lengths: directions of the bones and positions of the ankles are kept."""

from __future__ import annotations

import numpy as np

from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS, PARENTS, bone_lengths

SIDES = ("left", "right")


def median_bones(joints: np.ndarray) -> np.ndarray:
    """(21,) median length of the bones of joints (T, 22, 3) [m]."""
    lengths: np.ndarray = np.median(bone_lengths(joints), axis=0)
    return lengths


def with_bones(joints: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The same pose with other bone lengths; ankles within reach stay where they are.

    Args:
        joints: (T, 22, 3) positions [m].
        lengths: (T, 21) lengths of the bones of joints 1..21 [m].

    Returns:
        (T, 22, 3).
    """
    out = joints.copy()
    for joint in range(1, NUM_JOINTS):
        bone = joints[:, joint] - joints[:, PARENTS[joint]]
        norm = np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-6)
        out[:, joint] = out[:, PARENTS[joint]] + bone / norm * lengths[:, joint - 1, None]
    for side in SIDES:
        ankle = JOINT_INDEX[f"{side}_ankle"]
        foot = out[:, JOINT_INDEX[f"{side}_foot"]] - out[:, ankle]
        place_leg(out, side, joints[:, ankle], foot, lengths)
    return out


def place_leg(
    joints: np.ndarray, side: str, ankle: np.ndarray, foot: np.ndarray, lengths: np.ndarray
) -> None:
    """Move an ankle to a target, as far as it can reach, and bend the knee; in place.

    Args:
        joints: (T, 22, 3) positions [m].
        side: 'left' or 'right'.
        ankle: (T, 3) target of the ankle [m].
        foot: (T, 3) vector from the ankle to the ball of the foot [m].
        lengths: (T, 21) bone lengths [m].
    """
    knee_index, ankle_index = JOINT_INDEX[f"{side}_knee"], JOINT_INDEX[f"{side}_ankle"]
    hip = joints[:, JOINT_INDEX[f"{side}_hip"]]
    thigh, shank = lengths[:, knee_index - 1, None], lengths[:, ankle_index - 1, None]
    line = ankle - hip
    direction = _unit(line)
    # From between hip and ankle, as a squatting person's are close together.
    bend = _across(joints[:, knee_index] - (hip + joints[:, ankle_index]) / 2, direction)
    reach = np.clip(
        np.linalg.norm(line, axis=1, keepdims=True),
        np.abs(thigh - shank) + 0.05,
        # Closer to a straight leg than a generated motion, as a known motion may be.
        0.99999 * (thigh + shank),
    )
    along = (thigh**2 - shank**2 + reach**2) / (2 * reach)
    off = np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    # The knee keeps its bending direction; that of a straight leg is the direction of the foot.
    size = np.linalg.norm(bend, axis=1, keepdims=True)
    front = _unit(bend + np.maximum(0.02 - size, 0.0) * _across(_unit(foot), direction))
    joints[:, knee_index] = hip + along * direction + off * front
    joints[:, ankle_index] = hip + reach * direction
    joints[:, JOINT_INDEX[f"{side}_foot"]] = joints[:, ankle_index] + foot


def _across(vectors: np.ndarray, line: np.ndarray) -> np.ndarray:
    out: np.ndarray = vectors - (vectors * line).sum(1, keepdims=True) * line
    return out


def _unit(vectors: np.ndarray) -> np.ndarray:
    out: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return out
