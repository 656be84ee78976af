"""The 22-joint human skeleton of HumanML3D (SMPL order) and its standard proportions.

World frame (REP-103): metres, x forward, y left, z up. Only `features.py` and the file readers
handle frames with y up.
"""

from __future__ import annotations

import numpy as np

JOINT_NAMES: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar",
    "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist",
)  # fmt: skip
"""Joint names, in the order of every `(…, 22, 3)` array. `*_foot` is the ball of the foot."""

NUM_JOINTS = len(JOINT_NAMES)

PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19,
)  # fmt: skip
"""Parent of each joint; -1 for the pelvis."""

JOINT_INDEX: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}

KINEMATIC_CHAINS: tuple[tuple[int, ...], ...] = (
    (0, 2, 5, 8, 11),
    (0, 1, 4, 7, 10),
    (0, 3, 6, 9, 12, 15),
    (9, 14, 17, 19, 21),
    (9, 13, 16, 18, 20),
)
"""Right leg, left leg, spine and head, right arm, left arm: the chains of HumanML3D."""

CONTACT_JOINTS: tuple[int, ...] = (7, 10, 8, 11)
"""Left ankle, left foot, right ankle, right foot: the four HumanML3D contact labels."""

BALLS = CONTACT_JOINTS[1::2]
"""The balls of the left and right foot."""

MIRROR_ORDER: tuple[int, ...] = tuple(
    JOINT_INDEX[
        name.replace("left", "right") if name.startswith("left") else name.replace("right", "left")
    ]
    for name in JOINT_NAMES
)
"""Index of the joint on the other side (itself for the spine)."""

FPS = 20.0
"""Frame rate of every motion inside the models (HumanML3D) [Hz]."""

MIN_SECONDS, MAX_SECONDS = 1.0, 9.8
"""Shortest and longest motion that the generators make [s]; 9.8 s are HumanML3D's 196 frames."""

STANDARD_BONES = np.array(
    [
        0.1063, 0.1063, 0.1315, 0.3920, 0.3920, 0.1430, 0.4290, 0.4290, 0.0571, 0.1435, 0.1435,
        0.2191, 0.1424, 0.1424, 0.1029, 0.1267, 0.1267, 0.2600, 0.2600, 0.2680, 0.2680,
    ]
)  # fmt: skip
"""Bone lengths of joints 1..21 to their parents [m]: HumanML3D's, made symmetric."""

THIGH_LENGTH, SHANK_LENGTH = 0.392, 0.429
STANDARD_LEG = THIGH_LENGTH + SHANK_LENGTH
"""Length of the straight standard leg from hip to ankle [m]."""

STANDARD_OFFSETS: dict[str, tuple[float, float, float]] = {
    "hip": (-0.018, 0.064, -0.083), "knee": (0.0, 0.0, -THIGH_LENGTH),
    "ankle": (0.0, 0.0, -SHANK_LENGTH), "foot": (0.131, 0.020, -0.055),
    "spine1": (-0.030, 0.0, 0.128), "spine2": (0.024, 0.0, 0.141), "spine3": (0.003, 0.0, 0.057),
    "neck": (-0.030, 0.0, 0.217), "head": (0.048, 0.0, 0.091), "collar": (-0.018, 0.076, 0.119),
    "shoulder": (-0.017, 0.119, 0.040), "elbow": (0.0, 0.260, 0.0), "wrist": (0.0, 0.268, 0.0),
}  # fmt: skip
"""T-pose position of each left or middle joint in its parent's frame (x forward, y left, z up)
[m]: HumanML3D's, made symmetric; the right side has the opposite y."""


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """(..., 21) distances of joints 1..21 to their parents [m], from (..., 22, 3) positions [m]."""
    return np.linalg.norm(joints[..., 1:, :] - joints[..., PARENTS[1:], :], axis=-1)


def floor_height(joints: np.ndarray) -> float:
    """Height of the floor below (T, 22, 3) positions: a low percentile of the lower foot [m].

    In 3 % of the frames the foot may be lower, so that noise does not lift the whole clip.
    """
    lowest = joints[:, BALLS, 2].min(axis=1)
    return float(np.percentile(lowest, 3.0))


def bend_leg(
    hip: np.ndarray, ankle: np.ndarray, forward: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse kinematics of a leg of standard length.

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
