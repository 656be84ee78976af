"""Human motion onto robots: profiles, targets, solvers, timing and the safety gate."""

from nextscale_core.retarget.approach import approach_seconds, with_approach
from nextscale_core.retarget.files import read_trajectory, write_trajectory
from nextscale_core.retarget.gate import SafetyGate
from nextscale_core.retarget.profile import RobotProfile, read_profile
from nextscale_core.retarget.report import Finding, GateResult, SafetyReport
from nextscale_core.retarget.retargeter import Retargeter
from nextscale_core.retarget.robot import Robot, RobotState, list_robots, load_robot
from nextscale_core.retarget.trajectory import RobotTrajectory

__all__ = [
    "Finding",
    "GateResult",
    "Retargeter",
    "Robot",
    "RobotProfile",
    "RobotState",
    "RobotTrajectory",
    "SafetyGate",
    "SafetyReport",
    "approach_seconds",
    "list_robots",
    "load_robot",
    "read_profile",
    "read_trajectory",
    "with_approach",
    "write_trajectory",
]
