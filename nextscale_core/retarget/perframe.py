"""Stage 1: one frame after the other, damped Gauss-Newton on points.

Each step minimises sum_i w_i |J_i dx + r_i|^2 + posture + mu |dx|^2 for the tangent dx of the
floating base and the joints, with the position limits as an active set. The solution of one frame
starts the next, so one step per frame is enough; the whole-clip stage removes what is left.
"""

from __future__ import annotations

import numpy as np
import pinocchio as pin
from scipy.linalg import lapack
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget.kinematics import Kinematics, Poses
from nextscale_core.retarget.targets import Targets

POSTURE = 1e-3
"""Pull of each joint towards the nominal posture [1/rad^2]; decides what no target decides."""

_DAMPING = 1e-4
_MAX_STEP = 0.6
_FIRST_STEPS = 30


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
        self._data = self._robot.model.createData()
        owners = sorted({int(owner) + 2 for owner in kinematics.owner})
        self._bodies = owners
        self._body_of = np.array([owners.index(int(owner) + 2) for owner in kinematics.owner])
        base = np.ones((len(kinematics.owner), 6))
        self._moves = np.concatenate([base, kinematics.support], axis=1)[:, None, :]
        model = self._robot.model
        self._entries = np.array([model.joints[j + 2].idx_q for j in range(self._robot.num_joints)])
        self._plain = all(model.joints[j + 2].nq == 1 for j in range(self._robot.num_joints))

    def solve(self, targets: Targets, start: Poses, steps: int = 1) -> Poses:
        """Poses of all frames.

        Args:
            targets: What each keypoint should do.
            start: Only its first frame is used.
            steps: Gauss-Newton steps per frame after the first.

        Raises:
            RetargetError: the equations could not be solved.
        """
        quaternion = Rotation.from_matrix(start.rotation[0]).as_quat()
        base, joints = start.base[0].copy(), start.joints[0].copy()
        frames = len(targets)
        bases, quaternions = np.empty((frames, 3)), np.empty((frames, 4))
        angles = np.empty((frames, len(joints)))
        root = np.sqrt(targets.weight)
        for t in range(frames):
            for _ in range(steps if t else _FIRST_STEPS):
                base, quaternion, joints, size = self._step(
                    targets, t, root[t], base, quaternion, joints
                )
                if size < 1e-3:
                    break
            bases[t], quaternions[t], angles[t] = base, quaternion, joints
        return Poses(bases, Rotation.from_quat(quaternions).as_matrix(), angles)

    def _step(
        self,
        targets: Targets,
        t: int,
        root: np.ndarray,
        base: np.ndarray,
        quaternion: np.ndarray,
        joints: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        model, robot = self._robot.model, self._robot
        if self._plain:
            q = np.concatenate([base, quaternion, joints])
        else:
            q = robot.configurations(base[None], quaternion[None], joints[None])[0]
        points, jacobian = self._points(q)
        r = targets.residual(points, t)
        relative = targets.second >= 0
        rows = jacobian[targets.first]
        rows[relative] -= jacobian[targets.second[relative]]
        a = (rows * root[:, None, None]).reshape(-1, model.nv)
        b = (r * root[:, None]).reshape(-1)
        hessian, gradient = a.T @ a, a.T @ b
        diagonal = hessian.reshape(-1)[:: model.nv + 1]
        diagonal += _DAMPING
        diagonal[6:] += POSTURE
        gradient[6:] += POSTURE * (joints - robot.nominal)
        outward = gradient[6:]
        held = ((joints <= self._lower) & (outward > 0)) | ((joints >= self._upper) & (outward < 0))
        # A held joint weighs so much that it stays: cheaper than removing its row and column.
        diagonal[6:][held] += 1e8
        gradient[6:][held] = 0.0
        _, step, info = lapack.dposv(hessian, -gradient)
        if info:
            raise RetargetError(f"frame {t}: the equations of motion matching are singular")
        step = np.clip(step, -_MAX_STEP, _MAX_STEP)
        moved = pin.integrate(model, q, np.concatenate([step[:6], np.zeros(model.nv - 6)]))
        joints = np.clip(joints + step[6:], self._lower, self._upper)
        return moved[:3], moved[3:7], joints, float(np.abs(step).max())

    def _points(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (K, 3) [m] and their Jacobians (K, 3, nv) by pinocchio's tangent."""
        data = self._data
        pin.computeJointJacobians(self._robot.model, data, q)
        placements = [data.oMi[body] for body in self._bodies]
        rotation = np.stack([placement.rotation for placement in placements])
        origin = np.stack([placement.translation for placement in placements])
        offset = self._kinematics.offset[..., None]
        points = origin[self._body_of] + (rotation[self._body_of] @ offset)[..., 0]
        x, y, z = points.T[..., None]
        linear, angular = data.J[:3], data.J[3:]
        jacobian = np.empty((len(points), 3, data.J.shape[1]))
        jacobian[:, 0] = linear[0] + angular[1] * z - angular[2] * y
        jacobian[:, 1] = linear[1] + angular[2] * x - angular[0] * z
        jacobian[:, 2] = linear[2] + angular[0] * y - angular[1] * x
        jacobian *= self._moves
        return points, jacobian
