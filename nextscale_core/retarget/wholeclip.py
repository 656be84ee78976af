"""Stage 2: Gauss-Newton on all frames of a clip at once.

Minimises over the poses x_t of all frames

    sum_t sum_i w_ti |r_i(x_t)|^2 + posture + sum_t |L_t (x_{t+1} - 2 x_t + x_{t-1})|^2
    + ground: (height of a sole corner)^2 where below the floor
    + hinges: (distance - wanted)^2 of pairs of bodies that came too close

under the position limits. Frames couple through the second differences only, so the normal
equations are a band of half-width 2 m (m = 6 + joints) and LAPACK's banded Cholesky solves a clip
of 10 s in a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, solveh_banded

from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget.kinematics import Kinematics, Poses, attach
from nextscale_core.retarget.perframe import POSTURE
from nextscale_core.retarget.rotations import exp, log
from nextscale_core.retarget.targets import Goals

_DAMPING = 1e-4
_MAX_STEP = 0.6
_GROUND = 60.0
_HINGE = 400.0


@dataclass(frozen=True)
class Hinge:
    """Two bodies that must move apart in one frame.

    Attributes:
        frame: Which frame.
        first: Joint that carries the first body, -1 for the base.
        second: Joint that carries the second body.
        at_first: (3,) witness point on the first body, in its joint's frame [m].
        at_second: (3,) witness point on the second body [m].
        normal: (3,) world direction from the first body to the second.
        separation: Wanted distance from the first point to the second along the normal [m].
    """

    frame: int
    first: int
    second: int
    at_first: np.ndarray
    at_second: np.ndarray
    normal: np.ndarray
    separation: float


@dataclass(frozen=True)
class Smoothness:
    """Weights of the second differences (per frame squared).

    Attributes:
        base: Base position [1/m^2].
        turn: Base orientation [1/rad^2].
        joints: (T - 2, J) or a number: joints [1/rad^2].
    """

    base: float = 0.05
    turn: float = 0.015
    joints: np.ndarray | float = 0.012


class ClipSolver:
    """Improves a whole clip.

    Args:
        kinematics: The robot's keypoints.
        lower: (J,) or (T, J) lower position limits to keep [rad].
        upper: (J,) or (T, J) upper position limits to keep [rad].
    """

    def __init__(self, kinematics: Kinematics, lower: np.ndarray, upper: np.ndarray):
        self._kinematics = kinematics
        self._lower, self._upper = lower, upper
        self._size = 6 + kinematics.robot.num_joints

    def step(
        self,
        goals: Goals,
        poses: Poses,
        smoothness: Smoothness,
        hinges: Sequence[Hinge] = (),
        reference: np.ndarray | None = None,
        relative_to: Poses | None = None,
        damping: float = _DAMPING,
    ) -> Poses:
        """One Gauss-Newton step.

        Args:
            goals: What each keypoint should do.
            poses: The current clip.
            smoothness: Weights of the second differences.
            hinges: Bodies to move apart.
            reference: (J,) or (T, J) posture that undecided joints return to [rad]; the
                robot's nominal posture when None.
            relative_to: A clip whose second differences are kept instead of made small.
            damping: Weight of the step itself [1/m^2, 1/rad^2]; more makes shorter steps.

        Raises:
            RetargetError: the equations could not be solved.
        """
        nominal = self._kinematics.robot.nominal if reference is None else reference
        hessian, gradient = self._match(goals, poses)
        self._keep_above_ground(poses, hessian, gradient)
        self._move_apart(poses, hinges, hessian, gradient)
        index = np.arange(self._size)
        hessian[:, index, index] += damping
        hessian[:, index[6:], index[6:]] += POSTURE
        gradient[:, 6:] += POSTURE * (poses.joints - nominal)
        weight = _per_frame(smoothness, len(poses), self._size)
        gradient += _second_difference_gradient(poses, weight)
        if relative_to is not None:
            gradient -= _second_difference_gradient(relative_to, weight)
        outward, joints = gradient[:, 6:], poses.joints
        held = ((joints <= self._lower) & (outward > 0)) | ((joints >= self._upper) & (outward < 0))
        frame, joint = np.nonzero(held)
        hessian[frame, joint + 6, joint + 6] += 1e8
        gradient[frame, joint + 6] = 0.0
        step = _solve_banded(hessian, gradient, weight)
        step = np.clip(step, -_MAX_STEP, _MAX_STEP)
        return Poses(
            poses.base + step[:, :3],
            exp(step[:, 3:6]) @ poses.rotation,
            np.clip(joints + step[:, 6:], self._lower, self._upper),
        )

    def _match(self, goals: Goals, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
        """Normal matrices (T, m, m) and gradients (T, m) of the point residuals."""
        k = self._kinematics
        rotation, origin = k.forward(poses)
        points = k.points(poses, (rotation, origin))
        axes = k.axes(rotation)
        first, second = goals.first, goals.second
        relative = second >= 0
        r = goals.residual(points)
        frames, count = r.shape[:2]
        root = np.sqrt(goals.weight)[..., None]
        jacobian = np.zeros((frames, count, 3, self._size))
        anchor = np.where(relative[:, None], points[:, second], poses.base[:, None])
        _cross_columns(jacobian[..., 3:6], (points[:, first] - anchor) * root)
        for axis in range(3):
            jacobian[:, ~relative, axis, axis] = root[:, ~relative, 0]
        by_first = k.support[first]
        by_second = np.where(relative[:, None], k.support[second], False)
        row, joint = np.nonzero(by_first | by_second)
        sign_first, sign_second = by_first[row, joint], by_second[row, joint]
        # a x (p1 - o) - a x (p2 - o): the joint's origin o drops out where it moves both points.
        arm = (
            points[:, first[row]] * sign_first[:, None]
            - points[:, second[row]] * sign_second[:, None]
            - origin[:, joint] * (sign_first.astype(float) - sign_second)[:, None]
        )
        columns = _cross(axes[:, joint], arm) * root[:, row]
        jacobian[:, row, :, joint + 6] = columns.transpose(1, 0, 2)
        flat = jacobian.reshape(frames, 3 * count, self._size)
        transposed = flat.transpose(0, 2, 1)
        weighted = (r * root).reshape(frames, 3 * count, 1)
        return transposed @ flat, (transposed @ weighted)[..., 0]

    def _keep_above_ground(self, poses: Poses, hessian: np.ndarray, gradient: np.ndarray) -> None:
        k = self._kinematics
        rotation, origin = k.forward(poses)
        corners = attach(poses, rotation, origin, k.owner[k.soles], k.offset[k.soles])
        frame, number = np.nonzero(corners[..., 2] < 0)
        if not len(frame):
            return
        up = np.broadcast_to([0.0, 0.0, 1.0], (len(frame), 3))
        point = corners[frame, number]
        joints = (rotation[frame], origin[frame])
        row = self._row(poses, frame, joints, point, k.support[k.soles[number]], up)
        _add_rows(hessian, gradient, frame, row, point[:, 2], _GROUND)

    def _move_apart(
        self,
        poses: Poses,
        hinges: Sequence[Hinge],
        hessian: np.ndarray,
        gradient: np.ndarray,
    ) -> None:
        if not hinges:
            return
        k = self._kinematics
        rotation, origin = k.forward(poses)
        frame = np.array([hinge.frame for hinge in hinges])
        normal = np.stack([hinge.normal for hinge in hinges])
        joints = (rotation[frame], origin[frame])
        row = np.zeros((len(hinges), self._size))
        value = -np.array([hinge.separation for hinge in hinges])
        for sign, which in ((1.0, "second"), (-1.0, "first")):
            owner = np.array([getattr(hinge, which) for hinge in hinges])
            local = np.stack([getattr(hinge, f"at_{which}") for hinge in hinges])
            number, body = np.arange(len(owner)), np.maximum(owner, 0)
            on_base = (owner < 0)[:, None]
            turn = np.where(on_base[..., None], poses.rotation[frame], joints[0][number, body])
            at = np.where(on_base, poses.base[frame], joints[1][number, body])
            point = at + (turn @ local[..., None])[..., 0]
            support = np.stack([k.ancestors(int(joint)) for joint in owner])
            row += sign * self._row(poses, frame, joints, point, support, normal)
            value += sign * (point * normal).sum(-1)
        # Moving the whole robot separates nothing.
        row[:, :6] = 0.0
        _add_rows(hessian, gradient, frame, row, value, _HINGE)

    def _row(
        self,
        poses: Poses,
        frame: np.ndarray,
        joints: tuple[np.ndarray, np.ndarray],
        point: np.ndarray,
        support: np.ndarray,
        direction: np.ndarray,
    ) -> np.ndarray:
        """(P, m) derivative of `direction . point` by the tangent of its frame."""
        rotation, origin = joints
        row = np.empty((len(frame), self._size))
        row[:, :3] = direction
        row[:, 3:6] = np.cross(point - poses.base[frame], direction)
        axes = self._kinematics.axes(rotation)
        moved = _cross(axes, point[:, None] - origin)
        row[:, 6:] = (moved * direction[:, None]).sum(-1) * support
        return row


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product over the last axis; NumPy's own is several times slower on large stacks."""
    result = np.empty(np.broadcast_shapes(a.shape, b.shape))
    result[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    result[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    result[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return result


def _cross_columns(out: np.ndarray, arm: np.ndarray) -> None:
    """Fill (..., 3, 3) with d(turn x arm) / d(turn) = -skew(arm)."""
    x, y, z = arm[..., 0], arm[..., 1], arm[..., 2]
    out[..., 0, 1], out[..., 0, 2] = z, -y
    out[..., 1, 0], out[..., 1, 2] = -z, x
    out[..., 2, 0], out[..., 2, 1] = y, -x


def _add_rows(
    hessian: np.ndarray,
    gradient: np.ndarray,
    frame: np.ndarray,
    row: np.ndarray,
    value: np.ndarray,
    weight: float,
) -> None:
    """Add scalar residuals with derivative `row` (P, m) to the equations of their frames."""
    np.add.at(hessian, frame, weight * row[:, :, None] * row[:, None, :])
    np.add.at(gradient, frame, weight * value[:, None] * row)


def _per_frame(smoothness: Smoothness, frames: int, size: int) -> np.ndarray:
    """(T - 2, m) weights of the second differences."""
    weight = np.empty((frames - 2, size))
    weight[:, :3], weight[:, 3:6] = smoothness.base, smoothness.turn
    weight[:, 6:] = smoothness.joints
    return weight


def _second_difference_gradient(poses: Poses, weight: np.ndarray) -> np.ndarray:
    """(T, m) gradient of half the weighted squared second differences."""
    velocity = np.concatenate(
        [
            np.diff(poses.base, axis=0),
            log(poses.rotation[1:] @ poses.rotation[:-1].transpose(0, 2, 1)),
            np.diff(poses.joints, axis=0),
        ],
        axis=1,
    )
    bend = weight * np.diff(velocity, axis=0)
    gradient = np.zeros((len(poses), weight.shape[1]))
    gradient[2:] += bend
    gradient[1:-1] -= 2 * bend
    gradient[:-2] += bend
    return gradient


def _solve_banded(hessian: np.ndarray, gradient: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Solve the block-banded normal equations for the step, (T, m)."""
    frames, size = gradient.shape
    band = np.zeros((2 * size + 1, frames, size))
    row, column = np.tril_indices(size)
    band[row - column, :, column] = hessian[:, row, column].T
    band[0, :-2] += weight
    band[0, 1:-1] += 4 * weight
    band[0, 2:] += weight
    band[size, :-2] += -2 * weight
    band[size, 1:-1] += -2 * weight
    band[2 * size, :-2] += weight
    try:
        step = solveh_banded(
            band.reshape(2 * size + 1, -1),
            -gradient.reshape(-1),
            overwrite_ab=True,
            overwrite_b=True,
            lower=True,
            check_finite=False,
        )
    except LinAlgError as error:
        raise RetargetError(f"the equations of the whole clip are singular: {error}") from error
    if not np.isfinite(step).all():
        raise RetargetError("the equations of the whole clip have no finite solution")
    return step.reshape(frames, size)
