"""Orientations of a human in a single frame: `body_of` without arrays.

NumPy's calls cost more than the arithmetic of one frame. Frames in which two directions are
parallel are left to `body_of`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget.human_frames import BONES, FOOT_REST, PELVIS_LEAN, body_of
from nextscale_core.robots.profile import SIDES

Vector = tuple[float, float, float]
Frame = tuple[Vector, Vector, Vector]
"""x, y and z axes."""

_LIMBS = [
    (JOINT_INDEX[f"{side}_{start}"], JOINT_INDEX[f"{side}_{end}"])
    for side in SIDES
    for start, end in BONES.values()
]
_NAMES = ("hip", "ankle", "foot", "collar", "shoulder")
_LEFT, _RIGHT = ({n: JOINT_INDEX[f"{side}_{n}"] for n in _NAMES} for side in SIDES)
_SPINE, _NECK = JOINT_INDEX["spine1"], JOINT_INDEX["neck"]


@dataclass(frozen=True)
class FrameBody:
    """A human in one frame.

    Attributes:
        pelvis: (3, 3) orientation of the pelvis.
        torso: (3, 3) orientation of the chest.
        feet: (2, 3, 3) orientations of the soles.
        bones: (8, 3) unit directions: thigh, shank, upper arm and forearm, left ones first.
    """

    pelvis: np.ndarray
    torso: np.ndarray
    feet: np.ndarray
    bones: np.ndarray


def frame_body(joints: np.ndarray, rest: tuple[float, float] = (FOOT_REST, FOOT_REST)) -> FrameBody:
    """The orientations of one frame.

    Args:
        joints: (22, 3) positions [m], z up.
        rest: Pitch of the line from ankle to ball of a flat left and right foot [rad].
    """
    try:
        return _frame_body(joints.tolist(), rest)
    except ZeroDivisionError:
        body = body_of(joints[None], np.zeros((1, 2), dtype=bool))
        bones = [body.bones[f"{side}_{bone}"][0] for side in SIDES for bone in BONES]
        return FrameBody(body.pelvis[0], body.torso[0], body.feet[0], np.array(bones))


def _frame_body(at: list[Vector], rest: tuple[float, float]) -> FrameBody:
    left, right = at[_LEFT["hip"]], at[_RIGHT["hip"]]
    middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2, (left[2] + right[2]) / 2)
    y = _unit(_minus(left, right))
    z = _across(_minus(at[_SPINE], middle), y)
    pelvis = _pitched((_cross(y, z), y, z), PELVIS_LEAN)
    z = _unit(_minus(at[_NECK], at[_SPINE]))
    collars = _unit(_minus(at[_LEFT["collar"]], at[_RIGHT["collar"]]))
    shoulders = _unit(_minus(at[_LEFT["shoulder"]], at[_RIGHT["shoulder"]]))
    y = _across(_sum(collars, 1.0, shoulders, 1.0), z)
    torso = (_cross(y, z), y, z)
    bones = [_unit(_minus(at[end], at[start])) for start, end in _LIMBS]
    feet = []
    for side, (thigh, shank), pitch in (
        (_LEFT, bones[0:2], rest[0]),
        (_RIGHT, bones[4:6], rest[1]),
    ):
        x = _unit(_minus(at[side["foot"]], at[side["ankle"]]))
        hinge = _cross(thigh, shank)
        trust = smoothstep_of(math.hypot(*hinge), 0.15, 0.45)
        hinge = _unit(hinge) if trust else hinge
        hinge = _unit(_sum(hinge, trust, pelvis[1], 1.0 - trust))
        level = (-x[1], x[0], 0.0)
        flat = smoothstep_of(math.hypot(*level), 0.25, 0.6)
        level = _unit(level) if flat else level
        y = _across(_sum(level, flat, hinge, 1.0 - flat), x)
        feet.append(_pitched((x, y, _cross(x, y)), pitch))
    matrices = np.array([pelvis, torso, *feet]).transpose(0, 2, 1)
    return FrameBody(matrices[0], matrices[1], matrices[2:], np.array(bones))


def _minus(a: Vector, b: Vector) -> Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _sum(a: Vector, p: float, b: Vector, q: float) -> Vector:
    """Sum of multiples."""
    return (p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2])


def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _unit(a: Vector, least: float = 1e-6) -> Vector:
    length = math.hypot(*a)
    if length <= least:
        raise ZeroDivisionError
    return (a[0] / length, a[1] / length, a[2] / length)


def _across(a: Vector, along: Vector) -> Vector:
    """Unit vector of the part of a that is at right angles to a unit vector."""
    part = a[0] * along[0] + a[1] * along[1] + a[2] * along[2]
    return _unit(_sum(a, 1.0, along, -part), 1e-4)


def smoothstep_of(x: float, low: float, high: float) -> float:
    """`smoothstep` of one number."""
    u = min(max((x - low) / (high - low), 0.0), 1.0)
    return u * u * (3.0 - 2.0 * u)


def _pitched(frame: Frame, angle: float) -> Frame:
    """A frame turned about its y axis."""
    c, s = math.cos(angle), math.sin(angle)
    x, y, z = frame
    return _sum(x, c, z, -s), y, _sum(x, s, z, c)
