"""npz files of tracker trainers: joints and the states of all bodies in the world.

mjlab and BeyondMimic use the same names and shapes, in two orders of joints and bodies. A file is
read in one order only if forward kinematics of its joints gives its bodies.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import number_in, numbers_in, read_npz, text_in, write_npz
from nextscale_core.robots.robot import Robot
from nextscale_core.trajectory.formats.bodies import bodies, breadth_first_bodies
from nextscale_core.trajectory.formats.orders import (
    G1_JOINTS,
    columns,
    joint_tree,
)
from nextscale_core.trajectory.formats.robot_motion import (
    RobotMotion,
    RobotReadOptions,
    require_g1,
    robot_motion,
)
from nextscale_core.trajectory.reference import Reference

Order = Literal["depth", "breadth"]

TRACKER_FPS = 50.0
"""Rate that trackers of humanoids are trained at [Hz]."""

_FAR = 0.05
"""Largest typical distance between a file's bodies and those of its joints [m]."""

_CHECKED = 40
"""Frames in which bodies are compared."""

_XYZW_TO_WXYZ, _WXYZ_TO_XYZW = [3, 0, 1, 2], [1, 2, 3, 0]


def read_tracker_npz(path: Path, options: RobotReadOptions, order: Order) -> RobotMotion:
    """Read `joint_pos`, `joint_vel`, `body_pos_w`, `body_quat_w` w x y z and `fps`.

    Args:
        path: The file.
        options: Known properties.
        order: Order of joints and bodies: 'depth' first (mjlab) or 'breadth' first (BeyondMimic).
            Files with the root as their one body give no proof of it.

    Raises:
        MotionFileError: malformed file, or bodies that are not those of the joints in this order.
    """
    robot = options.robot_or_g1()
    require_g1(robot, "a tracker's npz")
    arrays = read_npz(path, ("joint_pos", "body_pos_w", "body_quat_w"))
    stated = number_in(path, arrays, "fps") if "fps" in arrays else None
    fps, notes = options.rate(stated, TRACKER_FPS)
    positions = _joints(path, arrays, "joint_pos")
    velocities = _joints(path, arrays, "joint_vel") if "joint_vel" in arrays else None
    place = _states(path, arrays, "body_pos_w", 3, len(positions))
    turn = _states(path, arrays, "body_quat_w", 4, len(positions))
    names, rows = _order(robot, order)
    motion = robot_motion(
        path, robot, names, positions, place[:, 0], turn[:, 0][:, _WXYZ_TO_XYZW], fps,
        velocities=velocities, notes=notes,
    )  # fmt: skip
    if place.shape[1] > 1:
        require_bodies(path, motion, place, rows, f"{order} first")
    return motion


def write_tracker_npz(motion: RobotMotion, path: Path, order: Order) -> None:
    """Write the arrays of `read_tracker_npz` with the velocities of all bodies.

    Linear velocities are those that the trainer compares: of the links' origins in mjlab, of
    their centres of mass in Isaac Lab.

    Raises:
        RobotError: another robot.
        MotionFileError: the file cannot be written.
    """
    require_g1(motion.robot, "a tracker's npz")
    at, fps = motion.samples()
    names, rows = _order(motion.robot, order)
    joints = columns(names, motion.robot.joint_names)
    states = bodies(motion.robot, at)[rows]
    arrays = {
        "fps": np.array([fps]),
        "joint_pos": at.positions[:, joints],
        "joint_vel": at.velocities[:, joints],
        "body_pos_w": states.positions,
        "body_quat_w": states.quaternions[..., _XYZW_TO_WXYZ],
        "body_lin_vel_w": states.linear if order == "depth" else states.centre_linear,
        "body_ang_vel_w": states.angular,
    }
    write_npz(path, _single(arrays))


