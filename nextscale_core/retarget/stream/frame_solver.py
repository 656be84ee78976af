"""Inverse kinematics of a single frame: a few Gauss-Newton steps inside bounds on the change.

The residuals are those of the whole-clip solver. Joints whose change would leave its bounds are
held there and the others solved again, so that a standing foot stays where it is although a joint
of its leg is at its limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pinocchio as pin
from scipy.linalg import lapack

from nextscale_core.kernels import kernels
from nextscale_core.retarget.banded_system import Band
from nextscale_core.retarget.compiled_step import CompiledEquations
from nextscale_core.retarget.config import InverseKinematicsConfig
from nextscale_core.retarget.normal_equations import NormalEquations
from nextscale_core.retarget.stream.step_limits import clipped
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.separation_terms import SeparationRows, SeparationTerms

_FIXED = 1e8
"""Weight that keeps an unknown at a bound."""

_NOTHING = SeparationTerms.none()

_ROUNDS = 3
"""Number of times that joints at bounds are added."""


class Pose(NamedTuple):
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

    def clip(self) -> Poses:
        """A clip of this pose alone."""
        return Poses(self.base[None], self.rotation[None], self.joints[None])

    def change_to(self, other: Pose) -> np.ndarray:
        """(6 + J,) such that `self.moved(change)` is the other pose."""
        turn = pin.log3(other.rotation @ self.rotation.T)
        return np.concatenate([other.base - self.base, turn, other.joints - self.joints])


class Goal(NamedTuple):
    """What a frame should do; residual i is point[first_i] - point[second_i] - place_i.

    Attributes:
        place: (M, 3) [m].
        weight: (M,), equal for the levers of one body [1/m^2].
        apart: Bodies to move apart, all in frame 0.
    """

    place: np.ndarray
    weight: np.ndarray
    apart: SeparationTerms = _NOTHING


class FrameSolver:
    """Solves frames of one robot.

    Args:
        kinematics: The robot's keypoints.
        rows: Names of keypoints (first, second or None for the world) of each residual.
        config: Weights of sole corners below the floor and of bodies that should be apart.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        rows: Sequence[tuple[str, str | None]],
        config: InverseKinematicsConfig,
    ):
        index, names = kinematics.index, {name for row in rows for name in row if name}
        self._kinematics, self._config = kinematics, config
        used = sorted({index[name] for name in names} | set(kinematics.soles.tolist()))
        place = {row: number for number, row in enumerate(used)}
        self._used = kinematics.body[used], kinematics.local[used]
        self.soles = np.array([place[int(row)] for row in kinematics.soles])
        self.points = {name: place[row] for name, row in index.items() if row in place}
        first = np.array([index[first] for first, _ in rows])
        second = np.array([index[second] if second else -1 for _, second in rows])
        joints = np.arange(kinematics.robot.num_joints)
        self._equations = NormalEquations(kinematics, first, second, joints, turns=True)
        self._compiled: CompiledEquations | None = None

    def keypoints(self, pose: Pose) -> np.ndarray:
        """(K, 3) keypoints in the order of `points` [m]."""
        return self._kinematics.places_of(pose.clip(), *self._used)[0]

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
        change, (expected, weight) = clipped(guess, *bounds), prior
        for _ in range(steps):
            matrix, gradient = self._linearized(goal, pose.moved(change))
            matrix.flat[:: len(weight) + 1] += weight
            gradient += weight * (change - expected)
            low, high = bounds[0] - change, bounds[1] - change
            step = _bounded(matrix, gradient, low, high)
            change = clipped(change + step, *bounds)
        return change

    def _linearized(self, goal: Goal, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Matrix, its lower part, and gradient of all residuals at a pose."""
        k, config, library = self._kinematics, self._config, kernels()
        ground = config.ground**0.5
        if library is not None:
            if self._compiled is None:
                self._compiled = CompiledEquations(library, k, self._equations)
            parts = (pose.base, pose.rotation, pose.joints, goal.place, goal.weight)
            return self._compiled.frame(*parts, goal.apart, ground, config.separation)
        frames, size = k.frames(pose.clip()), self._equations.size
        band, gradient = Band(1, size), np.zeros((1, size))
        place, root = goal.place[..., None], np.sqrt(goal.weight)[:, None]
        buffer = self._equations.jacobian(frames, place, root, ground)
        self._equations.add_to(band.blocks, gradient, buffer)
        if len(goal.apart):
            apart = SeparationRows(k, goal.apart, np.zeros(1, dtype=int))
            joints = self._equations.joints
            apart.add_to(frames, joints, config.separation, band.blocks, gradient)
        return band.blocks[0].T.copy(), gradient[0]


def _bounded(
    matrix: np.ndarray, gradient: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Step that takes away a gradient, with those of its entries at bounds that would leave."""
    fixed, right = matrix, -gradient
    held = np.zeros(len(gradient), dtype=bool)
    for _ in range(_ROUNDS):
        _, found, info = lapack.dposv(fixed, right, lower=1)
        if info or not math.isfinite(found @ found):
            return np.zeros_like(gradient)
        step = clipped(found, low, high)
        beyond = (found != step) & ~held
        if not np.count_nonzero(beyond):
            break
        held |= beyond
        fixed = matrix + np.diag(_FIXED * held)
        right = np.where(held, _FIXED * step, -gradient)
    return step
