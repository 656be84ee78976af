"""`RobotMotion`: a robot with its trajectory, as readers return it and writers take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import ConfigError, MotionFileError, RobotError
from nextscale_core.robots.robot import Robot, load_robot
from nextscale_core.robots.trajectory import MAX_SAMPLES, RobotTrajectory
from nextscale_core.rotations import continuous_quaternions
from nextscale_core.trajectory.formats.orders import G1_JOINTS
from nextscale_core.trajectory.reference import Reference, ReferenceCurve

Quaternion = Literal["xyzw", "wxyz"]

_MAX_ANGLE = 15.0
"""Joint position above which a file is in degrees [rad]."""

_MAX_HEIGHT = 20.0
"""Typical height of the root above which a file is in centimetres or millimetres [m]."""

_UNIT = 0.02
"""Largest difference of a quaternion's norm from 1."""


@dataclass(frozen=True)
class RobotMotion:
    """The motion of a robot.

    Attributes:
        robot: The robot.
        trajectory: Its motion.
        notes: Assumptions of the file's reader.
    """

    robot: Robot
    trajectory: RobotTrajectory
    notes: tuple[str, ...] = ()

    def noted(self, *notes: str) -> RobotMotion:
        """The same motion with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def samples(self) -> tuple[Reference, float]:
        """References at even times from the begin to the end, and their rate [Hz].

        The last one is at or just after the end, where the robot rests.
        """
        trajectory = self.trajectory
        count = int(np.ceil(trajectory.seconds * trajectory.fps - 1e-6)) + 1
        times = np.minimum(np.arange(count) / trajectory.fps, trajectory.seconds)
        return ReferenceCurve(trajectory).sample(times), trajectory.fps

    def at_rate(self, rate: float) -> RobotMotion:
        """The same motion, sampled at another rate [Hz]."""
        trajectory = self.trajectory
        if abs(trajectory.fps - rate) < 1e-6 * rate:
            return self
        count = int(np.ceil(trajectory.seconds * rate - 1e-6)) + 1
        times = np.arange(count) / rate
        at = ReferenceCurve(trajectory).sample(times)
        return replace(
            self,
            trajectory=replace(
                trajectory,
                positions=at.positions,
                velocities=at.velocities,
                time_from_start=times,
                base_position=at.base_position,
                base_quaternion=at.base_quaternion,
                fps=rate,
                source_time=None,
            ),
        )


@dataclass(frozen=True)
class RobotReadOptions:
    """Known properties of a file of robot motion.

    Attributes:
        robot: The robot, where the file does not name it; None for the G1.
        fps: Frames per second of the file [Hz]; None for the rate that the file states.
        quaternion: Order of the root's quaternion; None for that of the format.

    Raises:
        ConfigError: a rate that is not positive, or an unknown order.
    """

    robot: Robot | None = None
    fps: float | None = None
    quaternion: Quaternion | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0.1 <= self.fps <= 1000.0:
            raise ConfigError(f"fps must be within 0.1 and 1000, got {self.fps}")
        if self.quaternion not in (None, "xyzw", "wxyz"):
            raise ConfigError(f"quaternion must be xyzw or wxyz, got {self.quaternion!r}")

    def robot_or_g1(self) -> Robot:
        """The robot, or the G1 where none is given."""
        return load_robot("g1") if self.robot is None else self.robot

    def rate(self, stated: float | None, default: float) -> tuple[float, list[str]]:
        """Rate of the file [Hz], and notes: the one given, the stated one, or the format's."""
        if self.fps is not None:
            return self.fps, [f"{self.fps:g} frames per second, as given"]
        if stated is not None:
            return stated, []
        return default, [f"{default:g} frames per second assumed: the file states no rate"]


