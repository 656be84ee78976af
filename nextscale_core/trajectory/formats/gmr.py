"""Motion of GMR (pickle) and TWIST2 (npz): root, joints, and bodies seen from the root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import read_npz, whole_file, write_npz
from nextscale_core.robots.robot import Robot
from nextscale_core.trajectory.formats.bodies import bodies
from nextscale_core.trajectory.formats.evidence import by_evidence
from nextscale_core.trajectory.formats.orders import columns, commanded
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
    require_g1,
    robot_motion,
)
from nextscale_core.trajectory.reference import Reference

_ARRAYS = ("root_pos", "root_rot", "dof_pos")


def read_gmr(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read `root_pos`, `root_rot` x y z w, `dof_pos` in MuJoCo's order and `fps` from a pickle.

    GMR's script for Xsens writes w x y z: the motion decides.

    Raises:
        MotionFileError: malformed file, or one that asks for code.
    """
    return _read(path, read_plain(path), options)


def write_gmr(motion: RobotMotion, path: Path) -> None:
    """Write GMR's pickle, for any robot, with the arrays of `read_gmr`.

    Raises:
        MotionFileError: the file cannot be written.
    """
    content = {**_content(motion), "local_body_pos": None, "link_body_list": None}
    with whole_file(path) as stream:
        stream.write(plain_pickle(content))


def read_twist2(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read the arrays of `read_gmr` from an npz.

    Raises:
        MotionFileError: malformed file.
    """
    require_g1(options.robot_or_g1(), "twist2-npz")
    return _read(path, dict(read_npz(path, _ARRAYS)), options)


def write_twist2(motion: RobotMotion, path: Path) -> None:
    """Write the arrays of GMR with `local_body_pos` (T, B, 3) of the links `link_body_list`.

    Raises:
        RobotError: another robot.
        MotionFileError: the file cannot be written.
    """
    require_g1(motion.robot, "twist2-npz")
    content, links = _content(motion), _links(motion.robot)
    joints = motion.samples()[0].positions
    zero = np.zeros((len(joints), 3))
    upright = np.tile([0.0, 0.0, 0.0, 1.0], (len(joints), 1))
    at = Reference(joints, np.zeros_like(joints), zero, upright, zero, zero)
    content["local_body_pos"] = bodies(motion.robot, at, links).positions.astype(np.float32)
    content["link_body_list"] = np.array(links, dtype=np.str_)
    write_npz(path, {name: np.asarray(value) for name, value in content.items()})


def _links(robot: Robot) -> list[str]:
    """All links, those of fixed joints included, each after the one it hangs on."""
    return [frame.name for frame in robot.model.frames if frame.type == pin.FrameType.BODY]


def _content(motion: RobotMotion) -> dict[str, Any]:
    at, fps = motion.samples()
    robot = motion.robot
    joints = columns(commanded(robot), robot.joint_names)
    return {
        "fps": int(fps) if fps == int(fps) else fps,
        "root_pos": at.base_position,
        "root_rot": robot.root_quaternion(at.base_quaternion),
        "dof_pos": at.positions[:, joints],
    }


def _read(path: Path, content: dict[str, Any], options: RobotReadOptions) -> RobotMotion:
    robot = options.robot_or_g1()
    root, turn, joints = (table_in(path, content, name) for name in _ARRAYS)
    fps, notes = options.rate(stated_rate(path, content), PICKLE_FPS)
    names = commanded(robot)
    if joints.shape[1] != len(names):
        raise MotionFileError(
            f"{path}: 'dof_pos' has {joints.shape[1]} columns, {robot.name} has {len(names)} "
            "joints; give the robot of the file (convert --source-robot, other commands --robot)"
        )

    def as_order(order: Quaternion) -> RobotMotion:
        quaternion = turn if order == "xyzw" else turn[:, [1, 2, 3, 0]]
        return robot_motion(path, robot, names, joints, root, quaternion, fps, notes=notes)

    if turn.shape[1] != 4:
        raise MotionFileError(f"{path}: 'root_rot' must have 4 columns, got {turn.shape}")
    return by_evidence(as_order, "xyzw", options.quaternion)
