"""A synthetic body in motion."""

from __future__ import annotations

import numpy as np

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, STANDARD_OFFSETS


def standing_body() -> np.ndarray:
    """(22, 3) the standard skeleton, arms hanging, knees a little bent, feet on the floor."""
    joints = np.zeros((NUM_JOINTS, 3))
    for index, name in enumerate(JOINT_NAMES[1:], start=1):
        side, _, part = name.partition("_")
        offset = np.array(STANDARD_OFFSETS[part if part else name])
        if name.endswith(("elbow", "wrist")):
            offset = np.array([0.0, 0.1, -0.99]) * np.linalg.norm(offset)
        if name.endswith("knee"):
            offset = np.array([0.2, 0.0, -0.98]) * np.linalg.norm(offset)
        if name.endswith("ankle"):
            offset = np.array([-0.2, 0.0, -0.98]) * np.linalg.norm(offset)
        if side == "right":
            offset = offset * [1.0, -1.0, 1.0]
        joints[index] = joints[PARENTS[index]] + offset
    joints[:, 2] += 0.02 - joints[:, 2].min()
    return joints


def sway(frames: int, phase: float = 0.0) -> MotionClip:
    """A person drifts forward, sways and turns a little, smoothly and without equal frames."""
    time = np.arange(frames) / 20.0 + phase
    yaw = 0.3 * np.sin(time)
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    # Leaning from side to side about the ground below the pelvis; no bone changes its length.
    lean = 0.05 * np.sin(2.0 * time)[:, None]
    rest = standing_body()
    body = np.empty((frames, NUM_JOINTS, 3))
    body[..., 0] = rest[:, 0]
    body[..., 1] = np.cos(lean) * rest[:, 1] - np.sin(lean) * rest[:, 2]
    body[..., 2] = np.sin(lean) * rest[:, 1] + np.cos(lean) * rest[:, 2]
    joints = np.empty((frames, NUM_JOINTS, 3))
    joints[..., 0] = c * body[..., 0] - s * body[..., 1] + 0.2 * time[:, None]
    joints[..., 1] = s * body[..., 0] + c * body[..., 1]
    joints[..., 2] = body[..., 2]
    return MotionClip(joints)