def require_g1(robot: Robot, name: str) -> None:
    """Refuse robots other than a G1 whose 29 joints all move.

    Raises:
        RobotError: another robot; the message names formats for any robot.
    """
    if set(robot.joint_names) != set(G1_JOINTS):
        moving = " with only some joints moving" if set(robot.joint_names) < set(G1_JOINTS) else ""
        raise RobotError(
            f"{name} holds the 29 joints of a Unitree G1, not {robot.name}{moving}; "
            "robot-npz, mujoco-npz, holosoma-npz and gmr-pkl hold any robot"
        )


def robot_motion(
    path: Path,
    robot: Robot,
    names: Sequence[str],
    positions: np.ndarray,
    base_position: np.ndarray,
    quaternion: np.ndarray,
    fps: float,
    *,
    velocities: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> RobotMotion:
    """The motion in the arrays of a file, checked.

    Args:
        path: The file, for messages.
        robot: The robot.
        names: Joints of the columns.
        positions: (T, M) [rad].
        base_position: (T, 3) root link in the world [m], z up.
        quaternion: (T, 4) orientation of the URDF's root link, x y z w.
        fps: Frames per second [Hz].
        velocities: (T, M) [rad/s]; None for those of a spline through the positions.
        notes: Assumptions of the reader.

    Raises:
        MotionFileError: wrong shapes, NaN, too few or too many frames, quaternions that are not
            of unit length, joints that are missing, or degrees or centimetres.
    """
    arrays = {"joint positions": positions, "root position": base_position, "root": quaternion}
    if velocities is not None:
        arrays["joint velocities"] = velocities
    frames = len(positions)
    widths = {"root position": 3, "root": 4}
    for name, array in arrays.items():
        if array.shape != (frames, widths.get(name, len(names))):
            raise MotionFileError(
                f"{path}: {name} must have shape ({frames}, {widths.get(name, len(names))}) "
                f"for {robot.name}, got {array.shape}"
            )
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            raise MotionFileError(
                f"{path}: {name} holds NaN or infinity in frame {bad[0][0]}, column {bad[0][1]}"
            )
    if not 2 <= frames <= MAX_SAMPLES:
        raise MotionFileError(f"{path} has {frames} frames; 2 to {MAX_SAMPLES} are a motion")
    if not 0.1 <= fps <= 1000.0:
        raise MotionFileError(f"{path}: the rate must be within 0.1 and 1000 Hz, got {fps:g}")
    norm = np.linalg.norm(quaternion, axis=1)
    wrong = np.abs(norm - 1.0) > _UNIT
    if wrong.any():
        frame = int(wrong.argmax())
        raise MotionFileError(
            f"{path}: the root's quaternion in frame {frame} has length {norm[frame]:.3f}, not 1"
        )
    if np.abs(positions).max() > _MAX_ANGLE:
        raise MotionFileError(
            f"{path}: a joint is at {np.abs(positions).max():.1f} rad; joints are in radians, "
            "are these degrees?"
        )
    height = float(np.median(np.abs(base_position[:, 2])))
    if height > _MAX_HEIGHT:
        raise MotionFileError(
            f"{path}: the root is typically {height:.1f} m above the floor; places are in metres, "
            "are these centimetres?"
        )
    missing = [name for name in robot.joint_names if name not in names]
    if missing:
        raise MotionFileError(f"{path} lacks joints of {robot.name}: {', '.join(missing[:6])}")
    columns = [list(names).index(name) for name in robot.joint_names]
    times = np.arange(frames) / fps
    if velocities is None:
        velocities = CubicSpline(times, positions)(times, 1)
    turn = Rotation.from_matrix(robot.profile.axes.rotation())
    base = (Rotation.from_quat(quaternion) * turn.inv()).as_quat()
    trajectory = RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=positions[:, columns],
        velocities=velocities[:, columns],
        time_from_start=times,
        base_position=base_position,
        base_quaternion=continuous_quaternions(base),
        fps=fps,
    )
    return RobotMotion(robot, trajectory, tuple(notes))
