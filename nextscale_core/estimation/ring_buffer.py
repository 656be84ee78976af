"""Ring buffer of timed rows."""

from __future__ import annotations

import numpy as np

BUFFER_SECONDS = 3.0
"""Length of the buffered history of the robot's state [s]."""


class RingBuffer:
    """The last rows of a stream, with increasing times, in fixed memory.

    Args:
        capacity: Maximum number of rows; the oldest are overwritten.
        width: Numbers in a row.

    Attributes:
        last: Time of the newest row [s]; minus infinity while empty.
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
        """Add a row (width,) at a time [s]; returns False, and adds nothing, if it is not newer."""
        if not time > self.last:
            return False
        self._times[self._next] = time
        self._rows[self._next] = row
        self._next = (self._next + 1) % len(self._times)
        self._count = min(self._count + 1, len(self._times))
        self.last = time
        return True

    def clear(self) -> None:
        """Remove all rows."""
        self._next = self._count = 0
        self.last = -np.inf

    def since(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Copies of the times (N,) and rows (N, width) from `time` on, oldest first."""
        order = (self._next - self._count + np.arange(self._count)) % len(self._times)
        times = self._times[order]
        first = int(np.searchsorted(times, time))
        return times[first:], self._rows[order[first:]]
