"""Painting meshes, shadows and the ground onto matplotlib axes, from back to front."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from nextscale_core.viz.camera import Camera
from nextscale_core.viz.mesh import Mesh

INK = "#2b2f36"
QUIET = "#8a919c"
SHADOW = "#d3d6dc"
GRID = "#e3e6ea"

_LIGHT = np.array([-0.45, 0.75, 0.55])  # in the camera's axes: from the upper left, behind us
_LIGHT = _LIGHT / np.linalg.norm(_LIGHT)
_AMBIENT, _DIFFUSE, _FACING = 0.46, 0.52, 0.18


def paint_mesh(axes: Axes, camera: Camera, mesh: Mesh, zorder: float = 3.0) -> None:
    """Paint a lit mesh: hidden sides left out, far triangles first (painter's algorithm)."""
    corners = mesh.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.maximum(length, 1e-12)
    toward = camera.rays(corners.mean(axis=1))
    toward = toward / np.linalg.norm(toward, axis=1, keepdims=True)
    facing = (normals * toward).sum(axis=1)
    seen = facing > 0.0
    lit = np.clip(normals[seen] @ (_LIGHT @ camera.axes), 0.0, 1.0)
    shade = _AMBIENT + _DIFFUSE * lit + _FACING * facing[seen]
    colors = np.clip(mesh.colors[seen] * shade[:, None] + 0.06, 0.0, 1.0)
    page, nearness = camera.project(corners[seen])
    order = np.argsort(nearness.mean(axis=1))
    # Edges in the colour of their faces close the hairlines between triangles.
    polygons = PolyCollection(
        list(page[order]), facecolors=colors[order], edgecolors=colors[order],
        linewidths=0.35, zorder=zorder,
    )  # fmt: skip
    axes.add_collection(polygons, autolim=False)


def paint_shadow(axes: Axes, camera: Camera, mesh: Mesh, zorder: float = 2.0) -> None:
    """Paint the shadow that a light straight above throws on the floor at z = 0."""
    corners = mesh.corners
    up = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0.0
    page, _ = camera.project(corners[up] * [1.0, 1.0, 0.0])
    polygons = PolyCollection(
        list(page), facecolors=SHADOW, edgecolors=SHADOW, linewidths=0.6, zorder=zorder
    )
    axes.add_collection(polygons, autolim=False)


def paint_ground(axes: Axes, camera: Camera, centre: np.ndarray, radius: float) -> None:
    """Paint half-metre squares on the floor that fade out with the distance from `centre`.

    Args:
        axes: Where to paint.
        camera: From where it is seen.
        centre: (2,) middle of the piece of floor [m]; the squares stay where they are.
        radius: How far the floor reaches [m].
    """
    step = 0.5
    first = np.floor((np.asarray(centre) - radius) / step) * step
    ticks = np.arange(0.0, 2 * radius + 2 * step, step)
    segments = []
    for moving in (0, 1):
        fixed = first[1 - moving] + ticks
        along = first[moving] + ticks
        for value in fixed:
            points = np.zeros((len(along), 3))
            points[:, moving], points[:, 1 - moving] = along, value
            segments.append(np.stack([points[:-1], points[1:]], axis=1))
    lines = np.concatenate(segments)
    away = np.linalg.norm(lines.mean(axis=1)[:, :2] - centre, axis=1)
    lines, away = lines[away < radius], away[away < radius]
    page, _ = camera.project(lines)
    collection = LineCollection(
        list(page), colors=GRID, linewidths=1.0, alpha=np.clip(1.3 - 1.3 * away / radius, 0.0, 1.0)
    )
    collection.set_zorder(1.0)
    axes.add_collection(collection, autolim=False)


def paint_path(
    axes: Axes, camera: Camera, path: np.ndarray, colors: np.ndarray, zorder: float = 2.5
) -> None:
    """Paint a path on the floor.

    Args:
        axes: Where to paint.
        camera: From where it is seen.
        path: (N, 2) horizontal positions [m].
        colors: (N, 4) colour by point.
        zorder: Order among the things painted.
    """
    if len(path) < 2:
        return
    page, _ = camera.project(np.column_stack([path, np.zeros(len(path))]))
    segments = np.stack([page[:-1], page[1:]], axis=1)
    lines = LineCollection(
        list(segments), colors=colors[:-1], linewidths=2.2, capstyle="round", zorder=zorder
    )
    axes.add_collection(lines, autolim=False)
