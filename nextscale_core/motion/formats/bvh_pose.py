"""Positions of a BVH file's joints, and the 22 joints made of them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.formats.bvh_syntax import Bvh
from nextscale_core.motion.formats.rigs import RigMatch
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS

# Where SMPL's spine joints lie between pelvis and neck, and its pelvis between hips and neck, as
# shares of the way.
_SPINE_SHARES = (0.23, 0.49, 0.60)
_PELVIS_SHARE = 0.14
_TOE_LENGTH, _TOE_DROP = 0.13, 0.05  # [m]
_STEADY = 0.5  # a rotation that changes less belongs to the file's axes [deg]


def forward_kinematics(bvh: Bvh) -> np.ndarray:
    """(T, N, 3) positions of all joints and End Sites, in the file's unit and axes.

    Position channels stand in the place of the OFFSET, as Blender reads them; where they are small
    against it in most joints, they are added to it.

    Raises:
        MotionFileError: the numbers overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        positions = _posed(bvh, bvh.values, _adds_to_offset(bvh))
    if not np.isfinite(positions).all():
        raise MotionFileError("positions overflow: the file's numbers are too large")
    return positions


def rest_pose(bvh: Bvh, match: RigMatch) -> np.ndarray:
    """(22, 3) joints without rotations, in the file's unit and axes.

    Joints above the pelvis that never turn keep their rotation: they only say where the file's
    axes point.
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
    return onto_22_joints(bvh, match, _posed(bvh, row[None], _adds_to_offset(bvh)))[0]


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


def _posed(bvh: Bvh, values: np.ndarray, add: bool) -> np.ndarray:
    frames = len(values)
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


def onto_22_joints(bvh: Bvh, match: RigMatch, positions: np.ndarray) -> np.ndarray:
    """The 22 joints, those that the rig lacks built from the others.

    The spine is laid along the file's own spine, collars between neck and shoulders; toes are left
    at the ankles until the vertical is known (`fill_feet`).

    Args:
        bvh: The file.
        match: Which of its joints are ours.
        positions: (T, N, 3) positions of its joints.

    Returns:
        (T, 22, 3) in the file's unit and axes.
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


def fill_feet(joints: np.ndarray, match: RigMatch) -> None:
    """Put toes that the file does not have ahead of the ankles, as far as the body faces."""
    across = joints[:, JOINT_INDEX["left_hip"]] - joints[:, JOINT_INDEX["right_hip"]]
    forward = np.cross(across, [0.0, 0.0, 1.0])
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    for side in ("left", "right"):
        ankle, foot = joints[:, JOINT_INDEX[f"{side}_ankle"]], JOINT_INDEX[f"{side}_foot"]
        if f"{side}_foot" not in match.joints:
            joints[:, foot] = ankle + _TOE_LENGTH * forward - [0.0, 0.0, _TOE_DROP]
