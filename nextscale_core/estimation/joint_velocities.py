"""Joint velocities from measured positions, for robots that do not publish them."""

from __future__ import annotations

import numpy as np

LONGEST = 0.3
"""Time over which a joint at rest is recognized [s]."""

_WINDOWS = (0.03, 0.06, 0.1)
"""Lengths of the fitted windows, tried in this order [s]: short ones are noisy, long ones lag."""

_PRECISE = 0.01
"""Standard error of a velocity that needs no longer window [rad/s]."""

_FEWEST = 6
"""Minimum number of fitted positions."""

_DEGREE = 3
"""Degree of the fitted polynomial; the end slope of a parabola lags behind a changing
acceleration."""

_FREE = 5
"""Degree of a polynomial that follows any motion in `LONGEST`; its residual is noise."""

_MOVES = 10.0
"""Ratio of variances (F-test) above which a joint moves, far beyond the effect of noise."""

_NOISIEST = 0.01
"""Maximum range of the positions of a joint at rest [rad]."""

_EXACT = 1e-9
"""Noise assumed for exact positions [rad]."""


def end_velocities(times: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Velocities at the newest of some positions.

    The velocity is the end slope of a cubic fitted to the last 0.03 to 0.1 s, the shortest of these
    windows that is precise enough. It is zero for a joint whose positions differ by no more than
    their noise.

    Args:
        times: (N,) increasing [s].
        positions: (N, J) measured at these times [rad]; NaN where a value is missing.

    Returns:
        (J,) velocities [rad/s]; NaN for joints with fewer than three positions.
    """
    velocities = np.full(positions.shape[1], np.nan)
    valid = np.isfinite(positions)
    complete = valid.all(axis=0)
    if complete.any():
        velocities[complete] = _without_gaps(times, positions[:, complete])
    for joint in np.flatnonzero(~complete):
        rows = valid[:, joint]
        velocities[joint] = _without_gaps(times[rows], positions[rows, joint, None])[0]
    return velocities


def _without_gaps(times: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(J,) velocities at the last of (N,) times, from positions (N, J) without NaN."""
    if len(times) < 3:
        return np.full(positions.shape[1], np.nan)
    since = times - times[-1]
    velocity = np.zeros(positions.shape[1])
    error = np.full(positions.shape[1], np.inf)
    for window in _WINDOWS:
        recent = slice(-max(int((since >= -window).sum()), _FEWEST), None)
        slope, noise, gain = _fit(since[recent], positions[recent], _DEGREE)
        velocity = np.where(error > _PRECISE, slope, velocity)
        error = np.where(error > _PRECISE, gain * np.sqrt(noise), error)
    # With hardly more positions than coefficients the noise cannot be estimated.
    if len(since) < 2 * _FREE:
        return velocity
    _, noise, _ = _fit(since, positions, _FREE)
    spread = ((positions - positions.mean(axis=0)) ** 2).sum(axis=0)
    explained = spread - noise * (len(since) - _FREE - 1)
    at_rest = explained / _FREE <= _MOVES * (noise + _EXACT**2)
    return np.where(at_rest & (np.ptp(positions, axis=0) <= _NOISIEST), 0.0, velocity)


def _fit(
    since: np.ndarray, positions: np.ndarray, degree: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Least-squares polynomials through positions (N, J) at times (N,), the last of which is 0.

    Returns:
        Slopes (J,) at time 0 [rad/s], variances of the residuals (J,) [rad^2], and the slope's
        standard error for residuals of 1 rad [1/s].
    """
    degree = min(degree, len(since) - 2)
    scale = -since[0]
    basis, triangle = np.linalg.qr(np.vander(since / scale, degree + 1, increasing=True))
    # Relative to the first position: residuals of large angles would be rounded.
    moved = positions - positions[0]
    share = basis.T @ moved
    to_slope = np.linalg.inv(triangle)[1] / scale
    squares = ((moved - basis @ share) ** 2).sum(axis=0)
    return to_slope @ share, squares / (len(since) - degree - 1), float(np.linalg.norm(to_slope))
