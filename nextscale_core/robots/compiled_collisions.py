"""Collisions in C++ (`broad_phase.hpp` and `narrow_phase.hpp` in `nextscale_core/kernels`)."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence

import numpy as np

from nextscale_core.kernels import address
from nextscale_core.robots.compiled_model import compiled_model
from nextscale_core.robots.kinematics import Kinematics
from nextscale_core.robots.separation_terms import WitnessPoints

_pointer, _count = ctypes.c_void_p, ctypes.c_int64


class CompiledCollisions:
    """Hulls and pairs in the memory of the library; arguments as in `BroadPhase`."""

    def __init__(
        self,
        library: ctypes.CDLL,
        kinematics: Kinematics,
        bodies: np.ndarray,
        vertices: Sequence[np.ndarray],
        pairs: np.ndarray,
        distance: np.ndarray,
        planes: int,
    ):
        self._library, self._model = library, compiled_model(library, kinematics)
        counts = np.array([len(hull) for hull in vertices], dtype=np.int64)
        points, bodies = np.concatenate(vertices), np.ascontiguousarray(bodies, np.int64)
        pairs = np.ascontiguousarray(pairs, np.int64)
        at = [_pointer(address(array, np.int64)) for array in (bodies, counts, pairs)]
        self._pointer = _pointer(
            library.ns_broad_phase(
                self._model.pointer,
                len(bodies),
                *at[:2],
                _pointer(address(points)),
                len(pairs),
                at[2],
                _pointer(address(distance)),
                planes,
            )
        )
        weakref.finalize(self, library.ns_free_broad_phase, self._pointer)

    def suspects(self, positions: np.ndarray, known: np.ndarray, looks: int) -> np.ndarray:
        """See `BroadPhase.suspects`.

        Args:
            positions: (N, J) joints [rad].
            known: (K, 2) sample and pair to leave out.
            looks: Number of plane tests before the search ends early.

        Returns:
            (F, 2) sample and pair.
        """
        positions = np.ascontiguousarray(positions, np.float64)
        skip = np.ascontiguousarray(known, np.int64)
        found = ctypes.POINTER(_count)()
        count = self._library.ns_suspects(
            self._pointer,
            _count(len(positions)),
            _pointer(address(positions)),
            _count(len(skip)),
            _pointer(address(skip, np.int64)),
            _count(looks),
            ctypes.byref(found),
        )
        if not count:
            return np.zeros((0, 2), dtype=np.int64)
        return np.ctypeslib.as_array(found, (count, 2)).copy()

    def nearest(self, positions: np.ndarray, where: np.ndarray) -> WitnessPoints:
        """Distances and nearest points of (sample, pair) `where` (K, 2), NaN if not found.

        Args:
            positions: (N, J) joints [rad].
            where: Sample and pair.
        """
        positions = np.ascontiguousarray(positions, np.float64)
        rows = np.ascontiguousarray(where, np.int64)
        out = np.empty((len(rows), 10))
        self._library.ns_nearest(
            self._pointer,
            _count(len(positions)),
            _pointer(address(positions)),
            _count(len(rows)),
            _pointer(address(rows, np.int64)),
            _pointer(address(out)),
        )
        return WitnessPoints(where, out[:, 0], out[:, 1:4], out[:, 4:].reshape(-1, 2, 3))
