"""Result of an execution by a trajectory controller, with the error codes of this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus

from nextscale_core.exceptions import ConfigError
from nextscale_ros.msg import ErrorCode

_CODES = {
    # joint_trajectory_controller gives this code to goals that it drops, never to refused ones.
    "INVALID_GOAL": ErrorCode.EXECUTION_ABORTED,
    "INVALID_JOINTS": ErrorCode.CONTROLLER_REFUSED,
    "OLD_HEADER_TIMESTAMP": ErrorCode.CONTROLLER_REFUSED,
    "PATH_TOLERANCE_VIOLATED": ErrorCode.PATH_TOLERANCE_VIOLATED,
    "GOAL_TOLERANCE_VIOLATED": ErrorCode.GOAL_TOLERANCE_VIOLATED,
}
"""Error codes of this package by names of FollowJointTrajectory's error codes."""


def follow_joint_trajectory() -> Any:
    """Import the action type control_msgs/FollowJointTrajectory.

    Raises:
        ConfigError: control_msgs is not installed.
    """
    try:
        from control_msgs.action import FollowJointTrajectory
    except ImportError as error:
        raise ConfigError(
            "FollowJointTrajectory needs control_msgs: on a ROS installation apt install "
            "ros-$ROS_DISTRO-control-msgs; elsewhere build nextscale anew (make setup), which "
            f"brings a substitute; or use output: topic ({error})"
        ) from error
    return FollowJointTrajectory


@dataclass(frozen=True)
class ExecutionResult:
    """Result of an execution.

    Attributes:
        code: nextscale_ros/ErrorCode; NONE when the last point was reached.
        message: What happened, including the controller's own message.
    """

    code: int
    message: str


def execution_result(status: int, error_code: int, error_string: str) -> ExecutionResult:
    """Translate the controller's result.

    Args:
        status: action_msgs/GoalStatus.
        error_code: FollowJointTrajectory's.
        error_string: The controller's own message; may be empty.
    """
    words = f": {error_string}" if error_string else ""
    result = follow_joint_trajectory().Result
    if status == GoalStatus.STATUS_CANCELED:
        return ExecutionResult(ErrorCode.CANCELED, f"the execution was canceled{words}")
    if status == GoalStatus.STATUS_SUCCEEDED and error_code == result.SUCCESSFUL:
        return ExecutionResult(ErrorCode.NONE, f"executed{words}")
    for name, code in _CODES.items():
        if error_code == getattr(result, name):
            reason = name.lower().replace("_", " ")
            return ExecutionResult(code, f"the controller gave up, {reason}{words}")
    return ExecutionResult(
        ErrorCode.EXECUTION_ABORTED,
        f"the controller gave up, status {status} and error code {error_code}{words}",
    )
