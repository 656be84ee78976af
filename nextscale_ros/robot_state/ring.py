"""The last rows of a stream, in fixed memory."""

from __future__ import annotations

import numpy as np


class Ring:
    """Rows with increasing times; the oldest make room for new ones.

    Args:
        capacity: Rows kept.
        width: Numbers in a row.

    Attributes:
        last: Time of the newest row [s]; minus infinity while there is none.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self._times = np.empty(capacity)
        self._rows = np.empty((capacity, width))
        self._next = 0
        self._count = 0
        self.last = -np.inf

    def __len__(self) -> int:
        return self._count

    def add(self, time: float, row: np.ndarray) -> bool:
        """Add a row; one that is not newer than the last is left out.

        Args:
            time: When [s].
            row: (width,) numbers.

        Returns:
            Whether it was added.
        """
        if not time > self.last:
            return False
        self._times[self._next] = time
        self._rows[self._next] = row
        self._next = (self._next + 1) % len(self._times)
        self._count = min(self._count + 1, len(self._times))
        self.last = time
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._next = self._count = 0
        self.last = -np.inf

    def since(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Times (N,) and rows (N, width) from `time` on, oldest first; copies."""
        order = (self._next - self._count + np.arange(self._count)) % len(self._times)
        times = self._times[order]
        first = int(np.searchsorted(times, time))
        return times[first:], self._rows[order[first:]]
