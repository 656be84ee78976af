"""Parts of the body by name, and a motion put together from parts of two.

| part | joints whose place it holds |
|---|---|
| `left_arm`, `right_arm` | shoulder, elbow, wrist |
| `arms` | both arms |
| `head` | head |
| `torso` | spine1 to spine3, neck, collars |
| `upper_body` | torso, head, arms |
| `left_leg`, `right_leg` | knee, ankle, foot |
| `legs` | both legs, hips and pelvis: the path along the floor goes with the legs |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextscale_core.exceptions import ConfigError, InvalidMotionError
from nextscale_core.motion.bone_rotations import fit_bone_rotations
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS, PARENTS

_ARM = ("shoulder", "elbow", "wrist")
_LEG = ("knee", "ankle", "foot")


def _side(side: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names)


_ARMS = _side("left", _ARM) + _side("right", _ARM)
_TORSO = ("spine1", "spine2", "spine3", "neck", "left_collar", "right_collar")

BODY_PARTS: dict[str, tuple[str, ...]] = {
    "left_arm": _side("left", _ARM),
    "right_arm": _side("right", _ARM),
    "arms": _ARMS,
    "head": ("head",),
    "torso": _TORSO,
    "upper_body": (*_TORSO, "head", *_ARMS),
    "left_leg": _side("left", _LEG),
    "right_leg": _side("right", _LEG),
    "legs": ("pelvis", "left_hip", "right_hip", *_side("left", _LEG), *_side("right", _LEG)),
}
"""Names of the joints of each part."""


def joints_of(parts: Sequence[str]) -> np.ndarray:
    """(22,) bool, True for the joints that belong to any of the parts.

    Raises:
        ConfigError: no part, or an unknown one.
    """
    if isinstance(parts, str) or not parts:
        raise ConfigError(f"parts must be a list of names such as ['left_arm'], got {parts!r}")
    mask = np.zeros(NUM_JOINTS, dtype=bool)
    for part in parts:
        if part not in BODY_PARTS:
            raise ConfigError(f"no body part {part!r}; there are: {', '.join(BODY_PARTS)}")
        mask[[JOINT_INDEX[name] for name in BODY_PARTS[part]]] = True
    return mask


def with_parts(base: np.ndarray, other: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """A motion with some joints moving as they do in another.

    A joint that is taken over keeps the turn of its bone against the bone before it, not its
    place in the world: the arms of someone who walks elsewhere fit. Where the pelvis is taken
    over its place and turn in the world are, and the rest goes along. Bones have the base's
    lengths.

    Args:
        base: (T, 22, 3) positions [m].
        other: (T, 22, 3) positions of another motion [m].
        moved: (22,) bool, joints to take from `other`.

    Returns:
        (T, 22, 3). A joint is exactly where the base has it if neither it nor any joint between
        it and the pelvis is taken over.

    Raises:
        InvalidMotionError: the motions differ in length.
    """
    if base.shape != other.shape:
        raise InvalidMotionError(
            f"motions to put together must have the same frames, got {base.shape} and {other.shape}"
        )
    base = np.asarray(base, dtype=np.float64)
    own, new = fit_bone_rotations(base), fit_bone_rotations(other)
    own_local, new_local = own.local_rotations(), new.local_rotations()
    children = {j: [c for c in range(NUM_JOINTS) if PARENTS[c] == j] for j in range(NUM_JOINTS)}
    turned = np.empty_like(own.rotations)
    out = base.copy()
    changed = np.zeros(NUM_JOINTS, dtype=bool)
    for joint in range(NUM_JOINTS):
        parent = PARENTS[joint]
        # The bones to its children turn with a joint, so they say whose turn it takes.
        below = [moved[child] for child in children[joint]] or [moved[joint]]
        local = new_local if all(below) and (parent >= 0 or moved[joint]) else own_local
        if parent < 0:
            source = new_local if moved[joint] else own_local
            turned[:, joint] = source[:, joint]
            out[:, joint] = other[:, joint] if moved[joint] else base[:, joint]
            changed[joint] = moved[joint]
            continue
        turned[:, joint] = turned[:, parent] @ local[:, joint]
        changed[joint] = changed[parent] or moved[joint]
        if changed[joint]:
            length = np.linalg.norm(base[:, joint] - base[:, parent], axis=1, keepdims=True)
            place = new.positions if moved[joint] else own.positions
            bone = np.einsum("tij,tj->ti", turned[:, parent], place[:, joint])
            bone /= np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-9)
            out[:, joint] = out[:, parent] + length * bone
    return out
