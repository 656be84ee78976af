"""Changing the frame rate of joint positions."""

from __future__ import annotations

import numpy as np


def resample(joints: np.ndarray, fps: float, target_fps: float) -> np.ndarray:
    """Joint positions at another frame rate, linear between the frames.

    Args:
        joints: (T, J, 3) positions.
        fps: Rate of `joints` [Hz].
        target_fps: Rate wanted [Hz].

    Returns:
        (T', J, 3) positions of the same type; first frames agree, T' >= 1 covers the whole span.
    """
    if abs(fps - target_fps) < 1e-3 * target_fps or len(joints) == 1:
        return joints
    duration = (len(joints) - 1) / fps
    # A hair of tolerance, as 1/120 is written with six digits in a file.
    frames = int(np.floor(duration * target_fps + 1e-3)) + 1
    at = np.minimum(np.arange(frames) * (fps / target_fps), len(joints) - 1)
    before = np.minimum(at.astype(int), len(joints) - 2)
    share = (at - before)[:, None, None]
    return ((1.0 - share) * joints[before] + share * joints[before + 1]).astype(joints.dtype)
