"""Motion files: npz of our own, and one door to every format by its suffix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.bvh import read_bvh, write_bvh
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.humanml3d import read_humanml3d_array
from nextscale_core.npz import number_in, numbers_in, read_npz, text_in, write_npz

NO_SEED = -1
"""Stands in files for 'recorded, not sampled'."""


def read_motion(path: str | Path) -> MotionClip:
    """Read a motion from .npz (nextscale), .bvh, or .npy (HumanML3D joints or features).

    Args:
        path: The file; its suffix says the format.

    Returns:
        The motion, z up, metres.

    Raises:
        MotionFileError: unknown suffix, missing, cut short or malformed file.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MotionFileError(_unknown_suffix(path, "read", sorted(_READERS)))
    try:
        return reader(path)
    except InvalidMotionError as error:
        raise MotionFileError(f"{path}: {error}") from error


def write_motion(clip: MotionClip, path: str | Path) -> None:
    """Write a motion to .npz or .bvh.

    Args:
        clip: The motion.
        path: The file; its suffix says the format. Its folder must exist.

    Raises:
        MotionFileError: unknown suffix, or the file cannot be written.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise MotionFileError(_unknown_suffix(path, "write", sorted(_WRITERS)))
    writer(clip, path)


def read_motion_npz(path: Path) -> MotionClip:
    """Read `joints` (T, 22, 3) [m, z up], `fps` [Hz], and where given `text`, `seed`, `contacts`.

    Raises:
        MotionFileError: missing, cut short or malformed file, wrong keys or kinds.
        InvalidMotionError: wrong shapes or values.
    """
    arrays = read_npz(path, ("joints", "fps"))
    seed = int(number_in(path, arrays, "seed")) if "seed" in arrays else NO_SEED
    contacts = arrays.get("contacts")
    if contacts is not None and contacts.dtype.kind not in "biuf":
        raise MotionFileError(f"{path}: 'contacts' must be true or false, got {contacts.dtype}")
    return MotionClip(
        joints=numbers_in(path, arrays, "joints"),
        fps=number_in(path, arrays, "fps"),
        text=text_in(path, arrays, "text"),
        contacts=contacts,
        seed=None if seed == NO_SEED else seed,
    )


def write_motion_npz(clip: MotionClip, path: Path) -> None:
    """Write `joints`, `fps`, `text`, `seed` (-1 for recorded motion) and `contacts` when known.

    Raises:
        MotionFileError: the file cannot be written.
    """
    arrays = {
        "joints": clip.joints,
        "fps": np.float64(clip.fps),
        "text": np.array(clip.text, dtype=np.str_),
        "seed": np.int64(NO_SEED if clip.seed is None else clip.seed),
    }
    if clip.contacts is not None:
        arrays["contacts"] = clip.contacts
    write_npz(path, {name: np.asarray(value) for name, value in arrays.items()})


def _unknown_suffix(path: Path, verb: str, known: list[str]) -> str:
    return (
        f"cannot {verb} {path.name!r}: {path.suffix or 'no suffix'!r} is no motion format; "
        f"known are {', '.join(known)}"
    )


_READERS = {".npz": read_motion_npz, ".bvh": read_bvh, ".npy": read_humanml3d_array}
_WRITERS = {".npz": write_motion_npz, ".bvh": write_bvh}
