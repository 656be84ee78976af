"""Body parts by name, and the combination of two motions by parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextscale_core.exceptions import ConfigError, InvalidMotionError
from nextscale_core.motion.bone_rotations import fit_bone_rotations
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS, PARENTS


def _side(side: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names)


_ARMS = {side: _side(side, "shoulder", "elbow", "wrist") for side in ("left", "right")}
_LEGS = {side: _side(side, "knee", "ankle", "foot") for side in ("left", "right")}
_TORSO = ("spine1", "spine2", "spine3", "neck", "left_collar", "right_collar")

BODY_PARTS: dict[str, tuple[str, ...]] = {
    "left_arm": _ARMS["left"],
    "right_arm": _ARMS["right"],
    "arms": _ARMS["left"] + _ARMS["right"],
    "head": ("head",),
    "torso": _TORSO,
    "upper_body": (*_TORSO, "head", *_ARMS["left"], *_ARMS["right"]),
    "left_leg": _LEGS["left"],
    "right_leg": _LEGS["right"],
    "legs": ("pelvis", "left_hip", "right_hip", *_LEGS["left"], *_LEGS["right"]),
}
"""Joints whose positions belong to each part; the path over the floor belongs to the legs."""


def joints_of(parts: Sequence[str]) -> np.ndarray:
    """(22,) bool mask of the joints that belong to any of the parts.

    Raises:
        ConfigError: no part, or an unknown one.
    """
    if isinstance(parts, str) or not parts:
        raise ConfigError(f"parts must be a list of names such as ['left_arm'], got {parts!r}")
    mask = np.zeros(NUM_JOINTS, dtype=bool)
    for part in parts:
        if part not in BODY_PARTS:
            raise ConfigError(f"unknown body part {part!r}; known are {', '.join(BODY_PARTS)}")
        mask[[JOINT_INDEX[name] for name in BODY_PARTS[part]]] = True
    return mask


def moved_along(moved: np.ndarray) -> np.ndarray:
    """(22,) joints that are in a mask (22,), or hang on one that is."""
    changed = np.array(moved, dtype=bool)
    for joint in range(1, NUM_JOINTS):
        changed[joint] |= changed[PARENTS[joint]]
    return changed


def with_parts(base: np.ndarray, other: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """A motion in which some joints move as in another motion.

    A joint taken from `other` keeps the rotation of its bone relative to the parent bone, not its
    position in the world, so that arms fit a body that walks elsewhere. The pelvis, if taken,
    keeps its pose in the world. Bones have the lengths of `base`.

    Args:
        base: (T, 22, 3) positions [m].
        other: (T, 22, 3) positions of another motion [m].
        moved: (22,) bool, joints to take from `other`.

    Returns:
        (T, 22, 3). A joint is exactly as in `base` if neither it nor any joint between it and the
        pelvis is taken from `other`.

    Raises:
        InvalidMotionError: the motions differ in length.
    """
    if base.shape != other.shape:
        raise InvalidMotionError(
            f"combined motions must have the same frames, got {base.shape} and {other.shape}"
        )
    base = np.asarray(base, dtype=np.float64)
    own, new = fit_bone_rotations(base), fit_bone_rotations(other)
    own_local, new_local = own.local_rotations(), new.local_rotations()
    rotations = np.empty_like(own.rotations)
    out = base.copy()
    changed = moved_along(moved)
    if moved[0]:
        out[:, 0] = other[:, 0]
    rotations[:, 0] = (new_local if moved[0] else own_local)[:, 0]
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        # A joint's rotation turns the bones to its children: it comes from where they come from.
        below = [moved[j] for j in range(NUM_JOINTS) if PARENTS[j] == joint] or [moved[joint]]
        local = new_local if all(below) else own_local
        rotations[:, joint] = rotations[:, parent] @ local[:, joint]
        if changed[joint]:
            length = np.linalg.norm(base[:, joint] - base[:, parent], axis=1, keepdims=True)
            position = new.positions if moved[joint] else own.positions
            bone = np.einsum("tij,tj->ti", rotations[:, parent], position[:, joint])
            bone /= np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-9)
            out[:, joint] = out[:, parent] + length * bone
    return out
