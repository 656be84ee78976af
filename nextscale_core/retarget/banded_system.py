"""Banded matrix of a whole clip in LAPACK's layout, and its solution."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from nextscale_core.exceptions import RetargetError


class Band:
    """The lower band of the whole clip's matrix, in LAPACK's layout.

    Attributes:
        blocks: (T, m, m) view: `blocks[t, c, r]` is the entry of row r >= c and column c of frame
            t. Entries of rows above stay zero.
    """

    def __init__(self, frames: int, size: int):
        self._set(np.zeros((frames, size, 2 * size + 1)))

    def _set(self, by_frame: np.ndarray) -> None:
        frames, size = by_frame.shape[:2]
        self._frames, self._size = frames, size
        self._columns = by_frame.reshape(frames * size, 2 * size + 1)
        # Column c of a frame begins at c (2 m + 1) with its diagonal: its row r is at c 2 m + r.
        flat = self._columns.reshape(frames, size * (2 * size + 1))
        self.blocks = flat[:, : 2 * size * size].reshape(frames, size, 2 * size)[:, :, :size]
        self._by_frame = self._columns.reshape(frames, size, 2 * size + 1)

    @property
    def diagonal(self) -> np.ndarray:
        """(T, m) view."""
        return self._by_frame[:, :, 0]

    def add_second_differences(self, weight: np.ndarray) -> None:
        """Add weighted squared second differences; (T - 2, m)."""
        size = self._size
        diagonal, one, two = (self._by_frame[:, :, d] for d in (0, size, 2 * size))
        diagonal[:-2] += weight
        diagonal[1:-1] += 4 * weight
        diagonal[2:] += weight
        one[:-2] -= 2 * weight
        one[1:-1] -= 2 * weight
        two[:-2] += weight

    def at(self, frames: np.ndarray) -> Band:
        """The band of the marked frames (T,) alone, the others fixed."""
        if frames.all():
            return self
        rows = np.flatnonzero(frames)
        part = Band.__new__(Band)
        part._set(np.ascontiguousarray(self._by_frame[rows]))
        size = self._size
        # Frames that are now side by side are coupled across a gap of one frame only.
        way = np.diff(rows)
        after = way > 1
        over = part._by_frame[:-1, :, 2 * size] * (way == 2)[:, None]
        part._by_frame[:-1][after, :, size] = over[after]
        part._by_frame[:-1][after, :, 2 * size] = 0.0
        part._by_frame[:-2][after[1:], :, 2 * size] = 0.0
        return part

    def solve(self, gradient: np.ndarray, *, keep: bool = False) -> np.ndarray:
        """The step (T, m) that takes away the gradient (T, m).

        Args:
            gradient: (T, m).
            keep: Whether the matrix is needed again; it is destroyed otherwise.

        Raises:
            RetargetError: the matrix is singular.
        """
        right = -gradient.reshape(-1)
        _, step, info = lapack.dpbsv(
            self._columns.T, right, lower=1, overwrite_ab=int(not keep), overwrite_b=1
        )
        if info:
            raise RetargetError("the equations of the whole clip are singular")
        if not np.isfinite(step).all():
            raise RetargetError("the equations of the whole clip have no finite solution")
        return np.asarray(step).reshape(gradient.shape)
