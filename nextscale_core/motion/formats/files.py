"""Motion files: npz of our own, and one door to every format by its suffix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.arrays import joint_positions, what_else
from nextscale_core.motion.formats.bvh import read_bvh, write_bvh
from nextscale_core.motion.formats.humanml3d import read_humanml3d_array
from nextscale_core.motion.formats.world_frame import FileFrame, in_world
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadOptions, Remark
from nextscale_core.npz import number_in, read_npz, text_in, write_npz

NO_SEED = -1
"""Stands in files for 'recorded, not sampled'."""


def read_motion(path: str | Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read a motion from .npz (nextscale or Kimodo), .bvh, or .npy (joints, HumanML3D features).

    Args:
        path: The file; its suffix says the format.
        options: What is known of its axes, unit, rate and joint names; what is not given is found
            from the file and the body.

    Returns:
        The motion, z up, metres; `remarks` say what was assumed and changed.

    Raises:
        MotionFileError: unknown suffix, missing, cut short or malformed file, or no human body.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MotionFileError(_unknown_suffix(path, "read", sorted(_READERS)))
    try:
        return reader(path, options)
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


def read_motion_npz(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read joint positions of one of the known layouts.

    - nextscale: `joints` (T, 22, 3) [m, z up], `fps` [Hz], where given `text`, `seed`, `contacts`
    - Kimodo: `posed_joints` (T, 22, 3) [m, y up], 30 frames per second, where given
      `foot_contacts`

    Raises:
        MotionFileError: missing, cut short or malformed file, wrong keys, kinds or shapes.
        InvalidMotionError: no human body.
    """
    arrays = read_npz(path, ())
    layout = next((layout for layout in _LAYOUTS if layout.key in arrays), None)
    if layout is None:
        raise MotionFileError(
            f"{path} has no array 'joints'; it has: {', '.join(sorted(arrays)) or 'none'}; "
            f"{what_else(arrays)}"
        )
    joints, notes = joint_positions(path, layout.key, arrays[layout.key])
    rate, rate_notes = _rate(path, arrays, layout, options)
    seed = int(number_in(path, arrays, "seed")) if "seed" in arrays else NO_SEED
    contacts = arrays.get(layout.contacts)
    if contacts is not None and contacts.dtype.kind not in "biuf":
        raise MotionFileError(
            f"{path}: {layout.contacts!r} must be true or false, got {contacts.dtype}"
        )
    clip = MotionClip(
        joints=joints,
        fps=rate,
        text=text_in(path, arrays, "text"),
        contacts=contacts,
        seed=None if seed == NO_SEED else seed,
        remarks=(*rate_notes, *notes),
    )
    return in_world(clip, FileFrame(layout.up), options)


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


def _rate(
    path: Path, arrays: dict[str, np.ndarray], layout: _Layout, options: ReadOptions
) -> tuple[float, list[Remark]]:
    if options.fps is not None:
        return options.fps, [Remark("rate", f"{options.fps:g} frames per second, as given")]
    if "fps" in arrays:
        return number_in(path, arrays, "fps"), []
    if layout.fps is None:
        raise MotionFileError(
            f"{path} has no array 'fps'; it has: {', '.join(sorted(arrays))}; give the rate (--fps)"
        )
    return layout.fps, [
        Remark(
            "rate", f"{layout.fps:g} frames per second assumed: {layout.key} come without a rate"
        )
    ]


def _unknown_suffix(path: Path, verb: str, known: list[str]) -> str:
    return (
        f"cannot {verb} {path.name!r}: {path.suffix or 'no suffix'!r} is no motion format; "
        f"known are {', '.join(known)}"
    )


@dataclass(frozen=True)
class _Layout:
    """Names of the arrays of positions and contacts in an npz file, vertical axis, rate if unsaid.

    Kimodo's contacts (heel and toe, left and right) are in our order.
    """

    key: str
    contacts: str
    up: str
    fps: float | None = None


_LAYOUTS = (
    _Layout("joints", "contacts", "z"),
    _Layout("posed_joints", "foot_contacts", "y", 30.0),
)
_READERS = {".npz": read_motion_npz, ".bvh": read_bvh, ".npy": read_humanml3d_array}
_WRITERS = {".npz": write_motion_npz, ".bvh": write_bvh}
