"""Inverse kinematics of a single frame: a few Gauss-Newton steps inside bounds on the change.

The residuals are those of the whole-clip solver. Joints whose change would leave its bounds are
held there and the others solved again, so that a standing foot stays where it is although a joint
of its leg is at its limit. Jacobians are pinocchio's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from scipy.linalg import lapack

from nextscale_core.robots.kinematics import Kinematics

_FIXED = 1e8
"""Weight that keeps an unknown at a bound."""

_ROUNDS = 3
"""Number of times that joints at bounds are added."""


@dataclass(frozen=True)
class Pose:
    """One pose of a robot.

    Attributes:
        base: (3,) root link in the world [m].
        rotation: (3, 3) orientation of the root link.
        joints: (J,) joint positions [rad].
    """

    base: np.ndarray
    rotation: np.ndarray
    joints: np.ndarray

    def moved(self, change: np.ndarray) -> Pose:
        """The pose after a shift, a turn in the world and joint steps, together (6 + J,)."""
        turn = pin.exp3(change[3:6])
        return Pose(self.base + change[:3], turn @ self.rotation, self.joints + change[6:])

    def change_to(self, other: Pose) -> np.ndarray:
        """(6 + J,) such that `self.moved(change)` is the other pose."""
        turn = pin.log3(other.rotation @ self.rotation.T)
        return np.concatenate([other.base - self.base, turn, other.joints - self.joints])


@dataclass(frozen=True)
class Part:
    """A distance between two bodies that should grow, in one pose.

    Attributes:
        joints: Pinocchio's joints that carry the two bodies.
        points: Nearest points, each (3,) in the world [m].
        normal: (3,) from the first body to the second.
        missing: What is missing to the wanted distance [m].
    """

    joints: tuple[int, int]
    points: tuple[np.ndarray, np.ndarray]
    normal: np.ndarray
    missing: float


@dataclass(frozen=True)
class Goal:
    """What a frame should do; residual i is point[first_i] - point[second_i] - place_i.

    Attributes:
        place: (M, 3) [m].
        weight: (M,) [1/m^2].
        parts: Bodies to move apart.
    """

    place: np.ndarray
    weight: np.ndarray
    parts: Sequence[Part] = ()


class FrameSolver:
    """Solves frames of one robot.

    Args:
        kinematics: The robot's keypoints.
        rows: Names of keypoints (first, second or None for the world) of each residual.
        ground: Weight of sole corners below the floor [1/m^2].
        separation: Weight of bodies that should be apart [1/m^2].
    """

    def __init__(
        self,
        kinematics: Kinematics,
        rows: Sequence[tuple[str, str | None]],
        ground: float,
        separation: float,
    ):
        robot, model = kinematics.robot, kinematics.robot.model
        self._model, self._data, self._coupling = model, model.createData(), robot.coupling
        self._ground, self._separation, self._fold = ground, separation, kinematics.fold
        used = sorted({kinematics.index[n] for row in rows for n in row if n})
        used += [int(row) for row in kinematics.soles if row not in used]
        place = {row: number for number, row in enumerate(used)}
        self.soles = np.array([place[int(row)] for row in kinematics.soles])
        self.points = {name: place[row] for name, row in kinematics.index.items() if row in place}
        # One more point for the world: it is always at the origin, and nothing moves it.
        self._first = np.array([self.points[first] for first, _ in rows])
        self._second = np.array([self.points[s] if s else len(used) for _, s in rows])
        owner = kinematics.owner[used]
        self._bodies, self._body = np.unique(owner + 2, return_inverse=True)
        self._offset = kinematics.offset[used]
        carried = kinematics.carried[used].astype(float)
        self._moves = np.concatenate([np.ones((len(used), 6)), carried], axis=1)[:, None]
        count = kinematics.bodies
        ones = np.ones((count + 1, 6))
        above = np.stack([kinematics.ancestors(b) for b in range(-1, count)]).astype(float)
        self._carried = np.concatenate([ones, above], axis=1)
        joints = [model.joints[j + 2] for j in range(count)]
        self._at = np.array([joint.idx_q for joint in joints])
        self._circular = np.array([joint.nq == 2 for joint in joints])

    def configuration(self, pose: Pose) -> np.ndarray:
        """(nq,) pinocchio configuration of a pose."""
        joints = pose.joints
        if self._coupling is not None:
            joints = self._coupling.positions(joints[None])[0]
        q = np.empty(self._model.nq)
        q[:3], q[3:7] = pose.base, pin.Quaternion(pose.rotation).coeffs()
        q[self._at] = joints
        if self._circular.any():
            at = self._at[self._circular]
            q[at], q[at + 1] = np.cos(joints[self._circular]), np.sin(joints[self._circular])
        return q

    def keypoints(self, pose: Pose) -> np.ndarray:
        """(K + 1, 3) keypoints in the order of `points`, then the world's origin [m]."""
        pin.forwardKinematics(self._model, self._data, self.configuration(pose))
        return self._placed()

    def _placed(self) -> np.ndarray:
        placements = [self._data.oMi[int(body)] for body in self._bodies]
        turn = np.array([placement.rotation for placement in placements])
        origin = np.array([placement.translation for placement in placements])
        points = np.zeros((len(self._body) + 1, 3))
        points[:-1] = (turn[self._body] @ self._offset[..., None])[..., 0] + origin[self._body]
        return points

    def solve(
        self,
        goal: Goal,
        pose: Pose,
        guess: np.ndarray,
        prior: tuple[np.ndarray, np.ndarray],
        bounds: tuple[np.ndarray, np.ndarray],
        steps: int,
    ) -> np.ndarray:
        """The change (6 + J,) from a pose that fits a goal best.

        Args:
            goal: What the frame should do.
            pose: Where the change begins.
            guess: (6 + J,) first guess.
            prior: Expected change and its weights, each (6 + J,).
            bounds: Lowest and highest change, each (6 + J,).
            steps: Number of Gauss-Newton steps.
        """
        change, (expected, weight) = np.clip(guess, *bounds), prior
        for _ in range(steps):
            matrix, gradient = self._equations(goal, pose.moved(change))
            matrix.flat[:: len(weight) + 1] += weight
            gradient += weight * (change - expected)
            low, high = bounds[0] - change, bounds[1] - change
            step = _bounded(matrix, gradient, low, high)
            change = np.clip(change + step, *bounds)
        return change

    def _equations(self, goal: Goal, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and gradient of all residuals at a pose."""
        pin.computeJointJacobians(self._model, self._data, self.configuration(pose))
        points = self._placed()
        jacobian = self._data.J
        linear = np.empty((3, jacobian.shape[1]))
        angular = np.zeros_like(linear)
        linear[:, 6:], angular[:, 6:] = jacobian[:3, 6:], jacobian[3:, 6:]
        linear[:, :3], linear[:, 3:6], angular[:, 3:6] = np.eye(3), _skew(pose.base), np.eye(3)
        slopes = np.zeros((len(points), 3, linear.shape[1]))
        # A point p moves by linear + angular x p.
        slopes[:-1] = self._moves * (linear - _skew(points[:-1]) @ angular)
        root = np.sqrt(goal.weight)[:, None]
        residual = (points[self._first] - points[self._second] - goal.place) * root
        rows = (slopes[self._first] - slopes[self._second]) * root[..., None]
        residual, rows = residual.reshape(-1), rows.reshape(residual.size, -1)
        under = self.soles[points[self.soles, 2] < 0]
        if len(under):
            depth = self._ground**0.5
            residual = np.concatenate([residual, depth * points[under, 2]])
            rows = np.concatenate([rows, depth * slopes[under, 2]])
        for part in goal.parts:
            row = sum(
                sign * self._carried[joint - 1] * (part.normal @ (linear - _skew(point) @ angular))
                for joint, point, sign in zip(part.joints, part.points, (-1.0, 1.0), strict=True)
            )
            # Moving the whole robot does not separate its bodies.
            row[:6] = 0.0
            weight = self._separation**0.5
            residual = np.append(residual, -weight * part.missing)
            rows = np.concatenate([rows, weight * row[None]])
        if self._fold is not None:
            rows = np.concatenate([rows[:, :6], rows[:, 6:] @ self._fold], axis=1)
        return rows.T @ rows, rows.T @ residual


def _bounded(
    matrix: np.ndarray, gradient: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Step that takes away a gradient, with those of its entries at bounds that would leave."""
    held = np.zeros(len(gradient), dtype=bool)
    step = np.zeros_like(gradient)
    for _ in range(_ROUNDS):
        fixed, right = matrix, -gradient
        if held.any():
            fixed = matrix + np.diag(_FIXED * held)
            right = np.where(held, _FIXED * step, right)
        _, found, info = lapack.dposv(fixed, right)
        if info or not np.isfinite(found).all():
            return np.zeros_like(gradient)
        step = np.minimum(np.maximum(found, low), high)
        beyond = (found != step) & ~held
        if not beyond.any():
            break
        held |= beyond
    return step


def _skew(points: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) of p x, for points (..., 3)."""
    result = np.zeros((*points.shape, 3))
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    result[..., 0, 1], result[..., 0, 2], result[..., 1, 2] = -z, y, -x
    result[..., 1, 0], result[..., 2, 0], result[..., 2, 1] = z, -y, x
    return result
