"""A robot trajectory with the robot's own meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.robots.kinematics import Poses
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.viz.figure import Figure
from nextscale_core.viz.links import require_joints, robot_body
from nextscale_core.viz.mesh import Mesh

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot


def robot_figure(robot: Robot, trajectory: RobotTrajectory, *, detail: float = 0.014) -> Figure:
    """Give a trajectory a body to be drawn with.

    Args:
        robot: The robot that the trajectory is for.
        trajectory: The motion.
        detail: Size of the smallest feature of a mesh that is kept [m].

    Raises:
        RobotError: the trajectory's joints are not the robot's.
    """
    require_joints(robot, trajectory)
    body = robot_body(robot, detail)
    turned = Rotation.from_quat(trajectory.base_quaternion)
    turns, origins = body.poses(
        Poses(trajectory.base_position, turned.as_matrix(), trajectory.positions)
    )

    def mesh(frame: int) -> Mesh:
        places = zip(body.links, turns[frame], origins[frame], strict=True)
        return Mesh.joined([link.mesh.placed(turn, origin) for link, turn, origin in places])

    return Figure(
        title=trajectory.text or robot.name,
        fps=trajectory.fps,
        root=trajectory.base_position,
        forward=heading(trajectory.base_quaternion),
        footprints=np.zeros((0, 2, 2)),
        legend={},
        mesh=mesh,
    )


def heading(base_quaternion: np.ndarray) -> np.ndarray:
    """(T, 2) horizontal unit vectors that a base faces, from (T, 4) x y z w."""
    facing = Rotation.from_quat(base_quaternion).apply([1.0, 0.0, 0.0])[:, :2]
    return facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
