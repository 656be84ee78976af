"""Contact sheet: one strip of poses for each of many motions, in one picture."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.npz import whole_file
from nextscale_core.viz.pictures import draw_human

WIDTH = 720
"""Width of a strip [pixels]."""


def save_sheet(clips: Sequence[MotionClip], path: Path, columns: int = 3) -> None:
    """Draw motions as strips in columns, in reading order; each has its text as title.

    Args:
        clips: The motions.
        path: Picture to write; its ending says the format.
        columns: Strips beside each other.

    Raises:
        MotionFileError: an unknown ending, or the file cannot be written.
    """
    kind = picture_format(path)
    strips = []
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            own = Path(folder) / "strip.png"
            draw_human(clip, own)
            with Image.open(own) as picture:
                scale = WIDTH / picture.width
                size = (WIDTH, round(picture.height * scale))
                strips.append(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    rows = [strips[first : first + columns] for first in range(0, len(strips), columns)]
    heights = [max(strip.height for strip in row) for row in rows]
    sheet = Image.new("RGB", (columns * WIDTH, sum(heights)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, strip in enumerate(row):
            sheet.paste(strip, (column * WIDTH, top))
        top += height
    with whole_file(path) as stream:
        sheet.save(stream, kind)


def picture_format(path: Path) -> str:
    """Format of a picture, by the ending of its file.

    Raises:
        MotionFileError: an unknown ending.
    """
    try:
        return Image.registered_extensions()[path.suffix.lower()]
    except KeyError as error:
        raise MotionFileError(f"{path} is no known kind of picture; end it in .png") from error
