"""Body parameters of SMPL, SMPL-H and SMPL-X as AMASS stores them: rotations to joints and back.

Motion-X and PHUMA store rows of SMPL-X parameters without a rate, with y up. Their columns are
those of the README of IDEA-Research/Motion-X and of src/curation/preprocess_smplx.py of
DAVIAN-Robotics/PHUMA.

The body models are not needed. The rotations pose nextscale's own neutral skeleton, which stands
at rest as the models' templates do: legs apart, arms a little behind. AMASS has z up; the
parameters have y up and z forward in the body's frame. `trans` is the place of the template's
origin, not of the pelvis, and the pelvis lies at a constant offset from it in the world's axes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.bone_rotations import PosedSkeleton, fit_bone_rotations
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import to_y_up, to_z_up
from nextscale_core.motion.formats.world_frame import FileFrame, to_world
from nextscale_core.motion.reading import ReadNote, ReadOptions
from nextscale_core.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, STANDARD_OFFSETS
from nextscale_core.npz import number_in, numbers_in, text_in, write_npz
from nextscale_core.rotations import exp, log, unit

ROOT_KEYS = ("root_orient", "global_orient")
BODY_KEYS = ("pose_body", "body_pose")
POSE_KEYS = ("poses", "pose_aa")
_TRANS_KEYS = ("trans", "transl")
_RATE_KEYS = ("mocap_framerate", "mocap_frame_rate", "fps")
_BODY_VALUES = 3 * NUM_JOINTS
_SMPLX_VALUES = 165  # of SMPL-X's 55 joints

# Rest directions of the limbs' left bones, by the joint at their end; x forward, y left, z up.
_REST_DIRECTIONS = {
    "smpl": {
        "knee": (0.0, 0.11, -1.0), "ankle": (-0.085, -0.04, -1.0),
        "elbow": (-0.105, 1.0, -0.06), "wrist": (-0.025, 1.0, 0.04),
    },
    "smplx": {
        "knee": (-0.025, 0.13, -1.0), "ankle": (-0.055, -0.065, -1.0),
        "elbow": (-0.115, 1.0, -0.185), "wrist": (-0.03, 1.0, 0.03),
    },
}  # fmt: skip
PELVIS = {"smpl": (0.0, -0.22, 0.03), "smplx": (0.0, -0.35, 0.01)}
"""Pelvis of each template from its origin, in the axes of the file [m]."""
_SMPLX_LEG = 0.79  # hip to ankle of SMPL-X's neutral template [m]
_BALL_HEIGHT = 0.02  # ball of a standing foot above the floor of the recordings [m]
_STANDS = 0.75  # minimum depth of the feet below the pelvis of a standing body [m]
_LARGEST = 1e6  # accepted number in the parameters [rad or m]
_SCALE_RANGE = (0.8, 1.25)  # of the leg of a person to that of the neutral skeleton


def smpl_clip(path: Path, arrays: dict[str, np.ndarray], options: ReadOptions) -> MotionClip:
    """Motion of AMASS's `poses` and `trans`, or SMPL-X's `root_orient`, `pose_body` and `trans`.

    Bone lengths are those of the neutral skeleton; the path is scaled to its legs, so that the feet
    of a standing body stay where they stand.

    Args:
        path: The file, for messages.
        arrays: Its arrays.
        options: Its known properties.

    Returns:
        The motion at the file's rate, on the floor, beginning to face x.

    Raises:
        MotionFileError: missing or malformed arrays, or no rate in the file and in the options.
        InvalidMotionError: a body whose vertical is unclear.
    """
    model = _model(path, arrays)
    rotations, trans = _parameters(path, arrays)
    rate = _rate(path, arrays, options)
    source = "as given" if options.fps else "as the file states"
    clip = posed_clip(
        rotations,
        trans,
        rate,
        options,
        model=model,
        frame=FileFrame("z", floor_at_zero=False, has_forward=False),
        notes=(ReadNote("rate", f"{rate:g} frames per second {source}"),),
    )
    return replace(clip, text=text_in(path, arrays, "text"))


def posed_clip(
    rotations: np.ndarray,
    trans: np.ndarray,
    rate: float,
    options: ReadOptions,
    *,
    model: str,
    frame: FileFrame,
    notes: tuple[ReadNote, ...] = (),
    own_floor: bool = True,
) -> MotionClip:
    """Motion of body parameters on the neutral skeleton.

    Args:
        rotations: (T, 22, 3) rotation vectors [rad].
        trans: (T, 3) place of the template's origin [m].
        rate: Frames per second [Hz].
        options: Known properties of the file.
        model: 'smpl' or 'smplx'.
        frame: Conventions of the format.
        notes: Notes of the format's reader.
        own_floor: Whether the floor of the recording is at a height of zero.

    Raises:
        InvalidMotionError: a body whose vertical is unclear.
    """
    joints = _posed(model, exp(rotations), trans + np.array(PELVIS[model]))
    joints, world_notes = to_world(joints, frame, options)
    remarks = [
        *notes,
        ReadNote("joints", f"rotations of {model.upper()} on the neutral skeleton"),
        *world_notes,
    ]
    if options.floor:
        if own_floor:
            joints = _on_own_legs(joints, remarks)
        joints = joints - np.array([0.0, 0.0, joints[..., 2].min()])
    return MotionClip(joints, rate, notes=tuple(remarks))


def write_smpl_npz(clip: MotionClip, path: Path) -> None:
    """Write SMPL-X parameters under the names of AMASS, old and new; hands and face at rest.

    `poses` (T, 165) begins with the 22 joints of every model of the family. The path is scaled
    to the legs of the neutral template, whose feet then reach the floor at z = 0.

    Raises:
        MotionFileError: the file cannot be written.
    """
    fitted = fit_bone_rotations(clip.joints)
    at_rest = fit_bone_rotations(_rest_joints("smplx")[None]).rotations[0]
    world = fitted.rotations @ np.swapaxes(at_rest, -1, -2)
    axes = to_z_up(np.eye(3)).T  # from the body's axes in the file to nextscale's
    local = world.copy()
    local[:, 1:] = np.swapaxes(world[:, list(PARENTS[1:])], -1, -2) @ world[:, 1:]
    local[:, 1:] = axes.T @ local[:, 1:] @ axes
    local[:, 0] = local[:, 0] @ axes
    leg = float(np.linalg.norm(fitted.offsets[[4, 7]], axis=-1).sum())
    pelvis = clip.joints[:, 0] * (_SMPLX_LEG / leg) + np.array([0.0, 0.0, _BALL_HEIGHT])
    frames = len(clip)
    poses = np.zeros((frames, _SMPLX_VALUES))
    poses[:, :_BODY_VALUES] = log(local).reshape(frames, -1)
    arrays = {
        "poses": poses,
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:_BODY_VALUES],
        "pose_jaw": np.zeros((frames, 3)),
        "pose_eye": np.zeros((frames, 6)),
        "pose_hand": np.zeros((frames, 90)),
        "trans": pelvis - np.array(PELVIS["smplx"]),
        "betas": np.zeros(16),
        "num_betas": np.int64(16),
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.float64(clip.fps),
        "mocap_framerate": np.float64(clip.fps),
        "mocap_time_length": np.float64(clip.seconds),
        "text": np.array(clip.text, dtype=np.str_),
    }
    write_npz(path, {name: np.asarray(value) for name, value in arrays.items()})


def _model(path: Path, arrays: dict[str, np.ndarray]) -> str:
    """'smpl' (and SMPL-H), or 'smplx', which rests in a slightly different pose."""
    if "surface_model_type" in arrays:
        return "smplx" if text_in(path, arrays, "surface_model_type") == "smplx" else "smpl"
    values = arrays["poses"].shape[-1:] if "poses" in arrays else ()
    return "smplx" if "pose_body" in arrays or values == (_SMPLX_VALUES,) else "smpl"


def _parameters(path: Path, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(T, 22, 3) rotation vectors [rad] and (T, 3) `trans` [m]."""
    names = [_first(arrays, keys) for keys in (ROOT_KEYS, BODY_KEYS)]
    if not all(names):
        names = [_first(arrays, POSE_KEYS)]
    if not all(names):
        raise MotionFileError(
            f"{path} needs 'poses', or 'root_orient' and 'pose_body'; "
            f"it has: {', '.join(sorted(arrays))}"
        )
    parts = [_flat(path, arrays, name) for name in names]
    frames = len(parts[0])
    for name, part in zip(names, parts, strict=True):
        least = _BODY_VALUES if len(names) == 1 else 3 if name in ROOT_KEYS else _BODY_VALUES - 3
        if frames == 0 or len(part) != frames or part.shape[1] < least or part.shape[1] % 3:
            raise MotionFileError(
                f"{path}: {name!r} has shape {arrays[name].shape}; right is ({frames or 'T'}, "
                f"{least} or more): axis-angle, three numbers a joint"
            )
    if len(parts) == 2:
        parts[0] = parts[0][:, :3]
    rotations = np.concatenate(parts, axis=1)[:, :_BODY_VALUES].reshape(frames, NUM_JOINTS, 3)
    name = _first(arrays, _TRANS_KEYS)
    if not name:
        raise MotionFileError(f"{path} has no array 'trans', the place of the body")
    trans = _flat(path, arrays, name)
    if trans.shape != (frames, 3):
        raise MotionFileError(
            f"{path}: {name!r} has shape {arrays[name].shape}; right is ({frames}, 3)"
        )
    return rotations, trans


