"""Columns of a robot's motion in shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.trajectory.formats.robot_motion import RobotMotion


@dataclass(frozen=True)
class Column:
    """A value of every frame.

    Attributes:
        of: Attribute of `Reference`.
        unit: Its unit; '' for quaternions.
        meaning: What it is, and in which frame.
    """

    of: str
    unit: str
    meaning: str


COLUMNS = {
    "joint_positions": Column("positions", "rad", "joints, in the order of joint_names"),
    "joint_velocities": Column("velocities", "rad/s", "joints, in the order of joint_names"),
    "root_position": Column("base_position", "m", "root link in the world, z up, floor at z = 0"),
    "root_quaternion": Column("base_quaternion", "", "root link in the world, x y z w"),
    "root_linear_velocity": Column("linear_velocity", "m/s", "root link, in its own frame"),
    "root_angular_velocity": Column("angular_velocity", "rad/s", "root link, in its own frame"),
}
"""Columns of shards, each (frames, width) float32."""


def columns_of(motion: RobotMotion) -> dict[str, np.ndarray]:
    """The columns of a motion, in frames at even times from its begin to its end."""
    samples, _ = motion.samples()
    return {
        name: getattr(samples, column.of).astype(np.float32) for name, column in COLUMNS.items()
    }
