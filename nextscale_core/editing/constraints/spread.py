"""Changes at single frames, spread smoothly over the frames around them."""

from __future__ import annotations

import numpy as np

_SMOOTH = 30.0
"""Weight of the jerk of a change against the change itself."""


def spread(frames: np.ndarray, total: int, fixed: np.ndarray, reach: float) -> np.ndarray:
    """Weights by which changes at some frames act on all frames.

    Least squares: the jerk of each weight is small everywhere, and the weight itself is small far
    from its frame. So velocity and acceleration stay continuous.

    Args:
        frames: (K,) different frames.
        total: Frames T of the motion.
        fixed: (T,) bool, frames that do not change; none of `frames`.
        reach: Distance at which a change has nearly vanished [frames].

    Returns:
        (T, K): 1 at the own frame, 0 at other frames of `frames` and at fixed ones.
    """
    weights = np.zeros((total, len(frames)))
    if not len(frames):
        return weights
    weights[frames, np.arange(len(frames))] = 1.0
    given = fixed.copy()
    given[frames] = True
    free = ~given
    if not free.any():
        return weights
    jerk = np.diff(np.eye(total), n=min(3, total - 1), axis=0)
    away = np.abs(np.arange(total)[:, None] - frames).min(axis=1)
    system = _SMOOTH * jerk[:, free].T @ jerk[:, free] + np.diag((away[free] / reach) ** 4)
    weights[free] = np.linalg.solve(
        system, -_SMOOTH * jerk[:, free].T @ (jerk[:, given] @ weights[given])
    )
    return weights
