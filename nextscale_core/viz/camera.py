"""Cameras: projection from the world to the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A camera that looks at a point.

    Attributes:
        target: (3,) point in the middle of the picture [m].
        direction: (3,) unit vector from the target to the camera.
        distance: Distance from the target to the camera [m]; infinity gives a parallel
            projection.
    """

    target: np.ndarray
    direction: np.ndarray
    distance: float = float("inf")

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) rows: right, up, toward the camera, as unit vectors in the world."""
        right = np.cross([0.0, 0.0, 1.0], self.direction)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(self.direction, right), self.direction])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project (..., 3) points in the world [m].

        Returns:
            (..., 2) right and up on the page, in metres at the target's distance, and (...,)
            nearness to the camera [m].
        """
        seen = (points - self.target) @ self.axes.T
        nearness = seen[..., 2]
        if np.isinf(self.distance):
            return seen[..., :2], nearness
        scale = self.distance / np.maximum(self.distance - nearness, 0.05)
        return seen[..., :2] * scale[..., None], nearness

    def rays(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) vectors from the points to the camera."""
        if np.isinf(self.distance):
            return np.broadcast_to(self.direction, points.shape)
        return self.target + self.distance * self.direction - points


def looking(forward: np.ndarray, *, turn: float, elevation: float) -> np.ndarray:
    """(3,) unit vector to a camera ahead and to the side of a body that faces (2,) `forward`.

    `turn` is the angle from there to the body's left, `elevation` that above the horizon [rad].
    """
    yaw = np.arctan2(forward[1], forward[0]) + turn
    flat = np.cos(elevation)
    return np.array([flat * np.cos(yaw), flat * np.sin(yaw), np.sin(elevation)])
