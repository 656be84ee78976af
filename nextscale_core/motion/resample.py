"""Resampling of joint positions to another frame rate."""

from __future__ import annotations

import numpy as np


def resample(joints: np.ndarray, fps: float, target_fps: float) -> np.ndarray:
    """Resample (T, J, 3) joint positions linearly from `fps` to `target_fps` [Hz].

    Returns:
        (T', J, 3) positions of the same type from the same first frame; T' >= 1.
    """
    if abs(fps - target_fps) < 1e-3 * target_fps or len(joints) == 1:
        return joints
    duration = (len(joints) - 1) / fps
    # Files write 1/120 s with six digits: the tolerance keeps the last frame.
    frames = int(np.floor(duration * target_fps + 1e-3)) + 1
    at = np.minimum(np.arange(frames) * (fps / target_fps), len(joints) - 1)
    before = np.minimum(at.astype(int), len(joints) - 2)
    share = (at - before)[:, None, None]
    return ((1.0 - share) * joints[before] + share * joints[before + 1]).astype(joints.dtype)
