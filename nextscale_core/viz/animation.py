"""Animated GIFs with a camera that follows the body."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from nextscale_core.npz import whole_file
from nextscale_core.viz.animated_mesh import AnimatedMesh
from nextscale_core.viz.camera import Camera, looking
from nextscale_core.viz.raster import (
    INK,
    QUIET,
    paint_ground,
    paint_mesh,
    paint_path,
    paint_shadow,
    time_colors,
)

_MAX_FPS, _MAX_FRAMES = 20.0, 240
_PIXELS, _DPI = 440, 100
_VIEW_TURN, _VIEW_ELEVATION = np.radians(-50.0), np.radians(13.0)
_FOLLOW_SECONDS = 0.35
_TITLE_COLUMNS, _TITLE_LINES = 52, 2
_WIDEST = 1.6
"""Maximum width of a picture over its height."""

_LEGEND_MARK, _LEGEND_LETTER = 25.0, 6.4
"""Width of the mark and of each letter of a name in the legend [pixels]."""


def save_animation(
    animated: AnimatedMesh, path: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw a mesh in motion as a looping GIF at its true speed.

    Args:
        animated: The mesh.
        path: The .gif file.
        progress: Called with (frames drawn, frames in all).

    Raises:
        MotionFileError: the file cannot be written.
    """
    stride = int(np.ceil(animated.fps / _MAX_FPS))
    stride = max(stride, int(np.ceil(len(animated) / _MAX_FRAMES)))
    frames = range(0, len(animated), stride)
    # GIF counts time in hundredths of a second.
    milliseconds = max(round(100.0 * stride / animated.fps) * 10, 20)

    height = _height(animated)
    followed = gaussian_filter1d(
        animated.root[:, :2], max(_FOLLOW_SECONDS * animated.fps, 1e-3), axis=0, mode="nearest"
    )
    view = looking(animated.forward[0], turn=_VIEW_TURN, elevation=_VIEW_ELEVATION)
    colors = time_colors(len(animated))

    half = 0.72 * height
    half_width = max(half, (animated.width or 0.0) / 2)
    wide = min(half_width / half, _WIDEST)
    size = (wide * _PIXELS / _DPI, _PIXELS / _DPI)
    page = Figure(figsize=size, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(page)
    axes = page.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(
        xlim=(-half_width, half_width),
        ylim=(-half_width / wide, half_width / wide),
        aspect="equal",
        autoscale_on=False,
    )
    lines = textwrap.wrap(animated.title, _TITLE_COLUMNS, max_lines=_TITLE_LINES, placeholder=" …")
    on_page = axes.transAxes
    axes.text(0.03, 0.97, "\n".join(lines), transform=on_page, fontsize=10, color=INK, va="top")
    clock = axes.text(0.03, 0.03, "", transform=on_page, fontsize=9, color=QUIET)
    at = 0.97
    for name, color in reversed(animated.legend.items()):
        axes.text(at, 0.03, f"● {name}", transform=on_page, fontsize=9, color=color, ha="right")
        at -= (_LEGEND_MARK + _LEGEND_LETTER * len(name)) / (wide * _PIXELS)

    images: list[Image.Image] = []
    palette: Image.Image | None = None
    # The last frame first: it shows the whole path, and its colours make the palette.
    for frame in (frames[-1], *frames):
        target = np.array([*followed[frame], 0.47 * height])
        camera = Camera(target, view, distance=3.4 * height)
        mesh = animated.mesh(frame)
        paint_ground(axes, camera, target[:2], radius=max(1.35 * height, 1.1 * half_width))
        paint_path(axes, camera, animated.root[: frame + 1, :2], colors[: frame + 1])
        paint_shadow(axes, camera, mesh)
        paint_mesh(axes, camera, mesh)
        clock.set_text(f"{frame / animated.fps:.1f} s")
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
    frame_time = {"duration": milliseconds, "loop": 0, "disposal": 1}
    with whole_file(path) as stream:
        images[0].save(stream, "GIF", save_all=True, append_images=images[1:], **frame_time)


def _height(animated: AnimatedMesh) -> float:
    """Maximum height of the mesh in a few frames, at least 0.5 m [m]."""
    frames = np.unique(np.linspace(0, len(animated) - 1, 6).round().astype(int))
    return max(0.5, *(float(animated.mesh(int(n)).vertices[:, 2].max()) for n in frames))


def _palette(image: Image.Image) -> Image.Image:
    """128 colours for all frames, against flicker; the background stays white."""
    indexed = image.quantize(colors=128, dither=Image.Dither.NONE)
    colors = np.array(indexed.getpalette(), dtype=np.uint8).reshape(-1, 3)
    colors[colors.min(axis=1) >= 247] = 255
    indexed.putpalette(colors.reshape(-1).tolist())
    return indexed
