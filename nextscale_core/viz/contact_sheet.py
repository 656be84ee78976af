"""The strip picture: a motion at eight times, and its path from above."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as Page

from nextscale_core.viz.camera import Camera, looking
from nextscale_core.viz.figure import Figure
from nextscale_core.viz.raster import GRID, INK, QUIET, paint_mesh, paint_shadow

POSES = 8
_VIEW_TURN, _VIEW_ELEVATION = np.radians(-50.0), np.radians(10.0)
_GAP, _NARROWEST_SLOT = 0.14, 0.55  # metres
_BELOW, _ABOVE = 0.42, 0.12  # room under the floor and over the highest point [m]
_STRIP_HEIGHT, _MAP_SIZE, _TITLE_HEIGHT, _MARGIN = 3.3, 3.0, 0.55, 0.15  # inches
_MAX_WIDTH = 20.0  # inches
_DPI = 110


def save_strip(figure: Figure, path: Path) -> None:
    """Draw a figure as a strip of poses, each with its time, beside a map of its path.

    The poses stand side by side, whatever the path, so that none hides another; their heights
    above the floor are true. Left to right the body is seen from ahead and its right, so a walk
    forward goes to the right of the page. The map has the first heading up.

    Args:
        figure: What to draw.
        path: Picture file that matplotlib can write, such as .png.
    """
    frames = np.unique(np.linspace(0, len(figure) - 1, POSES).round().astype(int))
    view = looking(figure.forward[0], turn=_VIEW_TURN, elevation=_VIEW_ELEVATION)
    meshes = [figure.mesh(int(frame)) for frame in frames]
    camera = Camera(np.zeros(3), view)
    right = camera.axes[0]
    lefts, rights, top = [], [], 0.0
    for frame, mesh in zip(frames, meshes, strict=True):
        flat_root = figure.root[frame] * [1.0, 1.0, 0.0]
        page, _ = camera.project(mesh.vertices - flat_root)
        lefts.append(float(page[:, 0].min()))
        rights.append(float(page[:, 0].max()))
        top = max(top, float(page[:, 1].max()))
    centres, width = _slots(lefts, rights)

    height = top + _ABOVE + _BELOW
    inches_per_metre = min(_STRIP_HEIGHT / height, (_MAX_WIDTH - _MAP_SIZE) / width)
    strip_size = (width * inches_per_metre, height * inches_per_metre)
    body = max(strip_size[1], _MAP_SIZE)
    page_size = (strip_size[0] + _MAP_SIZE + 3 * _MARGIN, body + _TITLE_HEIGHT + _MARGIN)
    picture = Page(figsize=page_size, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(picture)

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return (x / page_size[0], y / page_size[1], w / page_size[0], h / page_size[1])

    strip_y = _MARGIN + (body - strip_size[1]) / 2
    axes = picture.add_axes(box(_MARGIN, strip_y, *strip_size))
    axes.set(xlim=(0, width), ylim=(-_BELOW, top + _ABOVE), aspect="equal")
    axes.set_axis_off()
    axes.axhspan(-_BELOW * 0.55, 0.16, color="#f3f4f6", zorder=0, lw=0)
    colors = colormaps["viridis"](np.linspace(0.0, 0.92, len(frames)))
    for frame, mesh, centre, color in zip(frames, meshes, centres, colors, strict=True):
        shift = centre * right - figure.root[frame] * [1.0, 1.0, 0.0]
        standing = mesh.placed(np.eye(3), shift)
        paint_shadow(axes, camera, standing)
        paint_mesh(axes, camera, standing)
        axes.plot([centre], [-_BELOW * 0.72], "o", color=color, markersize=5, zorder=4)
        label = f"{frame / figure.fps:.1f} s"
        axes.text(centre + 0.07, -_BELOW * 0.72, label, color=INK, fontsize=9, va="center")
    _write_title(picture, figure, page_size)
    map_x = strip_size[0] + 2 * _MARGIN
    map_y = _MARGIN + (body - _MAP_SIZE) / 2
    map_axes = picture.add_axes(box(map_x, map_y, _MAP_SIZE, _MAP_SIZE))
    _draw_map(map_axes, figure, frames, colors)
    picture.savefig(path)


def _slots(lefts: list[float], rights: list[float]) -> tuple[list[float], float]:
    """Centre of each pose's root on the page, and the width of all slots [m]."""
    centres, at = [], 0.0
    for left, right in zip(lefts, rights, strict=True):
        needed = right - left + _GAP
        slack = max(_NARROWEST_SLOT - needed, 0.0)
        centres.append(at + slack / 2 + _GAP / 2 - left)
        at += needed + slack
    return centres, at


def _write_title(picture: Page, figure: Figure, page_size: tuple[float, float]) -> None:
    top = 1.0 - 0.28 / page_size[1]
    characters = int((page_size[0] - 2.5) * 10)
    title = textwrap.shorten(figure.title or "a motion", characters, placeholder=" …")
    picture.text(0.15 / page_size[0], top, title, fontsize=13, color=INK, va="center")
    x = 1.0 - 0.2 / page_size[0]
    for name, color in reversed(figure.legend.items()):
        picture.text(x, top, f"● {name}", fontsize=10, color=color, va="center", ha="right")
        x -= (0.35 + 0.08 * len(name)) / page_size[0]


def _draw_map(axes: Axes, figure: Figure, frames: np.ndarray, colors: np.ndarray) -> None:
    up = figure.forward[0]
    turn = np.array([[up[1], -up[0]], [up[0], up[1]]])  # page right = body right, page up = ahead
    start = figure.root[0, :2]
    path = (figure.root[:, :2] - start) @ turn.T
    prints = (figure.footprints - start) @ turn.T
    low, high = path.min(axis=0), path.max(axis=0)
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
    shades = colormaps["viridis"](np.linspace(0.0, 0.92, max(len(path) - 1, 1)))
    segments = np.stack([path[:-1], path[1:]], axis=1)
    axes.add_collection(
        LineCollection(list(segments), colors=shades, linewidths=2.5), autolim=False
    )
    heading = figure.forward[frames] @ turn.T * (0.16 * half)
    axes.quiver(
        path[frames, 0], path[frames, 1], heading[:, 0], heading[:, 1], color=colors,
        angles="xy", scale_units="xy", scale=1, width=0.012, zorder=3,
    )  # fmt: skip
    axes.scatter(
        path[frames, 0],
        path[frames, 1],
        color=colors,
        s=28,
        zorder=4,
        edgecolors="white",
        linewidths=0.7,
    )
    caption = f"from above, squares of {step:g} m"
    axes.text(
        0.02, 0.02, caption, transform=axes.transAxes, fontsize=8, color=QUIET, va="bottom"
    )  # fmt: skip
