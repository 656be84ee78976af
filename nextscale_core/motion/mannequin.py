"""The human as rigid parts, with meshes that stay and poses that follow the 22 joints.

Left limbs are blue, right limbs orange.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.mesh import Color, Mesh, capsule, ellipsoid
from nextscale_core.motion.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS
from nextscale_core.rotations import unit

LEFT: Color = (0.22, 0.46, 0.82)
RIGHT: Color = (0.90, 0.45, 0.16)
BODY: Color = (0.62, 0.66, 0.72)
HEAD: Color = (0.84, 0.70, 0.58)

# Joint, joint, radius at each [m]: the thickness of an average adult's limbs.
_TRUNK = (
    ("left_hip", "right_hip", 0.085, 0.085),
    ("pelvis", "spine1", 0.105, 0.105),
    ("spine1", "spine2", 0.105, 0.115),
    ("spine2", "spine3", 0.115, 0.12),
    ("spine3", "neck", 0.115, 0.065),
    ("left_collar", "right_collar", 0.085, 0.085),
    ("neck", "head", 0.05, 0.05),
)
_LIMB = (
    ("collar", "shoulder", 0.07, 0.06),
    ("shoulder", "elbow", 0.052, 0.042),
    ("elbow", "wrist", 0.041, 0.03),
    ("hip", "knee", 0.083, 0.058),
    ("knee", "ankle", 0.056, 0.04),
    ("ankle", "foot", 0.043, 0.036),
)
_HAND_LENGTH, _TOE_LENGTH = 0.09, 0.05  # [m]
_SKULL, _SKULL_UP = (0.10, 0.078, 0.125), 0.075  # half axes, and centre above the joint [m]


@dataclass(frozen=True)
class Part:
    """One rigid part of the mannequin.

    Attributes:
        name: Such as 'left_knee-left_ankle'.
        mesh: Its shape about its own origin, along +z, or along -z where it hangs.
        color: Its colour.
        joint: Joint with whose frame it moves.
        foot: 0 for a part of the left foot, 1 of the right foot, None for the others.
    """

    name: str
    mesh: Mesh
    color: Color
    joint: int
    foot: int | None = None


@dataclass(frozen=True)
class _Bone:
    """Extent of a part: along a bone, or beyond its end.

    Attributes:
        start: Joint at its start.
        end: Joint at its end; with `beyond`, the joint at its start, and `start` the one before.
        beyond: Length of a part that continues after `end` [m].
        flat: The part stays level, such as the toes.
        hangs: Its mesh points along -z, so that its usual direction needs no large rotation.
    """

    start: int
    end: int
    beyond: float = 0.0
    flat: bool = False
    hangs: bool = True


class Mannequin:
    """A body with the proportions of one skeleton.

    Args:
        joints: (22, 3) joints that define the lengths of the limbs [m].
        sides: Facets around a limb; few for pictures, which are painted from back to front.

    Attributes:
        parts: P parts.
    """

    def __init__(self, joints: np.ndarray, sides: int = 14):
        joints = np.asarray(joints, dtype=np.float64)
        self._bones: list[_Bone] = []
        parts: list[Part] = []

        def add(bone: _Bone, radii: tuple[float, float], color: Color, foot: int | None) -> None:
            start, end = _ends(bone, joints[None])
            reach = max(float(np.linalg.norm(end - start)), 1e-3)
            tip = np.array([0.0, 0.0, -reach if bone.hangs else reach])
            mesh = capsule(np.zeros(3), tip, *radii, color, sides=sides)
            name = f"{JOINT_NAMES[bone.start]}-{JOINT_NAMES[bone.end]}"
            self._bones.append(bone)
            # A part across the body moves with the joint above both of its ends.
            joint = bone.end if bone.beyond else bone.start
            joint = joint if PARENTS[bone.end] == bone.start or bone.beyond else PARENTS[joint]
            parts.append(Part(name + ("+" if bone.beyond else ""), mesh, color, joint, foot))

        for a, b, ra, rb in _TRUNK:
            add(_Bone(JOINT_INDEX[a], JOINT_INDEX[b], hangs=False), (ra, rb), BODY, None)
        for foot, (side, color) in enumerate((("left", LEFT), ("right", RIGHT))):
            at = {part: JOINT_INDEX[f"{side}_{part}"] for limb in _LIMB for part in limb[:2]}
            for a, b, ra, rb in _LIMB:
                add(_Bone(at[a], at[b]), (ra, rb), color, foot if b == "foot" else None)
            add(_Bone(at["elbow"], at["wrist"], _HAND_LENGTH), (0.034, 0.03), HEAD, None)
            # Flat toes: the bone from the ankle points down, through the floor.
            toe = _Bone(at["ankle"], at["foot"], _TOE_LENGTH, flat=True)
            add(toe, (0.036, 0.027), color, foot)
        self._lengths = self._reaches(joints[None])[0]
        skull = ellipsoid(_SKULL, HEAD, sides=sides)
        parts.append(Part("skull", skull, HEAD, JOINT_INDEX["head"]))
        self.parts = tuple(parts)

    def _reaches(self, joints: np.ndarray) -> np.ndarray:
        """(T, P - 1) lengths of all parts except the skull [m]."""
        spans = [np.subtract(*reversed(_ends(bone, joints))) for bone in self._bones]
        return np.maximum(np.linalg.norm(np.stack(spans, axis=1), axis=-1), 1e-3)

    def poses(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Poses of the parts for (T, 22, 3) joints [m].

        Returns:
            Origins (T, P, 3) [m], orientations (T, P, 4) x y z w, and lengths relative to the
            meshes (T, P).
        """
        joints = np.asarray(joints, dtype=np.float64)
        origins, turns = [], []
        for bone in self._bones:
            start, end = _ends(bone, joints)
            origins.append(start)
            turns.append(_from_up(start - end if bone.hangs else end - start))
        skull, turn = _skull(joints)
        stretch = np.ones((len(joints), len(self.parts)))
        stretch[:, :-1] = self._reaches(joints) / self._lengths
        return np.stack([*origins, skull], axis=1), np.stack([*turns, turn], axis=1), stretch


def _ends(bone: _Bone, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) first and last point of a part [m]."""
    start, end = joints[:, bone.start], joints[:, bone.end]
    if not bone.beyond:
        return start, end
    tip = end + bone.beyond * unit(end - start)
    if bone.flat:
        tip = np.column_stack([tip[:, :2], end[:, 2]])
    return end, tip


def _from_up(direction: np.ndarray) -> np.ndarray:
    """(T, 4) x y z w: the shortest rotations from +z to (T, 3) directions."""
    x, y, z = unit(direction).T
    quaternion = np.column_stack([-y, x, np.zeros(len(x)), 1.0 + z])
    # Straight down: half a turn about any level axis.
    quaternion[quaternion[:, 3] < 1e-9] = (1.0, 0.0, 0.0, 0.0)
    return quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)


def _skull(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) centre [m] and (T, 4) orientation of the head, which faces as the shoulders do."""
    at = {name: joints[:, index] for name, index in JOINT_INDEX.items()}
    up = unit(at["head"] - at["spine3"])
    forward = unit(np.cross(at["left_shoulder"] - at["right_shoulder"], up))
    frame = np.stack([forward, np.cross(up, forward), up], axis=-1)
    frame[np.abs(np.linalg.det(frame)) < 0.5] = np.eye(3)  # no shoulders, no direction
    return at["head"] + _SKULL_UP * up + 0.02 * forward, Rotation.from_matrix(frame).as_quat()
