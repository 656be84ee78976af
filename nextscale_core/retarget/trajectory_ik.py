"""Stage 2: Gauss-Newton on all frames of a clip at once.

Minimises over the poses x_t of all frames

    sum_t sum_i w_ti |r_i(x_t)|^2 + posture + sum_t |L_t (x_{t+1} - 2 x_t + x_{t-1})|^2
    + ground: (height of a sole corner)^2 where below the floor
    + hinges: (distance - wanted)^2 of pairs of bodies that came too close

under the position limits. Frames couple through the second differences only, so the normal
equations are a band of half-width 2 m (m = 6 + joints that something asks for), and LAPACK's banded
Cholesky solves a clip of 10 s in a few milliseconds. A step may be restricted to some frames: then
the others stay where they are and hold their neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nextscale_core.retarget.banded_system import Band
from nextscale_core.retarget.normal_equations import Equations
from nextscale_core.retarget.perframe import POSTURE
from nextscale_core.retarget.targets import Goals
from nextscale_core.robots.kinematics import Kinematics, Poses, lever_triples
from nextscale_core.robots.separation_terms import SeparationRows
from nextscale_core.robots.separation_terms import SeparationTerm as SeparationTerm
from nextscale_core.rotations import exp, log

DAMPING = 1e-4
_MAX_STEP = 0.6
_GROUND = 100.0
_HINGE = 400.0
_FIXED = 1e8
"""Weight that keeps an unknown where it is: cheaper than removing its row and column."""

_BEYOND = 1e-3
"""Joints that a step takes further beyond a limit than this end at it, and the step is solved once
more [rad]."""

_FADES = 6
"""In so many frames the effect of a joint that stops at its limit has faded."""

_ASTRAY = 1e-9
"""A joint that nothing asks for is left out unless it is further from its posture [rad]."""

_STRUCTURES = 32
"""So many structures of equations are remembered."""


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


@dataclass
class _Clip:
    """What a step needs of the frames it changes and of two beside each run of them.

    Attributes:
        frames: (F,) ascending frames of the clip.
        fixed: (F,) frames that only hold their neighbours.
        goal: (M, 3, F) as in `Goals`, time last.
        root: (M, F) square roots of the weights.
        poses: The F frames.
        weight: (F - 2, 6 + J) of second differences; 0 across gaps.
        lower: (J,) or (F, J) position limits [rad].
        upper: The same.
        reference: (J,) or (F, J) posture [rad].
        pull: (F, J) weight of that posture [1/rad^2].
        kept: (F, 6 + J) gradient of the second differences that are kept, or 0.
        hinges: Bodies to move apart.
    """

    frames: np.ndarray
    fixed: np.ndarray
    goal: np.ndarray
    root: np.ndarray
    poses: Poses
    weight: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    reference: np.ndarray
    pull: np.ndarray
    kept: np.ndarray | float
    hinges: SeparationRows | None


class TrajectorySolver:
    """Improves a whole clip.

    Args:
        kinematics: The robot's keypoints.
        lower: (J,) or (T, J) lower position limits to keep [rad].
        upper: (J,) or (T, J) upper position limits to keep [rad].
    """

    def __init__(self, kinematics: Kinematics, lower: np.ndarray, upper: np.ndarray):
        self._kinematics = kinematics
        self._lower, self._upper = lower, upper
        self._structures: dict[tuple[bytes, bytes, bytes, bool], Equations] = {}

    def step(
        self,
        goals: Goals,
        poses: Poses,
        smoothness: Smoothness,
        hinges: Sequence[SeparationTerm] = (),
        reference: np.ndarray | None = None,
        relative_to: Poses | None = None,
        damping: np.ndarray | float = DAMPING,
        pull: np.ndarray | float = POSTURE,
        frames: np.ndarray | None = None,
    ) -> Poses:
        """One Gauss-Newton step.

        Joints that no goal and no hinge asks for stay where they are when that is their posture.

        Args:
            goals: What each keypoint should do.
            poses: The current clip.
            smoothness: Weights of the second differences.
            hinges: Bodies to move apart.
            reference: (J,) or (T, J) posture that undecided joints return to [rad]; the
                robot's nominal posture when None.
            relative_to: A clip whose second differences are kept instead of made small.
            damping: (T,) or a number: weight of the step itself [1/m^2, 1/rad^2]; more makes
                shorter steps.
            pull: (T, J) or a number: weight of that posture [1/rad^2].
            frames: (T,) True for the frames that may change; all when None.

        Raises:
            RetargetError: the equations could not be solved.
        """
        if frames is None:
            frames = np.ones(len(poses), dtype=bool)
        elif not frames.any():
            return poses
        wide = np.convolve(frames, np.ones(5), mode="same") > 0.5 if not frames.all() else frames
        rows = np.flatnonzero(wide)
        posture = self._kinematics.robot.nominal if reference is None else reference
        smooth = _per_frame(smoothness, len(poses), 6 + self._kinematics.robot.num_joints)
        weight = smooth[np.clip(rows[1:-1] - 1, 0, len(smooth) - 1)]
        weight = weight * ((rows[2:] - rows[:-2]) == 2)[:, None]
        kept: np.ndarray | float = 0.0
        if relative_to is not None:
            kept = _second_difference_gradient(_take(relative_to, rows), weight)
        clip = _Clip(
            frames=rows,
            fixed=~frames[rows],
            goal=np.ascontiguousarray(goals.goal[rows].transpose(1, 2, 0)),
            root=np.sqrt(goals.weight[rows].T),
            poses=_take(poses, rows),
            weight=weight,
            lower=_at(self._lower, rows),
            upper=_at(self._upper, rows),
            reference=_at(posture, rows),
            pull=np.broadcast_to(pull, poses.joints.shape)[rows],
            kept=kept,
            hinges=SeparationRows(self._kinematics, hinges, rows) if hinges else None,
        )
        damped = np.broadcast_to(damping, len(poses))[rows, None]
        solved = self._solve(goals, clip, damped)
        result = Poses(poses.base.copy(), poses.rotation.copy(), poses.joints.copy())
        free, changed = ~clip.fixed, rows[~clip.fixed]
        result.base[changed] = solved.base[free]
        result.rotation[changed] = solved.rotation[free]
        result.joints[changed] = solved.joints[free]
        return result

    def _solve(self, goals: Goals, clip: _Clip, damping: np.ndarray) -> Poses:
        structure = self._structure(goals, clip)
        poses, joints = clip.poses, structure.joints
        frames = self._kinematics.frames(poses)
        gradient = np.zeros((len(poses), structure.size))
        band = Band(len(poses), structure.size)
        buffer = structure.jacobian(frames, clip.goal, clip.root, _GROUND**0.5)
        structure.add_to(band.blocks, gradient, buffer)
        if clip.hinges is not None and len(clip.hinges):
            clip.hinges.add_to(frames, joints, _HINGE, band.blocks, gradient)
        posture = clip.pull * (poses.joints - clip.reference)
        gradient[:, 6:] += posture[:, joints]
        bend = _second_difference_gradient(poses, clip.weight) - clip.kept
        gradient += _columns(bend, joints)
        gradient[clip.fixed] = 0.0
        held = self._limit(structure, clip, poses, gradient)
        band.diagonal[:] += damping
        band.diagonal[:, 6:] += clip.pull[:, joints] + _FIXED * held
        band.diagonal[clip.fixed] += _FIXED
        band.add_second_differences(_columns(clip.weight, joints))
        step = band.solve(gradient, keep=True)
        beyond, room = self._beyond(structure, clip, poses, step)
        if beyond.any():
            # Cut off afterwards, these joints would leave the others, and a standing foot with
            # them, where only the whole step would have been right.
            step = self._within(band, step, beyond, room)
        return self._moved(structure, clip, poses, step)

    @staticmethod
    def _limit(structure: Equations, clip: _Clip, poses: Poses, gradient: np.ndarray) -> np.ndarray:
        """(F, A) joints that are at a limit and would go on; their gradient is taken away."""
        joints = structure.joints
        at, outward = poses.joints[:, joints], gradient[:, 6:]
        lower, upper = clip.lower[..., joints], clip.upper[..., joints]
        held = ((at <= lower) & (outward > 0)) | ((at >= upper) & (outward < 0))
        outward[held] = 0.0
        return np.asarray(held)

    @staticmethod
    def _beyond(
        structure: Equations, clip: _Clip, poses: Poses, step: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(F, A) joints that a step takes beyond a limit, and what way is left to them [rad]."""
        joints = structure.joints
        at, wanted = poses.joints[:, joints], step[:, 6:]
        room = np.clip(at + wanted, clip.lower[..., joints], clip.upper[..., joints]) - at
        return (np.abs(wanted - room) > _BEYOND) & ~clip.fixed[:, None], room

    @staticmethod
    def _within(band: Band, step: np.ndarray, beyond: np.ndarray, room: np.ndarray) -> np.ndarray:
        """The step solved once more around joints that would leave their limits.

        What a change does fades within a few frames; further away the first solution stays.
        """
        near = ndimage.binary_dilation(beyond.any(1), iterations=_FADES)
        band.diagonal[:, 6:] += _FIXED * beyond
        change = np.zeros_like(step)
        change[:, 6:][beyond] = -_FIXED * (room - step[:, 6:])[beyond]
        step = step.copy()
        step[near] += band.at(near).solve(change[near])
        return step

    @staticmethod
    def _moved(structure: Equations, clip: _Clip, poses: Poses, step: np.ndarray) -> Poses:
        step = np.clip(step, -_MAX_STEP, _MAX_STEP)
        joints = poses.joints.copy()
        joints[:, structure.joints] += step[:, 6:]
        free = ~clip.fixed
        joints[free] = np.clip(joints, clip.lower, clip.upper)[free]
        return Poses(poses.base + step[:, :3], exp(step[:, 3:6]) @ poses.rotation, joints)

    def _structure(self, goals: Goals, clip: _Clip) -> Equations:
        """The structure of the equations, remembered for other clips."""
        k, first, second = self._kinematics, goals.first, goals.second
        asked = k.support[first].any(0) | k.support[second[second >= 0]].any(0)
        asked |= k.support[k.soles].any(0)
        asked |= (np.abs(clip.poses.joints - clip.reference) > _ASTRAY).any(0)
        if clip.hinges is not None:
            asked |= clip.hinges.joints
        turns = all(
            np.array_equal(clip.root[a], clip.root[row])
            for a, b, c in lever_triples(k, first, second)
            for row in (b, c)
        )
        key = (first.tobytes(), second.tobytes(), asked.tobytes(), turns)
        if key not in self._structures:
            if len(self._structures) >= _STRUCTURES:
                self._structures.clear()
            self._structures[key] = Equations(k, first, second, np.flatnonzero(asked), turns)
        return self._structures[key]


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


def _columns(tracks: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Columns of base and chosen joints of (F, 6 + J)."""
    return np.concatenate([tracks[:, :6], tracks[:, 6:][:, joints]], axis=1)


def _at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of what is given per frame; what is given once for all frames stays."""
    return values[rows] if values.ndim == 2 else values


def _take(poses: Poses, rows: np.ndarray) -> Poses:
    return Poses(poses.base[rows], poses.rotation[rows], poses.joints[rows])
