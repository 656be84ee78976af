"""The step of the whole-clip solver in C++ (`nextscale_core/kernels/step.hpp`)."""

from __future__ import annotations

import ctypes
import weakref

import numpy as np

from nextscale_core.exceptions import RetargetError
from nextscale_core.kernels import Track, address, run, track
from nextscale_core.retarget.config import InverseKinematicsConfig, Smoothness
from nextscale_core.retarget.normal_equations import NormalEquations
from nextscale_core.retarget.targets import CentreGoal, Goals
from nextscale_core.robots.compiled_model import compiled_model
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.separation_terms import SeparationRows, SeparationTerms

_FAILURES = {
    1: "the equations of the whole clip are singular",
    2: "the equations of the whole clip have no finite solution",
}

_pointer, _count = ctypes.c_void_p, ctypes.c_int64


class _Input(ctypes.Structure):
    """`StepInput` of step.hpp, in its order."""

    _fields_ = (
        *((name, _count) for name in ("frames", "rows_count", "goals", "joints_count")),
        *((name, _pointer) for name in ("rows", "joints", "free")),
        *((name, _pointer) for name in ("base", "rotation", "q")),
        *((name, _pointer) for name in ("past_base", "past_rotation", "past_q")),
        *((name, _pointer) for name in ("goal", "weight")),
        *((n, Track) for n in ("smooth", "reference", "pull", "damping", "lower", "upper")),
        ("terms", _count),
        *((f"term_{name}", _pointer) for name in ("frame", "bodies", "at", "normal", "distance")),
        *((name, _pointer) for name in ("centre", "centre_joints")),
        *((name, ctypes.c_double) for name in ("centre_weight", "separation", "ground")),
        *((name, ctypes.c_double) for name in ("overshoot", "max_step")),
        ("fade", _count),
        *((name, _pointer) for name in ("out_base", "out_rotation", "out_q")),
    )


class CompiledEquations:
    """One structure of equations in the memory of the library."""

    def __init__(self, library: ctypes.CDLL, kinematics: Kinematics, equations: NormalEquations):
        self._library, self._model = library, compiled_model(library, kinematics)
        units = equations.units()
        arrays = [np.ascontiguousarray(equations.joints, np.int64), *units]
        at = [_pointer(address(array, np.int64)) for array in arrays]
        joints, kind = at[:2]
        self._joints = arrays[0]
        self._pointer = _pointer(
            library.ns_equations(
                self._model.pointer, len(self._joints), joints, len(units[0]), kind, *at[2:]
            )
        )
        weakref.finalize(self, library.ns_free_equations, self._pointer)

    def step(
        self,
        goals: Goals,
        poses: Poses,
        rows: np.ndarray,
        free: np.ndarray,
        *,
        smoothness: Smoothness,
        reference: np.ndarray,
        pull: np.ndarray | float,
        damping: np.ndarray | float,
        limits: tuple[np.ndarray, np.ndarray],
        relative_to: Poses | None,
        apart: SeparationRows | None,
        centre: CentreGoal | None,
        config: InverseKinematicsConfig,
    ) -> Poses:
        """The clip after a step; see `TrajectorySolver.step`.

        Args:
            goals: What each keypoint should do.
            poses: The current clip.
            rows: (F,) frames in the equations.
            free: (T,) True for the frames that may change.
            smoothness: Weights of the second differences.
            reference: (J,) or (T, J) posture [rad].
            pull: Its weight.
            damping: Weight of the step.
            limits: Lower and upper position limits, (J,) or (T, J) [rad].
            relative_to: A clip whose second differences are kept.
            apart: Separation terms of these frames.
            centre: Goal of the centre of mass.
            config: Weights.

        Raises:
            RetargetError: the equations could not be solved.
        """
        frames, joints = poses.joints.shape
        kept: list[np.ndarray] = []

        def at(array: np.ndarray | None, kind: type = np.float64) -> int | None:
            if array is None:
                return None
            kept.append(np.ascontiguousarray(array, kind))
            return address(kept[-1], kind)

        def wide(array: np.ndarray | float, count: int = frames, columns: int = joints) -> Track:
            kept.append(np.asarray(array, np.float64))
            return track(kept[-1], count, columns)

        bend = np.empty((frames - 2 if np.ndim(smoothness.joints) else 1, 6 + joints))
        bend[:, :3], bend[:, 3:6] = smoothness.base, smoothness.turn
        bend[:, 6:] = smoothness.joints
        damping = np.asarray(damping, np.float64)
        past: tuple[np.ndarray | None, ...] = (None, None, None)
        if relative_to is not None:
            past = (relative_to.base, relative_to.rotation, relative_to.joints)
        terms = () if apart is None else apart.arrays
        result = Poses(
            np.array(poses.base, np.float64, order="C"),
            np.array(poses.rotation, np.float64, order="C"),
            np.array(poses.joints, np.float64, order="C"),
        )
        values = _Input(
            frames,
            len(rows),
            len(goals.first),
            len(self._joints),
            at(rows, np.int64),
            at(self._joints, np.int64),
            at(free, np.uint8),
            *(at(part) for part in (poses.base, poses.rotation, poses.joints)),
            *(at(part) for part in past),
            at(goals.goal),
            at(goals.weight),
            wide(bend, max(frames - 2, 0), 6 + joints),
            wide(reference),
            wide(pull),
            wide(damping[:, None] if damping.ndim else damping, frames, 1),
            *(wide(limit) for limit in limits),
            len(terms[0]) if terms else 0,
            *((at(terms[0], np.int64), at(terms[1], np.int64)) if terms else (None, None)),
            *((at(part) for part in terms[2:]) if terms else (None,) * 3),
            at(None if centre is None else centre.place),
            at(None if centre is None else centre.joints, np.uint8),
            0.0 if centre is None else centre.weight,
            config.separation,
            config.ground**0.5,
            config.overshoot,
            config.max_step,
            config.fade,
            *(address(part) for part in (result.base, result.rotation, result.joints)),
        )
        status = self._library.ns_step(self._model.pointer, self._pointer, ctypes.byref(values))
        if status:
            raise RetargetError(_FAILURES[status])
        return result

    def frame(
        self,
        base: np.ndarray,
        rotation: np.ndarray,
        joints: np.ndarray,
        goal: np.ndarray,
        weight: np.ndarray,
        apart: SeparationTerms,
        ground: float,
        separation: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Matrix (m, m), its lower part, and gradient (m,) of a single frame.

        Args:
            base: (3,) root link [m].
            rotation: (3, 3) its orientation.
            joints: (J,) [rad].
            goal: (M, 3) as in `Goals` [m].
            weight: (M,) [1/m^2].
            apart: Bodies to move apart.
            ground: Square root of the weight of sole corners below the floor.
            separation: Weight of the distances.
        """
        size = 6 + len(self._joints)
        found = np.empty((size, size)), np.empty(size)
        given = (base, rotation, joints, goal, weight)
        parts = [np.ascontiguousarray(part, np.float64) for part in given]
        terms: tuple[np.ndarray | ctypes.c_void_p, ...] = (_pointer(),) * 4
        if len(apart):
            bodies = np.ascontiguousarray(apart.body, np.int64)
            terms = (bodies, apart.at, apart.normal, apart.separation)
        numbers = (ground, len(apart), *terms, separation)
        run(self._library, "ns_frame", self._pointer, *parts, *numbers, *found)
        return found
