"""BVH: motions as other tools exchange them.

Written: the habit of CMU, LAFAN1 and Mixamo files: centimetres, y up, facing z, a T-pose with
identity rotations, 'Zrotation Yrotation Xrotation'. Every joint has position channels too, as in
Bandai-Namco's files: the lumbar spine of real motion does not keep a fixed place in the pelvis.
Limbs keep their length. Blender imports that with its defaults.

Read: any hierarchy whose joint names belong to a known rig (`rigs.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.bone_rotations import fit_bone_rotations
from nextscale_core.motion.bvh_syntax import Bvh, BvhJoint, read_bvh_text, write_bvh_text
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import to_y_up, to_z_up
from nextscale_core.motion.resample import resample
from nextscale_core.motion.rigs import RigMatch, match_rig
from nextscale_core.motion.skeleton import FPS, JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS

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

_UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "CMU unit": 0.0254 / 0.45}
_USUAL_BODY = 1.45  # ankle to head joint along the bones [m]
_BODY_RANGE = (0.7, 2.6)
# Where SMPL's spine joints lie between pelvis and neck, as shares of the way.
_SPINE_SHARES = (0.23, 0.49, 0.60)
_TOE_LENGTH, _TOE_DROP = 0.13, 0.05


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


def read_bvh(
    path: Path,
    *,
    up: Literal["auto", "y", "z"] = "auto",
    metres_per_unit: float | None = None,
    floor: bool = True,
) -> MotionClip:
    """Read a BVH file onto the 22 joints at 20 fps.

    Joints that a rig lacks are filled in: the spine is laid along the file's own spine, collars
    between neck and shoulders, toes ahead of the ankles.

    Args:
        path: The file.
        up: The file's vertical axis; 'auto' takes the one along which the head is above the feet,
            y in doubt.
        metres_per_unit: Length of the file's unit [m]; None guesses m, cm, mm, inch or CMU's
            unit from the height of the body.
        floor: Put the lowest point of the motion at z = 0; otherwise heights stay as they are.

    Returns:
        The motion; x forward where the file's character faces its z axis.

    Raises:
        MotionFileError: missing or malformed file (with the line), unknown rig, or a body whose
            height fits no unit.
    """
    path = Path(path)
    bvh = read_bvh_text(path)
    try:
        match = match_rig([joint.name for joint in bvh.joints])
        with np.errstate(over="ignore", invalid="ignore"):
            positions = _forward_kinematics(bvh)
        if not np.isfinite(positions).all():
            raise MotionFileError("positions overflow: the file's numbers are too large")
        joints = _onto_22_joints(bvh, match, positions)
        scale = _guess_unit(joints) if metres_per_unit is None else metres_per_unit
        joints = resample(joints * scale, 1.0 / bvh.frame_time, FPS)
        if up == "z" or (up == "auto" and _is_z_up(joints)):
            joints = joints.copy()
        else:
            joints = to_z_up(joints)
        _fill_feet(joints, match)
        if floor:
            joints[..., 2] -= joints[..., 2].min()
        return MotionClip(joints, FPS)
    except (MotionFileError, InvalidMotionError) as error:
        raise MotionFileError(f"{path}: {error}") from error


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


def _forward_kinematics(bvh: Bvh) -> np.ndarray:
    """(T, N, 3) positions of all joints and End Sites, in the file's unit and axes."""
    frames = len(bvh.values)
    positions = np.empty((frames, len(bvh.joints), 3))
    rotations: list[Rotation] = []
    column = 0
    for index, joint in enumerate(bvh.joints):
        offset = np.tile(np.array(joint.offset), (frames, 1))
        rotation = rotations[joint.parent] if joint.parent >= 0 else Rotation.identity(frames)
        above = rotation
        for channel in joint.channels:
            values = bvh.values[:, column]
            column += 1
            if channel.endswith("position"):
                # A position channel stands in the place of the offset, as Blender reads it.
                offset[:, "XYZ".index(channel[0])] = values
            else:
                turn = Rotation.from_euler(channel[0].lower(), values[:, None], degrees=True)
                rotation = rotation * turn
        rotations.append(rotation)
        start = positions[:, joint.parent] if joint.parent >= 0 else 0.0
        positions[:, index] = start + above.apply(offset)
    return positions


