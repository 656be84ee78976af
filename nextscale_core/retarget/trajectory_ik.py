"""Whole-clip inverse kinematics: Gauss-Newton on all frames of a clip at once.

Minimises over the poses x_t of all frames

    sum_t sum_i w_ti |r_i(x_t)|^2 + posture + sum_t |L_t (x_{t+1} - 2 x_t + x_{t-1})|^2
    + ground: (height of a sole corner)^2 where below the floor
    + separation: (distance - wanted)^2 of pairs of bodies that came too close
    + balance: (horizontal distance of the centre of mass to its goal)^2, where one is given

under the position limits. Frames couple through the second differences only, so the normal
equations are a band of half-width 2 m (m = 6 + joints that a residual moves), and LAPACK's banded
Cholesky solves a clip of 10 s in a few milliseconds. A step may be restricted to some frames: then
the others stay where they are and hold their neighbours.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np
from scipy import ndimage

from nextscale_core.kernels import kernels
from nextscale_core.retarget.banded_system import Band
from nextscale_core.retarget.compiled_step import CompiledEquations
from nextscale_core.retarget.config import RETARGET, InverseKinematicsConfig, Smoothness
from nextscale_core.retarget.normal_equations import NormalEquations
from nextscale_core.retarget.targets import CentreGoal, Goals
from nextscale_core.robots.centre_of_mass import CentreOfMass
from nextscale_core.robots.kinematics import Frames, Kinematics, Poses, lever_triples
from nextscale_core.robots.separation_terms import SeparationRows, SeparationTerms
from nextscale_core.rotations import exp, log

_FIXED = 1e8
"""Weight that keeps an unknown where it is: cheaper than removing its row and column."""

_ASTRAY = 1e-9
"""Distance from its posture at which a joint without residuals is solved for [rad]."""

_STRUCTURES = 32
"""Number of structures of equations that are cached."""


class TrajectorySolver:
    """Improves a whole clip.

    Args:
        kinematics: The robot's keypoints.
        lower: (J,) or (T, J) lower position limits to keep [rad].
        upper: (J,) or (T, J) upper position limits to keep [rad].
        config: Weights of the residuals.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        lower: np.ndarray,
        upper: np.ndarray,
        config: InverseKinematicsConfig = RETARGET.inverse_kinematics,
    ):
        self._kinematics, self._config = kinematics, config
        self._lower, self._upper = lower, upper
        self._centre = CentreOfMass(kinematics)
        self._structures, self._levers, self._in_library = _structures_of(kinematics)

    def step(
        self,
        goals: Goals,
        poses: Poses,
        smoothness: Smoothness,
        separations: SeparationTerms | None = None,
        reference: np.ndarray | None = None,
        relative_to: Poses | None = None,
        damping: np.ndarray | float | None = None,
        pull: np.ndarray | float | None = None,
        frames: np.ndarray | None = None,
        centre: CentreGoal | None = None,
    ) -> Poses:
        """One Gauss-Newton step.

        Joints that no goal and no separation moves stay where they are if that is their posture.

        Args:
            goals: What each keypoint should do.
            poses: The current clip.
            smoothness: Weights of the second differences.
            separations: Bodies to move apart.
            reference: (J,) or (T, J) posture that undecided joints return to [rad]; the
                robot's nominal posture when None.
            relative_to: A clip whose second differences are kept instead of made small.
            damping: (T,) or a number: weight of the step itself [1/m^2, 1/rad^2]; more makes
                shorter steps. The config's when None.
            pull: (T, J) or a number: weight of that posture [1/rad^2]; the config's when None.
            frames: (T,) True for the frames that may change; all when None.
            centre: Where the centre of mass should be.

        Raises:
            RetargetError: the equations could not be solved.
        """
        k, config = self._kinematics, self._config
        if frames is None:
            frames = np.ones(len(poses), dtype=bool)
        elif not frames.any():
            return poses
        # The frames that change, and two beside each run of them, which hold it.
        wide = np.convolve(frames, np.ones(5), mode="same") > 0.5 if not frames.all() else frames
        rows = np.flatnonzero(wide)
        library = kernels()
        if library is not None:
            posture = k.robot.nominal if reference is None else reference
            apart = SeparationRows(k, separations, rows) if separations else None
            away = _at(poses.joints, rows) - _at(posture, rows)
            asked = (np.abs(away) > _ASTRAY).any(0)
            if apart is not None:
                asked |= apart.joints
            return self._compiled(library, goals, asked).step(
                goals,
                poses,
                rows,
                frames,
                smoothness=smoothness,
                reference=posture,
                pull=config.posture if pull is None else pull,
                damping=config.damping if damping is None else damping,
                limits=(self._lower, self._upper),
                relative_to=relative_to,
                apart=apart,
                centre=centre,
                config=config,
            )
        here, free = _take(poses, rows), frames[rows]
        reference = _at(k.robot.nominal if reference is None else reference, rows)
        pull = np.broadcast_to(config.posture if pull is None else pull, poses.joints.shape)[rows]
        damping = np.broadcast_to(config.damping if damping is None else damping, len(poses))
        smooth = _per_frame(smoothness, len(poses), 6 + k.robot.num_joints)
        smooth = smooth[np.clip(rows[1:-1] - 1, 0, len(smooth) - 1)]
        smooth = smooth * ((rows[2:] - rows[:-2]) == 2)[:, None]
        bend = _second_difference_gradient(here, smooth)
        if relative_to is not None:
            bend -= _second_difference_gradient(_take(relative_to, rows), smooth)
        away = here.joints - reference

        band, gradient, joints = self._residuals(goals, rows, here, away, separations, centre)
        gradient[:, 6:] += (pull * away)[:, joints]
        gradient += _columns(bend, joints)
        gradient[~free] = 0.0
        at = here.joints[:, joints]
        lower, upper = (_at(limit, rows)[..., joints] for limit in (self._lower, self._upper))
        # Joints at a limit that would go on are held there.
        outward = gradient[:, 6:]
        held = ((at <= lower) & (outward > 0)) | ((at >= upper) & (outward < 0))
        outward[held] = 0.0
        band.diagonal[:] += damping[rows, None]
        band.diagonal[:, 6:] += pull[:, joints] + _FIXED * held
        band.diagonal[~free] += _FIXED
        band.add_second_differences(_columns(smooth, joints))
        step = band.solve(gradient, keep=True)

        room = np.clip(at + step[:, 6:], lower, upper) - at
        beyond = (np.abs(step[:, 6:] - room) > config.overshoot) & free[:, None]
        if beyond.any():
            # Clipped afterwards, these joints would leave the others, and a standing foot with
            # them, where only the whole step would have been right.
            step = self._within(band, step, beyond, room)
        step = np.clip(step, -config.max_step, config.max_step)[free]
        changed = rows[free]
        result = Poses(poses.base.copy(), poses.rotation.copy(), poses.joints.copy())
        result.base[changed] += step[:, :3]
        result.rotation[changed] = exp(step[:, 3:6]) @ poses.rotation[changed]
        result.joints[np.ix_(changed, joints)] += step[:, 6:]
        result.joints[changed] = np.clip(
            result.joints[changed], _at(self._lower, changed), _at(self._upper, changed)
        )
        return result

    def _residuals(
        self,
        goals: Goals,
        rows: np.ndarray,
        here: Poses,
        away: np.ndarray,
        separations: SeparationTerms | None,
        centre: CentreGoal | None,
    ) -> tuple[Band, np.ndarray, np.ndarray]:
        """Matrix and gradient (F, 6 + A) of goals, floor and separations in frames `rows` (F,).

        Also the joints (A,) that are solved for. `away` (F, J) is the distance from the posture.
        """
        k, config = self._kinematics, self._config
        asked = (np.abs(away) > _ASTRAY).any(0)
        apart = SeparationRows(k, separations, rows) if separations else None
        if apart is not None:
            asked |= apart.joints
        root = np.sqrt(goals.weight[rows].T)
        equations = self._equations(goals, root, asked)
        frames, gradient = k.frames(here), np.zeros((len(rows), equations.size))
        band = Band(len(rows), equations.size)
        goal = np.ascontiguousarray(goals.goal[rows].transpose(1, 2, 0))
        buffer = equations.jacobian(frames, goal, root, config.ground**0.5)
        equations.add_to(band.blocks, gradient, buffer)
        if apart is not None and len(apart):
            apart.add_to(frames, equations.joints, config.separation, band.blocks, gradient)
        if centre is not None:
            self._add_centre(centre, rows, frames, equations.joints, band, gradient)
        return band, gradient, equations.joints

    def _add_centre(
        self,
        centre: CentreGoal,
        rows: np.ndarray,
        frames: Frames,
        joints: np.ndarray,
        band: Band,
        gradient: np.ndarray,
    ) -> None:
        """Add the distance of the centre of mass to its goal in frames `rows` (F,)."""
        slope = self._centre.horizontal_rows(frames, joints)
        slope[..., 6:] *= centre.joints[joints]
        away = self._centre.position(frames)[:, :2] - centre.place[rows]
        product = centre.weight * slope.transpose(0, 2, 1) @ slope
        band.blocks[:] += product * np.tri(product.shape[-1]).T
        gradient += centre.weight * (away[:, None] @ slope)[:, 0]

    def _within(
        self, band: Band, step: np.ndarray, beyond: np.ndarray, room: np.ndarray
    ) -> np.ndarray:
        """The step (F, m) solved again around joints (F, A) that would leave their limits.

        The effect of a change fades within a few frames; further away the first solution stays.
        """
        near = ndimage.binary_dilation(beyond.any(1), iterations=self._config.fade)
        band.diagonal[:, 6:] += _FIXED * beyond
        change = np.zeros_like(step)
        change[:, 6:][beyond] = -_FIXED * (room - step[:, 6:])[beyond]
        step = step.copy()
        step[near] += band.at(near).solve(change[near])
        return step

    def _compiled(self, library: ctypes.CDLL, goals: Goals, asked: np.ndarray) -> CompiledEquations:
        """The structure of the equations in the library."""
        # A structure with turns serves every frame of goals that have equal weights throughout.
        equations = self._equations(goals, goals.weight.T, asked)
        key = (library, equations)
        if key not in self._in_library:
            if len(self._in_library) >= _STRUCTURES:
                self._in_library.clear()
            self._in_library[key] = CompiledEquations(library, self._kinematics, equations)
        return self._in_library[key]

    def _equations(self, goals: Goals, root: np.ndarray, asked: np.ndarray) -> NormalEquations:
        """The structure of the equations, cached for other clips; `asked` (J,) joints are in it."""
        first, second = goals.first, goals.second
        keypoints = (first.tobytes(), second.tobytes())
        if keypoints not in self._levers:
            k, relative = self._kinematics, second[second >= 0]
            moved = [k.support[rows].any(0) for rows in (first, relative, k.soles)]
            self._levers[keypoints] = lever_triples(k, first, second), np.any(moved, axis=0)
        triples, always = self._levers[keypoints]
        asked = asked | always
        turns = bool((root[triples] == root[triples[:, :1]]).all())
        key = (*keypoints, asked.tobytes(), turns)
        if key not in self._structures:
            if len(self._structures) >= _STRUCTURES:
                self._structures.clear()
                self._levers.clear()
            joints = np.flatnonzero(asked)
            self._structures[key] = NormalEquations(self._kinematics, first, second, joints, turns)
        return self._structures[key]


_Structures = tuple[
    dict[tuple[bytes, bytes, bytes, bool], NormalEquations],
    dict[tuple[bytes, bytes], tuple[np.ndarray, np.ndarray]],
    dict[tuple[ctypes.CDLL, NormalEquations], CompiledEquations],
]


@lru_cache(maxsize=8)
def _structures_of(kinematics: Kinematics) -> _Structures:
    """What all solvers of a robot know of the structure of its equations.

    Solvers of one process wait for each other (`single_threaded`).
    """
    return {}, {}, {}


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
    """Rows of values (T, J); values (J,) for all frames stay."""
    return values[rows] if values.ndim == 2 else values


def _take(poses: Poses, rows: np.ndarray) -> Poses:
    return Poses(poses.base[rows], poses.rotation[rows], poses.joints[rows])
