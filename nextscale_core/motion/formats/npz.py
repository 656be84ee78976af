"""npz motion files, and checks of arrays of joint positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.rig_clip import RigFile, rig_clip
from nextscale_core.motion.formats.smpl import BODY_KEYS, POSE_KEYS, ROOT_KEYS, smpl_clip
from nextscale_core.motion.formats.soma import SKELETONS, SOMA_KEYS, soma_clip
from nextscale_core.motion.formats.world_frame import FileFrame, in_world
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadNote, ReadOptions
from nextscale_core.motion.skeleton import FPS, NUM_JOINTS
from nextscale_core.npz import number_in, read_npz, text_in, write_npz

NO_SEED = -1
"""Seed in files of recorded motion."""

# Numbers of joints of SMPL, SMPL-H and SMPL-X with or without hands, face and landmarks; the first
# 22 are those of HumanML3D.
_SMPL_FAMILY = (24, 45, 52, 55, 73, 127, 144)
_OTHER_SKELETONS = {
    15: "OpenPose or Human3.6M's short form",
    17: "Human3.6M or COCO",
    21: "KIT-ML",
    25: "OpenPose or Kinect",
    30: "SOMA without fingers",
    33: "MediaPipe",
    34: "Kimodo's G1, a robot: read its CSV file",
    77: "SOMA",
}
POSE_PARAMETERS = frozenset((*POSE_KEYS, *ROOT_KEYS, *BODY_KEYS))
"""Names of arrays of body parameters."""

_ROBOT_KEYS = {"joint_names", "joint_pos", "body_pos_w", "qpos", "dof_pos", "dof", "ref_dof_pos"}

_RIGHT = f"right is (T, {NUM_JOINTS}, 3): frames, joints in SMPL's order, x y z"


class _Layout(NamedTuple):
    """Array names of positions and contacts, vertical axis, default rate [Hz]."""

    joints: str
    contacts: str
    up: str
    fps: float | None = None


_LAYOUTS = (
    _Layout("joints", "contacts", "z"),  # nextscale
    _Layout("posed_joints", "foot_contacts", "y", 30.0),  # Kimodo; contacts in the same order
    _Layout("global_joint_positions", "", "z", 30.0),  # holosoma; `height` of the person unused
)


def read_motion_npz(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read human motion in one of the known layouts.

    - nextscale: `joints` (T, 22, 3) [m, z up], `fps` [Hz], optional `text`, `seed`, `contacts`
    - Kimodo: `posed_joints` (T, J, 3) [m, y up], 30 frames per second, optional `foot_contacts`;
      J = 22 (SMPL-X), 77 or 30 (SOMA)
    - holosoma: `global_joint_positions` (T, J, 3) [m, z up], 30 frames per second
    - AMASS, SMPL-H and SMPL-X parameters: see `smpl_clip`
    - SOMA parameters: see `soma_clip`

    Raises:
        MotionFileError: missing, cut short or malformed file, wrong keys, types or shapes.
        InvalidMotionError: not a human body.
    """
    arrays = read_npz(path, ())
    layout = next((layout for layout in _LAYOUTS if layout.joints in arrays), None)
    if layout is None and arrays.keys() >= set(SOMA_KEYS):
        return soma_clip(path, arrays, options)
    if layout is None and POSE_PARAMETERS & arrays.keys() and not _ROBOT_KEYS & arrays.keys():
        return smpl_clip(path, arrays, options)
    if layout is None:
        raise MotionFileError(
            f"{path} has no array 'joints'; it has: {', '.join(sorted(arrays)) or 'none'}; "
            f"{_describe(arrays)}"
        )
    rate, rate_notes = _rate(path, arrays, layout, options)
    seed = int(number_in(path, arrays, "seed")) if "seed" in arrays else NO_SEED
    contacts = arrays.get(layout.contacts)
    if contacts is not None and contacts.dtype.kind not in "biuf":
        raise MotionFileError(
            f"{path}: {layout.contacts!r} must be true or false, got {contacts.dtype}"
        )
    if layout.joints == "posed_joints" and (
        clip := _soma(path, arrays["posed_joints"], replace(options, fps=rate))
    ):
        kept = contacts if contacts is not None and len(contacts) == len(clip) else None
        return replace(clip, contacts=kept, notes=(*rate_notes, *clip.notes[1:]))
    joints, notes = joint_positions(path, layout.joints, arrays[layout.joints])
    clip = MotionClip(
        joints=joints,
        fps=rate,
        text=text_in(path, arrays, "text"),
        contacts=contacts,
        seed=None if seed == NO_SEED else seed,
        notes=(*rate_notes, *notes),
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


def joint_positions(path: Path, name: str, array: np.ndarray) -> tuple[np.ndarray, list[ReadNote]]:
    """Positions of the 22 joints in an array.

    Args:
        path: The file, for messages.
        name: Name of the array in it, for messages; '' if the file is the array.
        array: (T, J, 3) or (1, T, J, 3); J = 22, or a skeleton of the SMPL family, which begins
            with the same 22.

    Returns:
        (T, 22, 3) float64, and notes on omitted joints.

    Raises:
        MotionFileError: other shapes or types, NaN or infinity.
    """
    shape = array.shape
    notes: list[ReadNote] = []
    if array.ndim == 4 and shape[0] == 1:
        array = array[0]
        notes.append(ReadNote("frames", f"{shape} taken as a batch of one motion"))
    if array.ndim == 3 and array.shape[1] in _SMPL_FAMILY and array.shape[2] == 3:
        notes.append(ReadNote("joints", f"the first {NUM_JOINTS} of {array.shape[1]} joints taken"))
        array = array[:, :NUM_JOINTS]
    if array.ndim != 3 or array.shape[1:] != (NUM_JOINTS, 3) or len(array) == 0:
        raise MotionFileError(f"{_where(path, name)} has shape {shape}; {_RIGHT}{_guess(shape)}")
    return finite_numbers(path, name, array), notes


def finite_numbers(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    """The array as float64; `path` and `name` as in `joint_positions`.

    Raises:
        MotionFileError: not numbers, or NaN or infinity; the message names the frame.
    """
    if array.dtype.kind not in "iuf":
        raise MotionFileError(f"{_where(path, name)} must hold numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise MotionFileError(f"{_where(path, name)} holds NaN or infinity, first in frame {frame}")
    return array.astype(np.float64)


def _where(path: Path, name: str) -> str:
    return f"{path}: {name!r}" if name else str(path)


def _soma(path: Path, array: np.ndarray, options: ReadOptions) -> MotionClip | None:
    """Motion of the SOMA skeleton in (T, J, 3) positions; None for other numbers of joints."""
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[1] not in SKELETONS or array.shape[2] != 3 or not len(array):
        return None
    positions = finite_numbers(path, "posed_joints", array)
    file = RigFile(FileFrame("y"), options.fps or FPS)
    options = replace(options, keep_rate=True)
    return rig_clip(SKELETONS[array.shape[1]], positions, lambda _: None, file, options)


def _rate(
    path: Path, arrays: dict[str, np.ndarray], layout: _Layout, options: ReadOptions
) -> tuple[float, list[ReadNote]]:
    if options.fps is not None:
        return options.fps, [ReadNote("rate", f"{options.fps:g} frames per second, as given")]
    if "fps" in arrays:
        return number_in(path, arrays, "fps"), []
    if layout.fps is None:
        raise MotionFileError(
            f"{path} has no array 'fps'; it has: {', '.join(sorted(arrays))}; give the rate (--fps)"
        )
    message = f"{layout.fps:g} frames per second assumed: {layout.joints} come without a rate"
    return layout.fps, [ReadNote("rate", message)]


def _describe(keys: Iterable[str]) -> str:
    """Probable content of an npz file without joint positions, and the remedy."""
    names = set(keys)
    if names & _ROBOT_KEYS:
        return "it holds a robot's motion; this command needs a human's"
    return f"a motion has 'joints' ({_RIGHT}) and 'fps'"


def _guess(shape: tuple[int, ...]) -> str:
    """Probable meaning of a wrong shape, to append to a message."""
    if len(shape) == 4 and shape[-1] == 3:
        return f"; this is a batch of {shape[0]} motions: save one a file"
    if len(shape) == 3 and shape[2] == 3 and shape[1] in _OTHER_SKELETONS:
        return f"; {shape[1]} joints are another skeleton ({_OTHER_SKELETONS[shape[1]]})"
    if 3 in shape[-3:-1] and NUM_JOINTS in shape:
        return "; the axes are in another order: transpose the array"
    if len(shape) == 2 and 255 < shape[1] < 270:
        return "; HumanML3D's features have 263 columns"
    if len(shape) == 2 and shape[1] in (66, 72, 156, 165):
        return "; these look like SMPL pose parameters or flattened joints"
    return ""
