"""Where the motion of a request begins: in the measured, in a given or in no particular state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nextscale_core.estimation.history import RobotHistory
from nextscale_core.estimation.joint_states import RobotStateError
from nextscale_core.robots import Robot, RobotState
from nextscale_ros.messages.requests import Request, RequestError
from nextscale_ros.msg import ErrorCode
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.state_monitor import NOT_EXECUTED, Now, StateMonitor

NEAR = 0.05
"""Maximum distance of a joint between robot and start of a motion that is executed [rad]."""


StartKind = Literal["measured", "given", "nowhere"]
"""Where the robot is; in the posture that the request states, which is not executed; or in the
motion's own first pose."""


@dataclass(frozen=True)
class Start:
    """Where the motion of one request begins.

    Attributes:
        kind: See `StartKind`.
        monitor: State of the robot; unused for "nowhere".
        robot: The robot; unused for "nowhere".
        posture: Joint positions that the request states, by name [rad].
        executed: Whether the trajectory is sent to the robot. Only then an unknown state is an
            error, and a stated posture must be where the robot is.
        clock: Clock of the robot's states [s].
    """

    kind: StartKind
    monitor: StateMonitor | None = None
    robot: Robot | None = None
    posture: Mapping[str, float] | None = None
    executed: bool = True
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(
        cls,
        request: Request,
        robot: Robot,
        monitor: StateMonitor,
        clock: Callable[[], float] = time.monotonic,
    ) -> Start:
        """The start that a request asks for.

        Raises:
            RequestError: the robot cannot take the posture that the request states.
        """
        if request.start is not None:
            check_posture(robot, request.start)
        given = request.start is not None and request.plan_only
        kind: StartKind = "given" if given else "measured"
        return cls(kind, monitor, robot, request.start, not request.plan_only, clock)

    def past(self, settings: Settings, ahead: float) -> RobotHistory | None:
        """The robot's past that the motion continues, or None; see `StateMonitor.past`."""
        if self.kind != "measured" or self.monitor is None:
            return None
        return self.monitor.past(settings, ahead)

    def margin(self, settings: Settings) -> float:
        """Time from sending to a take-over [s]; see `StateMonitor.margin`."""
        return settings.takeover_margin if self.monitor is None else self.monitor.margin(settings)

    def read(self, settings: Settings, ahead: float = 0.0) -> Now | None:
        """Read the state that a trajectory begins in, or None for its own first pose.

        Args:
            settings: Parameters of the request.
            ahead: Time from the measured state to the take-over of the new motion, for a robot
                that follows a plan [s].

        Raises:
            RequestError: the robot is not where the request states.
            RobotStateError: the state is unknown, and the motion is to be executed.
        """
        if self.kind == "nowhere" or self.monitor is None:
            return None
        if self.kind == "given":
            return self._given(settings)
        if not self.executed:
            settings = replace(settings, state_policy=NOT_EXECUTED)
        now = self.monitor.now(settings, ahead)
        if now is not None and self.posture is not None:
            self._check_near(now.measured.positions)
        return now

    def wait_for_first(self, settings: Settings, check: Callable[[], None]) -> None:
        """Wait for the first joint states; see `StateMonitor.wait_for_first`."""
        if self.monitor is not None:
            self.monitor.wait_for_first(settings, check)

    def _given(self, settings: Settings) -> Now:
        """The given posture, completed by the measured or else the nominal one."""
        assert self.robot is not None and self.monitor is not None and self.posture is not None
        try:
            measured = self.monitor.now(settings)
        except RobotStateError:
            measured = None
        positions = self.robot.nominal if measured is None else measured.measured.positions
        positions = np.array(
            [
                self.posture.get(name, at)
                for name, at in zip(self.robot.joint_names, positions, strict=True)
            ]
        )
        nothing = RobotHistory(np.empty(0), np.empty((0, self.robot.num_joints)))
        state = RobotState(positions, np.zeros_like(positions))
        return Now(state, self.clock(), nothing, {}, real=False)

    def _check_near(self, positions: np.ndarray) -> None:
        assert self.robot is not None and self.posture is not None
        for name, at in zip(self.robot.joint_names, positions, strict=True):
            if abs(self.posture.get(name, at) - at) > NEAR:
                raise RequestError(
                    ErrorCode.INVALID_START_STATE,
                    f"start_state has {name} at {self.posture[name]:.3f} rad, but it is measured "
                    f"at {at:.3f}: a motion that is executed begins where the robot is, within "
                    f"{NEAR} rad; use plan_only to plan from elsewhere",
                )


NOWHERE = Start("nowhere", executed=False)
"""Start in the motion's own first pose."""


def check_posture(robot: Robot, posture: Mapping[str, float], what: str = "start_state") -> None:
    """Check that the robot can take a posture.

    Args:
        robot: The robot.
        posture: Positions by joint [rad].
        what: What the request calls it, for the error.

    Raises:
        RequestError: an unknown joint, or a position outside of its limits.
    """
    place = {name: index for index, name in enumerate(robot.joint_names)}
    unknown = sorted(set(posture) - set(place) - set(robot.held))
    if unknown:
        raise RequestError(
            ErrorCode.INVALID_START_STATE,
            f"{what} names joints that {robot.name} does not move: {', '.join(unknown[:5])}; "
            f"it moves {', '.join(robot.joint_names)}",
        )
    for name, at in posture.items():
        if name not in place:
            continue
        low, high = robot.position_lower[place[name]], robot.position_upper[place[name]]
        if not low <= at <= high:
            raise RequestError(
                ErrorCode.INVALID_START_STATE,
                f"{what} has {name} at {at:.3f} rad, its limits are {low:.3f} to {high:.3f}",
            )
