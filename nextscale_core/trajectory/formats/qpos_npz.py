"""npz files in MuJoCo's coordinates: ours, holosoma's, and OmniRetarget's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import number_in, numbers_in, read_npz, write_npz
from nextscale_core.trajectory.formats.bodies import Bodies, bodies, body_names
from nextscale_core.trajectory.formats.evidence import by_evidence
from nextscale_core.trajectory.formats.orders import columns, commanded
from nextscale_core.trajectory.formats.robot_motion import (
    Quaternion,
    RobotMotion,
    RobotReadOptions,
    robot_motion,
)

QPOS_FPS = 30.0
"""Rate of files with qpos that state none [Hz]."""


HOLOSOMA_FPS = 50.0
"""Rate of holosoma's training data that states none [Hz]."""


def read_qpos_npz(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read `qpos` (T, 7 + J): place, quaternion w x y z, joints; optional `joint_names`, `fps`.

    OmniRetarget has the quaternion before the place: the four columns of unit length decide.
    Columns behind those of the robot are the place of an object, and left out.

    Raises:
        MotionFileError: malformed file, or a quaternion in neither place.
    """
    robot = options.robot_or_g1()
    arrays = read_npz(path, ("qpos",))
    names = commanded(robot)
    if "joint_names" in arrays:
        names = tuple(str(name) for name in arrays["joint_names"].reshape(-1))
    stated = number_in(path, arrays, "fps") if "fps" in arrays else None
    fps, notes = options.rate(stated, QPOS_FPS)
    qpos, width = numbers_in(path, arrays, "qpos"), 7 + len(names)
    if qpos.ndim != 2 or qpos.shape[1] not in (width, width + 7):
        raise MotionFileError(
            f"{path}: 'qpos' must have {width} columns for {robot.name}, got {qpos.shape}; give "
            "another robot with --source-robot"
        )
    velocities = None
    if "qvel" in arrays:
        velocities = _wide(path, arrays, "qvel", qpos.shape[1] - 1 - (qpos.shape[1] > width))
        velocities = velocities[:, 6 : width - 1]
    if qpos.shape[1] > width:
        notes.append("the last 7 columns of 'qpos', the pose of an object, left out")
    behind, before = (_unit_share(qpos[:, part]) for part in (slice(3, 7), slice(0, 4)))
    place, turn = qpos[:, :3], qpos[:, 3:7]
    if before > 0.99 > behind:
        place, turn = qpos[:, 4:7], qpos[:, :4]
        notes.append("the quaternion stands before the place, as in OmniRetarget's data")

    def as_order(order: Quaternion) -> RobotMotion:
        quaternion = turn if order == "xyzw" else turn[:, [1, 2, 3, 0]]
        return robot_motion(
            path, robot, names, qpos[:, 7:width], place, quaternion, fps,
            velocities=velocities, notes=notes,
        )  # fmt: skip

    return by_evidence(as_order, "wxyz", options.quaternion)


def write_qpos_npz(motion: RobotMotion, path: Path) -> None:
    """Write `qpos`, `qvel`, `joint_names`, `fps`, for any robot.

    Raises:
        MotionFileError: the file cannot be written.
    """
    qpos, qvel, fps, _ = generalised(motion)
    names = np.array(commanded(motion.robot), dtype=np.str_)
    write_npz(path, {"qpos": qpos, "qvel": qvel, "fps": np.array(fps), "joint_names": names})


def read_holosoma_npz(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read holosoma's training data: `joint_pos` (T, 7 + J) as MuJoCo's qpos, `joint_names`.

    Raises:
        MotionFileError: malformed file, or joints that the robot lacks.
    """
    robot = options.robot_or_g1()
    arrays = read_npz(path, ("joint_pos", "joint_names"))
    names = [str(name) for name in arrays["joint_names"].reshape(-1)]
    stated = number_in(path, arrays, "fps") if "fps" in arrays else None
    fps, notes = options.rate(stated, HOLOSOMA_FPS)
    qpos = _wide(path, arrays, "joint_pos", 7 + len(names))
    velocities = None
    if "joint_vel" in arrays:
        velocities = _wide(path, arrays, "joint_vel", 6 + len(names))[:, 6:]
    return robot_motion(
        path, robot, names, qpos[:, 7:], qpos[:, :3], qpos[:, 3:7][:, [1, 2, 3, 0]], fps,
        velocities=velocities, notes=notes,
    )  # fmt: skip


def write_holosoma_npz(motion: RobotMotion, path: Path) -> None:
    """Write holosoma's training data, for any robot, with the names of joints and bodies.

    As in MuJoCo, the first body is the world, linear velocities of bodies are those of their
    centres of mass, and the root's angular velocity in `joint_vel` is in the root's frame.

    Raises:
        MotionFileError: the file cannot be written.
    """
    qpos, qvel, fps, states = generalised(motion)
    world = np.zeros((len(qpos), 1, 3))
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (len(qpos), 1, 1))
    quaternions = states.quaternions[..., [3, 0, 1, 2]]
    arrays = {
        "fps": np.array([fps]),
        "joint_pos": qpos,
        "joint_vel": qvel,
        "body_pos_w": np.concatenate([world, states.positions], axis=1),
        "body_quat_w": np.concatenate([upright, quaternions], axis=1),
        "body_lin_vel_w": np.concatenate([world, states.centre_linear], axis=1),
        "body_ang_vel_w": np.concatenate([world, states.angular], axis=1),
    }
    names_too = {
        "joint_names": np.array(commanded(motion.robot), dtype=np.str_),
        "body_names": np.array(["world", *body_names(motion.robot)], dtype=np.str_),
    }
    write_npz(path, {**arrays, **names_too})


def generalised(motion: RobotMotion) -> tuple[np.ndarray, np.ndarray, float, Bodies]:
    """MuJoCo's coordinates and velocities.

    Returns:
        qpos (N, 7 + J): place [m], quaternion w x y z, joints in the order of the URDF [rad];
        qvel (N, 6 + J): the root's velocity in the world [m/s], its rate of turn in its own frame
        [rad/s], joints [rad/s]; rate [Hz]; states of all bodies.
    """
    robot = motion.robot
    at, fps = motion.samples()
    states = bodies(robot, at)
    joints = columns(commanded(robot), robot.joint_names)
    root = robot.root_quaternion(at.base_quaternion)
    own_rate = Rotation.from_quat(root).inv().apply(states.angular[:, 0])
    qpos = [at.base_position, root[:, [3, 0, 1, 2]], at.positions[:, joints]]
    qvel = [states.linear[:, 0], own_rate, at.velocities[:, joints]]
    return np.concatenate(qpos, axis=1), np.concatenate(qvel, axis=1), fps, states


def _wide(path: Path, arrays: dict[str, np.ndarray], name: str, width: int) -> np.ndarray:
    """An array (T, width)."""
    array = numbers_in(path, arrays, name)
    if array.ndim != 2 or array.shape[1] != width:
        raise MotionFileError(f"{path}: {name!r} must have {width} columns, got {array.shape}")
    return array


def _unit_share(columns_: np.ndarray) -> float:
    """Share of rows (T, 4) of length 1."""
    if not len(columns_):
        return 0.0
    return float(np.mean(np.abs(np.linalg.norm(columns_, axis=1) - 1.0) < 0.01))
