"""Outcome, error code and message of a failed request, by exception."""

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
    UnsafeStartError,
    UnsafeTrajectoryError,
)
from nextscale_core.safety.report import SafetyReport
from nextscale_ros.messages.requests import RequestError
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.robot_state.live_reference import FarFromReferenceError

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
"""Error codes of the safety gate's checks."""

_BAD_REQUEST = range(100, 200)
"""Error codes of requests that no robot or model could serve."""


class TooLateError(UnsafeTrajectoryError):
    """A trajectory was not ready in time for a robot in motion."""


class MovedError(UnsafeTrajectoryError):
    """The robot is no longer where a trajectory begins."""


class RefusedByRulesError(UnsafeTrajectoryError):
    """joint_trajectory_controller would refuse the message."""


@dataclass(frozen=True)
class Failure:
    """Why a request ended without a trajectory.

    Attributes:
        outcome: A constant of `MotionReport`.
        code: A constant of `ErrorCode`.
        message: For people.
        safety: What the safety gate found, if it checked a trajectory.
    """

    outcome: str
    code: int
    message: str
    safety: SafetyReport | None = None


def failure_of(error: BaseException) -> Failure:
    """Classify an exception that was raised while a request was served."""
    message = str(error)
    if isinstance(error, RequestError):
        outcome = MotionReport.BAD_INPUT if error.code in _BAD_REQUEST else MotionReport.FAILED
        return Failure(outcome, error.code, message)
    safety = error.report if isinstance(error, UnsafeTrajectoryError) else None
    for kind, outcome, code in _KINDS:
        if isinstance(error, kind):
            if kind is UnsafeTrajectoryError and safety is not None:
                code, message = _gate_code(safety), safety.line()
            return Failure(outcome, code, message, safety)
    # Torch raises several kinds of RuntimeError for a lack of memory.
    if isinstance(error, MemoryError) or "out of memory" in message.lower():
        message = f"out of memory: {message}" if message else "out of memory"
        return Failure(MotionReport.FAILED, ErrorCode.OUT_OF_MEMORY, message)
    return Failure(MotionReport.FAILED, ErrorCode.UNKNOWN, f"{type(error).__name__}: {message}")


def _gate_code(report: SafetyReport) -> int:
    """The code of the first check that refused a trajectory."""
    refused = (finding.check for finding in report.findings if finding.severity == "rejected")
    return int(_CHECKS.get(next(refused, ""), ErrorCode.UNKNOWN))


_KINDS: tuple[tuple[type[BaseException], str, int], ...] = (
    (GenerationCancelled, MotionReport.SUPERSEDED, ErrorCode.PREEMPTED),
    (TooLateError, MotionReport.REJECTED, ErrorCode.TOO_LATE),
    (MovedError, MotionReport.REJECTED, ErrorCode.UNSAFE_START),
    (UnsafeStartError, MotionReport.REJECTED, ErrorCode.UNSAFE_START),
    (FarFromReferenceError, MotionReport.REJECTED, ErrorCode.UNSAFE_START),
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
"""Outcome and code by class of exception; the first match counts."""
