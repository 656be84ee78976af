"""Where to begin, when the request says so itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from nextscale_core.estimation.history import RobotHistory
from nextscale_core.estimation.joint_states import RobotStateError
from nextscale_core.robots import Robot, RobotState
from nextscale_ros.messages.requests import RequestError
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.plan import Surroundings
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.state_monitor import Now

NEAR = 0.05
"""A motion that is to be executed begins where the robot is: so near it must be to the start state
that was asked for [rad]."""


class StartsAt:
    """A robot that stands still in a given posture; for plans that are not executed.

    Args:
        robot: The robot.
        start: Joint positions by name [rad]; joints that are not named stand as they are measured,
            and in the nominal posture where they are not measured.
        around: Tells what is measured.
        clock: A clock that never steps back [s].

    Raises:
        RequestError: the posture cannot be taken.
    """

    def __init__(
        self,
        robot: Robot,
        start: Mapping[str, float],
        around: Surroundings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_start(robot, start)
        self._robot, self._start, self._around, self._clock = robot, start, around, clock

    def past(self, settings: Settings, ahead: float) -> RobotHistory | None:
        """Nothing: the robot has never been there."""
        return None

    def now(self, settings: Settings, ahead: float = 0.0) -> Now | None:
        """The given posture."""
        try:
            measured = self._around.now(settings)
        except RobotStateError:
            measured = None
        positions = (
            self._robot.nominal if measured is None else measured.measured.positions
        ).copy()
        for index, name in enumerate(self._robot.joint_names):
            positions[index] = self._start.get(name, positions[index])
        nothing = RobotHistory(np.empty(0), np.empty((0, self._robot.num_joints)))
        state = RobotState(positions, np.zeros_like(positions))
        return Now(state, self._clock(), nothing, {}, real=False)


class StartsNear:
    """Where the robot is, if that is where the request wants to begin.

    Args:
        robot: The robot.
        start: Joint positions by name [rad].
        around: Tells what is measured.

    Raises:
        RequestError: the posture cannot be taken.
    """

    def __init__(self, robot: Robot, start: Mapping[str, float], around: Surroundings) -> None:
        check_start(robot, start)
        self._robot, self._start, self._around = robot, start, around

    def past(self, settings: Settings, ahead: float) -> RobotHistory | None:
        """What was measured."""
        return self._around.past(settings, ahead)

    def now(self, settings: Settings, ahead: float = 0.0) -> Now | None:
        """What is measured.

        Raises:
            RequestError: that is somewhere else.
        """
        now = self._around.now(settings, ahead)
        if now is None:
            return None
        for index, name in enumerate(self._robot.joint_names):
            off = abs(self._start.get(name, at := now.measured.positions[index]) - at)
            if off > NEAR:
                raise RequestError(
                    ErrorCode.INVALID_START_STATE,
                    f"start_state has {name} at {self._start[name]:.3f} rad, where it is measured "
                    f"at {at:.3f}: a motion that is executed begins where the robot is, within "
                    f"{NEAR} rad; use plan_only to plan from elsewhere",
                )
        return now


def check_start(robot: Robot, start: Mapping[str, float]) -> None:
    """Make sure that the robot can stand so.

    Raises:
        RequestError: a joint that it does not have, or outside of its limits.
    """
    place = {name: index for index, name in enumerate(robot.joint_names)}
    unknown = sorted(set(start) - set(place) - set(robot.held))
    if unknown:
        raise RequestError(
            ErrorCode.INVALID_START_STATE,
            f"start_state names joints that {robot.name} does not move: {', '.join(unknown[:5])}; "
            f"it moves {', '.join(robot.joint_names)}",
        )
    for name, at in start.items():
        if name not in place:
            continue
        low, high = robot.position_lower[place[name]], robot.position_upper[place[name]]
        if not low <= at <= high:
            raise RequestError(
                ErrorCode.INVALID_START_STATE,
                f"start_state has {name} at {at:.3f} rad, its limits are {low:.3f} to {high:.3f}",
            )
