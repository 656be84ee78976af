"""Legs of the standard skeleton: the floor below them, and knees between hip and ankle."""

from __future__ import annotations

import numpy as np

from nextscale_core.motion.skeleton import JOINT_INDEX

THIGH_LENGTH, SHANK_LENGTH = 0.392, 0.429
"""HumanML3D's leg bones, made symmetric [m]."""

STANDARD_LEG = THIGH_LENGTH + SHANK_LENGTH
"""Hip to ankle of the straight leg [m]."""


def floor_height(joints: np.ndarray) -> float:
    """Height of the floor below a motion: a low percentile of the lower foot [m].

    The lowest 3 % of the frames may lie below: noise must not lift the whole clip.
    """
    lowest = joints[:, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]], 2].min(axis=1)
    return float(np.percentile(lowest, 3.0))


def bend_leg(
    hip: np.ndarray, ankle: np.ndarray, forward: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Knee and ankle of a leg of standard length from hip towards the wanted ankle.

    Args:
        hip: (T, 3) hips [m].
        ankle: (T, 3) wanted ankles [m]; pulled in where out of reach.
        forward: (T, 3) unit vectors to the front of the thigh; the knee bends that way.

    Returns:
        (T, 3) knees and (T, 3) ankles [m].
    """
    line = ankle - hip
    distance = np.linalg.norm(line, axis=1, keepdims=True)
    direction = line / np.maximum(distance, 1e-9)
    reach = np.clip(distance, 0.12, 0.9995 * STANDARD_LEG)
    along = (THIGH_LENGTH**2 - SHANK_LENGTH**2 + reach**2) / (2 * reach)
    across = np.sqrt(np.maximum(THIGH_LENGTH**2 - along**2, 0.0))
    front = forward - (forward * direction).sum(1, keepdims=True) * direction
    front /= np.maximum(np.linalg.norm(front, axis=1, keepdims=True), 1e-9)
    return hip + along * direction + across * front, hip + reach * direction
