"""Keypoints of the robot and their derivatives, for one frame or for a whole clip at once.

Pinocchio is the reference and does the single frames. A whole clip is a few NumPy operations per
level of the kinematic tree, which spares a Python call per frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pinocchio as pin

from nextscale_core.robots.description import part_frames
from nextscale_core.robots.forward import ForwardKinematics, Frames
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot

LEVER = 0.2
"""Distance at which a lever point stands for an orientation [m]."""


@dataclass(frozen=True)
class Poses:
    """Floating base and joints over a clip.

    Attributes:
        base: (T, 3) root link in the world [m].
        rotation: (T, 3, 3) orientation of the root link.
        joints: (T, J) joint positions [rad].
    """

    base: np.ndarray
    rotation: np.ndarray
    joints: np.ndarray

    def __len__(self) -> int:
        return len(self.base)


@dataclass(frozen=True)
class Lengths:
    """Limb lengths at the zero posture [m]."""

    thigh: float
    shank: float
    upper_arm: float
    forearm: float

    @property
    def leg(self) -> float:
        """Thigh and shank."""
        return self.thigh + self.shank

    @property
    def arm(self) -> float:
        """Upper arm and forearm."""
        return self.upper_arm + self.forearm


class Kinematics:
    """Vectorised forward kinematics of a `Robot` and its keypoints.

    Keypoints are named 'pelvis', 'torso', '<part>_x|y|z' (levers of pelvis, torso and feet) and
    '<side>_hip|knee|ankle|toe|heel|shoulder|elbow|wrist'; the four corners of each sole are
    '<side>_sole0..3'.

    Joints that mimic others have bodies of their own, so there are B >= J of these; without such
    joints, body j is what joint j carries.

    Attributes:
        index: Keypoint name -> row.
        owner: (K,) body that the keypoint is fixed to; -1 for the base.
        offset: (K, 3) keypoint in the frame of its body [m].
        support: (K, J) True where commanded joint j moves keypoint k.
        carried: (K, B) True where the joint of body b moves keypoint k.
        bodies: B.
        fold: (B, J) derivative of the joints of all bodies by the commanded ones; None where they
            are the same.
        lengths: Limb lengths [m].
        pelvis_offset: (3,) pelvis link, from the base at zero posture [m].
        hip_offset: (2, 3) left and right hip, from the pelvis link at zero posture [m].
        ankle_height: Ankle above the sole [m].
        soles: Rows of the eight sole corners, left foot first.
        tree: Forward kinematics of whole clips.
        body: (K,) row of each keypoint's body in `Frames`.
        local: (K, 3) keypoint in the turned frame of its body in `Frames` [m].
    """

    def __init__(self, robot: Robot):
        self.robot = robot
        model = robot.model
        self.bodies = count = model.njoints - 2
        coupled = robot.coupling
        self.fold = None if coupled is None else coupled.matrix(robot.num_joints)
        placements = [model.jointPlacements[j + 2] for j in range(count)]
        self._parent = np.array([model.parents[j + 2] - 2 for j in range(count)])
        self._axis = _joint_axes(model, count)
        self.tree = ForwardKinematics(
            self._parent,
            np.stack([placement.translation for placement in placements]),
            np.stack([placement.rotation for placement in placements]),
            self._axis,
            coupled,
        )
        self._ancestors = np.eye(count, dtype=bool)
        for j, parent in enumerate(self._parent):
            if parent >= 0:
                self._ancestors[j] |= self._ancestors[parent]
        self._define_keypoints()
        self.body = self.owner + 1
        self.local = self.tree.local(self.body, self.offset)

    def _define_keypoints(self) -> None:
        robot, model, profile = self.robot, self.robot.model, self.robot.profile
        data = model.createData()
        zero = robot.configurations(
            np.zeros((1, 3)), np.array([[0, 0, 0, 1.0]]), np.zeros((1, robot.num_joints))
        )[0]
        pin.forwardKinematics(model, data, zero)
        frames = part_frames(model, profile)
        names: list[str] = []
        owners: list[int] = []
        offsets: list[np.ndarray] = []

        def add(name: str, part: str, away: np.ndarray) -> None:
            """A point so far away from the origin of a part, as seen in the zero posture."""
            frame = model.frames[frames[part]]
            names.append(name)
            owners.append(int(frame.parentJoint) - 2)
            offsets.append(np.array(frame.placement.act(robot.upright[part].T @ away)))

        def add_levers(name: str, part: str) -> None:
            for axis, direction in zip("xyz", np.eye(3), strict=True):
                add(f"{name}_{axis}", part, LEVER * direction)

        for part in ("pelvis", "torso"):
            add(part, part, np.zeros(3))
            add_levers(part, part)
        sole = profile.sole
        for side in SIDES:
            mirror = np.array([1.0, 1.0 if side == "left" else -1.0, 1.0])
            for part in profile.limb(side):
                name = f"{side}_{part}"
                add(name, name, robot.aside.get(name, np.zeros(3)))
            if profile.hand and "wrist" not in profile.limb(side):
                add(f"{side}_wrist", f"{side}_elbow", mirror * profile.hand)
            ankle = f"{side}_ankle"
            add_levers(f"{side}_foot", ankle)
            add(f"{side}_toe", ankle, mirror * sole.toe)
            add(f"{side}_heel", ankle, mirror * sole.heel)
            corners = [(end, y) for end in (sole.toe, sole.heel) for y in (1.0, -1.0)]
            for number, (end, y) in enumerate(corners):
                corner = mirror * end + [0.0, y * sole.half_width, 0.0]
                add(f"{side}_sole{number}", ankle, corner)

        self.index = {name: row for row, name in enumerate(names)}
        self.owner = np.array(owners)
        self.offset = np.stack(offsets)
        self.carried = np.stack([self.ancestors(int(owner)) for owner in owners])
        self.support = self.commanded(self.carried)
        self.soles = np.array(
            [self.index[f"{side}_sole{number}"] for side in SIDES for number in range(4)]
        )
        at_zero = np.stack(
            [
                data.oMi[int(owner) + 2].act(offset)
                for owner, offset in zip(self.owner, self.offset, strict=True)
            ]
        )

        def length(a: str, b: str) -> float:
            return float(np.linalg.norm(at_zero[self.index[a]] - at_zero[self.index[b]]))

        self.lengths = Lengths(
            thigh=length("left_hip", "left_knee"),
            shank=length("left_knee", "left_ankle"),
            upper_arm=length("left_shoulder", "left_elbow"),
            forearm=length("left_elbow", "left_wrist"),
        )
        self.pelvis_offset = at_zero[self.index["pelvis"]]
        hips = np.stack([at_zero[self.index[f"{side}_hip"]] for side in SIDES])
        self.hip_offset = hips - self.pelvis_offset
        self.ankle_height = -float(min(sole.toe[2], sole.heel[2]))

    def forward(self, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
        """World frames of all bodies: rotations (T, B, 3, 3) and origins (T, B, 3) [m]."""
        frames = self.frames(poses)
        turned = self.tree.own[1:] @ frames.columns[1:].reshape(self.bodies, 3, -1)
        rotation = turned.reshape(self.bodies, 3, 3, -1).transpose(3, 0, 2, 1)
        origin = frames.origin[1:].transpose(2, 0, 1)
        return np.ascontiguousarray(rotation), np.ascontiguousarray(origin)

    def frames(self, poses: Poses) -> Frames:
        """World frames of base and joints as the solvers need them: time last."""
        return self.tree(poses.base, poses.rotation, poses.joints)

    def points(
        self, poses: Poses, joints: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """World positions of all keypoints, (T, K, 3) [m].

        Args:
            poses: Base and joints.
            joints: `forward(poses)`, when the caller has it already.
        """
        if joints is not None:
            return attach(poses, *joints, self.owner, self.offset)
        points = self.frames(poses).place(self.body, self.local)
        return np.ascontiguousarray(points.transpose(2, 0, 1))

    def axes(self, rotation: np.ndarray) -> np.ndarray:
        """World directions of the joint axes, (T, B, 3), from body rotations (T, B, 3, 3)."""
        return (rotation @ self._axis[..., None])[..., 0]

    def ancestors(self, body: int) -> np.ndarray:
        """(B,) True for the bodies whose joints move a body (-1: the base)."""
        return self._ancestors[body] if body >= 0 else np.zeros(self.bodies, dtype=bool)

    def commanded(self, bodies: np.ndarray) -> np.ndarray:
        """(..., J) True for the commanded joints that move the joint of any of (..., B) bodies."""
        return bodies if self.fold is None else bodies @ (self.fold != 0)

    def lowest_sole(self, poses: Poses) -> np.ndarray:
        """Height of the lowest sole corner in each frame, (T,) [m]."""
        corners = self.frames(poses).place(self.body[self.soles], self.local[self.soles])
        return corners[:, 2].min(0)


def attach(
    poses: Poses,
    rotation: np.ndarray,
    origin: np.ndarray,
    owner: np.ndarray,
    offset: np.ndarray,
) -> np.ndarray:
    """World positions of points fixed to bodies.

    Args:
        poses: Base and joints.
        rotation: (T, B, 3, 3) body rotations.
        origin: (T, B, 3) body origins [m].
        owner: (P,) body of each point, -1 for the base.
        offset: (P, 3) point in the body's frame [m].

    Returns:
        (T, P, 3) [m].
    """
    points = np.empty((len(poses), len(owner), 3))
    on_base = owner < 0
    turned = (poses.rotation[:, None] @ offset[on_base][..., None])[..., 0]
    points[:, on_base] = poses.base[:, None] + turned
    body = owner[~on_base]
    turned = (rotation[:, body] @ offset[~on_base][..., None])[..., 0]
    points[:, ~on_base] = origin[:, body] + turned
    return points


def lever_triples(kinematics: Kinematics, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(R, 3) rows of residuals that are three levers of one body, at right angles, alike long."""
    owner, offset = kinematics.owner, kinematics.offset
    relative = np.flatnonzero(second >= 0)
    rows: dict[tuple[int, int], list[int]] = {}
    for row in relative[owner[first[relative]] == owner[second[relative]]]:
        rows.setdefault((int(second[row]), int(owner[first[row]])), []).append(int(row))
    found = []
    for (origin, _), members in rows.items():
        if len(members) != 3:
            continue
        levers = offset[first[members]] - offset[origin]
        square = levers @ levers.T
        if np.allclose(square, square[0, 0] * np.eye(3), atol=1e-9):
            found.append(members)
    return np.array(found, dtype=int).reshape(-1, 3)


def _joint_axes(model: pin.Model, count: int) -> np.ndarray:
    """(B, 3) axis of each joint of a model in its own frame."""
    axes = np.empty((count, 3))
    for j in range(count):
        joint = model.joints[j + 2]
        data = joint.createData()
        joint.calc(data, pin.neutral(model), np.zeros(model.nv))
        axes[j] = np.asarray(data.S).reshape(-1)[3:]
    return axes


@lru_cache(maxsize=8)
def kinematics_of(robot: Robot) -> Kinematics:
    """The kinematics of a robot, built once."""
    return Kinematics(robot)
