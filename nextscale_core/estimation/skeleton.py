"""Poses of the standard human skeleton from orientations: the inverse of `body_of`.

`human_frames.body_of` computes the orientations of pelvis, chest, soles and limbs from 22 joints;
`pose_human` computes the 22 joints of the standard skeleton (HumanML3D's bone lengths) from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS, STANDARD_OFFSETS, bend_leg
from nextscale_core.retarget.human_frames import body_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.rotations import exp, frame_from, log

_MIRROR = np.array([1.0, -1.0, 1.0])
_FURTHER = 1.37
"""Bend of the chest over that of the line from spine1 to neck: lengths times shares of the bend
(thirds of it below the chest)."""

_SPINE_ROUNDS = 2


@dataclass(frozen=True)
class Orientations:
    """Orientations of a human body over T frames.

    Attributes:
        hips: (T, 3) midpoint of the hip joints [m], at human size.
        ankles: (T, 2, 3) left and right ankle [m], at human size.
        pelvis: (T, 3, 3) orientation of the pelvis, as `body_of` defines it.
        torso: (T, 3, 3) orientation of the chest.
        feet: (T, 2, 3, 3) orientations of the soles.
        knee_front: (T, 2, 3) direction of the front of the thigh.
        upper_arm: (T, 2, 3) unit vectors from shoulder to elbow.
        forearm: (T, 2, 3) unit vectors from elbow to wrist.
    """

    hips: np.ndarray
    ankles: np.ndarray
    pelvis: np.ndarray
    torso: np.ndarray
    feet: np.ndarray
    knee_front: np.ndarray
    upper_arm: np.ndarray
    forearm: np.ndarray


@dataclass(frozen=True)
class _Rest:
    """Frames of the standard skeleton in its T-pose, by `body_of`."""

    pelvis: np.ndarray
    ball: np.ndarray


def offset(name: str, side: str = "left") -> np.ndarray:
    """(3,) offset of a joint, named without its side, from its parent in the T-pose [m]."""
    return np.array(STANDARD_OFFSETS[name]) * (1.0 if side == "left" else _MIRROR)


ANKLE_HEIGHT = -STANDARD_OFFSETS["foot"][2]
"""Height of the ankle of the standing standard skeleton [m]."""

TOE_OUT = float(np.arctan2(STANDARD_OFFSETS["foot"][1], STANDARD_OFFSETS["foot"][0]))
"""Angle between the line from ankle to ball of the foot and the direction of the foot [rad]."""

HIP_HALF_WIDTH = STANDARD_OFFSETS["hip"][1]
"""Distance of a hip joint from the midline of the body [m]."""


def t_pose() -> np.ndarray:
    """(22, 3) joints of the standard skeleton in its T-pose, pelvis at the origin [m]."""
    pose = np.zeros((NUM_JOINTS, 3))

    def put(name: str, parent: str, part: str, side: str = "left") -> None:
        pose[JOINT_INDEX[name]] = pose[JOINT_INDEX[parent]] + offset(part, side)

    for name, parent in (
        ("spine1", "pelvis"), ("spine2", "spine1"), ("spine3", "spine2"), ("neck", "spine3"),
        ("head", "neck"),
    ):  # fmt: skip
        put(name, parent, name)
    for side in SIDES:
        chains = (
            ("pelvis", "hip", "knee", "ankle", "foot"),
            ("spine3", "collar", "shoulder", "elbow", "wrist"),
        )
        for first, *parts in chains:
            parent = first
            for part in parts:
                put(f"{side}_{part}", parent, part, side)
                parent = f"{side}_{part}"
    return pose


@lru_cache(maxsize=1)
def _rest() -> _Rest:
    joints = np.repeat(t_pose()[None], 8, axis=0)
    body = body_of(joints, np.ones((8, 2), dtype=bool))
    toe_line = joints[0, JOINT_INDEX["left_foot"]] - joints[0, JOINT_INDEX["left_ankle"]]
    return _Rest(body.pelvis[0], body.feet[0, 0].T @ toe_line)


def pose_human(seen: Orientations) -> np.ndarray:
    """(T, 22, 3) joints of the standard skeleton with given orientations [m].

    Legs reach for their ankles, with knees on the given side; ankles out of reach are moved nearer.
    """
    rest = _rest()
    joints = np.empty((len(seen.hips), NUM_JOINTS, 3))

    def put(name: str, position: np.ndarray) -> np.ndarray:
        joints[:, JOINT_INDEX[name]] = position
        return position

    hip = offset("hip")
    pelvis_turn = seen.pelvis @ rest.pelvis.T
    pelvis = put("pelvis", seen.hips - pelvis_turn @ (hip * [1.0, 0.0, 1.0]))
    for n, side in enumerate(SIDES):
        hip_joint = put(f"{side}_hip", pelvis + pelvis_turn @ offset("hip", side))
        knee, ankle = bend_leg(hip_joint, seen.ankles[:, n], seen.knee_front[:, n])
        put(f"{side}_knee", knee)
        put(f"{side}_ankle", ankle)
        put(f"{side}_foot", ankle + seen.feet[:, n] @ rest.ball)
    chest, lower, upper = _spine(pelvis_turn, seen.torso)
    spine1 = put("spine1", pelvis + pelvis_turn @ offset("spine1"))
    spine2 = put("spine2", spine1 + lower @ offset("spine2"))
    spine3 = put("spine3", spine2 + upper @ offset("spine3"))
    neck = put("neck", spine3 + chest @ offset("neck"))
    put("head", neck + chest @ offset("head"))
    arm = float(np.linalg.norm(offset("elbow"))), float(np.linalg.norm(offset("wrist")))
    for n, side in enumerate(SIDES):
        collar = put(f"{side}_collar", spine3 + chest @ offset("collar", side))
        shoulder = put(f"{side}_shoulder", collar + chest @ offset("shoulder", side))
        elbow = put(f"{side}_elbow", shoulder + arm[0] * seen.upper_arm[:, n])
        put(f"{side}_wrist", elbow + arm[1] * seen.forearm[:, n])
    return joints


def _spine(pelvis: np.ndarray, torso: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns of chest, lower and upper spine (T, 3, 3) whose torso by `body_of` is `torso`.

    `body_of` derives the chest's orientation from the line from spine1 to neck, part of which bends
    with the spine below the chest, so that the chest itself turns further. The first estimate is
    exact for small bends; each round leaves about a third of its error.
    """
    between = log(pelvis.transpose(0, 2, 1) @ torso)
    chest = pelvis @ exp(between * [_FURTHER, _FURTHER, 1.0])
    for _ in range(_SPINE_ROUNDS):
        third = exp(log(pelvis.transpose(0, 2, 1) @ chest) / 3)
        lower = pelvis @ third
        upper = lower @ third
        line = lower @ offset("spine2") + upper @ offset("spine3") + chest @ offset("neck")
        looks = frame_from(primary=line, secondary=chest[..., 1], axes="zy", fallback=chest)
        chest = torso @ looks.transpose(0, 2, 1) @ chest
    return chest, lower, upper
