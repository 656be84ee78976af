"""Joint velocities from measured positions, for robots whose joint states have none."""

from __future__ import annotations

import numpy as np

LONGEST = 0.3
"""Time over which a joint that does not move is recognized as standing [s]."""

_WINDOWS = (0.03, 0.06, 0.1)
"""Times over which the polynomial is fitted whose slope is the velocity [s]: short ones are noisy,
and long ones do not follow a fast motion."""

_PRECISE = 0.01
"""Standard error of a velocity that needs no longer window [rad/s]."""

_FEWEST = 6
"""Positions that a polynomial is fitted to at least."""

_DEGREE = 3
"""Degree of that polynomial: the slope at the end of a parabola lags behind a changing
acceleration."""

_FREE = 5
"""Degree of the polynomial that follows any motion in `LONGEST`; what it leaves is noise."""

_MOVES = 10.0
"""Ratio of variances (an F-test) above which a joint moves, far beyond what noise causes."""

_NOISIEST = 0.01
"""Range of positions in which a joint may stand [rad]: no encoder is noisier."""

_EXACT = 1e-9
"""Noise of positions that are taken for exact [rad]."""


def end_velocities(times: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Velocities at the newest of some positions.

    The velocity is the slope of a cubic, fitted to the last tenth of a second or less where the
    positions are precise. It is zero where they differ by no more than their noise: a robot that
    stands must not seem to move.

    Args:
        times: (N,) increasing [s].
        positions: (N, J) measured then [rad]; NaN where a value is missing.

    Returns:
        (J,) velocities [rad/s]; NaN for joints with fewer than three positions.
    """
    found = np.full(positions.shape[1], np.nan)
    sound = np.isfinite(positions)
    whole = sound.all(axis=0)
    if whole.any():
        found[whole] = _of_whole(times, positions[:, whole])
    for joint in np.flatnonzero(~whole):
        kept = sound[:, joint]
        found[joint] = _of_whole(times[kept], positions[kept, joint, None])[0]
    return found


def _of_whole(times: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(J,) velocities at the last of (N,) times, where no position is missing."""
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
    # With hardly more positions than coefficients nothing is known of the noise.
    if len(since) < 2 * _FREE:
        return velocity
    _, noise, _ = _fit(since, positions, _FREE)
    spread = ((positions - positions.mean(axis=0)) ** 2).sum(axis=0)
    rest = spread - noise * (len(since) - _FREE - 1)
    stands = rest / _FREE <= _MOVES * (noise + _EXACT**2)
    return np.where(stands & (np.ptp(positions, axis=0) <= _NOISIEST), 0.0, velocity)


def _fit(
    since: np.ndarray, positions: np.ndarray, degree: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Least-squares polynomials: their slopes at time 0 and what they leave.

    Returns:
        Slopes (J,) [rad/s], variances of the residuals (J,) [rad^2], and the slope's standard
        error for residuals of 1 rad [1/s].
    """
    degree = min(degree, len(since) - 2)
    scale = -since[0]
    basis, triangle = np.linalg.qr(np.vander(since / scale, degree + 1, increasing=True))
    # From the first position on: residuals of large angles would be rounded.
    moved = positions - positions[0]
    share = basis.T @ moved
    to_slope = np.linalg.inv(triangle)[1] / scale
    squares = ((moved - basis @ share) ** 2).sum(axis=0)
    return to_slope @ share, squares / (len(since) - degree - 1), float(np.linalg.norm(to_slope))
