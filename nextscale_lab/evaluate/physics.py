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
from nextscale_core.motion.skeleton import BALLS, PARENTS, bone_lengths

CONTACT_HEIGHT = 0.05
"""Maximum height of the ball of a foot in contact with the floor [m]."""

SKATE_SPEED = 0.5
"""Maximum speed of a foot in contact without sliding [m/s]: 2.5 cm per frame at 20 fps."""

_MIN_FRAMES = 4

_BENT = tuple(joint for joint, parent in enumerate(PARENTS) if parent > 0)
"""Joints with a bone before the one that ends in them."""

_RARE = 0.1
"""Share of recorded angles on either side that ranges leave out [%]."""


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
        angle_excess_deg: Mean angle by which joints bend beyond `AngleRanges` [deg]; NaN without
            ranges.
    """

    foot_skate_ratio: float
    contact_speed_mps: float
    ground_penetration_mm: float
    jerk_mps3: float
    bone_deviation_mm: float
    angle_excess_deg: float


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Physics))
"""Column names of `physics_table`."""


def bend_angles(joints: np.ndarray) -> np.ndarray:
    """(T, 22, 3) positions -> (T, 18) angles between each bone and the bone before it [rad]."""
    bones = joints - joints[:, np.maximum(PARENTS, 0)]
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    before = bones[:, [PARENTS[joint] for joint in _BENT]]
    return np.arccos(np.clip((bones[:, _BENT] * before).sum(-1), -1.0, 1.0))


@dataclass(frozen=True)
class AngleRanges:
    """Range of each joint angle in recordings, without the rarest 0.1 % on either side.

    Attributes:
        low: (18,) smallest angles, see `bend_angles` [rad].
        high: (18,) largest angles [rad].
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, clips: Sequence[MotionClip]) -> AngleRanges:
        """Ranges of recorded motions."""
        angles = np.concatenate([bend_angles(clip.joints.astype(np.float64)) for clip in clips])
        return cls(*np.percentile(angles, [_RARE, 100 - _RARE], axis=0))


def measure(clip: MotionClip, ranges: AngleRanges | None = None) -> Physics:
    """Physical metrics of a motion with the floor at z = 0.

    Args:
        clip: The motion.
        ranges: Joint angles of recordings, for `angle_excess_deg`.

    Raises:
        InvalidMotionError: fewer than 4 frames, too few for the jerk.
    """
    if len(clip) < _MIN_FRAMES:
        raise InvalidMotionError(f"physics needs {_MIN_FRAMES} frames, the clip has {len(clip)}")
    joints = clip.joints.astype(np.float64)
    balls = joints[:, BALLS]
    low = balls[..., 2] < CONTACT_HEIGHT
    contact = low[:-1] & low[1:]
    speed = np.linalg.norm(np.diff(balls[..., :2], axis=0), axis=-1) * clip.fps
    slides = (contact & (speed > SKATE_SPEED)).any(axis=1)
    depth = np.maximum(-joints[..., 2].min(axis=1), 0.0)
    jerk = np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1) * clip.fps**3
    bones = bone_lengths(joints)
    excess = float("nan")
    if ranges is not None:
        angles = bend_angles(joints)
        beyond = np.maximum(ranges.low - angles, angles - ranges.high)
        excess = float(np.degrees(np.maximum(beyond, 0.0)).mean())
    return Physics(
        foot_skate_ratio=float(slides.mean()),
        contact_speed_mps=float(speed[contact].mean()) if contact.any() else float("nan"),
        ground_penetration_mm=float(depth.mean() * 1000),
        jerk_mps3=float(jerk.mean()),
        bone_deviation_mm=float(np.abs(bones - np.median(bones, axis=0)).mean() * 1000),
        angle_excess_deg=excess,
    )


def physics_table(clips: Sequence[MotionClip], ranges: AngleRanges | None = None) -> np.ndarray:
    """(N, 6) metrics of N clips, columns as in `NAMES`."""
    return np.array([astuple(measure(clip, ranges)) for clip in clips], dtype=np.float64)
