"""The human as rigid parts: meshes that stay, poses that follow the 22 joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.viz.figure import Color
from nextscale_core.viz.human import BODY, HAND_LENGTH, HEAD, LEFT, LIMB, RIGHT, TOE_LENGTH, TRUNK
from nextscale_core.viz.mesh import Mesh, capsule, ellipsoid

_SKULL, _SKULL_UP = (0.10, 0.078, 0.125), 0.075


@dataclass(frozen=True)
class Part:
    """One rigid part of the mannequin.

    Attributes:
        name: Such as 'left_knee-left_ankle'.
        mesh: Its shape about its own origin, along +z, or along -z where it hangs.
        color: Its colour.
        foot: 0 for a part of the left foot, 1 of the right foot, None for the others.
    """

    name: str
    mesh: Mesh
    color: Color
    foot: int | None = None


@dataclass(frozen=True)
class _Bone:
    """From where to where a part reaches: along a bone, or beyond its end.

    Attributes:
        start: Joint where it begins.
        end: Joint where it ends; with `beyond`, the joint at which it begins after `start`.
        beyond: Length of a part that goes on after `end` [m].
        flat: A part that stays level, such as the toes.
        hangs: Its mesh reaches along -z, so that its usual direction needs no large turn.
    """

    start: int
    end: int
    beyond: float = 0.0
    flat: bool = False
    hangs: bool = True


class Mannequin:
    """A jointed figure of the proportions of one skeleton.

    Args:
        joints: (22, 3) joints [m] that say how long the limbs are.
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
            name = f"{_NAMES[bone.start]}-{_NAMES[bone.end]}" + ("+" if bone.beyond else "")
            self._bones.append(bone)
            parts.append(Part(name, mesh, color, foot))

        for a, b, ra, rb in TRUNK:
            add(_Bone(JOINT_INDEX[a], JOINT_INDEX[b], hangs=False), (ra, rb), BODY, None)
        for number, (side, color) in enumerate((("left", LEFT), ("right", RIGHT))):
            at = {name: JOINT_INDEX[f"{side}_{name}"] for name in _LIMB_JOINTS}
            for a, b, ra, rb in LIMB:
                add(_Bone(at[a], at[b]), (ra, rb), color, number if b == "foot" else None)
            add(_Bone(at["elbow"], at["wrist"], HAND_LENGTH), (0.034, 0.03), HEAD, None)
            # The toes lie flat: a bone that goes on down from the ankle would pierce the floor.
            add(
                _Bone(at["ankle"], at["foot"], TOE_LENGTH, flat=True), (0.036, 0.027), color, number
            )
        self._lengths = self._reaches(joints[None])[0]
        parts.append(Part("skull", ellipsoid(_SKULL, HEAD, sides=sides), HEAD))
        self.parts = tuple(parts)

    def _reaches(self, joints: np.ndarray) -> np.ndarray:
        """(T, P - 1) lengths of all parts but the skull [m]."""
        spans = [np.subtract(*reversed(_ends(bone, joints))) for bone in self._bones]
        return np.maximum(np.linalg.norm(np.stack(spans, axis=1), axis=-1), 1e-3)

    def poses(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the parts are.

        Args:
            joints: (T, 22, 3) positions [m].

        Returns:
            Origins (T, P, 3) [m], orientations (T, P, 4) x y z w, and how much longer than its
            mesh each part is, (T, P).
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


_NAMES = tuple(JOINT_INDEX)
_LIMB_JOINTS = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")


def _ends(bone: _Bone, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) first and last point of a part [m]."""
    start, end = joints[:, bone.start], joints[:, bone.end]
    if not bone.beyond:
        return start, end
    along = end - start
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    tip = end + bone.beyond * along
    if bone.flat:
        tip = np.column_stack([tip[:, :2], end[:, 2]])
    return end, tip


def _from_up(direction: np.ndarray) -> np.ndarray:
    """(T, 4) x y z w: the shortest turn from +z to each of (T, 3) directions."""
    unit = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    quaternion = np.column_stack([-unit[:, 1], unit[:, 0], np.zeros(len(unit)), 1.0 + unit[:, 2]])
    # Straight down, every half turn about a level axis will do.
    quaternion[quaternion[:, 3] < 1e-9] = (1.0, 0.0, 0.0, 0.0)
    return quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)


def _skull(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) middle and (T, 4) orientation of the head; it looks where the shoulders look."""
    at = {name: joints[:, index] for name, index in JOINT_INDEX.items()}
    up = _unit(at["head"] - at["spine3"])
    forward = _unit(np.cross(at["left_shoulder"] - at["right_shoulder"], up))
    frame = np.stack([forward, np.cross(up, forward), up], axis=-1)
    frame[np.abs(np.linalg.det(frame)) < 0.5] = np.eye(3)  # no shoulders, no direction
    middle = at["head"] + _SKULL_UP * up + 0.02 * forward
    return middle, Rotation.from_matrix(frame).as_quat()


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
