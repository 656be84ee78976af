"""Direction of gravity from the soles: a standing sole is level, so its normal is vertical."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.linalg import solveh_banded

from nextscale_core.robots.kinematics import LEVER, Kinematics
from nextscale_core.robots.profile import SIDES
from nextscale_core.rotations import unit

_LEVEL = (0.3, 0.2, 0.12, 0.08, 0.06, 0.06)
"""Scale of the angle between a standing sole's normal and the vertical in each round [rad]."""

_CANDIDATES, _STEADY = 40, 0.15
"""Number of candidates for the initial vertical, and scale of the angle to it [rad]."""

_HIGH = 0.03
"""Height above the other sole at which a sole's weight falls to 1/e [m]."""

_NORMAL_NOISE = 0.03
"""Standard deviation of a standing sole's normal from the vertical [rad]."""

_TILT_RATE = 0.6
"""Standard deviation of the tilt rate of a pelvis [rad/s]."""

_TILT_RANGE = 0.3
"""Standard deviation of the tilt of a pelvis where no sole is level [rad]."""

_SUPPORT = 0.25
"""Weight of the level soles above which a frame's tilt counts as measured."""

_REACH = 0.5
"""Time around a measured frame in which the tilt counts as measured, too [s]."""


def vertical(
    kinematics: Kinematics, points: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """The vertical in the root link's frame (T, 3), and whether soles determine it (T,).

    Least squares over the clip: near the normals of level soles, slowly changing, near the
    pelvis' own axis. Soles that disagree lose weight by Geman and McClure's function, whose scale
    decreases round by round.

    Args:
        kinematics: The robot's.
        points: (T, K, 3) keypoints in the root link's frame [m].
        fps: Frames per second [Hz].
    """
    index = kinematics.index

    def axis(part: str, origin: str) -> np.ndarray:
        return (points[:, index[f"{part}_z"]] - points[:, index[origin]]) / LEVER

    upright = axis("pelvis", "pelvis")
    normals = np.stack([axis(f"{side}_foot", f"{side}_ankle") for side in SIDES], axis=1)
    soles = points[:, kinematics.soles].reshape(len(points), 2, 4, 3)
    smooth = (_NORMAL_NOISE / _TILT_RATE * fps) ** 2
    prior = (_NORMAL_NOISE / _TILT_RANGE) ** 2
    up = _steady_vertical(normals, upright)
    weight = np.zeros(normals.shape[:2])
    for off in _LEVEL:
        height = (soles @ up[:, None, :, None])[..., 0].min(-1)
        height = height - height.min(1, keepdims=True)
        apart = np.linalg.norm(normals - up[:, None], axis=-1)
        weight = np.exp(-height / _HIGH) / (1 + (apart / off) ** 2) ** 2
        up = _smoothed(normals, weight, upright, smooth, prior)
    measured = weight.sum(1) > _SUPPORT
    reach = 2 * max(1, round(_REACH * fps)) + 1
    return up, ndimage.binary_dilation(measured, np.ones(reach, dtype=bool))


def _steady_vertical(normals: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """(T, 3) the constant direction with a sole normal nearby in the most frames.

    Normals of swinging feet scatter, those of standing feet have about one direction.
    """
    every = max(1, len(normals) // _CANDIDATES)
    candidates = np.concatenate([normals[::every].reshape(-1, 3), unit(upright.mean(0))[None]])
    squared = 2 * (1 - normals @ candidates.T)
    near = np.exp(-squared / _STEADY**2).max(1).sum(0)
    return np.broadcast_to(candidates[near.argmax()], upright.shape)


def _smoothed(
    normals: np.ndarray, weight: np.ndarray, upright: np.ndarray, smooth: float, prior: float
) -> np.ndarray:
    """Slowly changing unit vectors (T, 3) near the normals (T, 2, 3), by a tridiagonal system."""
    bands = np.zeros((2, len(weight)))
    bands[1] = weight.sum(1) + prior
    bands[1, 1:] += smooth
    bands[1, :-1] += smooth
    bands[0, 1:] = -smooth
    right = (weight[..., None] * normals).sum(1) + prior * upright
    return unit(solveh_banded(bands, right), upright)
