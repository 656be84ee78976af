"""Typed errors of nextscale.

Every error says what was wrong, with which value, and what would be right, so that a command line,
a ROS log line or a diagnostics entry can show it to a person as it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextscale_core.safety.report import SafetyReport


class NextscaleError(Exception):
    """Base class: catch this to catch every error that nextscale raises on purpose."""


class InvalidTextError(NextscaleError, ValueError):
    """The sentence cannot be used (empty, too long, control characters, no word in it)."""


class InvalidMotionError(NextscaleError, ValueError):
    """A motion array has the wrong shape, contains NaN, or is too short or too long."""


class MotionFileError(NextscaleError, ValueError):
    """A motion file (BVH, npz, HumanML3D folder, CMU folder) is missing, cut short or malformed."""


class BagError(NextscaleError, ValueError):
    """A rosbag2 recording is missing, cut short or hostile, or lacks what is asked of it."""


class ConfigError(NextscaleError, ValueError):
    """A YAML or JSON configuration has an unknown key, a missing key or a value out of range."""


class ModelLoadError(NextscaleError, RuntimeError):
    """Weights or a text encoder could not be loaded (missing, altered, wrong shapes)."""


class RobotError(NextscaleError, ValueError):
    """A robot description or profile cannot be used (unknown robot, link or joint)."""


class RetargetError(NextscaleError, RuntimeError):
    """The motion could not be mapped onto the robot."""


class UnsafeTrajectoryError(NextscaleError, RuntimeError):
    """The safety gate refused a trajectory; the message carries the reasons.

    Attributes:
        report: What the gate found, where it was the gate.
    """

    def __init__(self, message: str, report: SafetyReport | None = None) -> None:
        super().__init__(message)
        self.report = report


class GenerationCancelled(NextscaleError, RuntimeError):  # noqa: N818 (it is not a fault)
    """Generation was stopped by the caller between two passes."""
