"""Stage 1: a few frames after each other, damped Gauss-Newton on points.

Each step minimises sum_i w_i |J_i dx + r_i|^2 + posture + mu |dx|^2 for the tangent dx of the
floating base and the joints, with the position limits as an active set. The solution of one frame
starts the next, so one step per frame is enough; the whole-clip stage, whose steps cost less,
removes what is left, between the solved frames too.
"""

from __future__ import annotations

import numpy as np
import pinocchio as pin
from scipy.linalg import lapack
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget.config import RETARGET
from nextscale_core.retarget.targets import Targets
from nextscale_core.robots.kinematics import Kinematics, Poses, lever_triples

POSTURE = RETARGET.inverse_kinematics.posture
_DAMPING = 1e-4
_MAX_STEP = 0.6
_FIRST_STEPS = 30
_NO_STEP = 1e-3

_PLUS, _MINUS = [5, 6, 1], [7, 2, 3]
"""Where a flat outer product of two vectors holds the terms of their cross product."""


class FrameSolver:
    """Solves frames in their order.

    Args:
        kinematics: The robot's keypoints.
        lower: (J,) lower position limits to keep [rad].
        upper: (J,) upper position limits to keep [rad].
    """

    def __init__(self, kinematics: Kinematics, lower: np.ndarray, upper: np.ndarray):
        self._kinematics = kinematics
        self._robot = kinematics.robot
        self._lower, self._upper = lower, upper
        model = self._robot.model
        self._data = model.createData()
        self._plain = model.nq == model.nv + 1 and self._robot.coupling is None

    def solve(
        self,
        targets: Targets,
        start: Poses,
        steps: int = 1,
        stride: int = 1,
        enough: float = _NO_STEP,
    ) -> Poses:
        """Poses of all frames.

        Args:
            targets: What each keypoint should do.
            start: Only its first frame is used.
            steps: Gauss-Newton steps at most per frame after the first.
            stride: Every so many frames one is solved; those between are interpolated.
            enough: No further step follows one in which nothing moved further [m, rad].

        Raises:
            RetargetError: the equations could not be solved.
        """
        keys = np.arange(0, len(targets), stride)
        if keys[-1] != len(targets) - 1:
            keys = np.append(keys, len(targets) - 1)
        rows = _Rows(self._kinematics, targets, self._data, keys)
        quaternion = Rotation.from_matrix(start.rotation[0]).as_quat()
        base, joints = start.base[0].copy(), start.joints[0].copy()
        bases, quaternions = np.empty((len(keys), 3)), np.empty((len(keys), 4))
        angles = np.empty((len(keys), len(joints)))
        for t in range(len(keys)):
            for _ in range(steps if t else _FIRST_STEPS):
                base, quaternion, joints, size = self._step(rows, t, base, quaternion, joints)
                if size < (enough if t else _NO_STEP):
                    break
            bases[t], quaternions[t], angles[t] = base, quaternion, joints
        turns = Rotation.from_quat(quaternions)
        if stride == 1:
            return Poses(bases, turns.as_matrix(), angles)
        frames = np.arange(len(targets))
        before = np.minimum(frames // stride, len(keys) - 2)
        share = ((frames - keys[before]) / (keys[before + 1] - keys[before]))[:, None]
        return Poses(
            (1.0 - share) * bases[before] + share * bases[before + 1],
            Slerp(keys, turns)(frames).as_matrix(),
            (1.0 - share) * angles[before] + share * angles[before + 1],
        )

    def _step(
        self, rows: _Rows, t: int, base: np.ndarray, quaternion: np.ndarray, joints: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        model, robot = self._robot.model, self._robot
        if self._plain:
            q = np.concatenate([base, quaternion, joints])
        else:
            q = robot.configurations(base[None], quaternion[None], joints[None])[0]
        pin.computeJointJacobians(model, self._data, q)
        a, b = rows.at(t)
        hessian, gradient = a.T @ a, b @ a
        diagonal = hessian.reshape(-1)[:: len(hessian) + 1]
        diagonal += _DAMPING
        diagonal[6:] += POSTURE
        gradient[6:] += POSTURE * (joints - robot.nominal)
        outward = gradient[6:]
        held = ((joints <= self._lower) & (outward > 0)) | ((joints >= self._upper) & (outward < 0))
        if held.any():
            # A held joint weighs so much that it stays: cheaper than removing its row and column.
            diagonal[6:][held] += 1e8
            outward[held] = 0.0
        _, step, info = lapack.dposv(hessian, -gradient, overwrite_a=1, overwrite_b=1)
        if info:
            raise RetargetError(
                f"frame {rows.frames[t]}: the equations of motion matching are singular"
            )
        size = float(np.abs(step).max())
        if size > _MAX_STEP:
            step = np.minimum(np.maximum(step, -_MAX_STEP), _MAX_STEP)
        twist = np.zeros(model.nv)
        twist[:6] = step[:6]
        moved = pin.integrate(model, q, twist)
        joints = np.minimum(np.maximum(joints + step[6:], self._lower), self._upper)
        return moved[:3], moved[3:7], joints, size


class _Rows:
    """The weighted Jacobian and residuals of one frame after the other.

    A residual is a row of signs over the keypoints it needs. Levers of one body that share a
    weight become one rotation, as in `NormalEquations`.

    Args:
        kinematics: The robot's keypoints.
        targets: What they should do.
        data: Where pinocchio leaves placements and Jacobians; read anew at every frame.
        frames: (K,) frames that are solved; `at` counts these.
    """

    def __init__(
        self, kinematics: Kinematics, targets: Targets, data: pin.Data, frames: np.ndarray
    ):
        k, first, second = kinematics, targets.first, targets.second
        self._data, self.frames = data, frames
        self._fold = None
        if k.fold is not None:
            self._fold = np.zeros((6 + k.bodies, 6 + k.fold.shape[1]))
            self._fold[:6, :6], self._fold[6:, 6:] = np.eye(6), k.fold
        goal, root = targets.goal[frames], np.sqrt(targets.weight[frames])
        triples = lever_triples(k, first, second)
        if any((root[:, row] != root[:, [lead]]).any() for lead, *row in triples):
            triples = triples[:0]
        rows = np.setdiff1d(np.arange(len(first)), triples)
        used = np.unique(np.concatenate([first[rows], second[rows][second[rows] >= 0]]))
        signs = np.zeros((len(rows), len(used)))
        signs[np.arange(len(rows)), np.searchsorted(used, first[rows])] += 1.0
        relative = np.flatnonzero(second[rows] >= 0)
        signs[relative, np.searchsorted(used, second[rows][relative])] -= 1.0
        self._signs = signs
        self._mixed = root[:, rows, None] * signs
        self._root, self._goal = root[:, rows, None], goal[:, rows]
        lead = triples[:, 0]
        turned = k.owner[first[lead]]
        owner = np.concatenate([k.owner[used], turned])
        bodies = np.unique(owner)
        self._rotations = [data.oMi[int(body) + 2] for body in bodies]
        which = np.searchsorted(bodies, owner)
        self._body, self._turned = which[: len(used)], which[len(used) :]
        self._offset = k.offset[used][..., None]
        levers = k.offset[first[triples]] - k.offset[second[lead]][:, None]
        length = np.linalg.norm(levers[:, :1], axis=-1)
        self._levers = levers
        self._turn_goal = goal[:, triples].transpose(0, 1, 3, 2)
        self._pull = (root[:, lead] / (np.sqrt(2) * length[:, 0]))[..., None]
        above = np.stack([k.ancestors(int(body)) for body in owner])
        moves = np.concatenate([np.ones((len(owner), 6)), above], axis=1)
        self._moves = moves[: len(used), None]
        strength = np.sqrt(2) * length[:, 0] * root[:, lead]
        self._strength = strength[..., None, None] * moves[len(used) :, None]
        self._lever = np.zeros((len(used), 3, 6))
        self._lever[:, [0, 1, 2], [0, 1, 2]] = 1.0

    def at(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Jacobian (R, 6 + J) by base and commanded joints, residuals (R,) of solved frame t."""
        jacobian = self._data.J
        rotation = np.array([placement.rotation for placement in self._rotations])
        origin = np.array([placement.translation for placement in self._rotations])
        points = origin[self._body] + (rotation[self._body] @ self._offset)[..., 0]
        lever = self._lever
        x, y, z = points.T
        lever[:, 0, 4], lever[:, 0, 5] = z, -y
        lever[:, 1, 3], lever[:, 1, 5] = -z, x
        lever[:, 2, 3], lever[:, 2, 4] = y, -x
        count, nv = len(points), jacobian.shape[1]
        moved = (lever.reshape(-1, 6) @ jacobian).reshape(count, 3, nv)
        moved *= self._moves
        a = (self._mixed[t] @ moved.reshape(count, -1)).reshape(-1, nv)
        b = (self._signs @ points - self._goal[t]) * self._root[t]
        # Sum of goal x lever over the levers, from the sum of their outer products.
        world = self._levers @ rotation[self._turned].transpose(0, 2, 1)
        outer = (self._turn_goal[t] @ world).reshape(-1, 9)
        pull = (outer[:, _PLUS] - outer[:, _MINUS]) * self._pull[t]
        turns = self._strength[t] * jacobian[3:]
        rows = np.concatenate([a, turns.reshape(-1, nv)])
        return (
            rows if self._fold is None else rows @ self._fold,
            np.concatenate([b.reshape(-1), pull.reshape(-1)]),
        )