def _first(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in arrays), "")


def _flat(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """(T, C) finite numbers of an array, whose joints may have an axis of their own."""
    array = numbers_in(path, arrays, name)
    if array.ndim < 2 or (array.ndim == 4 and array.shape[-2:] == (3, 3)):
        raise MotionFileError(
            f"{path}: {name!r} has shape {array.shape}; right are axis-angle rows, one a frame"
        )
    checked_parameters(path, name, array)
    return array.reshape(len(array), -1) if len(array) else array.reshape(0, 3)


def checked_parameters(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    """The array as float64, if its numbers can be parameters; `name` is '' for a whole file.

    Raises:
        MotionFileError: not numbers, NaN or very large numbers; the message names the frame.
    """
    where = f"{path}: {name!r}" if name else str(path)
    if array.dtype.kind not in "iuf":
        raise MotionFileError(f"{where} must hold numbers, got {array.dtype}")
    is_sane = np.abs(array) < _LARGEST
    if not is_sane.all():
        frame = int(np.argwhere(~is_sane)[0, 0])
        raise MotionFileError(
            f"{where} holds NaN or a number above {_LARGEST:g}, first in frame {frame}"
        )
    return array.astype(np.float64)


def _rate(path: Path, arrays: dict[str, np.ndarray], options: ReadOptions) -> float:
    if options.fps is not None:
        return options.fps
    name = _first(arrays, _RATE_KEYS)
    if not name:
        raise MotionFileError(
            f"{path} has no rate ({', '.join(_RATE_KEYS)}); it has: {', '.join(sorted(arrays))}; "
            "give it (--fps)"
        )
    rate = number_in(path, arrays, name)
    if rate <= 0.0:
        raise InvalidMotionError(f"{name} must be a positive number, got {rate:g}")
    return rate


def _rest_offsets(model: str) -> np.ndarray:
    """(22, 3) joints at rest in their parents' frames [m], x forward, y left, z up."""
    offsets = np.zeros((NUM_JOINTS, 3))
    directions = _REST_DIRECTIONS[model]
    for joint, name in enumerate(JOINT_NAMES[1:], start=1):
        side, _, part = name.rpartition("_")
        offset = np.array(STANDARD_OFFSETS[part])
        if part in directions:
            offset = np.linalg.norm(offset) * unit(np.array(directions[part]))
        offsets[joint] = offset * (1.0, -1.0 if side == "right" else 1.0, 1.0)
    return offsets


def _rest_joints(model: str) -> np.ndarray:
    """(22, 3) positions of the joints at rest [m], pelvis at the origin."""
    offsets = _rest_offsets(model)
    still = np.tile(np.eye(3), (1, NUM_JOINTS, 1, 1))
    return PosedSkeleton(offsets, offsets[None], still).joints()[0]


def _posed(model: str, local: np.ndarray, pelvis: np.ndarray) -> np.ndarray:
    """(T, 22, 3) joints [m] of (T, 22, 3, 3) local rotations, in the axes of the file."""
    offsets = to_y_up(_rest_offsets(model))
    world = local.copy()
    for joint in range(1, NUM_JOINTS):
        world[:, joint] = world[:, PARENTS[joint]] @ local[:, joint]
    positions = np.tile(offsets, (len(local), 1, 1))
    positions[:, 0] = pelvis
    return PosedSkeleton(offsets, positions, world).joints()


def _on_own_legs(joints: np.ndarray, notes: list[ReadNote]) -> np.ndarray:
    """Joints with the path scaled from the recorded person's legs to the skeleton's.

    The floor of the recordings is at zero: the height of a standing person's pelvis shows the
    length of the legs.
    """
    pelvis = joints[:, 0]
    depth = pelvis[:, 2] - joints[..., 2].min(axis=1)
    height = pelvis[:, 2] - _BALL_HEIGHT
    stands = (depth > _STANDS) & (height > 0.5 * depth)
    # A body in a jump is above the floor: most frames may have a smaller share than standing ones.
    shares = depth[stands] / height[stands]
    scale = float(np.percentile(shares, 90.0)) if len(shares) else 1.0
    if not _SCALE_RANGE[0] < scale < _SCALE_RANGE[1]:
        scale = 1.0
    if abs(scale - 1.0) > 0.005:
        notes.append(ReadNote("unit", f"path scaled by {scale:.2f} to the neutral skeleton's legs"))
    return np.asarray(joints + (scale - 1.0) * pelvis[:, None])


ROW_FPS = 30.0
"""Rate of both data sets, which their files do not state [Hz]."""

_TILTS = np.radians([20.0, 50.0])
"""Smallest and largest tilt of a body that stands in the frame of a camera [rad]."""

_UPRIGHT = 0.9
"""Smallest length of the mean upward axis of a body that is upright in nearly every frame."""


class _Columns(NamedTuple):
    """First columns of the root's rotation, of the body's 21 rotations and of the place."""

    root: int
    body: int
    trans: int
    in_camera: bool
    """Whether the world may be that of a camera, whose axes have any tilt."""


MOTION_X, PHUMA = 322, 69
_LAYOUTS = {
    MOTION_X: _Columns(0, 3, 309, in_camera=True),
    PHUMA: _Columns(3, 6, 0, in_camera=False),
    PHUMA + 4: _Columns(3, 6, 0, in_camera=False),
}
ROW_WIDTHS = tuple(_LAYOUTS)
"""Numbers of columns of the arrays that `smplx_rows_clip` reads."""


def smplx_rows_clip(path: Path, array: np.ndarray, options: ReadOptions) -> MotionClip:
    """Motion of rows of SMPL-X parameters, y up, on the neutral skeleton, on the floor.

    Motion-X's motion from video is in the frame of its camera. Where the body stands 20 to 50
    degrees off the vertical in nearly every frame, its mean upward direction is taken as up.

    Args:
        path: The file, for messages.
        array: (T, 322), (T, 69) or (T, 73).
        options: Its known properties.

    Raises:
        MotionFileError: NaN, or numbers that are not parameters.
        InvalidMotionError: a body whose vertical is unclear.
    """
    layout = _LAYOUTS[array.shape[1]]
    checked = checked_parameters(path, "", array)
    turns = np.concatenate(
        [
            checked[:, layout.root : layout.root + 3],
            checked[:, layout.body : layout.body + 3 * NUM_JOINTS - 3],
        ],
        axis=1,
    ).reshape(-1, NUM_JOINTS, 3)
    trans = checked[:, layout.trans : layout.trans + 3]
    message = f"{ROW_FPS:g} frames per second assumed: the file states no rate"
    if options.fps:
        message = f"{options.fps:g} frames per second, as given"
    notes = [ReadNote("rate", message)]
    if layout.in_camera and options.up == "auto":
        turns, trans = _levelled(turns, trans, notes)
    return posed_clip(
        turns,
        trans,
        options.fps or ROW_FPS,
        options,
        model="smplx",
        frame=FileFrame("y", certain=False, floor_at_zero=False, has_forward=False),
        notes=tuple(notes),
        own_floor=not layout.in_camera,
    )


def _levelled(
    turns: np.ndarray, trans: np.ndarray, notes: list[ReadNote]
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and places with the body's mean upward direction turned onto y, if it is tilted."""
    root = exp(turns[:, 0])
    mean = root[:, :, 1].mean(axis=0)
    up = unit(mean)
    tilt = np.arccos(np.clip(np.abs(up[1]), 0.0, 1.0))
    if np.linalg.norm(mean) < _UPRIGHT or not _TILTS[0] < tilt < _TILTS[1]:
        return turns, trans
    across = np.cross(up, [0.0, 1.0, 0.0])
    angle = np.arctan2(np.linalg.norm(across), up[1])
    level = exp(unit(across) * angle)
    pelvis = np.array(PELVIS["smplx"])
    turns = turns.copy()
    turns[:, 0] = log(level @ root)
    message = (
        f"the body stands {np.degrees(tilt):.0f} degrees off the vertical, as seen by a camera: "
        "its upward direction taken as up; --up y keeps the file's"
    )
    notes.append(ReadNote("up", message))
    return turns, (trans + pelvis) @ level.T - pelvis
