"""Reader and writer of BVH files.

Written files follow CMU, LAFAN1 and Mixamo files: centimetres, y up, facing z, a T-pose with
identity rotations, channel order 'Zrotation Yrotation Xrotation'. Every joint also has position
channels, as in Bandai-Namco's files, because the lumbar spine of real motion moves in the pelvis.
Limbs keep their length. Blender's importer reads these files with its default settings.

Read files may have any hierarchy with two legs, two arms and a head (`rigs.py`), in any axes and
unit (`world_frame.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.bone_rotations import fit_bone_rotations
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import to_y_up
from nextscale_core.motion.formats.bvh_syntax import Bvh, BvhJoint, read_bvh_text, write_bvh_text
from nextscale_core.motion.formats.rig_clip import RigFile, RigJoints, rig_clip
from nextscale_core.motion.formats.rigs import RigMatch
from nextscale_core.motion.formats.world_frame import FileFrame
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadNote, ReadOptions
from nextscale_core.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS

_CENTIMETRES = 100.0
_CHANNELS = ("Xposition", "Yposition", "Zposition", "Zrotation", "Yrotation", "Xrotation")
# Ends of the last bones, which other tools draw, from their joints [m], x forward, y left, z up.
_ENDS = {
    "head": (0.0, 0.0, 0.16),
    "left_foot": (0.07, 0.0, 0.0),
    "right_foot": (0.07, 0.0, 0.0),
    "left_wrist": (0.0, 0.09, 0.0),
    "right_wrist": (0.0, -0.09, 0.0),
}

# Most files have y up; unit, facing and floor differ.
_FRAME = FileFrame("y", certain=False, unit=None, floor_at_zero=False, has_forward=False)
_STEADY = 0.5  # a rotation above the pelvis that changes less belongs to the file's axes [deg]


def write_bvh(clip: MotionClip, path: Path) -> None:
    """Write a motion as BVH, with bones of their median length; see the module for conventions.

    Raises:
        MotionFileError: the file cannot be written.
    """
    skeleton = fit_bone_rotations(clip.joints)
    order = _depth_first(0)
    offsets = to_y_up(skeleton.offsets) * _CENTIMETRES
    to_bvh = to_y_up(np.eye(3)).T  # a cyclic change of axes
    local = to_bvh @ skeleton.local_rotations() @ to_bvh.T
    angles = np.stack([_continuous_zyx(local[:, joint]) for joint in range(NUM_JOINTS)], axis=1)

    joints: list[BvhJoint] = []
    place: dict[int, int] = {-1: -1}
    for joint in order:
        place[joint] = len(joints)
        name = JOINT_NAMES[joint]
        x, y, z = offsets[joint].tolist()
        joints.append(BvhJoint(name, place[PARENTS[joint]], (x, y, z), _CHANNELS))
        if name in _ENDS:
            x, y, z = (to_y_up(np.array(_ENDS[name])) * _CENTIMETRES).tolist()
            joints.append(BvhJoint(f"{name} end", place[joint], (x, y, z), is_end=True))
    positions = to_y_up(skeleton.positions) * _CENTIMETRES
    values = np.concatenate([positions, angles], axis=-1)[:, order].reshape(len(clip), -1)
    write_bvh_text(Bvh(joints, 1.0 / clip.fps, values), path)


def read_bvh(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read a BVH file onto the 22 joints at 20 fps.

    Joints that a rig lacks are filled in: the spine along the file's own spine, collars between
    neck and shoulders, toes ahead of the ankles. If the rest pose stands upright, it is turned to
    face x; otherwise the motion is turned by quarter turns to begin facing x.

    Args:
        path: The file.
        options: Its known properties. The unit is found by the height of the body, the vertical
            axis by the rest pose and the motion.

    Returns:
        The motion; its `notes` list assumptions and corrections.

    Raises:
        MotionFileError: missing or malformed file (with the line), joints that are not found, or
            a body that shows neither its unit nor its vertical.
    """
    path = Path(path)
    bvh = read_bvh_text(path)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            positions = _posed(bvh, bvh.values)
        joints = RigJoints(
            [joint.name for joint in bvh.joints],
            [joint.parent for joint in bvh.joints],
            [joint.is_end for joint in bvh.joints],
        )
        notes = [ReadNote("frames", message) for message in bvh.notes]
        return rig_clip(
            joints,
            positions,
            lambda match: _rest_pose(bvh, match),
            RigFile(_FRAME, 1.0 / bvh.frame_time, notes=tuple(notes)),
            options,
        )
    except (MotionFileError, InvalidMotionError) as error:
        raise MotionFileError(f"{path}: {error}") from error


