"""Is a motion physically plausible? Feet, floor, smoothness and bones.

Every figure is computed from joint positions alone, the same way for recorded, reconstructed and
generated motion, and is to be read beside the one of recorded motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, bone_lengths

CONTACT_HEIGHT = 0.05
"""The ball of a foot below this height touches the floor [m]."""

SKATE_SPEED = 0.5
"""A foot on the floor that is faster slides [m/s]: 2.5 cm in a frame of 1/20 s."""

_BALLS = (JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"])
_MIN_FRAMES = 4


@dataclass(frozen=True)
class Physics:
    """Figures of one clip.

    Attributes:
        foot_skate_ratio: Share of frames in which a foot on the floor (below 5 cm in this frame
            and the next) moves more than 2.5 cm over it (Karunratanakul et al., "Guided Motion
            Diffusion", ICCV 2023).
        contact_speed_mps: Mean speed over the floor of a foot that touches it [m/s]; NaN when
            none does.
        ground_penetration_mm: Mean over the frames of the depth of the lowest joint below the
            floor [mm].
        jerk_mps3: Mean size of the third derivative of the joints' positions [m/s^3].
        bone_deviation_mm: Mean distance of the bones' lengths to their median over time [mm].
    """

    foot_skate_ratio: float
    contact_speed_mps: float
    ground_penetration_mm: float
    jerk_mps3: float
    bone_deviation_mm: float


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Physics))
"""Names of the columns of `physics_table`."""


def measure(clip: MotionClip) -> Physics:
    """Physical figures of a motion.

    Args:
        clip: Floor at z = 0; at least 4 frames.

    Raises:
        InvalidMotionError: fewer than 4 frames, which have no third derivative.
    """
    if len(clip) < _MIN_FRAMES:
        raise InvalidMotionError(f"physics needs {_MIN_FRAMES} frames, the clip has {len(clip)}")
    joints = clip.joints.astype(np.float64)
    balls = joints[:, _BALLS]
    low = balls[..., 2] < CONTACT_HEIGHT
    contact = low[:-1] & low[1:]
    speed = np.linalg.norm(np.diff(balls[..., :2], axis=0), axis=-1) * clip.fps
    slides = (contact & (speed > SKATE_SPEED)).any(axis=1)
    depth = np.maximum(-joints[..., 2].min(axis=1), 0.0)
    jerk = np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1) * clip.fps**3
    bones = bone_lengths(joints)
    return Physics(
        foot_skate_ratio=float(slides.mean()),
        contact_speed_mps=float(speed[contact].mean()) if contact.any() else float("nan"),
        ground_penetration_mm=float(depth.mean() * 1000),
        jerk_mps3=float(jerk.mean()),
        bone_deviation_mm=float(np.abs(bones - np.median(bones, axis=0)).mean() * 1000),
    )


def physics_table(clips: Sequence[MotionClip]) -> np.ndarray:
    """(N, 5) figures of N clips, columns as in `NAMES`."""
    return np.array([astuple(measure(clip)) for clip in clips], dtype=np.float64)
