"""Figures of inverse dynamics, and their computation in C++ (`kernels/dynamics.hpp`)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nextscale_core.kernels import address
from nextscale_core.robots.compiled_model import compiled_model
from nextscale_core.robots.kinematics import Kinematics
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety.config import DynamicsConfig

GRAVITY = 9.81
"""Standard gravity, as in pinocchio's models [m/s^2]."""


@dataclass(frozen=True)
class Dynamics:
    """Figures of N moments.

    Attributes:
        times: (N,) [s].
        centre: (N, 3) centre of mass in the world [m].
        speed: (N,) its horizontal speed [m/s].
        zero_moment_point: (N, 2) where the floor's force acts [m]; NaN where the robot falls
            freely.
        lowest_sole: (N,) height of the lowest sole corner [m].
        contact: (N, 8) True for sole corners in contact.
        centre_depth: (N,) distance of the centre of mass to the edge of the support polygon [m],
            negative outside; NaN without contact.
        point_depth: (N,) the same of the zero-moment point.
        missing: (N,) part of the needed wrench that the soles cannot give, as share of the body
            weight; moments count by the length of a leg.
        torque: (N, J) joint torques, with the contact forces acting [N m].
    """

    times: np.ndarray
    centre: np.ndarray
    speed: np.ndarray
    zero_moment_point: np.ndarray
    lowest_sole: np.ndarray
    contact: np.ndarray
    centre_depth: np.ndarray
    point_depth: np.ndarray
    missing: np.ndarray
    torque: np.ndarray


_pointer, _count, _number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


class _Input(ctypes.Structure):
    """`DynamicsInput` of dynamics.hpp, in its order."""

    _fields_ = (
        *((n, _count) for n in ("samples", "count", "moments", "stride")),
        *((n, _count) for n in ("corners", "steps", "halvings")),
        *((n, _pointer) for n in ("times", "q", "v", "base", "inside", "soles")),
        *((n, _pointer) for n in ("mass", "inertia")),
        *((n, _number) for n in ("fine", "sigma", "leg", "gravity", "free_fall", "height")),
        *((n, _number) for n in ("speed", "friction", "spread", "enough")),
        *((n, _pointer) for n in ("centre", "pace", "point", "lowest", "contact")),
        *((n, _pointer) for n in ("centre_depth", "point_depth", "missing", "torque")),
    )


def compiled_dynamics(
    library: ctypes.CDLL,
    kinematics: Kinematics,
    trajectory: RobotTrajectory,
    base: np.ndarray,
    times: np.ndarray,
    friction: float,
    config: DynamicsConfig,
) -> Dynamics:
    """`dynamics_of` in the library.

    Args:
        library: From `kernels`.
        kinematics: The robot's.
        trajectory: Finite, with increasing times.
        base: (S, 7) places and quaternions of the base, without changes of sign.
        times: Of all steps of smoothing [s].
        friction: Coefficient of friction.
        config: Rates, smoothing and what counts as contact.
    """
    stride, corners = config.stride, len(kinematics.soles)
    moments, joints = (len(times) - 1) // stride + 1, kinematics.robot.num_joints
    fine = config.period / stride
    given = [
        np.ascontiguousarray(part, np.float64)
        for part in (
            *(trajectory.time_from_start, trajectory.positions, trajectory.velocities, base),
            np.minimum(times, trajectory.seconds),
        )
    ]
    soles = np.ascontiguousarray(kinematics.soles, np.int64)
    masses = _masses(kinematics)
    shapes: list[tuple[int, ...]] = [(3,), (), (2,), (), (corners,), (), (), (), (joints,)]
    found = [
        np.empty((moments, *shape), np.uint8 if n == 4 else np.float64)
        for n, shape in enumerate(shapes)
    ]
    values = _Input(
        *(len(trajectory), len(times), moments, stride, corners, config.steps, config.halvings),
        *map(address, given),
        address(soles, np.int64),
        *map(address, masses),
        *(fine, config.smoothing / fine, kinematics.lengths.leg, GRAVITY, config.free_fall),
        *(config.contact_height, config.contact_speed, friction, config.spread, config.enough),
        *(address(part, part.dtype.type) for part in found),
    )
    library.ns_dynamics(compiled_model(library, kinematics).pointer, ctypes.byref(values))
    centre, speed, point, lowest, contact, *rest = found
    return Dynamics(times[::stride], centre, speed, point, lowest, contact.astype(bool), *rest)


@lru_cache(maxsize=8)
def _masses(kinematics: Kinematics) -> tuple[np.ndarray, np.ndarray]:
    """Masses (1 + B,) [kg], inertias (1 + B, 3, 3) about their centres in turned frames."""
    inertias = list(kinematics.robot.model.inertias)[1:]
    turns = zip(kinematics.tree.own, inertias, strict=True)
    return (
        np.array([inertia.mass for inertia in inertias]),
        np.stack([own.T @ inertia.inertia @ own for own, inertia in turns]),
    )
