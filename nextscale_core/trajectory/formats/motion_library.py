"""Pickles of motion libraries, as SONIC, PBHC and ASAP train on them: joblib files of one motion.

Sources: gear_sonic/data_process/convert_soma_csv_to_motion_lib.py of NVlabs/GR00T-WholeBodyControl
(29 joints) and motion_source/convert_lafan_pkl.py of TeleHuman/PBHC (23 joints, without wrists).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import whole_file
from nextscale_core.robots.description import joint_axis
from nextscale_core.trajectory.formats.evidence import by_evidence
from nextscale_core.trajectory.formats.orders import G1_JOINTS, columns, commanded
from nextscale_core.trajectory.formats.restricted_pickle import (
    PICKLE_FPS,
    plain_pickle,
    read_plain,
    stated_rate,
    table_in,
)
from nextscale_core.trajectory.formats.robot_motion import (
    Quaternion,
    RobotMotion,
    RobotReadOptions,
    robot_motion,
)

_WRISTS = tuple(name for name in G1_JOINTS if "_wrist_" in name)


def is_motion_library(path: Path) -> bool:
    """Whether a pickle holds the arrays of a motion library."""
    try:
        return bool(_motions(read_plain(path)))
    except MotionFileError:
        return False


def read_motion_library(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read `root_trans_offset`, `root_rot` x y z w, `dof` in MuJoCo's order and `fps`.

    With 23 columns, the wrists of the G1 stand at 0.

    Raises:
        MotionFileError: malformed file, one that asks for code, or more than one motion.
    """
    content = read_plain(path)
    motions = _motions(content)
    if len(motions) != 1:
        known = ", ".join(list(motions)[:5]) or ", ".join(sorted(content)[:10]) or "none"
        raise MotionFileError(
            f"{path} holds {len(motions)} motions with 'dof' and 'root_trans_offset'; one a file "
            f"is read; it has: {known}"
        )
    entry = next(iter(motions.values()))
    root = table_in(path, entry, "root_trans_offset")
    turn = table_in(path, entry, "root_rot")
    joints = table_in(path, entry, "dof")
    if turn.shape[1] != 4:
        raise MotionFileError(f"{path}: 'root_rot' must have 4 columns, got {turn.shape}")
    fps, notes = options.rate(stated_rate(path, entry), PICKLE_FPS)
    robot = options.robot_or_g1()
    names = commanded(robot)
    missing = len(names) - joints.shape[1]
    if missing == len(_WRISTS) and set(names) == set(G1_JOINTS):
        order = tuple(name for name in names if name not in _WRISTS)
        names = order + _WRISTS
        joints = np.concatenate([joints, np.zeros((len(joints), missing))], axis=1)
        notes = [*notes, "wrists at 0: the file holds the G1's other 23 joints"]
    elif missing:
        raise MotionFileError(
            f"{path}: 'dof' has {joints.shape[1]} columns, {robot.name} has {len(names)} "
            "joints; give the robot of the file (convert --source-robot, other commands --robot)"
        )

    def as_order(order: Quaternion) -> RobotMotion:
        quaternion = turn if order == "xyzw" else turn[:, [1, 2, 3, 0]]
        return robot_motion(path, robot, names, joints, root, quaternion, fps, notes=notes)

    return by_evidence(as_order, "xyzw", options.quaternion)


def write_motion_library(motion: RobotMotion, path: Path) -> None:
    """Write a library of one motion, named as the file, for any robot.

    `pose_aa` (T, 1 + joints, 3) are the rotation vectors of the root and about the joints' axes;
    `smpl_joints` (T, 24, 3) are zero, as in files made from robot motion.

    Raises:
        MotionFileError: the file cannot be written.
    """
    at, fps = motion.samples()
    robot = motion.robot
    names = commanded(robot)
    joints = at.positions[:, columns(names, robot.joint_names)]
    root = robot.root_quaternion(at.base_quaternion)
    axes = np.stack([joint_axis(robot.model, robot.model.getJointId(name)) for name in names])
    turns = [Rotation.from_quat(root).as_rotvec()[:, None], axes * joints[..., None]]
    entry = {
        "root_trans_offset": at.base_position.astype(np.float32),
        "pose_aa": np.concatenate(turns, axis=1).astype(np.float32),
        "dof": joints.astype(np.float32),
        "root_rot": root.astype(np.float32),
        "smpl_joints": np.zeros((len(joints), 24, 3), dtype=np.float32),
        "fps": int(fps) if fps == int(fps) else fps,
    }
    with whole_file(path) as stream:
        stream.write(plain_pickle({path.stem: entry}))


def _motions(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Name -> arrays of each motion in a file."""
    entries = {"": content, **content}
    return {
        name: entry
        for name, entry in entries.items()
        if isinstance(entry, Mapping) and {"dof", "root_trans_offset"} <= entry.keys()
    }
