"""Formats of robot motion by name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.formats.registry import MotionFormat, with_arrays
from nextscale_core.robots.robot import load_robot
from nextscale_core.robots.trajectory import read_trajectory, write_trajectory
from nextscale_core.trajectory.formats.csv_files import (
    BONES_FPS,
    CSV_FPS,
    has_header,
    has_no_header,
    read_bones_csv,
    read_g1_csv,
    write_bones_csv,
    write_g1_csv,
)
from nextscale_core.trajectory.formats.robot_motion import RobotMotion, RobotReadOptions


def read_robot_npz(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read a trajectory of nextscale; it names its robot.

    Raises:
        MotionFileError: malformed file, or joints that are not the robot's.
        RobotError: unknown robot.
    """
    trajectory = read_trajectory(path)
    robot = options.robot or load_robot(trajectory.robot)
    if trajectory.joint_names != robot.joint_names:
        moving = set(trajectory.joint_names)
        if not moving < set(robot.joint_names) or options.robot is not None:
            raise MotionFileError(f"{path}: its joints are not those of {robot.name}")
        robot = load_robot(trajectory.robot, joints=trajectory.joint_names)
    return RobotMotion(robot, trajectory)


def write_robot_npz(motion: RobotMotion, path: Path) -> None:
    """Write a trajectory of nextscale.

    Raises:
        MotionFileError: the file cannot be written.
    """
    write_trajectory(motion.trajectory, path)


_TRAJECTORY = ("positions", "velocities", "time_from_start", "joint_names")

ROBOT_FORMATS = (
    MotionFormat(
        name="robot-npz",
        subject="robot",
        suffix=".npz",
        content="trajectory of nextscale, any robot, joints named",
        quaternion="xyzw",
        order="named",
        read=read_robot_npz,
        write=write_robot_npz,
        fits=with_arrays(*_TRAJECTORY),
    ),
    MotionFormat(
        name="lafan1-csv",
        subject="robot",
        suffix=".csv",
        content="36 columns of the G1, input of BeyondMimic and mjlab",
        quaternion="xyzw",
        order="MuJoCo",
        fps=CSV_FPS,
        states_fps=False,
        read=partial(read_g1_csv, order="xyzw"),
        write=partial(write_g1_csv, order="xyzw"),
        fits=has_no_header,
    ),
    MotionFormat(
        name="kimodo-csv",
        subject="robot",
        suffix=".csv",
        content="36 columns of the G1, as Kimodo writes them",
        quaternion="wxyz",
        order="MuJoCo",
        fps=CSV_FPS,
        states_fps=False,
        read=partial(read_g1_csv, order="wxyz"),
        write=partial(write_g1_csv, order="wxyz"),
        fits=has_no_header,
    ),
    MotionFormat(
        name="bones-csv",
        subject="robot",
        suffix=".csv",
        content="G1 of BONES-SEED: named columns, cm, degrees",
        quaternion="Euler",
        order="named",
        fps=BONES_FPS,
        states_fps=False,
        read=read_bones_csv,
        write=write_bones_csv,
        fits=has_header,
    ),
)
"""Formats of robot motion, in the order of `nextscale formats`."""