def read_holomotion_npz(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read HoloMotion's reference arrays; in files the quaternion is x y z w.

    Raises:
        MotionFileError: malformed file, or bodies that are not those of the joints.
    """
    robot = options.robot_or_g1()
    require_g1(robot, "an npz of HoloMotion")
    names = ("ref_dof_pos", "ref_global_translation", "ref_global_rotation_quat", "metadata")
    arrays = read_npz(path, names)
    try:
        stated = float(json.loads(text_in(path, arrays, "metadata"))["motion_fps"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MotionFileError(
            f"{path}: 'metadata' must be JSON with 'motion_fps' ({error!r})"
        ) from error
    fps, notes = options.rate(stated, TRACKER_FPS)
    positions = _joints(path, arrays, "ref_dof_pos")
    velocities = _joints(path, arrays, "ref_dof_vel") if "ref_dof_vel" in arrays else None
    place = _states(path, arrays, "ref_global_translation", 3, len(positions))
    turn = _states(path, arrays, "ref_global_rotation_quat", 4, len(positions))
    motion = robot_motion(
        path, robot, G1_JOINTS, positions, place[:, 0], turn[:, 0], fps,
        velocities=velocities, notes=notes,
    )  # fmt: skip
    if place.shape[1] > 1:
        require_bodies(path, motion, place, _order(robot, "depth")[1], "xyzw")
    return motion


def write_holomotion_npz(motion: RobotMotion, path: Path) -> None:
    """Write HoloMotion's reference arrays and metadata.

    Raises:
        RobotError: another robot.
        MotionFileError: the file cannot be written.
    """
    require_g1(motion.robot, "an npz of HoloMotion")
    at, fps = motion.samples()
    states = bodies(motion.robot, at)
    joints = columns(G1_JOINTS, motion.robot.joint_names)
    frames = len(at.positions)
    metadata = {
        "motion_key": path.stem,
        "raw_motion_key": path.stem,
        "motion_fps": fps,
        "num_frames": frames,
        "wallclock_len": (frames - 1) / fps,
        "num_dofs": len(joints),
        "num_bodies": states.positions.shape[1],
        "clip_length": frames,
        "valid_prefix_len": frames,
    }
    arrays = {
        "ref_dof_pos": at.positions[:, joints],
        "ref_dof_vel": at.velocities[:, joints],
        "ref_global_translation": states.positions,
        "ref_global_rotation_quat": states.quaternions,
        "ref_global_velocity": states.linear,
        "ref_global_angular_velocity": states.angular,
    }
    write_npz(path, {"metadata": np.array(json.dumps(metadata)), **_single(arrays)})


def _order(robot: Robot, order: Order) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names of the joints, and rows of `body_names`, in an order."""
    tree = joint_tree(robot)
    if order == "depth":
        return tree.joints, tuple(range(1 + len(tree.joints)))
    return tuple(tree.joints[row] for row in tree.breadth_first()), breadth_first_bodies(robot)


def require_bodies(
    path: Path, motion: RobotMotion, place: np.ndarray, rows: Sequence[int], order: str
) -> None:
    """Check that forward kinematics of the joints gives the bodies of a file.

    Args:
        path: The file, for messages.
        motion: The motion of the joints.
        place: (T, B, 3) bodies in the file [m].
        rows: Which of `body_names` each of the B bodies is.
        order: Name of the order, for messages.

    Raises:
        MotionFileError: another number of bodies, or bodies that are elsewhere.
    """
    if place.shape[1] != len(rows):
        raise MotionFileError(
            f"{path} has {place.shape[1]} bodies; {len(rows)} in {order} order, or the root "
            "alone, are known"
        )
    trajectory = motion.trajectory
    frames = np.unique(np.linspace(0, len(place) - 1, _CHECKED).astype(int))
    still = np.zeros((len(frames), 3))
    at = Reference(
        trajectory.positions[frames],
        np.zeros_like(trajectory.positions[frames]),
        trajectory.base_position[frames],
        trajectory.base_quaternion[frames],
        still,
        still,
    )
    away = bodies(motion.robot, at)[rows].positions - place[frames]
    typical = float(np.sqrt(np.mean(np.sum(away**2, axis=-1))))
    if not typical < _FAR:
        raise MotionFileError(
            f"{path}: with joints and bodies in {order} order, the bodies are {typical:.2f} m "
            "from where the joints put them"
        )


def _joints(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """An array (T, 29) of joints."""
    array = numbers_in(path, arrays, name)
    if array.ndim != 2 or array.shape[1] != len(G1_JOINTS):
        raise MotionFileError(
            f"{path}: {name!r} must have {len(G1_JOINTS)} columns, got {array.shape}"
        )
    return array


def _states(
    path: Path, arrays: dict[str, np.ndarray], name: str, width: int, frames: int
) -> np.ndarray:
    """An array (T, B, width) of body states with at least the root."""
    array = numbers_in(path, arrays, name)
    if array.ndim != 3 or array.shape[0] != frames or array.shape[2] != width or not array.size:
        raise MotionFileError(
            f"{path}: {name!r} must have shape ({frames}, bodies, {width}), got {array.shape}"
        )
    return array


def _single(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same in single precision, as trainers store them."""
    return {name: array.astype(np.float32) for name, array in arrays.items()}
