"""Humanoid robots: URDF, profile, kinematics, collision model, states and trajectories."""

from nextscale_core.robots.profile import RobotProfile, read_profile
from nextscale_core.robots.robot import (
    Robot,
    hold_at,
    list_robots,
    load_robot,
    load_robot_description,
)
from nextscale_core.robots.state import RobotState
from nextscale_core.robots.trajectory import RobotTrajectory, read_trajectory, write_trajectory

__all__ = [
    "Robot",
    "RobotProfile",
    "RobotState",
    "RobotTrajectory",
    "hold_at",
    "list_robots",
    "load_robot",
    "load_robot_description",
    "read_profile",
    "read_trajectory",
    "write_trajectory",
]
