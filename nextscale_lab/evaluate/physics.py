"""Physical plausibility of motions: feet, floor, smoothness and bones.

Metrics are computed from joint positions alone, and are to be compared with those of recorded
motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, bone_lengths

CONTACT_HEIGHT = 0.05
"""Maximum height of the ball of a foot in contact with the floor [m]."""

SKATE_SPEED = 0.5
"""Maximum speed of a foot in contact without sliding [m/s]: 2.5 cm per frame at 20 fps."""

_BALLS = (JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"])
_MIN_FRAMES = 4


@dataclass(frozen=True)
class Physics:
    """Physical metrics of one clip.

    Attributes:
        foot_skate_ratio: Share of frames in which a foot in contact (below 5 cm in this frame and
            the next) moves more than 2.5 cm (Karunratanakul et al., "Guided Motion Diffusion",
            ICCV 2023).
        contact_speed_mps: Mean ground speed of feet in contact [m/s]; NaN without contact.
        ground_penetration_mm: Mean depth of the lowest joint below the floor [mm].
        jerk_mps3: Mean norm of the third derivative of joint positions [m/s^3].
        bone_deviation_mm: Mean deviation of bone lengths from their median over time [mm].
    """

    foot_skate_ratio: float
    contact_speed_mps: float
    ground_penetration_mm: float
    jerk_mps3: float
    bone_deviation_mm: float


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Physics))
"""Column names of `physics_table`."""


def measure(clip: MotionClip) -> Physics:
    """Physical metrics of a motion with the floor at z = 0.

    Raises:
        InvalidMotionError: fewer than 4 frames, too few for the jerk.
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
    """(N, 5) metrics of N clips, columns as in `NAMES`."""
    return np.array([astuple(measure(clip)) for clip in clips], dtype=np.float64)
