"""The robot model of the compiled kernels (`nextscale_core/kernels/model.hpp`)."""

from __future__ import annotations

import ctypes
import weakref
from functools import lru_cache

import numpy as np

from nextscale_core.kernels import address
from nextscale_core.robots.centre_of_mass import CentreOfMass
from nextscale_core.robots.kinematics import Kinematics


class CompiledModel:
    """A model in the memory of the library.

    Args:
        library: From `kernels`.
        kinematics: The robot's.

    Attributes:
        pointer: For the functions of the library.
    """

    def __init__(self, library: ctypes.CDLL, kinematics: Kinematics):
        k, bodies = kinematics, kinematics.bodies
        masses = CentreOfMass(k)
        ancestors = np.stack([k.ancestors(body) for body in range(bodies)])
        arrays = [
            *k.tree.flat,
            k.body.astype(np.int64),
            np.ascontiguousarray(k.local),
            ancestors.astype(np.uint8),
            k.carried.astype(np.uint8),
            np.ascontiguousarray(masses.local),
            np.ascontiguousarray(masses.share),
        ]
        at = [ctypes.c_void_p(address(array, array.dtype.type)) for array in arrays]
        sizes = (bodies, k.robot.num_joints, len(k.owner))
        self.pointer = ctypes.c_void_p(library.ns_model(*sizes, *at))
        weakref.finalize(self, library.ns_free_model, self.pointer)


@lru_cache(maxsize=8)
def compiled_model(library: ctypes.CDLL, kinematics: Kinematics) -> CompiledModel:
    """The model of a robot, built once."""
    return CompiledModel(library, kinematics)
