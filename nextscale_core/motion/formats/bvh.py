"""BVH: motions as other tools exchange them.

Written: the habit of CMU, LAFAN1 and Mixamo files: centimetres, y up, facing z, a T-pose with
identity rotations, 'Zrotation Yrotation Xrotation'. Every joint has position channels too, as in
Bandai-Namco's files: the lumbar spine of real motion does not keep a fixed place in the pelvis.
Limbs keep their length. Blender imports that with its defaults.

Read: any hierarchy in which two legs, two arms and a head are found (`rigs.py`), in any axes and
unit (`world_frame.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.bone_rotations import fit_bone_rotations
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import to_y_up
from nextscale_core.motion.formats.bvh_pose import (
    fill_feet,
    forward_kinematics,
    onto_22_joints,
    rest_pose,
)
from nextscale_core.motion.formats.bvh_syntax import Bvh, BvhJoint, read_bvh_text, write_bvh_text
from nextscale_core.motion.formats.rig_tree import RigTree
from nextscale_core.motion.formats.rigs import match_rig
from nextscale_core.motion.formats.world_frame import FileFrame, to_world
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadOptions, Remark
from nextscale_core.motion.resample import resample
from nextscale_core.motion.skeleton import FPS, JOINT_NAMES, NUM_JOINTS, PARENTS

_CENTIMETRES = 100.0
_CHANNELS = ("Xposition", "Yposition", "Zposition", "Zrotation", "Yrotation", "Xrotation")
# Bones that other tools draw past the last joint [m], x forward, y left, z up.
_ENDS = {
    "head": (0.0, 0.0, 0.16),
    "left_foot": (0.07, 0.0, 0.0),
    "right_foot": (0.07, 0.0, 0.0),
    "left_wrist": (0.0, 0.09, 0.0),
    "right_wrist": (0.0, -0.09, 0.0),
}

# Most files have y up. Unit, facing and floor are anybody's choice.
_FRAME = FileFrame("y", certain=False, unit=None, floor_at_zero=False, has_forward=False)
_RIG_FRAMES = 24  # in which a rig's bones are measured


def write_bvh(clip: MotionClip, path: Path) -> None:
    """Write a motion as BVH; see the module for the conventions.

    Args:
        clip: The motion. Bones get their median length over the clip.
        path: The file.

    Raises:
        MotionFileError: the file cannot be written.
    """
    skeleton = fit_bone_rotations(clip.joints)
    order = _depth_first()
    offsets = to_y_up(skeleton.offsets) * _CENTIMETRES
    # The axes change places cyclically, so the rotation matrices do too.
    to_bvh = to_y_up(np.eye(3)).T
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

    Joints that a rig lacks are filled in: the spine is laid along the file's own spine, collars
    between neck and shoulders, toes ahead of the ankles. Where the rest pose is that of a person
    who stands, somebody without a turn against it faces x; otherwise the motion begins facing x
    as nearly as quarter turns allow.

    Args:
        path: The file.
        options: What is known of it. The unit is found by the height of the body, the vertical
            axis by the rest pose and the motion.

    Returns:
        The motion; `remarks` say what was assumed and changed.

    Raises:
        MotionFileError: missing or malformed file (with the line), joints that are not found, or
            a body that shows neither its unit nor its vertical.
    """
    path = Path(path)
    bvh = read_bvh_text(path)
    try:
        positions = forward_kinematics(bvh)
        tree = RigTree(
            [joint.name for joint in bvh.joints],
            [joint.parent for joint in bvh.joints],
            [joint.is_end for joint in bvh.joints],
            positions[:: -(-len(positions) // _RIG_FRAMES)],
        )
        match = match_rig(tree, options.joint_map)
        joints, remarks = to_world(
            onto_22_joints(bvh, match, positions), _FRAME, options, rest_pose(bvh, match)
        )
        fill_feet(joints, match)
        if options.floor:
            joints[..., 2] -= joints[..., 2].min()
        fps = options.fps or 1.0 / bvh.frame_time
        remarks = [_rate_remark(fps, options), *map(_frames_remark, bvh.remarks), *remarks]
        if match.guessed:
            found = [f"{name} = {tree.names[match.joints[name]]!r}" for name in match.guessed]
            remarks.append(Remark("joints", f"found by the bones: {', '.join(found)}"))
        return MotionClip(resample(joints, fps, FPS), FPS, remarks=tuple(remarks))
    except (MotionFileError, InvalidMotionError) as error:
        raise MotionFileError(f"{path}: {error}") from error


def _rate_remark(fps: float, options: ReadOptions) -> Remark:
    source = "as given" if options.fps else "as the file says"
    change = "" if abs(fps - FPS) < 0.01 else f", resampled to {FPS:g}"
    return Remark("rate", f"{round(fps, 2):g} frames per second {source}{change}")


def _frames_remark(message: str) -> Remark:
    return Remark("frames", message)


def _depth_first() -> list[int]:
    order: list[int] = []
    waiting = [0]
    while waiting:
        joint = waiting.pop()
        order.append(joint)
        waiting += [child for child in reversed(range(NUM_JOINTS)) if PARENTS[child] == joint]
    return order


def _continuous_zyx(matrices: np.ndarray) -> np.ndarray:
    """(T, 3) degrees about z, y, x without jumps of a full turn.

    Every rotation has two sets of such angles; the one nearer to the frame before is taken, so
    that tools which interpolate the angles show no spin.
    """
    beta = np.arcsin(np.clip(-matrices[:, 2, 0], -1.0, 1.0))
    alpha = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])
    gamma = np.arctan2(matrices[:, 2, 1], matrices[:, 2, 2])
    # At the pole only alpha -/+ gamma is defined: all of it goes to alpha.
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
