"""Arrays of joint positions as they come: which 22 joints they hold, or what they are instead."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.reading import Remark
from nextscale_core.motion.skeleton import NUM_JOINTS

# Numbers of joints of which the first 22 are ours: SMPL, SMPL-H and SMPL-X with or without hands,
# face and landmarks.
_SMPL_FAMILY = (24, 45, 52, 55, 73, 127, 144)
_OTHER_SKELETONS = {
    15: "OpenPose or Human3.6M's short form",
    17: "Human3.6M or COCO",
    21: "KIT-ML",
    25: "OpenPose or Kinect",
    33: "MediaPipe",
    34: "Kimodo's G1",
    77: "SOMA",
}
_POSE_PARAMETERS = {"poses", "pose_body", "pose_aa", "body_pose", "root_orient", "global_orient"}
_ROBOT_KEYS = {"joint_names", "joint_pos", "body_pos_w", "qpos", "dof_pos", "dof", "ref_dof_pos"}

_RIGHT = f"right is (T, {NUM_JOINTS}, 3): frames, joints in SMPL's order, x y z"


def joint_positions(path: Path, name: str, array: np.ndarray) -> tuple[np.ndarray, list[Remark]]:
    """Positions of the 22 joints out of an array.

    Args:
        path: The file, for messages.
        name: Name of the array in it, for messages; '' if the file is the array.
        array: (T, J, 3) or (1, T, J, 3); J = 22, or a skeleton of SMPL's family, which begins
            with the same 22.

    Returns:
        (T, 22, 3) float64 and what was left out.

    Raises:
        MotionFileError: other shapes, no numbers, NaN or infinity.
    """
    shape = array.shape
    remarks: list[Remark] = []
    if array.ndim == 4 and shape[0] == 1:
        array = array[0]
        remarks.append(Remark("frames", f"{shape} taken as a batch of one motion"))
    if array.ndim == 3 and array.shape[1] in _SMPL_FAMILY and array.shape[2] == 3:
        remarks.append(Remark("joints", f"the first {NUM_JOINTS} of {array.shape[1]} joints taken"))
        array = array[:, :NUM_JOINTS]
    if array.ndim != 3 or array.shape[1:] != (NUM_JOINTS, 3) or len(array) == 0:
        where = f"{path}: {name!r}" if name else str(path)
        raise MotionFileError(f"{where} has shape {shape}; {_RIGHT}{_guess(shape)}")
    return finite_numbers(path, name, array), remarks


def finite_numbers(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    """The array as float64; `path` and `name` as in `joint_positions`.

    Raises:
        MotionFileError: no numbers, NaN or infinity; the message says in which frame.
    """
    where = f"{path}: {name!r}" if name else str(path)
    if array.dtype.kind not in "iuf":
        raise MotionFileError(f"{where} must hold numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise MotionFileError(f"{where} holds NaN or infinity, first in frame {frame}")
    return array.astype(np.float64)


def what_else(keys: Iterable[str]) -> str:
    """What an npz file without joint positions seems to hold, and what to do with it; or ''."""
    names = set(keys)
    if names & _POSE_PARAMETERS:
        return (
            "it holds the body parameters of AMASS, SMPL-H or SMPL-X (rotations, not positions): "
            "run the body model and save its first 22 joints as 'joints' (T, 22, 3) [m], with "
            "'fps' (AMASS calls it mocap_framerate)"
        )
    if names & _ROBOT_KEYS:
        return "it holds a robot's motion; this command needs a human's"
    return f"a motion has 'joints' ({_RIGHT}) and 'fps'"


def _guess(shape: tuple[int, ...]) -> str:
    """What another shape may be."""
    if len(shape) == 4 and shape[-1] == 3:
        return f"; this is a batch of {shape[0]} motions: save one a file"
    if len(shape) == 3 and shape[2] == 3 and shape[1] in _OTHER_SKELETONS:
        return f"; {shape[1]} joints are another skeleton ({_OTHER_SKELETONS[shape[1]]})"
    if 3 in shape[-3:-1] and NUM_JOINTS in shape:
        return "; the axes are in another order: transpose the array"
    if len(shape) == 2 and 255 < shape[1] < 270:
        return "; HumanML3D's features have 263 columns"
    if len(shape) == 2 and shape[1] in (66, 72, 156, 165, 322):
        return "; these look like SMPL pose parameters or flattened joints"
    return ""
