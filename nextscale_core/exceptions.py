"""Typed errors of nextscale.

Every message states the invalid value and what would be valid, so that a command line, a ROS log
or a diagnostics entry can show it unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextscale_core.safety.report import SafetyReport


class NextscaleError(Exception):
    """Base class of all errors that nextscale raises on purpose."""


class InvalidTextError(NextscaleError, ValueError):
    """A sentence is empty, too long, or holds control characters or no word."""


class InvalidMotionError(NextscaleError, ValueError):
    """A motion array has the wrong shape or rate, contains NaN, or is too short or too long."""


class MotionFileError(NextscaleError, ValueError):
    """A motion file (BVH, npz, HumanML3D folder, CMU folder) is missing, truncated or malformed."""


class BagError(NextscaleError, ValueError):
    """A rosbag2 recording is missing, truncated or malformed, or lacks the requested data."""


class ConfigError(NextscaleError, ValueError):
    """A configuration or an option has an unknown name, a missing key or a value out of range."""


class ModelLoadError(NextscaleError, RuntimeError):
    """Weights or a text encoder cannot be loaded (missing, altered, wrong shapes)."""


class RobotError(NextscaleError, ValueError):
    """A robot description or profile cannot be used (unknown robot, link or joint)."""


class RetargetError(NextscaleError, RuntimeError):
    """A motion cannot be mapped onto the robot."""


class UnsafeStartError(RetargetError):
    """No motion can begin where the robot was measured."""


class UnsafeTrajectoryError(NextscaleError, RuntimeError):
    """The safety gate refused a trajectory; the message carries the reasons.

    Attributes:
        report: What the gate found, where it was the gate.
    """

    def __init__(self, message: str, report: SafetyReport | None = None) -> None:
        super().__init__(message)
        self.report = report


class GenerationCancelled(NextscaleError, RuntimeError):  # noqa: N818 (it is not an error)
    """The caller cancelled generation between two passes."""
