"""`RobotTrajectory`: what the robot is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import RetargetError

MAX_SAMPLES = 200_000
"""Longer trajectories are neither made nor read: an hour at 50 Hz."""


@dataclass(frozen=True)
class RobotTrajectory:
    """A sampled trajectory of all actuated joints and of the floating base.

    Attributes:
        robot: Name of the robot profile.
        joint_names: J names, in the order of `Robot.joint_names`.
        positions: (N, J) joint positions [rad].
        velocities: (N, J) joint velocities [rad/s].
        time_from_start: (N,) strictly increasing times [s].
        base_position: (N, 3) position of the root link in the world [m], z up.
        base_quaternion: (N, 4) orientation of the root link in the world, x y z w.
        fps: Sampling rate [Hz].
        text: The sentence behind it, or ''.
        source_time: (N,) time in the human clip that each sample was made from [s], NaN where it
            belongs to none; None where no clip is known.

    Raises:
        RetargetError: arrays whose lengths do not agree, or that hold no numbers.
    """

    robot: str
    joint_names: tuple[str, ...]
    positions: np.ndarray
    velocities: np.ndarray
    time_from_start: np.ndarray
    base_position: np.ndarray
    base_quaternion: np.ndarray
    fps: float
    text: str = ""
    source_time: np.ndarray | None = None

    def __post_init__(self) -> None:
        times = _numbers("time_from_start", self.time_from_start)
        n, j = times.size, len(self.joint_names)
        wanted = {
            "time_from_start": (n,),
            "positions": (n, j),
            "velocities": (n, j),
            "base_position": (n, 3),
            "base_quaternion": (n, 4),
            "fps": (),
        }
        if self.source_time is not None:
            wanted["source_time"] = (n,)
        for name, shape in wanted.items():
            array = _numbers(name, getattr(self, name))
            if array.shape != shape:
                raise RetargetError(f"{name} must have shape {shape}, got {array.shape}")
            object.__setattr__(self, name, array if shape else float(array))
        object.__setattr__(self, "joint_names", tuple(self.joint_names))

    def __len__(self) -> int:
        return len(self.time_from_start)

    @property
    def seconds(self) -> float:
        """Time of the last point [s]."""
        return float(self.time_from_start[-1]) if len(self) else 0.0


def _numbers(name: str, values: object) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RetargetError(f"{name} must hold numbers: {error}") from error
