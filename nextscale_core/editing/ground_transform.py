"""`GroundTransform`: rotation about z and translation along the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GroundTransform:
    """A rotation about z, then a translation along the floor; heights are unchanged.

    Attributes:
        yaw: Rotation [rad], counter-clockwise.
        shift: (2,) translation [m].
    """

    yaw: float
    shift: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Transformed points (..., 3)."""
        out = turned(points, np.full(points.shape[:-1], self.yaw))
        out[..., :2] += self.shift
        return out

    @classmethod
    def fit(cls, source: np.ndarray, target: np.ndarray) -> GroundTransform:
        """Least-squares transform of points (..., 3) onto others, in x and y."""
        a, b = (points[..., :2].reshape(-1, 2) for points in (source, target))
        a0, b0 = a.mean(0), b.mean(0)
        a, b = a - a0, b - b0
        yaw = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
        c, s = np.cos(yaw), np.sin(yaw)
        return cls(yaw, b0 - np.array([c * a0[0] - s * a0[1], s * a0[0] + c * a0[1]]))


def turned(points: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Points (..., 3) rotated about z by yaw (...) [rad]."""
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = points[..., 0], points[..., 1]
    return np.stack([c * x - s * y, s * x + c * y, points[..., 2]], axis=-1)


def carried(
    joints: np.ndarray, start: GroundTransform, end: GroundTransform, fps: float
) -> np.ndarray:
    """Move joints by a transform that changes gradually from one to another.

    The change is spread over the frames in which the body moves along the floor.

    Args:
        joints: (n, 22, 3) positions [m].
        start: Transform of the first frame.
        end: Transform of the last one.
        fps: Frames per second [Hz].

    Returns:
        (n, 22, 3).
    """
    share = _shares(joints[:, 0], fps)
    turn = (end.yaw - start.yaw + np.pi) % (2 * np.pi) - np.pi
    yaw = start.yaw + share * turn
    # The path turns with the body; the remaining offset at its end is spread along it.
    steps = np.diff(joints[:, 0], axis=0)
    middle = 0.5 * (yaw[1:] + yaw[:-1])
    pelvis = start(joints[:1, 0]) + np.concatenate(
        [np.zeros((1, 3)), turned(steps, middle).cumsum(axis=0)]
    )
    missing = end(joints[-1:, 0])[0] - pelvis[-1]
    pelvis += share[:, None] / share[-1] * missing
    out: np.ndarray = turned(joints - joints[:, :1], np.repeat(yaw[:, None], joints.shape[1], 1))
    out += pelvis[:, None]
    return out


def _shares(pelvis: np.ndarray, fps: float) -> np.ndarray:
    """(n,) share of the path along the floor covered so far, from near 0 to near 1."""
    if len(pelvis) == 1:
        return np.array([0.5])
    speed = np.linalg.norm(np.gradient(pelvis[:, :2], axis=0), axis=1) * fps
    # Little weight at the ends, where the motion has to fit its neighbours.
    weight = (speed + 0.1) * np.sin(np.pi * (np.arange(len(pelvis)) + 0.5) / len(pelvis))
    return (weight.cumsum() - 0.5 * weight) / weight.sum()
