"""Forward kinematics of whole clips, and the keypoints of a robot.

A clip takes a few NumPy operations per level of the kinematic tree instead of a call per frame.
Time is the last axis of the working arrays, so that each operation runs over long contiguous rows.
The frame of each joint is turned so that its axis is z: the joint then mixes two columns, and the
third is the axis itself.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from nextscale_core.kernels import address, kernels, run
from nextscale_core.robots.description import joint_axis, part_frames
from nextscale_core.robots.mimic import Coupling
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory

LEVER = 0.2
"""Length of the levers that represent an orientation by points [m]."""


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

    @classmethod
    def of(cls, trajectory: RobotTrajectory) -> Poses:
        """The samples of a trajectory."""
        rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
        return cls(trajectory.base_position, rotation, trajectory.positions)


@dataclass(frozen=True)
class Frames:
    """World frames of the base (row 0) and of all joints (row 1 + j).

    Attributes:
        columns: (1 + J, 3, 3, T) axes [body, axis, xyz, frame] of each body's turned frame;
            `columns[1 + j, 2]` is the axis of joint j.
        origin: (1 + J, 3, T) positions [m].
    """

    columns: np.ndarray
    origin: np.ndarray

    def place(self, body: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """World positions of points fixed to bodies, (P, 3, T) [m].

        Args:
            body: (P,) row of each point's body.
            offset: (P, 3) point in the turned frame, from `ForwardKinematics.local` [m].
        """
        frames = self.origin.shape[-1]
        turned = offset[:, None] @ self.columns.reshape(len(self.columns), 3, 3 * frames)[body]
        turned = turned.reshape(len(body), 3, frames)
        turned += self.origin[body]
        return turned


class ForwardKinematics:
    """The kinematic tree, prepared for whole clips.

    Args:
        parent: (J,) parent joint, -1 for the base; parents come before their children.
        shift: (J, 3) position of each joint in its parent's frame [m].
        turn: (J, 3, 3) orientation of each joint in its parent's frame, at zero.
        axis: (J, 3) unit axis of each joint in its own frame.
        coupling: Map from the joints in a clip to the J joints here, if some mimic others.

    Attributes:
        own: (1 + J, 3, 3) orientation of each body's turned frame in the frame of the URDF.
        flat: For the compiled kernels: (J,) rows of the parents in `Frames`, (J, 4, 3) axes and
            origin of each joint in its parent's turned frame at zero, and the coupling.
        pointers: To these arrays.
    """

    def __init__(
        self,
        parent: np.ndarray,
        shift: np.ndarray,
        turn: np.ndarray,
        axis: np.ndarray,
        coupling: Coupling | None = None,
    ):
        count = len(parent)
        self._coupling = coupling
        # own[b] @ z is the axis of body b.
        self.own = np.concatenate([np.eye(3)[None], np.stack([_onto(one) for one in axis])])
        above = self.own[parent + 1].transpose(0, 2, 1)
        link = above @ turn @ self.own[1:]
        step = np.empty((count, 4, 3))
        step[:, :3] = link.transpose(0, 2, 1)
        step[:, 3] = (above @ shift[..., None])[..., 0]
        depth = np.zeros(count, dtype=int)
        for j, p in enumerate(parent):
            depth[j] = depth[p] + 1 if p >= 0 else 0
        levels = [np.flatnonzero(depth == level) for level in range(int(depth.max()) + 1)]
        self._levels = [(level, parent[level] + 1, step[level]) for level in levels]
        same = Coupling(np.arange(count), np.ones(count), np.zeros(count))
        rule = same if coupling is None else coupling
        numbers = (rule.multiplier.astype(float), rule.offset.astype(float))
        self.flat = ((parent + 1).astype(np.int64), step, rule.leader.astype(np.int64), *numbers)
        self.pointers = [ctypes.c_void_p(address(array, array.dtype.type)) for array in self.flat]

    def local(self, body: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Points (P, 3) in the turned frames, from those in the URDF's frames of bodies (P,)."""
        return (offset[:, None] @ self.own[body])[:, 0]

    def __call__(self, base: np.ndarray, rotation: np.ndarray, joints: np.ndarray) -> Frames:
        """World frames of a clip.

        Args:
            base: (T, 3) [m].
            rotation: (T, 3, 3) orientation of the base.
            joints: (T, J) [rad]; those of the commanded joints where there is a coupling.
        """
        library = kernels()
        if library is not None:
            given = (np.ascontiguousarray(part, np.float64) for part in (base, rotation, joints))
            rows, frames = len(self.own), len(joints)
            found = Frames(np.empty((rows, 3, 3, frames)), np.empty((rows, 3, frames)))
            sizes = (rows - 1, joints.shape[1], frames)
            run(library, "ns_forward", *sizes, *self.pointers, *given, found.columns, found.origin)
            return found
        if self._coupling is not None:
            joints = self._coupling.positions(joints)
        frames, count = joints.shape
        columns = np.empty((count + 1, 3, 3, frames))
        origin = np.empty((count + 1, 3, frames))
        columns[0], origin[0] = rotation.transpose(2, 1, 0), base.T
        flat = columns.reshape(count + 1, 3, 3 * frames)
        angles = np.ascontiguousarray(joints.T)
        cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
        for level, above, step in self._levels:
            here = (step @ flat[above]).reshape(len(level), 4, 3, frames)
            c, s, x, y = cosine[level], sine[level], here[:, 0], here[:, 1]
            turned = np.empty((len(level), 3, 3, frames))
            np.multiply(c, x, out=turned[:, 0])
            turned[:, 0] += s * y
            np.multiply(c, y, out=turned[:, 1])
            turned[:, 1] -= s * x
            turned[:, 2] = here[:, 2]
            columns[level + 1] = turned
            origin[level + 1] = here[:, 3] + origin[above]
        return Frames(columns, origin)


