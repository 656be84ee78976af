"""Joint states of several senders, brought to common times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def merged(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """One joint's times and positions from all messages that name it.

    Args:
        parts: Times (N,) and positions (N,) of each sender; of equal times the last part counts.

    Returns:
        Increasing times (M,) and the positions (M,) at these times.
    """
    if len(parts) == 1:
        return parts[0]
    at = np.concatenate([np.empty(0), *(part[0] for part in parts)])[::-1]
    column = np.concatenate([np.empty(0), *(part[1] for part in parts)])[::-1]
    # Of equal times, `unique` keeps the first.
    times, first = np.unique(at, return_index=True)
    return times, column[first]


def interpolated(
    times: np.ndarray, at: np.ndarray, column: np.ndarray, max_gap: float
) -> np.ndarray:
    """A joint's positions at other times, by straight lines.

    Args:
        times: (T,) [s].
        at: (N,) times at which the joint was measured, increasing [s].
        column: (N,) positions; those of a continuous joint must be unwrapped [rad].
        max_gap: Longest pause between two measurements that is bridged [s].

    Returns:
        (T,) positions; NaN outside of the measurements and in their longer pauses.
    """
    after = np.clip(np.searchsorted(at, times), 0, len(at) - 1)
    pause = at[after] - at[np.maximum(after - 1, 0)]
    inside = (pause <= max_gap) | (at[after] == times)
    return np.where(inside, np.interp(times, at, column, left=np.nan, right=np.nan), np.nan)
