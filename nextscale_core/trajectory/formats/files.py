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
from nextscale_core.trajectory.formats.gmr import read_gmr, read_twist2, write_gmr, write_twist2
from nextscale_core.trajectory.formats.motion_library import (
    is_motion_library,
    read_motion_library,
    write_motion_library,
)
from nextscale_core.trajectory.formats.qpos_npz import (
    HOLOSOMA_FPS,
    read_holosoma_npz,
    read_qpos_npz,
    write_holosoma_npz,
    write_qpos_npz,
)
from nextscale_core.trajectory.formats.robot_motion import RobotMotion, RobotReadOptions
from nextscale_core.trajectory.formats.sonic import is_sonic, read_sonic, write_sonic
from nextscale_core.trajectory.formats.tracker_npz import (
    TRACKER_FPS,
    read_holomotion_npz,
    read_tracker_npz,
    write_holomotion_npz,
    write_tracker_npz,
)


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


_tracker = with_arrays("joint_pos", "body_pos_w", "body_quat_w", without=("joint_names",))
_TRAJECTORY = ("positions", "velocities", "time_from_start", "joint_names")

ROBOT_FORMATS = (
    MotionFormat(
        name="robot-npz",
        subject="robot",
        suffix=".npz",
        content="trajectory of nextscale",
        quaternion="xyzw",
        order="named",
        read=read_robot_npz,
        write=write_robot_npz,
        fits=with_arrays(*_TRAJECTORY),
    ),
    MotionFormat(
        name="lafan1-csv",
        subject="robot",
        robot="g1",
        suffix=".csv",
        content="36 columns, input of BeyondMimic and mjlab",
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
        robot="g1",
        suffix=".csv",
        content="36 columns, as Kimodo writes them",
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
        robot="g1",
        suffix=".csv",
        content="columns of BONES-SEED: cm, degrees",
        quaternion="Euler",
        order="named",
        fps=BONES_FPS,
        states_fps=False,
        read=read_bones_csv,
        write=write_bones_csv,
        fits=has_header,
    ),
    MotionFormat(
        name="mjlab-npz",
        subject="robot",
        robot="g1",
        suffix=".npz",
        content="joints and bodies for trackers of mjlab",
        quaternion="wxyz",
        order="MuJoCo",
        fps=TRACKER_FPS,
        read=partial(read_tracker_npz, order="depth"),
        write=partial(write_tracker_npz, order="depth"),
        fits=_tracker,
    ),
    MotionFormat(
        name="beyondmimic-npz",
        subject="robot",
        robot="g1",
        suffix=".npz",
        content="joints and bodies for BeyondMimic and TextOp",
        quaternion="wxyz",
        order="Isaac Lab",
        fps=TRACKER_FPS,
        read=partial(read_tracker_npz, order="breadth"),
        write=partial(write_tracker_npz, order="breadth"),
        fits=_tracker,
    ),
    MotionFormat(
        name="holosoma-npz",
        subject="robot",
        suffix=".npz",
        content="joints and bodies for holosoma",
        quaternion="wxyz",
        order="named",
        fps=HOLOSOMA_FPS,
        read=read_holosoma_npz,
        write=write_holosoma_npz,
        fits=with_arrays("joint_pos", "joint_names"),
    ),
    MotionFormat(
        name="holomotion-npz",
        subject="robot",
        robot="g1",
        suffix=".npz",
        content="joints and bodies for HoloMotion",
        quaternion="xyzw",
        order="MuJoCo",
        fps=TRACKER_FPS,
        read=read_holomotion_npz,
        write=write_holomotion_npz,
        fits=with_arrays("ref_dof_pos"),
    ),
    MotionFormat(
        name="mujoco-npz",
        subject="robot",
        suffix=".npz",
        content="qpos; also holosoma's retargeted motion and OmniRetarget",
        quaternion="wxyz",
        order="MuJoCo",
        read=read_qpos_npz,
        write=write_qpos_npz,
        fits=with_arrays("qpos"),
    ),
    MotionFormat(
        name="gmr-pkl",
        subject="robot",
        suffix=".pkl",
        content="pickle of GMR",
        quaternion="xyzw",
        order="MuJoCo",
        read=read_gmr,
        write=write_gmr,
        fits=lambda path: not is_motion_library(path),
    ),
    MotionFormat(
        name="motionlib-pkl",
        subject="robot",
        suffix=".pkl",
        content="motion library of SONIC, PBHC and ASAP (joblib)",
        quaternion="xyzw",
        order="MuJoCo",
        read=read_motion_library,
        write=write_motion_library,
        fits=is_motion_library,
    ),
    MotionFormat(
        name="twist2-npz",
        subject="robot",
        robot="g1",
        suffix=".npz",
        content="arrays of GMR with the places of all links, for TWIST2",
        quaternion="xyzw",
        order="MuJoCo",
        read=read_twist2,
        write=write_twist2,
        fits=with_arrays("root_pos", "root_rot", "dof_pos"),
    ),
    MotionFormat(
        name="sonic",
        subject="robot",
        robot="g1",
        suffix="",
        content="folder of CSV files for SONIC",
        quaternion="wxyz",
        order="Isaac Lab",
        fps=TRACKER_FPS,
        states_fps=False,
        read=read_sonic,
        write=write_sonic,
        fits=is_sonic,
    ),
)
"""Formats of robot motion, in the order of `nextscale formats`."""
