"""Motion of a rig brought onto the 22 joints, whatever the format of its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.rig_tree import RigTree
from nextscale_core.motion.formats.rigs import RigMatch, match_rig
from nextscale_core.motion.formats.world_frame import FileFrame, to_world
from nextscale_core.motion.reading import ReadNote, ReadOptions
from nextscale_core.motion.resample import resample
from nextscale_core.motion.skeleton import FPS, JOINT_INDEX, NUM_JOINTS

_RIG_FRAMES = 24  # frames in which a rig's bones are measured
# Positions of SMPL's spine joints between pelvis and neck, and of its pelvis between hips and neck,
# as shares of the distance.
_SPINE_SHARES = (0.23, 0.49, 0.60)
_PELVIS_SHARE = 0.14
_TOE_LENGTH, _TOE_DROP = 0.13, 0.05  # [m]


@dataclass(frozen=True)
class RigJoints:
    """The hierarchy of a file.

    Attributes:
        names: (N,) names of joints and of the ends of last bones.
        parents: (N,) index of each parent, -1 for the root; parents come first.
        is_end: (N,) whether it only marks the end of a bone.
    """

    names: Sequence[str]
    parents: Sequence[int]
    is_end: Sequence[bool]


@dataclass(frozen=True)
class RigFile:
    """What a file says about its motion.

    Attributes:
        frame: Conventions of the format.
        fps: Frames per second [Hz].
        states_rate: Whether the file states the rate; otherwise it is the format's usual one.
        notes: Notes of the format's reader.
    """

    frame: FileFrame
    fps: float
    states_rate: bool = True
    notes: tuple[ReadNote, ...] = ()


def rig_clip(
    joints: RigJoints,
    positions: np.ndarray,
    rest: Callable[[RigMatch], np.ndarray | None],
    file: RigFile,
    options: ReadOptions,
    joint_map: dict[str, str] | None = None,
) -> MotionClip:
    """The motion of the 22 joints at 20 fps, or at the file's rate if the options keep it.

    Joints that a rig lacks are filled in: the spine along the file's own spine, collars between
    neck and shoulders, toes ahead of the ankles.

    Args:
        joints: The hierarchy.
        positions: (T, N, 3) positions of its joints, in the file's unit and axes.
        rest: The match of the rig -> (N, 3) rest pose in the same unit and axes, or None.
        file: What the file says.
        options: Known properties of the file.
        joint_map: nextscale's joint name -> name in the hierarchy, where the format defines it;
            the map of the options overrides it.

    Returns:
        The motion; its `notes` list assumptions and corrections.

    Raises:
        MotionFileError: positions that overflow, or joints that are not found.
        InvalidMotionError: a body that shows neither its unit nor its vertical.
    """
    if not np.isfinite(positions).all():
        raise MotionFileError("positions overflow: the file's numbers are too large")
    tree = RigTree(
        joints.names, joints.parents, joints.is_end, positions[:: -(-len(positions) // _RIG_FRAMES)]
    )
    match = match_rig(tree, {**(joint_map or {}), **(options.joint_map or {})})
    pose = rest(match)
    pose = None if pose is None else _onto_22_joints(match, pose[None])[0]
    body, world_notes = to_world(_onto_22_joints(match, positions), file.frame, options, pose)
    _fill_feet(body, match)
    if options.floor:
        body[..., 2] -= body[..., 2].min()
    fps = options.fps or file.fps
    source = "as given" if options.fps else "as the file states" if file.states_rate else "assumed"
    rate = fps if options.keep_rate or abs(fps - FPS) < 0.01 else FPS
    change = "" if rate == fps else f", resampled to {FPS:g}"
    notes = [ReadNote("rate", f"{round(fps, 2):g} frames per second {source}{change}")]
    notes += [*file.notes, *world_notes]
    if match.guessed:
        found = [f"{name} = {tree.names[match.joints[name]]!r}" for name in match.guessed]
        notes.append(ReadNote("joints", f"found by the bones: {', '.join(found)}"))
    return MotionClip(resample(body, fps, rate), rate, notes=tuple(notes))


def _onto_22_joints(match: RigMatch, positions: np.ndarray) -> np.ndarray:
    """(T, 22, 3) joints from the (T, N, 3) joints of the file; missing ones are built.

    The spine is laid along the file's own spine, collars between neck and shoulders; toes are left
    at the ankles until the vertical is known (`_fill_feet`).
    """
    joints = np.empty((len(positions), NUM_JOINTS, 3))
    for name, index in match.joints.items():
        joints[:, JOINT_INDEX[name]] = positions[:, index]
    shoulders = joints[:, [JOINT_INDEX["left_shoulder"], JOINT_INDEX["right_shoulder"]]]
    if "neck" not in match.joints:
        joints[:, JOINT_INDEX["neck"]] = shoulders.mean(axis=1)
    neck = joints[:, JOINT_INDEX["neck"]]
    if "pelvis" not in match.joints:
        hips = joints[:, [JOINT_INDEX["left_hip"], JOINT_INDEX["right_hip"]]].mean(axis=1)
        joints[:, 0] = hips + _PELVIS_SHARE * (neck - hips)
    spine = positions[:, list(match.spine)]
    if len(match.spine) != len(_SPINE_SHARES):
        spine = _along_spine(joints[:, 0], spine, neck)
    joints[:, [JOINT_INDEX[f"spine{number}"] for number in (1, 2, 3)]] = spine
    spine3 = joints[:, JOINT_INDEX["spine3"]]
    if "head" not in match.joints:
        joints[:, JOINT_INDEX["head"]] = neck + 0.6 * (neck - spine3)
    for number, side in enumerate(("left", "right")):
        if f"{side}_collar" not in match.joints:
            low_neck = neck + 0.3 * (spine3 - neck)
            collar = low_neck + 0.4 * (shoulders[:, number] - low_neck)
            joints[:, JOINT_INDEX[f"{side}_collar"]] = collar
        if f"{side}_foot" not in match.joints:
            joints[:, JOINT_INDEX[f"{side}_foot"]] = joints[:, JOINT_INDEX[f"{side}_ankle"]]
    return joints


def _along_spine(pelvis: np.ndarray, spine: np.ndarray, neck: np.ndarray) -> np.ndarray:
    """(T, 3, 3) spine joints at SMPL's shares of the polyline from pelvis to neck."""
    line = np.concatenate([pelvis[:, None], spine, neck[:, None]], axis=1)
    lengths = np.median(np.linalg.norm(np.diff(line, axis=1), axis=-1), axis=0)
    knots = np.concatenate([[0.0], np.cumsum(lengths)])
    placed = []
    for share in _SPINE_SHARES:
        at = share * knots[-1]
        below = int(np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(lengths) - 1))
        part = (at - knots[below]) / lengths[below] if lengths[below] > 0 else 0.0
        placed.append((1.0 - part) * line[:, below] + part * line[:, below + 1])
    return np.stack(placed, axis=1)


def _fill_feet(joints: np.ndarray, match: RigMatch) -> None:
    """Put missing toes of (T, 22, 3) joints, z up, ahead of the ankles in the body's direction."""
    across = joints[:, JOINT_INDEX["left_hip"]] - joints[:, JOINT_INDEX["right_hip"]]
    forward = np.cross(across, [0.0, 0.0, 1.0])
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    for side in ("left", "right"):
        if f"{side}_foot" not in match.joints:
            toe = joints[:, JOINT_INDEX[f"{side}_ankle"]] + _TOE_LENGTH * forward
            joints[:, JOINT_INDEX[f"{side}_foot"]] = toe - [0.0, 0.0, _TOE_DROP]
