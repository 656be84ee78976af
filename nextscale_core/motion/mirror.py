"""Mirroring of motions: left becomes right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import MIRROR_ORDER, NUM_JOINTS

_CONTACT_MIRROR = (2, 3, 0, 1)


def mirror_joints(joints: np.ndarray) -> np.ndarray:
    """Reflect positions in the plane y = 0 and exchange left and right joints.

    Args:
        joints: (..., 22, 3) positions [m], z up, x forward, y left.

    Returns:
        A new array of the same shape and type; mirroring it again restores `joints` exactly.

    Raises:
        InvalidMotionError: the last two axes are not (22, 3).
    """
    joints = np.asarray(joints)
    if joints.shape[-2:] != (NUM_JOINTS, 3):
        raise InvalidMotionError(
            f"joints must have shape (..., {NUM_JOINTS}, 3), got {joints.shape}"
        )
    mirrored = joints[..., list(MIRROR_ORDER), :].copy()
    mirrored[..., 1] *= -1
    return mirrored


def mirror_clip(clip: MotionClip) -> MotionClip:
    """The clip with mirrored joints and contacts; its text is kept."""
    contacts = None if clip.contacts is None else clip.contacts[:, list(_CONTACT_MIRROR)].copy()
    return replace(clip, joints=mirror_joints(clip.joints), contacts=contacts)
