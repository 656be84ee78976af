"""The broad phase in C++ (`nextscale_core/kernels/broad_phase.hpp`)."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from nextscale_core.kernels import address
from nextscale_core.robots.compiled_model import compiled_model
from nextscale_core.robots.kinematics import Kinematics

_pointer, _count = ctypes.c_void_p, ctypes.c_int64
_Normal = ctypes.CFUNCTYPE(None, _count, _count, ctypes.POINTER(ctypes.c_double))


class CompiledBroadPhase:
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

    def suspects(
        self,
        positions: np.ndarray,
        normal: Callable[[int, int], np.ndarray],
        known: Iterable[tuple[int, int]],
        looks: int,
    ) -> list[tuple[int, int]]:
        """See `BroadPhase.suspects`.

        Args:
            positions: (N, J) joints [rad].
            normal: Direction in which a pair is furthest apart in a sample.
            known: (sample, pair) to leave out.
            looks: Number of plane tests before the search ends early.
        """

        def write(sample: int, pair: int, out: ctypes._Pointer[ctypes.c_double]) -> None:
            out[0], out[1], out[2] = normal(sample, pair)

        positions = np.ascontiguousarray(positions, np.float64)
        skip = np.array(list(known), dtype=np.int64).reshape(-1, 2)
        found = ctypes.POINTER(_count)()
        count = self._library.ns_suspects(
            self._pointer,
            _count(len(positions)),
            _pointer(address(positions)),
            _count(len(skip)),
            _pointer(address(skip, np.int64)),
            _Normal(write),
            _count(looks),
            ctypes.byref(found),
        )
        if not count:
            return []
        rows = np.ctypeslib.as_array(found, (count, 2)).tolist()
        return [(sample, pair) for sample, pair in rows]
