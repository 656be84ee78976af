"""The animation: a GIF whose camera follows the body over a floor that stays where it is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Page
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from nextscale_core.viz.camera import Camera, looking
from nextscale_core.viz.figure import Figure
from nextscale_core.viz.raster import INK, QUIET, paint_ground, paint_mesh, paint_path, paint_shadow

MAX_FRAMES_PER_SECOND = 20.0
MAX_FRAMES = 240
_PIXELS = 440
_DPI = 100
_VIEW_TURN, _VIEW_ELEVATION = np.radians(-50.0), np.radians(13.0)
_FOLLOW_SECONDS = 0.35
_TITLE_COLUMNS, _TITLE_LINES = 52, 2
_WIDEST = 1.6
"""Largest width of a picture over its height."""

_LEGEND_MARK, _LEGEND_LETTER = 25.0, 6.4
"""Room for a name of the legend: its mark, and each of its letters [pixels]."""


def save_animation(
    figure: Figure, path: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw a figure as a looping GIF at its true speed.

    Args:
        figure: What to draw.
        path: The .gif file.
        progress: Called with (frames drawn, frames in all).
    """
    stride = int(np.ceil(figure.fps / MAX_FRAMES_PER_SECOND))
    stride = max(stride, int(np.ceil(len(figure) / MAX_FRAMES)))
    frames = range(0, len(figure), stride)
    # GIF counts time in hundredths of a second.
    milliseconds = max(round(100.0 * stride / figure.fps) * 10, 20)

    height = _height(figure)
    followed = gaussian_filter1d(
        figure.root[:, :2], max(_FOLLOW_SECONDS * figure.fps, 1e-3), axis=0, mode="nearest"
    )
    view = looking(figure.forward[0], turn=_VIEW_TURN, elevation=_VIEW_ELEVATION)
    colors = colormaps["viridis"](np.linspace(0.0, 0.92, len(figure)))

    half = 0.72 * height
    half_width = max(half, (figure.width or 0.0) / 2)
    wide = min(half_width / half, _WIDEST)
    size = (wide * _PIXELS / _DPI, _PIXELS / _DPI)
    picture = Page(figsize=size, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(picture)
    axes = picture.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(
        xlim=(-half_width, half_width),
        ylim=(-half_width / wide, half_width / wide),
        aspect="equal",
        autoscale_on=False,
    )
    lines = textwrap.wrap(
        figure.title, _TITLE_COLUMNS, max_lines=_TITLE_LINES, placeholder=" …"
    )  # fmt: skip
    axes.text(
        0.03, 0.97, "\n".join(lines), transform=axes.transAxes, fontsize=10, color=INK, va="top"
    )  # fmt: skip
    clock = axes.text(0.03, 0.03, "", transform=axes.transAxes, fontsize=9, color=QUIET)
    at = 0.97
    for name, color in reversed(figure.legend.items()):
        axes.text(
            at, 0.03, f"● {name}", transform=axes.transAxes, fontsize=9, color=color, ha="right"
        )  # fmt: skip
        at -= (_LEGEND_MARK + _LEGEND_LETTER * len(name)) / (wide * _PIXELS)

    images: list[Image.Image] = []
    palette: Image.Image | None = None
    # The last frame first, for its colours alone: it holds the whole path.
    for frame in (frames[-1], *frames):
        target = np.array([*followed[frame], 0.47 * height])
        camera = Camera(target, view, distance=3.4 * height)
        mesh = figure.mesh(frame)
        paint_ground(axes, camera, target[:2], radius=max(1.35 * height, 1.1 * half_width))
        paint_path(axes, camera, figure.root[: frame + 1, :2], colors[: frame + 1])
        paint_shadow(axes, camera, mesh)
        paint_mesh(axes, camera, mesh)
        clock.set_text(f"{frame / figure.fps:.1f} s")
        canvas.draw()
        image = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
        image = image.convert("RGB")
        if palette is None:
            palette = _palette(image)
        else:
            images.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
            if progress is not None:
                progress(len(images), len(frames))
        for collection in list(axes.collections):
            collection.remove()
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0, disposal=1
    )  # fmt: skip


def _height(figure: Figure) -> float:
    """Height that the picture has to show: the body's, at its highest in a few frames [m]."""
    looks = np.unique(np.linspace(0, len(figure) - 1, 6).round().astype(int))
    return max(max(float(figure.mesh(int(frame)).vertices[:, 2].max()) for frame in looks), 0.5)


def _palette(image: Image.Image) -> Image.Image:
    """128 colours that all frames share, so that nothing flickers; the background stays white."""
    indexed = image.quantize(colors=128, dither=Image.Dither.NONE)
    colors = np.array(indexed.getpalette(), dtype=np.uint8).reshape(-1, 3)
    colors[colors.min(axis=1) >= 247] = 255
    indexed.putpalette(colors.reshape(-1).tolist())
    return indexed
