"""`RobotTrajectory`: what the robot is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import RetargetError


@dataclass(frozen=True)
class RobotTrajectory:
    """A sampled trajectory of all actuated joints and of the floating base.

    Attributes:
        robot: Name of the robot profile.
        joint_names: J names, in the order of the robot description.
        positions: (N, J) joint positions [rad].
        velocities: (N, J) joint velocities [rad/s].
        time_from_start: (N,) strictly increasing times [s].
        base_position: (N, 3) position of the root link in the world [m], z up.
        base_quaternion: (N, 4) orientation of the root link in the world, x y z w.
        fps: Sampling rate [Hz].
        text: The sentence behind it, or ''.

    Raises:
        RetargetError: arrays whose lengths do not agree.
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

    def __post_init__(self) -> None:
        n, j = len(self.time_from_start), len(self.joint_names)
        wanted = {
            "positions": (n, j),
            "velocities": (n, j),
            "time_from_start": (n,),
            "base_position": (n, 3),
            "base_quaternion": (n, 4),
        }
        for name, shape in wanted.items():
            array = np.asarray(getattr(self, name), dtype=np.float64)
            if array.shape != shape:
                raise RetargetError(f"{name} must have shape {shape}, got {array.shape}")
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.time_from_start)

    @property
    def seconds(self) -> float:
        """Time of the last point [s]."""
        return float(self.time_from_start[-1]) if len(self) else 0.0