def _onto_22_joints(bvh: Bvh, match: RigMatch, positions: np.ndarray) -> np.ndarray:
    """(T, 22, 3) in the file's unit and axes; toes that the rig lacks are left at the ankles."""
    joints = np.empty((len(positions), NUM_JOINTS, 3))
    for name, index in match.joints.items():
        joints[:, JOINT_INDEX[name]] = positions[:, index]
    shoulders = joints[:, [JOINT_INDEX["left_shoulder"], JOINT_INDEX["right_shoulder"]]]
    if "neck" not in match.joints:
        joints[:, JOINT_INDEX["neck"]] = shoulders.mean(axis=1)
    neck = joints[:, JOINT_INDEX["neck"]]
    spine = positions[:, list(match.spine)]
    if len(match.spine) != len(_SPINE_SHARES):
        spine = _along_spine(joints[:, 0], spine, neck)
    for number in range(len(_SPINE_SHARES)):
        joints[:, JOINT_INDEX[f"spine{number + 1}"]] = spine[:, number]
    if "head" not in match.joints:
        joints[:, JOINT_INDEX["head"]] = neck + 0.6 * (neck - joints[:, JOINT_INDEX["spine3"]])
    for number, side in enumerate(("left", "right")):
        if f"{side}_collar" not in match.joints:
            low_neck = neck + 0.3 * (joints[:, JOINT_INDEX["spine3"]] - neck)
            collar = low_neck + 0.4 * (shoulders[:, number] - low_neck)
            joints[:, JOINT_INDEX[f"{side}_collar"]] = collar
        if f"{side}_foot" not in match.joints:
            ankle = match.joints[f"{side}_ankle"]
            ends = [i for i, j in enumerate(bvh.joints) if j.is_end and j.parent == ankle]
            joints[:, JOINT_INDEX[f"{side}_foot"]] = positions[:, ends[0] if ends else ankle]
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
    """Put toes that the file does not have ahead of the ankles, as far as the body faces."""
    across = joints[:, JOINT_INDEX["left_hip"]] - joints[:, JOINT_INDEX["right_hip"]]
    forward = np.cross(across, [0.0, 0.0, 1.0])
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    for side in ("left", "right"):
        ankle, foot = joints[:, JOINT_INDEX[f"{side}_ankle"]], JOINT_INDEX[f"{side}_foot"]
        missing = np.linalg.norm(joints[:, foot] - ankle, axis=-1) < 1e-6
        if f"{side}_foot" not in match.joints and missing.all():
            joints[:, foot] = ankle + _TOE_LENGTH * forward - [0.0, 0.0, _TOE_DROP]


def _guess_unit(joints: np.ndarray) -> float:
    """Metres in the file's unit, by the length of the body along its bones."""
    chain = ("left_ankle", "left_knee", "left_hip", "pelvis", "spine2", "neck", "head")
    points = joints[:, [JOINT_INDEX[name] for name in chain]]
    body = float(np.median(np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(axis=-1)))
    if body > 0.0:
        scale = min(_UNITS.values(), key=lambda s: abs(np.log(body * s / _USUAL_BODY)))
        if _BODY_RANGE[0] <= body * scale <= _BODY_RANGE[1]:
            return scale
    raise MotionFileError(
        f"the body measures {body:.4g} units from ankle to head, which is no human in "
        f"{', '.join(_UNITS)}; give metres_per_unit"
    )


def _is_z_up(joints: np.ndarray) -> bool:
    ankles = joints[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]].mean(axis=1)
    _, y, z = np.median(joints[:, JOINT_INDEX["head"]] - ankles, axis=0)
    return bool(z > 2.0 * abs(y))
