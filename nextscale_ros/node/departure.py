"""Begin of a trajectory, decided at the time of sending.

A trajectory begins in a state that was measured before it was planned, checked and converted, and
then takes time to reach the controller. joint_trajectory_controller skips points whose time is past
on arrival, and its release of 2026 may begin with the first of them: either way the robot would
jump. So no point that is sent is past.

- For a robot at rest the stamp is zero: the controller begins on arrival, however late.
- For a robot in motion only future points are sent, stamped with the time of the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from builtin_interfaces.msg import Time
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_core.safety.checks import check_start
from nextscale_ros.messages.conversions import duration
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.node.error_codes import MovedError, TooLateError
from nextscale_ros.node.start_state import NEAR
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.splice import Splice

JERK = 0.03
"""Maximum distance of a joint between the active trajectory and its successor [rad]."""

_APPROACHES = np.arange(0.0, 0.31, 0.02)
"""Candidate times from a nearby state to the first point, shortest first [s]."""

_CYCLES = 0.02
"""Time for a controller to reach the velocities of the first point [s]."""


@dataclass(frozen=True)
class Departure:
    """Time and first point of a trajectory that is sent.

    Attributes:
        plan: The active trajectory from now on.
        begin: Time of time_from_start 0 on the clock of the plan [s]; None for on arrival.
        first: Index of the first point that is sent.
        shift: Offset added to the time_from_start of every point [s].
    """

    plan: ActiveTrajectory
    begin: float | None = None
    first: int = 0
    shift: float = 0.0

    def apply(self, message: JointTrajectory | MultiDOFJointTrajectory, stamp: Time | None) -> None:
        """Apply stamp, first point and offset to a message of the whole trajectory, in place.

        Args:
            message: The message.
            stamp: `begin` on the robot's clock; None where it is None.
        """
        message.header.stamp = Time() if stamp is None else stamp
        if self.first:
            message.points = message.points[self.first :]
        if self.shift:
            for point in message.points:
                seconds = nanoseconds(point.time_from_start) / NANOSECONDS + self.shift
                point.time_from_start = duration(seconds)


def at_rest(
    robot: Robot, trajectory: RobotTrajectory, state: RobotState | None, now: float
) -> Departure:
    """Begin on arrival, with the robot near the first point.

    Where the robot is further from the first point than the gate allows, that point is delayed by
    the time that the controller's spline needs to reach it within the limits.

    Args:
        robot: The robot.
        trajectory: Passed by the gate.
        state: State measured now; None where unknown.
        now: Time of sending [s].

    Raises:
        MovedError: the robot is too far from the first point, or has another velocity.
    """
    shift = 0.0
    if state is not None:
        _check_place(robot, trajectory, state)
        shift = _approach(robot, trajectory, state)
        trajectory = _later(trajectory, shift)
    return Departure(ActiveTrajectory(trajectory, now, on_arrival=True), shift=shift)


def _check_place(robot: Robot, trajectory: RobotTrajectory, state: RobotState) -> None:
    again = "send the sentence again when it stands"
    off = np.abs(state.positions - trajectory.positions[0])
    joint = int(off.argmax())
    if off[joint] > NEAR:
        raise MovedError(
            f"the robot was moved while its motion was made: {robot.joint_names[joint]} is "
            f"{off[joint]:.3f} rad from where the trajectory begins, the limit is {NEAR}; {again}"
        )
    if state.velocities is None:
        return
    change = np.abs(state.velocities - trajectory.velocities[0])
    allowed = robot.acceleration_limit * _CYCLES
    joint = int((change / allowed).argmax())
    if change[joint] > allowed[joint]:
        raise MovedError(
            f"the robot moves, but not by a trajectory of this node: {robot.joint_names[joint]} is "
            f"{change[joint]:.2f} rad/s faster or slower than the trajectory begins, the limit is "
            f"{allowed[joint]:.2f}; {again}"
        )


def _approach(robot: Robot, trajectory: RobotTrajectory, state: RobotState) -> float:
    """Delay of the first point with which it is reached within the limits [s]."""
    state = RobotState(state.positions, trajectory.velocities[0])
    for seconds in _APPROACHES:
        if not (findings := check_start(robot, _later(trajectory, float(seconds)), state)):
            return float(seconds)
    raise MovedError(f"the trajectory cannot be reached: {findings[0].message}")


def _later(trajectory: RobotTrajectory, seconds: float) -> RobotTrajectory:
    return replace(trajectory, time_from_start=trajectory.time_from_start + seconds)


def under_way(trajectory: RobotTrajectory, lead: Splice, now: float, margin: float) -> Departure:
    """Take over from the active trajectory at the first point that the message can arrive for.

    Args:
        trajectory: Passed by the gate; begins at `lead.time`.
        lead: What the robot does until the take-over, as known now.
        now: Time of sending [s].
        margin: Time for the way to the controller [s]. With 0 the last point before now comes
            first, for a controller that skips past points.

    Raises:
        TooLateError: the robot would jump at that point.
    """
    due = lead.time + trajectory.time_from_start
    if margin > 0:
        first = int(np.searchsorted(due, now + margin))
    else:
        first = max(int(np.searchsorted(due, now, "right")) - 1, 0)
    if first >= len(due):
        raise TooLateError("the trajectory was over before it could be sent")
    begin = float(due[first])
    jump = lead.missed_by(trajectory, max(begin, now))
    if jump >= JERK:
        raise TooLateError(
            f"the trajectory was ready too late: sent now, it would take over {jump:.3f} rad from "
            f"where the robot will be, the limit is {JERK}"
        )
    plan = ActiveTrajectory(trajectory, lead.time)
    return Departure(plan, begin, first, -float(trajectory.time_from_start[first]))