def _depth_first(root: int) -> list[int]:
    """A joint and all joints below it."""
    children = (child for child in range(NUM_JOINTS) if PARENTS[child] == root)
    return [root, *(joint for child in children for joint in _depth_first(child))]


def _continuous_zyx(matrices: np.ndarray) -> np.ndarray:
    """(T, 3) degrees about z, y, x without jumps of a full turn.

    Every rotation has two sets of such angles; the one nearer to the frame before is taken, so
    that tools which interpolate the angles show no spin.
    """
    beta = np.arcsin(np.clip(-matrices[:, 2, 0], -1.0, 1.0))
    alpha = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])
    gamma = np.arctan2(matrices[:, 2, 1], matrices[:, 2, 2])
    # At the pole only alpha -/+ gamma is defined: gamma is set to zero.
    pole = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]) < 1e-7
    alpha = np.where(pole, np.arctan2(-matrices[:, 0, 1], matrices[:, 1, 1]), alpha)
    gamma = np.where(pole, 0.0, gamma)
    near = np.stack([alpha, beta, gamma], axis=-1)
    far = np.stack([alpha + np.pi, np.pi - beta, gamma + np.pi], axis=-1)
    angles = np.empty_like(near)
    before = np.zeros(3)
    for frame, pair in enumerate(zip(near, far, strict=True)):
        unwrapped = [c + 2 * np.pi * np.round((before - c) / (2 * np.pi)) for c in pair]
        before = min(unwrapped, key=lambda c: float(np.abs(c - before).sum()))
        angles[frame] = before
    return np.degrees(angles)


def _rest_pose(bvh: Bvh, match: RigMatch) -> np.ndarray:
    """(N, 3) joints without rotations, in the file's unit and axes.

    Joints above the pelvis that never turn keep their rotation, which only sets the file's axes.
    """
    row = np.zeros(bvh.values.shape[1])
    pelvis = match.joints.get("pelvis", bvh.joints[match.joints["left_hip"]].parent)
    above: set[int] = set()
    while pelvis >= 0 and bvh.joints[pelvis].parent >= 0:
        pelvis = bvh.joints[pelvis].parent
        above.add(pelvis)
    for column, (index, channel) in enumerate(_channels(bvh)):
        values = bvh.values[:, column]
        if channel.endswith("position") or (index in above and np.ptp(values) < _STEADY):
            row[column] = np.median(values)
    return _posed(bvh, row[None])[0]


def _channels(bvh: Bvh) -> list[tuple[int, str]]:
    """Joint and channel of each column."""
    return [(i, channel) for i, joint in enumerate(bvh.joints) for channel in joint.channels]


def _adds_to_offset(bvh: Bvh) -> bool:
    """Whether position channels below the root are small against the OFFSETs."""
    moved: dict[int, float] = {}
    for column, (index, channel) in enumerate(_channels(bvh)):
        if channel.endswith("position") and index > 0:
            moved[index] = moved.get(index, 0.0) + float(np.abs(bvh.values[:, column]).mean())
    lengths = {index: float(np.abs(bvh.joints[index].offset).sum()) for index in moved}
    shares = [moved[index] / length for index, length in lengths.items() if length > 0]
    return bool(shares) and float(np.median(shares)) < 0.5


def _posed(bvh: Bvh, values: np.ndarray) -> np.ndarray:
    """Forward kinematics: (T, N, 3) positions of all joints and End Sites, for (T, C) values.

    Position channels replace the OFFSET, as Blender reads them; if they are small against it in
    most joints, they are added to it.
    """
    frames = len(values)
    add = _adds_to_offset(bvh)
    positions = np.empty((frames, len(bvh.joints), 3))
    rotations: list[Rotation] = []
    column = 0
    for index, joint in enumerate(bvh.joints):
        offset = np.tile(np.array(joint.offset), (frames, 1))
        rotation = rotations[joint.parent] if joint.parent >= 0 else Rotation.identity(frames)
        above = rotation
        for channel in joint.channels:
            numbers = values[:, column]
            column += 1
            if channel.endswith("position"):
                axis = "XYZ".index(channel[0])
                offset[:, axis] = numbers + (offset[:, axis] if add and index > 0 else 0.0)
            else:
                turn = Rotation.from_euler(channel[0].lower(), numbers[:, None], degrees=True)
                rotation = rotation * turn
        rotations.append(rotation)
        start = positions[:, joint.parent] if joint.parent >= 0 else 0.0
        positions[:, index] = start + above.apply(offset)
    return positions
