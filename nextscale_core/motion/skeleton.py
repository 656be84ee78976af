"""The 22-joint human skeleton of HumanML3D (SMPL order), in nextscale's frame.

World frame (REP-103): metres, x forward, y left, z up. HumanML3D's y-up frame lives only in
`features.py` and in the readers.
"""

from __future__ import annotations

import numpy as np

JOINT_NAMES: tuple[str, ...] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
)
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
"""Right leg, left leg, spine and head, right arm, left arm: as HumanML3D draws them."""

CONTACT_JOINTS: tuple[int, ...] = (7, 10, 8, 11)
"""Left ankle, left foot, right ankle, right foot: the four HumanML3D contact labels."""

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


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """Lengths of the 21 bones.

    Args:
        joints: (..., 22, 3) positions [m].

    Returns:
        (..., 21) distance of joints 1..21 to their parents [m].
    """
    return np.linalg.norm(joints[..., 1:, :] - joints[..., PARENTS[1:], :], axis=-1)
