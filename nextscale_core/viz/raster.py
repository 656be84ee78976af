"""Painter of meshes, shadows and the ground on matplotlib axes, from back to front."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from nextscale_core.mesh import Mesh
from nextscale_core.viz.camera import Camera

INK = "#2b2f36"
QUIET = "#8a919c"
SHADOW = "#d3d6dc"
GRID = "#e3e6ea"

_LIGHT = np.array([-0.45, 0.75, 0.55])  # in the camera's axes: from behind and the upper left
_LIGHT = _LIGHT / np.linalg.norm(_LIGHT)
_AMBIENT, _DIFFUSE, _FACING = 0.46, 0.52, 0.18


def time_colors(count: int) -> np.ndarray:
    """(count, 4) colours of points in time, from dark to light."""
    return np.asarray(colormaps["viridis"](np.linspace(0.0, 0.92, count)))


def paint_mesh(axes: Axes, camera: Camera, mesh: Mesh, zorder: float = 3.0) -> None:
    """Paint a lit mesh without hidden sides, far triangles first (painter's algorithm)."""
    corners, normals = mesh.corners, mesh.normals
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
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
    """Paint the shadow on the floor at z = 0 of a light straight above."""
    up = mesh.normals[:, 2] > 0.0
    page, _ = camera.project(mesh.corners[up] * [1.0, 1.0, 0.0])
    polygons = PolyCollection(
        list(page), facecolors=SHADOW, edgecolors=SHADOW, linewidths=0.6, zorder=zorder
    )
    axes.add_collection(polygons, autolim=False)


def paint_ground(axes: Axes, camera: Camera, centre: np.ndarray, radius: float) -> None:
    """Paint half-metre squares on the floor that fade out from (2,) `centre` to `radius` [m]."""
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


def paint_path(axes: Axes, camera: Camera, path: np.ndarray, colors: np.ndarray) -> None:
    """Paint a path of (N, 2) horizontal positions [m] with (N, 4) colours on the floor."""
    if len(path) < 2:
        return
    page, _ = camera.project(np.column_stack([path, np.zeros(len(path))]))
    segments = np.stack([page[:-1], page[1:]], axis=1)
    lines = LineCollection(
        list(segments), colors=colors[:-1], linewidths=2.2, capstyle="round", zorder=2.5
    )
    axes.add_collection(lines, autolim=False)
