"""Inputs of the commands: the model, motion files and text files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nextscale_core.cli.console import working
from nextscale_core.exceptions import MotionFileError

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.motion.reading import ReadOptions
    from nextscale_core.pipeline import MotionPipeline


def load_pipeline(model: str, device: str) -> MotionPipeline:
    """Load a model under a spinner.

    Raises:
        ModelLoadError: unknown model or device.
    """
    with working(f"loading {model}"):
        from nextscale_core.pipeline import MotionPipeline

        return MotionPipeline.from_pretrained(model, device=device)


def read_clip(path: Path, options: ReadOptions) -> MotionClip:
    """Read a motion, resampled to the 20 frames per second of the models.

    Raises:
        MotionFileError: missing or malformed file.
    """
    from nextscale_core.motion import MotionClip, read_motion
    from nextscale_core.motion.resample import resample
    from nextscale_core.motion.skeleton import FPS

    clip = read_motion(path, options)
    if abs(clip.fps - FPS) <= 1e-3:
        return clip
    joints = resample(clip.joints, clip.fps, FPS)
    return MotionClip(joints, FPS, clip.text, seed=clip.seed, notes=clip.notes)


def is_trajectory(path: Path) -> bool:
    """Whether a file is an npz with a robot's joint names and positions, not a human motion."""
    from nextscale_core.npz import array_names

    return path.suffix.lower() == ".npz" and array_names(path) >= {"joint_names", "positions"}


def read_text(path: Path) -> str:
    """Text of a UTF-8 file.

    Raises:
        MotionFileError: the file is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MotionFileError(f"{path} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error


def sentence_lines(text: str) -> Iterator[tuple[int, str]]:
    """(line number, line) of the lines that are neither blank nor a comment (#)."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line