def _onto(axis: np.ndarray) -> np.ndarray:
    """A rotation whose z column is `axis`; exact where that is a coordinate axis."""
    z = axis / np.linalg.norm(axis)
    x = np.eye(3)[np.abs(z).argmin()]
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


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

    Keypoints are named 'pelvis', 'torso', '<part>_x|y|z' (levers of pelvis, torso and feet),
    '<side>_hip|knee|ankle|toe|heel|shoulder|elbow|wrist' and '<side>_sole0..3' (corners). Body b
    is what joint b of the model carries; with mimic joints, there are more bodies than commanded
    joints.

    Attributes:
        index: Keypoint name -> row.
        owner: (K,) body that the keypoint is fixed to; -1 for the base.
        offset: (K, 3) keypoint in the frame of its body [m].
        support: (K, J) True where commanded joint j moves keypoint k.
        carried: (K, B) True where the joint of body b moves keypoint k.
        moved: (1 + B, B) 1 where the joint of a body moves a row of `Frames`, else 0.
        bodies: B.
        fold: (B, J) derivative of the joints of all bodies with respect to the commanded ones;
            None where they are the same.
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
        self.fold = None if robot.coupling is None else robot.coupling.matrix(robot.num_joints)
        placements = [model.jointPlacements[j + 2] for j in range(count)]
        parent = np.array([model.parents[j + 2] - 2 for j in range(count)])
        self._axis = np.stack([joint_axis(model, j + 2) for j in range(count)])
        self.tree = ForwardKinematics(
            parent,
            np.stack([placement.translation for placement in placements]),
            np.stack([placement.rotation for placement in placements]),
            self._axis,
            robot.coupling,
        )
        self._ancestors = np.eye(count, dtype=bool)
        for j, above in enumerate(parent):
            if above >= 0:
                self._ancestors[j] |= self._ancestors[above]
        self.moved = np.concatenate([np.zeros((1, count)), self._ancestors])
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
            """Add a point at a distance from the origin of a part, given at the zero posture."""
            frame = model.frames[frames[part]]
            names.append(name)
            owners.append(int(frame.parentJoint) - 2)
            offsets.append(np.array(frame.placement.act(robot.upright[part].T @ away)))

        def add_levers(name: str, part: str, directions: np.ndarray) -> None:
            for axis, direction in zip("xyz", directions.T, strict=True):
                add(f"{name}_{axis}", part, LEVER * direction)

        for part in ("pelvis", "torso"):
            add(part, part, np.zeros(3))
            add_levers(part, part, np.eye(3))
        sole = profile.sole
        for side in SIDES:
            mirror = np.array([1.0, 1.0 if side == "left" else -1.0, 1.0])
            for part in profile.limb(side):
                name = f"{side}_{part}"
                add(name, name, robot.aside.get(name, np.zeros(3)))
            if profile.hand and "wrist" not in profile.limb(side):
                add(f"{side}_wrist", f"{side}_elbow", mirror * profile.hand)
            ankle = f"{side}_ankle"
            add_levers(f"{side}_foot", ankle, sole.tilt)
            add(f"{side}_toe", ankle, mirror * sole.toe)
            add(f"{side}_heel", ankle, mirror * sole.heel)
            corners = [(end, y) for end in (sole.toe, sole.heel) for y in (1.0, -1.0)]
            for number, (end, y) in enumerate(corners):
                corner = mirror * end + [0.0, y * sole.half_width, 0.0]
                add(f"{side}_sole{number}", ankle, corner)

        self.index = {name: row for row, name in enumerate(names)}
        self.owner = np.array(owners)
        self.offset = np.stack(offsets)
        self.carried = np.stack([self.ancestors(owner) for owner in owners])
        self.support = self.commanded(self.carried)
        self.soles = np.array(
            [self.index[f"{side}_sole{number}"] for side in SIDES for number in range(4)]
        )
        points = [data.oMi[owner + 2].act(at) for owner, at in zip(owners, offsets, strict=True)]
        at_zero = dict(zip(names, points, strict=True))

        def length(a: str, b: str) -> float:
            return float(np.linalg.norm(at_zero[a] - at_zero[b]))

        self.lengths = Lengths(
            thigh=length("left_hip", "left_knee"),
            shank=length("left_knee", "left_ankle"),
            upper_arm=length("left_shoulder", "left_elbow"),
            forearm=length("left_elbow", "left_wrist"),
        )
        self.pelvis_offset = at_zero["pelvis"]
        self.hip_offset = np.stack([at_zero[f"{side}_hip"] for side in SIDES]) - self.pelvis_offset
        self.ankle_height = -sole.level.toe[2]
        # The frames of a CAD export may be anywhere, that of the pelvis on the floor.
        hips = self.hip_offset.mean(0)
        away = hips if np.linalg.norm(hips) > self.lengths.leg / 2 else np.zeros(3)
        placement = model.frames[frames["pelvis"]].placement
        self._pelvis = placement.act(robot.upright["pelvis"].T @ away)

    def forward(self, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
        """World frames of all bodies: rotations (T, B, 3, 3) and origins (T, B, 3) [m]."""
        frames = self.frames(poses)
        turned = self.tree.own[1:] @ frames.columns[1:].reshape(self.bodies, 3, -1)
        rotation = turned.reshape(self.bodies, 3, 3, -1).transpose(3, 0, 2, 1)
        origin = frames.origin[1:].transpose(2, 0, 1)
        return np.ascontiguousarray(rotation), np.ascontiguousarray(origin)

    def frames(self, poses: Poses) -> Frames:
        """World frames of base and joints with time last, as the solvers need them."""
        return self.tree(poses.base, poses.rotation, poses.joints)

    def points(
        self, poses: Poses, joints: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """World positions of all keypoints, (T, K, 3) [m].

        Args:
            poses: Base and joints.
            joints: `forward(poses)`, if the caller has it already.
        """
        if joints is None:
            points = self.frames(poses).place(self.body, self.local)
            return np.ascontiguousarray(points.transpose(2, 0, 1))
        rotation, origin = joints
        points = np.empty((len(poses), len(self.owner), 3))
        on_base = self.owner < 0
        turned = (poses.rotation[:, None] @ self.offset[on_base][..., None])[..., 0]
        points[:, on_base] = poses.base[:, None] + turned
        body = self.owner[~on_base]
        turned = (rotation[:, body] @ self.offset[~on_base][..., None])[..., 0]
        points[:, ~on_base] = origin[:, body] + turned
        return points

    def axes(self, rotation: np.ndarray) -> np.ndarray:
        """World directions of the joint axes, (T, B, 3), from body rotations (T, B, 3, 3)."""
        return (rotation @ self._axis[..., None])[..., 0]

    def ancestors(self, body: int) -> np.ndarray:
        """(B,) True for the bodies whose joints move a body (-1: the base)."""
        return self._ancestors[body] if body >= 0 else np.zeros(self.bodies, dtype=bool)

    def commanded(self, bodies: np.ndarray) -> np.ndarray:
        """(..., J) True for the commanded joints that move the joint of any of (..., B) bodies."""
        return bodies if self.fold is None else bodies @ (self.fold != 0)

    def places(self, poses: Poses, rows: np.ndarray) -> np.ndarray:
        """World positions of some keypoints, (T, R, 3) [m]."""
        return self.places_of(poses, self.body[rows], self.local[rows])

    def places_of(self, poses: Poses, body: np.ndarray, local: np.ndarray) -> np.ndarray:
        """World positions of points of bodies, (T, R, 3) [m].

        Args:
            poses: The clip.
            body: (R,) rows of their bodies in `Frames`.
            local: (R, 3) points in the turned frames of their bodies [m].
        """
        library = kernels()
        if library is None:
            return self.frames(poses).place(body, local).transpose(2, 0, 1)
        parts = (poses.base, poses.rotation, poses.joints)
        given = (np.ascontiguousarray(part, np.float64) for part in parts)
        sizes, tree = (self.bodies, poses.joints.shape[1], len(poses)), self.tree.pointers
        found = np.empty((len(poses), len(body), 3))
        run(library, "ns_points", *sizes, *tree, *given, len(body), body, local, found)
        return found

    def lowest_sole(self, poses: Poses) -> np.ndarray:
        """Height of the lowest sole corner in each frame, (T,) [m]."""
        return np.asarray(self.places(poses, self.soles)[..., 2].min(1))

    def pelvis(self, poses: Poses) -> np.ndarray:
        """World position of the pelvis, (T, 3) [m].

        The root link may be elsewhere, such as a link 'world' on the floor. Where the frame of the
        pelvis link is far from the hips, this is the point between them, fixed to that link.
        """
        body = self.body[[self.index["pelvis"]]]
        return self.places_of(poses, body, self.tree.local(body, self._pelvis[None]))[:, 0]

    def standing_height(self, posture: np.ndarray) -> float:
        """Height of the pelvis above the soles of the upright robot in a posture (J,) [m]."""
        upright = Poses(np.zeros((1, 3)), np.eye(3)[None], posture[None])
        return float(self.pelvis(upright)[0, 2] - self.lowest_sole(upright)[0])


def lever_triples(kinematics: Kinematics, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(R, 3) rows of residuals that are three orthogonal levers of one length on one body."""
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


@lru_cache(maxsize=8)
def kinematics_of(robot: Robot) -> Kinematics:
    """The kinematics of a robot, built once."""
    return Kinematics(robot)
