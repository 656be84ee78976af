"""The support polygon: convex hull, on the floor, of the sole corners in contact."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

_ROUNDS = 12
"""Number of projections onto the edge that a point is furthest beyond."""


@dataclass(frozen=True)
class SupportPolygon:
    """Support polygons of T frames as half-planes `normals @ point <= reach`.

    Attributes:
        normals: (T, K, 2) unit outward normals; those of all edges are among them.
        reach: (T, K) furthest contact along each normal [m]; NaN in a frame without contact.
    """

    normals: np.ndarray
    reach: np.ndarray

    def depth(self, points: np.ndarray) -> np.ndarray:
        """(T,) distance of points (T, 2) to the nearest edge [m].

        Negative outside; NaN in a frame without contact.
        """
        return np.asarray((self.reach - (self.normals @ points[..., None])[..., 0]).min(1))

    def inside(self, points: np.ndarray, margin: float) -> np.ndarray:
        """Points (T, 2) moved to where they are at least `margin` [m] inside.

        A polygon that is too narrow for the margin keeps its middle only. Points of a frame
        without contact stay where they are.
        """
        width = (self.reach + self._opposite()).min(1) / 2
        reach = self.reach - np.minimum(margin, 0.9 * width)[:, None]
        points, frames = points.copy(), np.arange(len(points))
        for _ in range(_ROUNDS):
            excess = (self.normals @ points[..., None])[..., 0] - reach
            worst = np.nan_to_num(excess, nan=-1.0).argmax(1)
            beyond = np.maximum(np.nan_to_num(excess[frames, worst]), 0.0)
            if not beyond.any():
                break
            points -= beyond[:, None] * self.normals[frames, worst]
        return points

    def _opposite(self) -> np.ndarray:
        """(T, K) reach along the reversed normals, which stand in the other half."""
        return np.roll(self.reach, self.reach.shape[1] // 2, axis=1)


def support_polygon(corners: np.ndarray, contact: np.ndarray) -> SupportPolygon:
    """The support polygons of corners on the floor.

    The half-plane of any direction that touches the outermost contact holds the polygon, and the
    edges are among the lines through two corners: no hull has to be computed.

    Args:
        corners: (T, P, 2) sole corners [m], P at least 2.
        contact: (T, P) True for corners in contact.
    """
    first, second = np.array(list(combinations(range(corners.shape[1]), 2))).T
    along = corners[:, second] - corners[:, first]
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = np.where(length > 1e-9, along / np.maximum(length, 1e-9), [1.0, 0.0])
    # The directions along the pairs end a polygon that is a line.
    half = np.concatenate([along, along[..., ::-1] * [-1.0, 1.0]], axis=1)
    normals = np.concatenate([half, -half], axis=1)
    ahead = normals @ corners.transpose(0, 2, 1)
    reach = np.where(contact[:, None], ahead, -np.inf).max(-1)
    return SupportPolygon(normals, np.where(np.isfinite(reach), reach, np.nan))


def in_contact(corners: np.ndarray, period: float, height: float, speed: float) -> np.ndarray:
    """(T, P) True for sole corners (T, P, 3) that bear load: near the floor and not swinging.

    Args:
        corners: Places of the corners, floor at z = 0 [m].
        period: Time between frames [s].
        height: Highest corner in contact [m].
        speed: Fastest corner in contact [m/s].
    """
    moving = np.linalg.norm(np.gradient(corners, period, axis=0), axis=-1)
    return np.asarray((corners[..., 2] < height) & (moving < speed))
