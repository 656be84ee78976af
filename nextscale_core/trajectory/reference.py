"""Whole-body references for controllers that balance: joints, root pose and root twist.

Trackers and walking controllers take a reference at a fixed rate instead of a trajectory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import continuous_quaternions

REFERENCE_RATE = 50.0
"""References per second that trackers of humanoids are trained with [Hz]."""


@dataclass(frozen=True)
class Reference:
    """The whole-body reference of one moment, or of N moments with a leading axis N.

    Attributes:
        positions: (J,) joint positions, in the order of `Robot.joint_names` [rad].
        velocities: (J,) joint velocities [rad/s].
        base_position: (3,) root link in the world [m], z up.
        base_quaternion: (4,) root link in the world, x y z w.
        linear_velocity: (3,) of the root link, in its own frame [m/s].
        angular_velocity: (3,) of the root link, in its own frame [rad/s].
    """

    positions: np.ndarray
    velocities: np.ndarray
    base_position: np.ndarray
    base_quaternion: np.ndarray
    linear_velocity: np.ndarray
    angular_velocity: np.ndarray

    def __getitem__(self, index: int | slice) -> Reference:
        """One moment, or some moments, of N."""
        return Reference(*(value[index] for value in vars(self).values()))


def standing_reference(
    positions: np.ndarray, base_position: np.ndarray, base_quaternion: np.ndarray
) -> Reference:
    """The reference of a robot that stands still."""
    zeros = np.zeros(3)
    return Reference(
        positions, np.zeros_like(positions), base_position, base_quaternion, zeros, zeros
    )


class ReferenceCurve:
    """A trajectory as a continuous reference, at rest before its begin and after its end.

    Joints follow the cubic Hermite splines that joint_trajectory_controller executes; the root
    follows cubic splines of position and orientation, whose derivatives are the twist.

    Args:
        trajectory: At least two samples.
    """

    def __init__(self, trajectory: RobotTrajectory) -> None:
        times = trajectory.time_from_start
        self.trajectory = trajectory
        self._begin, self._end = float(times[0]), float(times[-1])
        self._joints = CubicHermiteSpline(times, trajectory.positions, trajectory.velocities)
        self._base = CubicSpline(times, trajectory.base_position)
        quaternions = continuous_quaternions(trajectory.base_quaternion)
        self._turn = RotationSpline(times, Rotation.from_quat(quaternions))

    @property
    def seconds(self) -> float:
        """Time of the last sample [s]."""
        return self._end

    def sample(self, times: np.ndarray) -> Reference:
        """References at times since the trajectory's begin.

        Args:
            times: (N,) [s].

        Returns:
            N references.
        """
        times = np.asarray(times, dtype=np.float64)
        inside = np.clip(times, self._begin, self._end)
        moving = ((times >= self._begin) & (times <= self._end))[:, None]
        turn = self._turn(inside)
        return Reference(
            positions=self._joints(inside),
            velocities=np.where(moving, self._joints(inside, 1), 0.0),
            base_position=self._base(inside),
            base_quaternion=turn.as_quat(),
            linear_velocity=np.where(moving, turn.inv().apply(self._base(inside, 1)), 0.0),
            # RotationSpline's rates are in the frame of the body.
            angular_velocity=np.where(moving, self._turn(inside, 1), 0.0),
        )
