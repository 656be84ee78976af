"""`RobotState`: measured joint positions, joint velocities and base pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import RobotError


@dataclass(frozen=True)
class RobotState:
    """The state from which a trajectory begins.

    Attributes:
        positions: (J,) measured joint positions, in the order of `Robot.joint_names` [rad].
        velocities: (J,) measured joint velocities [rad/s]; None means at rest.
        base_position: (3,) root link in the world [m], or None when unknown.
        base_quaternion: (4,) root link in the world, x y z w, or None when unknown.

    Raises:
        RobotError: arrays of the wrong length, NaN, or a quaternion that is not normalised.
    """

    positions: np.ndarray
    velocities: np.ndarray | None = None
    base_position: np.ndarray | None = None
    base_quaternion: np.ndarray | None = None

    def __post_init__(self) -> None:
        positions = _numbers("positions", self.positions)
        if positions.ndim != 1:
            raise RobotError(f"state positions must have shape (J,), got {positions.shape}")
        shapes = {
            "positions": positions.shape,
            "velocities": positions.shape,
            "base_position": (3,),
            "base_quaternion": (4,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = _numbers(name, value)
            if array.shape != shape:
                raise RobotError(f"state {name} must have shape {shape}, got {array.shape}")
            if not np.isfinite(array).all():
                raise RobotError(f"state {name} holds NaN or infinity")
            object.__setattr__(self, name, array)
        if self.base_quaternion is not None:
            norm = float(np.linalg.norm(self.base_quaternion))
            if abs(norm - 1) > 0.01:
                raise RobotError(f"state base_quaternion must have norm 1, got {norm:.3f}")
            object.__setattr__(self, "base_quaternion", self.base_quaternion / norm)


def _numbers(name: str, value: object) -> np.ndarray:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RobotError(f"state {name} must be an array of numbers: {error}") from error
