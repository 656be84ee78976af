"""Correspondence of human and robot bodies: aligned rest poses, matched sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from gmr.model import Site

from nextscale_core.motion.bone_rotations import fit_bone_rotations
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget.human_frames import Body
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.rotations import unit

_X, _Y, _Z = np.eye(3)

_CHAINS = {
    "hip": ("hip",),
    "knee": ("hip", "knee"),
    "ankle": ("hip", "knee", "ankle"),
    "shoulder": ("shoulder",),
    "elbow": ("shoulder", "elbow"),
    "wrist": ("shoulder", "elbow", "wrist"),
}
"""From the middle of the hips to each key body."""

BODIES = ("pelvis", "torso", *(f"{side}_{part}" for side in SIDES for part in _CHAINS))
"""The key bodies; 'left_hip' is the left thigh, 'left_elbow' the left forearm and so on."""


@dataclass(frozen=True)
class Human:
    """Poses of the key bodies of a human, in its own size.

    Attributes:
        position: (T, 14, 3) in the order of `BODIES`, the pelvis in the middle of the hips [m].
        rotation: (T, 14, 3, 3), identity in T-pose.
        ankle_height: Of a standing foot above the floor [m].
    """

    position: np.ndarray
    rotation: np.ndarray
    ankle_height: float


def human_of(body: Body, ankle_height: float) -> Human:
    """Orientations of all bodies, which the baseline expects as input, from joint positions.

    Trunk and feet have the orientations that our own retargeting sees; the limbs have those of
    the BVH writer, with their twist.
    """
    limbs = fit_bone_rotations(body.joints).rotations
    position = np.stack([_track(body.joints, name) for name in BODIES], axis=1)
    turns = {"pelvis": body.pelvis, "torso": body.torso}
    turns |= {f"{side}_ankle": body.feet[:, n] for n, side in enumerate(SIDES)}
    rotation = [turns[n] if n in turns else limbs[:, JOINT_INDEX[n]] for n in BODIES]
    return Human(position, np.stack(rotation, axis=1), ankle_height)


def _track(joints: np.ndarray, name: str) -> np.ndarray:
    """(..., 3) track of a key body from joints (..., 22, 3)."""
    pairs = {"pelvis": "hip", "torso": "shoulder"}
    if name in pairs:
        left, right = (joints[..., JOINT_INDEX[f"{side}_{pairs[name]}"], :] for side in SIDES)
        return (left + right) / 2
    return joints[..., JOINT_INDEX[name], :]


class Matching:
    """Body frames and sizes of a robot beside those of a human.

    Attributes:
        sites: For each key body the frame of the robot that should coincide with the human's:
            its constant turn against the link is the alignment of the rest poses.
    """

    def __init__(self, robot: Robot):
        kinematics = kinematics_of(robot)
        count = robot.num_joints
        still = Poses(np.zeros((2, 3)), np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, count)))
        still.joints[1] = robot.nominal
        turns, origins = kinematics.forward(still)
        points = kinematics.points(still)
        self._zero = _by_name(kinematics, points[0])
        self._nominal = _by_name(kinematics, points[1])
        self._turns, self._origins = turns[0], origins[0]
        axes = kinematics.axes(turns)
        self.sites: dict[str, Site] = {}
        self.ankle_height = kinematics.ankle_height

        self._add("pelvis", -1, np.eye(3))
        self._add("torso", int(kinematics.owner[kinematics.index["torso"]]), np.eye(3))
        for side in SIDES:
            joint = {
                part: int(kinematics.owner[kinematics.index[f"{side}_{part}"]]) for part in _CHAINS
            }
            sign = 1.0 if side == "left" else -1.0
            for upper, middle, end, rest, rest_hinge in (
                ("hip", "knee", "ankle", -_Z, _Y),
                ("shoulder", "elbow", "wrist", sign * _Y, -sign * _Z),
            ):
                hinge = axes[0, joint[middle]]
                hinge = hinge * np.sign(
                    self._bend(side, upper, middle, end) @ axes[1, joint[middle]]
                )
                human = _frame(rest, rest_hinge)
                # The link above the middle joint is turned by all joints of hip or shoulder.
                owner = int(robot.model.parents[joint[middle] + 2]) - 2
                first = self._zero[f"{side}_{middle}"] - self._zero[f"{side}_{upper}"]
                second = self._zero[f"{side}_{end}"] - self._zero[f"{side}_{middle}"]
                self._add(f"{side}_{upper}", owner, _frame(first, hinge) @ human.T)
                lower = _frame(second, hinge) @ human.T
                self._add(f"{side}_{middle}", joint[middle], lower)
                upright = end == "ankle"
                self._add(f"{side}_{end}", joint[end], np.eye(3) if upright else lower)
        self._lengths = {part: self._chain(part) for part in _CHAINS}

    def _add(self, name: str, joint: int, turn: np.ndarray) -> None:
        """A frame at a key body that has this turn in the robot standing at zero."""
        place = self._zero[name]
        if joint >= 0:
            above = self._turns[joint]
            place, turn = above.T @ (place - self._origins[joint]), above.T @ turn
        self.sites[name] = Site(joint, place, turn)

    def _bend(self, side: str, upper: str, middle: str, end: str) -> np.ndarray:
        """Axis about which a bent knee or elbow of the robot turns, nominal posture."""
        at = self._nominal
        first = at[f"{side}_{middle}"] - at[f"{side}_{upper}"]
        return np.cross(first, at[f"{side}_{end}"] - at[f"{side}_{middle}"])

    def _chain(self, part: str) -> float:
        names = ["pelvis", *(f"left_{joint}" for joint in _CHAINS[part])]
        places = np.stack([self._zero[name] for name in names])
        return float(np.linalg.norm(np.diff(places, axis=0), axis=-1).sum())

    def targets(self, human: Human) -> np.ndarray:
        """(T, 14, 3) where the robot's key bodies should be [m].

        The root's track is scaled by the ratio of leg lengths, every other body's place relative
        to the root by the ratio of its own chain of bones.
        """
        factors = np.ones(len(BODIES))
        for number, name in enumerate(BODIES):
            part = name.removeprefix("left_").removeprefix("right_")
            chain = _CHAINS.get(part, ("shoulder",))
            tracks = [human.position[:, BODIES.index(f"left_{joint}")] for joint in chain]
            steps = np.diff(np.stack([human.position[:, 0], *tracks]), axis=0)
            length = float(np.median(np.linalg.norm(steps, axis=-1).sum(0)))
            factors[number] = self._lengths[chain[-1]] / length
        height = factors[BODIES.index("left_ankle")]
        root = human.position[:, :1] * height
        # The human stands on its own ankles.
        root[..., 2] += self.ankle_height - height * human.ankle_height
        relative = human.position - human.position[:, :1]
        return root + relative * factors[:, None]


def _by_name(kinematics: Kinematics, points: np.ndarray) -> Mapping[str, np.ndarray]:
    """Key bodies of the robot at one posture."""
    at = {name: points[row] for name, row in kinematics.index.items()}
    at["pelvis"] = (at["left_hip"] + at["right_hip"]) / 2
    at["torso"] = (at["left_shoulder"] + at["right_shoulder"]) / 2
    return at


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(3, 3) right-handed frame: `first`, `second` made perpendicular to it, their normal."""
    first = unit(first)
    second = unit(second - first * (first @ second))
    return np.stack([first, second, np.cross(first, second)], axis=-1)
