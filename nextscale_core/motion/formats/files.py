"""Reading and writing of motion files in any format, chosen by the suffix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.bvh import read_bvh, write_bvh
from nextscale_core.motion.formats.humanml3d import read_humanml3d_array
from nextscale_core.motion.formats.npz import read_motion_npz, write_motion_npz
from nextscale_core.motion.formats.registry import MotionFormat, with_arrays
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadOptions

_READERS = {".npz": read_motion_npz, ".bvh": read_bvh, ".npy": read_humanml3d_array}
_WRITERS = {".npz": write_motion_npz, ".bvh": write_bvh}

HUMAN_FORMATS = (
    MotionFormat(
        name="human-npz",
        subject="human",
        suffix=".npz",
        content="22 joints of nextscale",
        order="SMPL",
        read=read_motion_npz,
        write=write_motion_npz,
        fits=with_arrays("joints"),
    ),
    MotionFormat(
        name="kimodo-npz",
        subject="human",
        suffix=".npz",
        content="joints of Kimodo",
        order="SMPL",
        fps=30.0,
        states_fps=False,
        read=read_motion_npz,
        fits=with_arrays("posed_joints"),
    ),
    MotionFormat(
        name="humanml3d-npy",
        subject="human",
        suffix=".npy",
        content="22 joints or 263 features of HumanML3D",
        order="SMPL",
        fps=20.0,
        states_fps=False,
        read=read_humanml3d_array,
    ),
    MotionFormat(
        name="bvh",
        subject="human",
        suffix=".bvh",
        content="any hierarchy with two legs, two arms and a head",
        order="named",
        read=read_bvh,
        write=write_bvh,
    ),
)
"""Formats of human motion, in the order of `nextscale formats`."""


def read_motion(path: str | Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read a motion from .npz (nextscale or Kimodo), .bvh, or .npy (joints, HumanML3D features).

    Args:
        path: The file; its suffix selects the format.
        options: Its known axes, unit, rate and joint names; the others are found from the file
            and the body.

    Returns:
        The motion, z up, metres; its `notes` list assumptions and corrections.

    Raises:
        MotionFileError: unknown suffix, missing, cut short or malformed file, or not a human body.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise _unknown_suffix(path, "read", _READERS)
    try:
        return reader(path, options)
    except InvalidMotionError as error:
        raise MotionFileError(f"{path}: {error}") from error


def write_motion(clip: MotionClip, path: str | Path) -> None:
    """Write a motion to .npz or .bvh.

    Args:
        clip: The motion.
        path: The file; its suffix selects the format. Its folder must exist.

    Raises:
        MotionFileError: unknown suffix, or the file cannot be written.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise _unknown_suffix(path, "write", _WRITERS)
    writer(clip, path)


def _unknown_suffix(path: Path, verb: str, known: Iterable[str]) -> MotionFileError:
    return MotionFileError(
        f"cannot {verb} {path.name!r}: {path.suffix or 'no suffix'!r} is not a motion format; "
        f"known are {', '.join(sorted(known))}"
    )
