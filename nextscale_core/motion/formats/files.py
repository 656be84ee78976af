"""Reading and writing of motion files in any format, chosen by the suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.bvh import read_bvh, write_bvh
from nextscale_core.motion.formats.glb import write_glb
from nextscale_core.motion.formats.gltf import read_gltf
from nextscale_core.motion.formats.humanml3d import read_humanml3d_array
from nextscale_core.motion.formats.npz import POSE_PARAMETERS, read_motion_npz, write_motion_npz
from nextscale_core.motion.formats.registry import MotionFormat, way_out, with_arrays
from nextscale_core.motion.formats.smpl import (
    MOTION_X,
    PHUMA,
    ROW_FPS,
    ROW_WIDTHS,
    smplx_rows_clip,
    write_smpl_npz,
)
from nextscale_core.motion.formats.soma import SOMA_KEYS
from nextscale_core.motion.formats.usd import USD_SUFFIXES, read_usd, write_usd
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadOptions
from nextscale_core.npz import array_names, npy_width, read_npy


def _read_npy(path: Path, options: ReadOptions) -> MotionClip:
    """An array of HumanML3D, or rows of SMPL-X parameters as in Motion-X and PHUMA."""
    if npy_width(path) in ROW_WIDTHS:
        return smplx_rows_clip(path, read_npy(path), options)
    return read_humanml3d_array(path, options)


_READERS = {
    ".npz": read_motion_npz,
    ".npy": _read_npy,
    ".bvh": read_bvh,
    **dict.fromkeys((".glb", ".gltf", ".vrma"), read_gltf),
    **dict.fromkeys(USD_SUFFIXES, read_usd),
}
_WRITERS = {
    ".npz": write_motion_npz,
    ".bvh": write_bvh,
    ".glb": write_glb,
    **dict.fromkeys(USD_SUFFIXES, write_usd),
}
WRITTEN_SUFFIXES = tuple(_WRITERS)
"""Suffixes of the files that `write_motion` writes."""


def _has_pose_parameters(path: Path) -> bool:
    names = array_names(path)
    return not POSE_PARAMETERS.isdisjoint(names) and not names.issuperset(SOMA_KEYS)


def _has_rows_of(*widths: int) -> Callable[[Path], bool]:
    return lambda path: npy_width(path) in widths


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
        content="joints of Kimodo on the SMPL-X or SOMA skeleton",
        order="SMPL or SOMA",
        fps=30.0,
        states_fps=False,
        read=read_motion_npz,
        fits=with_arrays("posed_joints"),
    ),
    MotionFormat(
        name="holosoma-human-npz",
        subject="human",
        suffix=".npz",
        content="joints for holosoma's retargeting",
        order="SMPL",
        fps=30.0,
        states_fps=False,
        read=read_motion_npz,
        fits=with_arrays("global_joint_positions"),
    ),
    MotionFormat(
        name="smpl-npz",
        subject="human",
        suffix=".npz",
        content="rotations of SMPL, SMPL-H or SMPL-X, as in AMASS",
        order="SMPL",
        read=read_motion_npz,
        write=write_smpl_npz,
        fits=_has_pose_parameters,
    ),
    MotionFormat(
        name="soma-npz",
        subject="human",
        suffix=".npz",
        content="rotations of the SOMA skeleton, as py-soma-x writes them",
        order="named",
        states_fps=False,
        read=read_motion_npz,
        fits=with_arrays(*SOMA_KEYS),
    ),
    MotionFormat(
        name="humanml3d-npy",
        subject="human",
        suffix=".npy",
        content="22 joints or 263 features of HumanML3D",
        order="SMPL",
        fps=20.0,
        states_fps=False,
        read=_read_npy,
        fits=lambda path: npy_width(path) not in ROW_WIDTHS,
    ),
    MotionFormat(
        name="motionx-npy",
        subject="human",
        suffix=".npy",
        content="322 columns of SMPL-X parameters, as in Motion-X",
        order="SMPL",
        fps=ROW_FPS,
        states_fps=False,
        read=_read_npy,
        fits=_has_rows_of(MOTION_X),
    ),
    MotionFormat(
        name="phuma-npy",
        subject="human",
        suffix=".npy",
        content="69 or 73 columns of SMPL-X parameters, as in PHUMA",
        order="SMPL",
        fps=ROW_FPS,
        states_fps=False,
        read=_read_npy,
        fits=_has_rows_of(PHUMA, PHUMA + 4),
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
    MotionFormat(
        name="glb",
        subject="human",
        suffix=".glb",
        content="glTF: an animated humanoid of any rig; written with a skinned mannequin",
        order="named",
        read=read_gltf,
        write=write_glb,
    ),
    MotionFormat(
        name="gltf",
        subject="human",
        suffix=".gltf",
        content="glTF as text: an animated humanoid of any rig",
        order="named",
        read=read_gltf,
    ),
    MotionFormat(
        name="vrma",
        subject="human",
        suffix=".vrma",
        content="VRM animation",
        order="named",
        read=read_gltf,
    ),
    MotionFormat(
        name="usd",
        subject="human",
        suffix=".usd",
        other_suffixes=(".usda", ".usdc"),
        content="UsdSkel: an animated skeleton of any rig; written with a skinned mannequin",
        order="named",
        read=read_usd,
        write=write_usd,
    ),
)
"""Formats of human motion, in the order of `nextscale formats`."""


def read_motion(path: str | Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read a human motion from a file of any format in `HUMAN_FORMATS`.

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
    """Write a motion to .npz, .bvh, .glb, or with the extra 'usd' to .usd, .usda or .usdc.

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
    way = way_out(path.suffix) if verb == "read" else ""
    return MotionFileError(
        f"cannot {verb} {path.name!r}: {path.suffix or 'no suffix'!r} is not a motion format; "
        f"known are {', '.join(sorted(known))}{way}"
    )
