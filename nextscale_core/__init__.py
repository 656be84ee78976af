"""Text to motion for humanoid robots and avatars, without ROS."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextscale_core.model.options import GenerationOptions
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.motion.constraints import Keyframe, Residual, Target, Waypoint
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_core.planning import MotionPlanner, plan
    from nextscale_core.retarget.retargeter import Retargeter
    from nextscale_core.robots.robot import load_robot
    from nextscale_core.robots.state import RobotState
    from nextscale_core.robots.trajectory import RobotTrajectory
    from nextscale_core.safety.gate import SafetyGate
    from nextscale_core.stopwatch import Run

__all__ = [
    "GenerationOptions",
    "Keyframe",
    "MotionClip",
    "MotionPipeline",
    "MotionPlanner",
    "Residual",
    "Retargeter",
    "RobotState",
    "RobotTrajectory",
    "Run",
    "SafetyGate",
    "Target",
    "Waypoint",
    "load_robot",
    "plan",
]

_PUBLIC = {
    "GenerationOptions": "model.options",
    "Keyframe": "motion.constraints",
    "MotionClip": "motion.clip",
    "MotionPipeline": "pipeline",
    "MotionPlanner": "planning",
    "Residual": "motion.constraints",
    "Retargeter": "retarget.retargeter",
    "RobotState": "robots.state",
    "RobotTrajectory": "robots.trajectory",
    "Run": "stopwatch",
    "SafetyGate": "safety.gate",
    "Target": "motion.constraints",
    "Waypoint": "motion.constraints",
    "load_robot": "robots.robot",
    "plan": "planning",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import on demand: torch and pinocchio take seconds, and few programs need both."""
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
