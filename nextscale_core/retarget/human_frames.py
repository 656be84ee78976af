"""Orientations of the human body from its joint positions alone.

Every frame returned is that of a body standing upright at rest: x forward, y left, z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.kernels import kernels, run
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.robots.profile import SIDES
from nextscale_core.rotations import frame_from, smoothstep, unit

PELVIS_LEAN = np.deg2rad(3.0)
"""At rest, HumanML3D's first spine joint lies this far behind the vertical above the hips."""

FOOT_REST = np.deg2rad(-22.5)
"""At rest, HumanML3D's ball of the foot lies this far below the horizontal through the ankle."""

BONES = {
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}
"""Limbs of one side, each with the joints at its ends."""

_PITCH_RANGE = 0.3
"""Largest difference of a foot's pitch at rest from `FOOT_REST` [rad]."""

_LIMB_NAMES = [f"{side}_{bone}" for side in SIDES for bone in BONES]
_LIMBS = np.array(
    [[JOINT_INDEX[f"{side}_{end}"] for end in ends] for side in SIDES for ends in BONES.values()]
)
_PARTS = ("hip", "ankle", "foot", "collar", "shoulder")
_NAMED = np.array(
    [JOINT_INDEX[name] for name in (*(f"{s}_{p}" for s in SIDES for p in _PARTS), "spine1", "neck")]
)
"""For the compiled kernels: joints of the limbs, and others by name."""


@dataclass(frozen=True)
class Body:
    """Orientations and limb directions of a human over T frames.

    Attributes:
        joints: (T, 22, 3) joint positions [m], z up.
        pelvis: (T, 3, 3) orientation of the pelvis.
        torso: (T, 3, 3) orientation of the chest.
        feet: (T, 2, 3, 3) orientation of the left and right sole.
        bones: Name ('left_thigh', 'right_forearm', ...) -> (T, 3) unit direction, pointing
            away from the trunk.
    """

    joints: np.ndarray
    pelvis: np.ndarray
    torso: np.ndarray
    feet: np.ndarray
    bones: dict[str, np.ndarray]

    def joint(self, name: str) -> np.ndarray:
        """(T, 3) track of a joint [m]."""
        return self.joints[:, JOINT_INDEX[name]]


def body_of(
    joints: np.ndarray,
    flat: np.ndarray,
    rest: tuple[float, float] = (FOOT_REST, FOOT_REST),
) -> Body:
    """Orientations of pelvis, chest and feet, and the directions of the limbs.

    Args:
        joints: (T, 22, 3) positions [m], z up.
        flat: (T, 2) bool, left and right sole flat on the floor; the pitch of the human's
            ankle-to-ball line is measured there, because shoes and skeletons differ.
        rest: That pitch where fewer than five frames of a foot are flat, left and right [rad].
    """
    library = kernels()
    if library is not None:
        frames = len(joints)
        pelvis, torso, feet = (np.empty((frames, *shape, 3, 3)) for shape in ((), (), (2,)))
        limbs = np.empty((len(_LIMBS), frames, 3))
        given = np.ascontiguousarray(joints, np.float64), _NAMED, _LIMBS
        numbers = (PELVIS_LEAN, FOOT_REST, np.array(rest), _PITCH_RANGE)
        flat = np.ascontiguousarray(flat, np.uint8)
        run(
            library,
            "ns_human",
            *joints.shape[:2],
            *given,
            flat,
            *numbers,
            pelvis,
            torso,
            feet,
            limbs,
        )
        return Body(joints, pelvis, torso, feet, dict(zip(_LIMB_NAMES, limbs, strict=True)))

    def at(name: str) -> np.ndarray:
        return joints[:, JOINT_INDEX[name]]

    hips = (at("left_hip") + at("right_hip")) / 2
    pelvis = frame_from(
        primary=at("left_hip") - at("right_hip"), secondary=at("spine1") - hips, axes="yz"
    )
    pelvis = pelvis @ _about_y(PELVIS_LEAN)
    across = unit(at("left_collar") - at("right_collar")) + unit(
        at("left_shoulder") - at("right_shoulder")
    )
    torso = frame_from(
        primary=at("neck") - at("spine1"), secondary=across, axes="zy", fallback=pelvis
    )
    bones = {
        f"{side}_{bone}": unit(at(f"{side}_{end}") - at(f"{side}_{start}"))
        for side in SIDES
        for bone, (start, end) in BONES.items()
    }
    feet = np.stack(
        [
            _foot(
                toe_line=unit(at(f"{side}_foot") - at(f"{side}_ankle"), pelvis[..., 0]),
                thigh=bones[f"{side}_thigh"],
                shank=bones[f"{side}_shank"],
                pelvis=pelvis,
                flat=flat[:, number],
                rest=rest[number],
            )
            for number, side in enumerate(SIDES)
        ],
        axis=1,
    )
    return Body(joints, pelvis, torso, feet, bones)


def _foot(
    toe_line: np.ndarray,
    thigh: np.ndarray,
    shank: np.ndarray,
    pelvis: np.ndarray,
    flat: np.ndarray,
    rest: float,
) -> np.ndarray:
    """Orientation of a sole, (T, 3, 3).

    Two points (ankle and ball) leave the roll of the foot open. A foot near the horizontal is
    taken as not rolled. Where the toes point down, the foot turns about the axis of the knee, or
    about the left axis of the pelvis where the leg is straight.
    """
    level = np.cross([0.0, 0.0, 1.0], toe_line)
    hinge = np.cross(thigh, shank)
    bend = np.linalg.norm(hinge, axis=-1, keepdims=True)
    trust = smoothstep(bend, 0.15, 0.45)
    hinge = trust * unit(hinge) + (1 - trust) * pelvis[..., 1]
    horizontal = smoothstep(np.linalg.norm(level, axis=-1, keepdims=True), 0.25, 0.6)
    left = horizontal * unit(level) + (1 - horizontal) * unit(hinge)
    frame = frame_from(primary=toe_line, secondary=left, axes="xy", fallback=pelvis)
    pitch = np.arcsin(np.clip(toe_line[:, 2], -1, 1))
    rest = float(np.median(pitch[flat])) if flat.sum() >= 5 else rest
    rest = float(np.clip(rest, FOOT_REST - _PITCH_RANGE, FOOT_REST + _PITCH_RANGE))
    return frame @ _about_y(rest)


def _about_y(angle: float) -> np.ndarray:
    """Rotation about y [rad]; a positive angle turns x down, towards -z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
