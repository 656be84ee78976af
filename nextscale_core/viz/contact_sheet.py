"""Strip pictures: a motion at eight times, and its path from above."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from nextscale_core.npz import whole_file
from nextscale_core.viz.animated_mesh import AnimatedMesh
from nextscale_core.viz.camera import Camera, looking
from nextscale_core.viz.raster import GRID, INK, QUIET, paint_mesh, paint_shadow, time_colors

_POSES = 8
_VIEW_TURN, _VIEW_ELEVATION = np.radians(-50.0), np.radians(10.0)
_GAP, _NARROWEST_SLOT = 0.14, 0.55  # [m]
_BELOW, _ABOVE = 0.42, 0.12  # space under the floor and over the highest point [m]
_STRIP_HEIGHT, _MAP_SIZE, _TITLE_HEIGHT, _MARGIN = 3.3, 3.0, 0.55, 0.15  # [inches]
_MAX_WIDTH = 20.0  # [inches]
_DPI = 110


def save_strip(animated: AnimatedMesh, path: Path) -> None:
    """Draw a mesh in motion as a strip of poses with their times, beside a map of its path.

    The poses stand side by side, whatever the path, so that none hides another; their heights
    above the floor are true. The body is seen from ahead and its right, so a walk forward goes to
    the right of the page. The first heading points up on the map. Crosses mark constraints.

    Args:
        animated: The mesh.
        path: The .png file.

    Raises:
        MotionFileError: the file cannot be written.
    """
    frames = np.unique(np.linspace(0, len(animated) - 1, _POSES).round().astype(int))
    view = looking(animated.forward[0], turn=_VIEW_TURN, elevation=_VIEW_ELEVATION)
    camera = Camera(np.zeros(3), view)
    meshes = [
        animated.mesh(int(frame)).placed(np.eye(3), -animated.root[frame] * [1.0, 1.0, 0.0])
        for frame in frames
    ]
    outlines = [camera.project(mesh.vertices)[0] for mesh in meshes]
    top = max(0.0, *(float(outline[:, 1].max()) for outline in outlines))
    centres, width = _slots(outlines)

    height = top + _ABOVE + _BELOW
    inches_per_metre = min(_STRIP_HEIGHT / height, (_MAX_WIDTH - _MAP_SIZE) / width)
    strip_size = (width * inches_per_metre, height * inches_per_metre)
    body = max(strip_size[1], _MAP_SIZE)
    page_size = (strip_size[0] + _MAP_SIZE + 3 * _MARGIN, body + _TITLE_HEIGHT + _MARGIN)
    page = Figure(figsize=page_size, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(page)

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return (x / page_size[0], y / page_size[1], w / page_size[0], h / page_size[1])

    strip_y = _MARGIN + (body - strip_size[1]) / 2
    axes = page.add_axes(box(_MARGIN, strip_y, *strip_size))
    axes.set(xlim=(0, width), ylim=(-_BELOW, top + _ABOVE), aspect="equal")
    axes.set_axis_off()
    axes.axhspan(-_BELOW * 0.55, 0.16, color="#f3f4f6", zorder=0, lw=0)
    colors = time_colors(len(frames))
    for frame, mesh, centre, color in zip(frames, meshes, centres, colors, strict=True):
        standing = mesh.placed(np.eye(3), centre * camera.axes[0])
        paint_shadow(axes, camera, standing)
        paint_mesh(axes, camera, standing)
        axes.plot([centre], [-_BELOW * 0.72], "o", color=color, markersize=5, zorder=4)
        label = f"{frame / animated.fps:.1f} s"
        axes.text(centre + 0.07, -_BELOW * 0.72, label, color=INK, fontsize=9, va="center")
    _write_title(page, animated, page_size)
    map_x = strip_size[0] + 2 * _MARGIN
    map_y = _MARGIN + (body - _MAP_SIZE) / 2
    map_axes = page.add_axes(box(map_x, map_y, _MAP_SIZE, _MAP_SIZE))
    _draw_map(map_axes, animated, frames, colors)
    with whole_file(path) as stream:
        page.savefig(stream, format="png")


def _slots(outlines: list[np.ndarray]) -> tuple[list[float], float]:
    """Centre of each pose's root on the page, and the width of all slots [m]."""
    centres, at = [], 0.0
    for outline in outlines:
        left, right = float(outline[:, 0].min()), float(outline[:, 0].max())
        needed = right - left + _GAP
        slack = max(_NARROWEST_SLOT - needed, 0.0)
        centres.append(at + slack / 2 + _GAP / 2 - left)
        at += needed + slack
    return centres, at


def _write_title(page: Figure, animated: AnimatedMesh, page_size: tuple[float, float]) -> None:
    top = 1.0 - 0.28 / page_size[1]
    characters = int((page_size[0] - 2.5) * 10)
    title = textwrap.shorten(animated.title or "a motion", characters, placeholder=" …")
    page.text(0.15 / page_size[0], top, title, fontsize=13, color=INK, va="center")
    x = 1.0 - 0.2 / page_size[0]
    for name, color in reversed(animated.legend.items()):
        page.text(x, top, f"● {name}", fontsize=10, color=color, va="center", ha="right")
        x -= (0.35 + 0.08 * len(name)) / page_size[0]


def _draw_map(axes: Axes, animated: AnimatedMesh, frames: np.ndarray, colors: np.ndarray) -> None:
    up = animated.forward[0]
    turn = np.array([[up[1], -up[0]], [up[0], up[1]]])  # page right = body right, page up = ahead
    start = animated.root[0, :2]
    path = (animated.root[:, :2] - start) @ turn.T
    prints = (animated.footprints - start) @ turn.T
    marks = (animated.marks - start) @ turn.T
    shown = np.concatenate([path, marks])
    low, high = shown.min(axis=0), shown.max(axis=0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2 + 0.45, 0.95)
    axes.set(
        xlim=(centre[0] - half, centre[0] + half),
        ylim=(centre[1] - half, centre[1] + half),
        aspect="equal",
    )
    step = float(next(s for s in (0.5, 1.0, 2.0, 5.0, 20.0, np.inf) if 2 * half / s <= 9))
    for set_ticks, middle in ((axes.set_xticks, centre[0]), (axes.set_yticks, centre[1])):
        first = np.ceil((middle - half) / step) * step
        set_ticks(np.arange(first, middle + half, step) if np.isfinite(step) else [])
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    if len(prints):
        feet = LineCollection(list(prints), colors="#c3c8d0", linewidths=3, capstyle="round")
        axes.add_collection(feet, autolim=False)
    segments = np.stack([path[:-1], path[1:]], axis=1)
    shades = time_colors(max(len(segments), 1))
    axes.add_collection(
        LineCollection(list(segments), colors=shades, linewidths=2.5), autolim=False
    )
    heading = animated.forward[frames] @ turn.T * (0.16 * half)
    axes.quiver(
        *path[frames].T, *heading.T, color=colors,
        angles="xy", scale_units="xy", scale=1, width=0.012, zorder=3,
    )  # fmt: skip
    axes.scatter(
        path[frames, 0], path[frames, 1], color=colors, s=28, zorder=4, edgecolors="white",
        linewidths=0.7,
    )  # fmt: skip
    axes.scatter(
        marks[:, 0], marks[:, 1], marker="x", color="#d62728", s=60, linewidths=2, zorder=5
    )
    caption = f"from above, squares of {step:g} m"
    axes.text(0.02, 0.02, caption, transform=axes.transAxes, fontsize=8, color=QUIET, va="bottom")
