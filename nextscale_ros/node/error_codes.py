"""What an exception means to whoever asked: an outcome, one error code, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from nextscale_core.estimation.joint_states import RobotStateError, SenderConflictError
from nextscale_core.exceptions import (
    ConfigError,
    GenerationCancelled,
    InvalidTextError,
    NextscaleError,
    RetargetError,
    RobotError,
    UnsafeTrajectoryError,
)
from nextscale_core.safety.report import SafetyReport
from nextscale_ros.messages.requests import RequestError
from nextscale_ros.msg import ErrorCode, MotionReport

_CHECKS = {
    "finite": ErrorCode.UNSAFE_FORM,
    "joints": ErrorCode.UNSAFE_FORM,
    "samples": ErrorCode.UNSAFE_FORM,
    "time": ErrorCode.UNSAFE_FORM,
    "position": ErrorCode.UNSAFE_POSITION,
    "velocity": ErrorCode.UNSAFE_VELOCITY,
    "acceleration": ErrorCode.UNSAFE_ACCELERATION,
    "self_collision": ErrorCode.UNSAFE_SELF_COLLISION,
    "start": ErrorCode.UNSAFE_START,
    "end": ErrorCode.UNSAFE_END,
}
"""Checks of the safety gate -> codes."""

_BAD_REQUEST = range(100, 200)


class TooLateError(UnsafeTrajectoryError):
    """A trajectory was not ready in time for a robot that moves."""


class MovedError(UnsafeTrajectoryError):
    """The robot is no longer where a trajectory begins."""


class RefusedByRulesError(UnsafeTrajectoryError):
    """joint_trajectory_controller would refuse the message."""


class GateRefusedError(UnsafeTrajectoryError):
    """The safety gate refused a trajectory.

    Args:
        report: What it found.
    """

    def __init__(self, report: SafetyReport) -> None:
        super().__init__(report.line())
        self.report = report


@dataclass(frozen=True)
class Failure:
    """Why a request did not end with a trajectory.

    Attributes:
        outcome: A constant of `MotionReport`.
        code: A constant of `ErrorCode`.
        message: For people.
    """

    outcome: str
    code: int
    message: str


def failure_of(error: BaseException) -> Failure:
    """What an exception means.

    Args:
        error: Raised while a request was served.
    """
    message = str(error)
    if isinstance(error, RequestError):
        outcome = MotionReport.BAD_INPUT if error.code in _BAD_REQUEST else MotionReport.FAILED
        return Failure(outcome, error.code, message)
    if isinstance(error, GateRefusedError):
        return Failure(MotionReport.REJECTED, gate_code(error.report), message)
    for kind, outcome, code in _KINDS:
        if isinstance(error, kind):
            return Failure(outcome, code, message)
    # Torch tells a lack of memory by RuntimeErrors of several kinds.
    if isinstance(error, MemoryError) or "out of memory" in message.lower():
        told = f"out of memory: {message}" if message else "out of memory"
        return Failure(MotionReport.FAILED, ErrorCode.OUT_OF_MEMORY, told)
    return Failure(MotionReport.FAILED, ErrorCode.UNKNOWN, f"{type(error).__name__}: {message}")


def gate_code(report: SafetyReport) -> int:
    """The code of the first check that refused a trajectory."""
    for finding in report.findings:
        if finding.severity == "rejected":
            return int(_CHECKS.get(finding.check, ErrorCode.UNKNOWN))
    return int(ErrorCode.UNKNOWN)


_KINDS: tuple[tuple[type[BaseException], str, int], ...] = (
    (GenerationCancelled, MotionReport.SUPERSEDED, ErrorCode.PREEMPTED),
    (TooLateError, MotionReport.REJECTED, ErrorCode.TOO_LATE),
    (MovedError, MotionReport.REJECTED, ErrorCode.UNSAFE_START),
    (RefusedByRulesError, MotionReport.REJECTED, ErrorCode.REFUSED_BY_RULES),
    (UnsafeTrajectoryError, MotionReport.REJECTED, ErrorCode.UNSAFE_FORM),
    (InvalidTextError, MotionReport.BAD_INPUT, ErrorCode.INVALID_TEXT),
    (SenderConflictError, MotionReport.FAILED, ErrorCode.SENDER_CONFLICT),
    (RobotStateError, MotionReport.FAILED, ErrorCode.NO_ROBOT_STATE),
    (RetargetError, MotionReport.FAILED, ErrorCode.RETARGETING_FAILED),
    (RobotError, MotionReport.FAILED, ErrorCode.RETARGETING_FAILED),
    (ConfigError, MotionReport.FAILED, ErrorCode.GENERATION_FAILED),
    (NextscaleError, MotionReport.FAILED, ErrorCode.GENERATION_FAILED),
)
"""The first that fits counts."""
