"""Which way is up, from the legs alone: a sole that stands is level, so its normal is vertical."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.linalg import solveh_banded

from nextscale_core.robots.kinematics import LEVER, Kinematics
from nextscale_core.robots.profile import SIDES
from nextscale_core.rotations import unit

_LEVEL = (0.3, 0.2, 0.12, 0.08, 0.06, 0.06)
"""A sole whose normal is off the vertical by so much hardly counts as standing [rad], round by
round: the first rounds must find the vertical, the last ones keep to it."""

_CANDIDATES, _STEADY = 40, 0.15
"""Frames tried for the vertical to begin with, and how near to it counts [rad]."""

_HIGH = 0.03
"""A sole higher than the other by so much counts for a third [m]."""

_NORMAL_NOISE = 0.03
"""Deviation of a standing sole from the floor: joint angles and the solver's compromise [rad]."""

_TILT_RATE = 0.6
"""Speed at which a pelvis tilts [rad/s]."""

_TILT_RANGE = 0.3
"""How far a pelvis tilts [rad], where no sole says anything."""

_SUPPORT = 0.25
"""Weight of the level soles above which a frame's tilt is measured rather than assumed."""

_REACH = 0.5
"""The tilt is carried on so long from a frame in which it was measured [s]."""


def vertical(
    kinematics: Kinematics, points: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """The vertical seen from the root link, (T, 3), and the frames (T,) in which a sole tells it.

    Least squares over the clip: near the normals of level soles, slowly changing, not far from
    the pelvis' own axis; soles that disagree lose their weight (Geman and McClure's function,
    tightened round by round).
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
    """(T, 3) the one direction that the most frames have a sole normal near: where to begin.

    Soles of swinging feet look everywhere, those of standing feet in about one direction.
    """
    every = max(1, len(normals) // _CANDIDATES)
    candidates = np.concatenate([normals[::every].reshape(-1, 3), unit(upright.mean(0))[None]])
    squared = 2 * (1 - normals @ candidates.T)
    near = np.exp(-squared / _STEADY**2).max(1).sum(0)
    return np.broadcast_to(candidates[near.argmax()], upright.shape)


def _smoothed(
    normals: np.ndarray, weight: np.ndarray, upright: np.ndarray, smooth: float, prior: float
) -> np.ndarray:
    """Unit vectors (T, 3) near the normals (T, 2, 3), changing slowly: a tridiagonal system."""
    bands = np.zeros((2, len(weight)))
    bands[1] = weight.sum(1) + prior
    bands[1, 1:] += smooth
    bands[1, :-1] += smooth
    bands[0, 1:] = -smooth
    right = (weight[..., None] * normals).sum(1) + prior * upright
    return unit(solveh_banded(bands, right), upright)
