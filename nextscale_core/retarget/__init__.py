"""Human motion onto robots: profiles, targets, solvers, timing and the safety gate."""

from nextscale_core.retarget.approach import approach_seconds, with_approach
from nextscale_core.retarget.files import read_trajectory, write_trajectory
from nextscale_core.retarget.gate import SafetyGate
from nextscale_core.retarget.inverse import HumanHistory, robot_to_human
from nextscale_core.retarget.inverse_samples import BaseTrack, OrientationTrack, after_last_gap
from nextscale_core.retarget.loop import Cycle, close_cycle, sample_cycle
from nextscale_core.retarget.odometry import BaseSource
from nextscale_core.retarget.profile import RobotProfile, read_profile
from nextscale_core.retarget.report import Finding, GateResult, SafetyReport
from nextscale_core.retarget.retargeter import Retargeter
from nextscale_core.retarget.robot import (
    Robot,
    RobotState,
    hold_at,
    list_robots,
    load_robot,
    load_robot_description,
)
from nextscale_core.retarget.trajectory import RobotTrajectory

__all__ = [
    "BaseSource",
    "BaseTrack",
    "Cycle",
    "Finding",
    "GateResult",
    "HumanHistory",
    "OrientationTrack",
    "Retargeter",
    "Robot",
    "RobotProfile",
    "RobotState",
    "RobotTrajectory",
    "SafetyGate",
    "SafetyReport",
    "after_last_gap",
    "approach_seconds",
    "close_cycle",
    "hold_at",
    "list_robots",
    "load_robot",
    "load_robot_description",
    "read_profile",
    "read_trajectory",
    "robot_to_human",
    "sample_cycle",
    "with_approach",
    "write_trajectory",
]
