"""The mock robot's action server: control_msgs/FollowJointTrajectory as ros2_controllers serves it.

The manners are those of joint_trajectory_controller: a goal is checked before it is accepted, a
newer goal or command aborts the one being executed, a canceled one is braked, and tolerances that
the goal or the configuration names are watched on the way and at the end. Its releases differ in
what follows; the parameter `controller_generation` names one.

`jazzy` (Humble to Kilted): with goal_time 0 the robot may take for ever to arrive. A new trajectory
replaces the old one, and points that are past are skipped. Joints that are left out stay where they
are.

`lyrical` (6.x, September 2026): with goal_time 0 the robot must have arrived at the end, below 0 it
may take for ever. A new trajectory is spliced into the old one at its stamp; where that is past, it
begins with its first point at once. Joints that are left out finish their old motion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from nextscale_core.exceptions import ConfigError
from nextscale_ros.messages.execution import follow_joint_trajectory
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.mock.spline_interpolation import JointPlan

FEEDBACK_EVERY = 0.05
"""Time between two feedback messages [s]; joint_trajectory_controller's own."""

RESULT_KEPT = 10.0
"""How long results wait to be fetched [s]. rclpy's 15 minutes would keep every trajectory."""

LYRICAL = "lyrical"
"""The generation of joint_trajectory_controller that splices trajectories."""

Motion = tuple[np.ndarray, np.ndarray]
"""Positions (J,) [rad] and velocities (J,) [rad/s]."""


@dataclass(frozen=True)
class Tolerances:
    """How far the robot may be from what is asked of it; 0 is any distance.

    Attributes:
        path: (J,) on the way [rad].
        path_velocity: (J,) on the way [rad/s].
        goal: (J,) at the end [rad].
        goal_velocity: (J,) at the end [rad/s].
        goal_time: How long after the end it may take to be within them [s].
    """

    path: np.ndarray
    path_velocity: np.ndarray
    goal: np.ndarray
    goal_velocity: np.ndarray
    goal_time: float = math.inf

    @classmethod
    def none(cls, joints: int) -> Tolerances:
        """Nothing is watched."""
        zero = np.zeros(joints)
        return cls(path=zero, path_velocity=zero, goal=zero, goal_velocity=zero)

    def asked(self, goal: Any, names: Sequence[str]) -> Tolerances:
        """These, with what a FollowJointTrajectory.Goal says instead.

        Raises:
            ValueError: it names a joint that is not in `names`, or a negative value that is not -1.
        """
        values = {
            name: getattr(self, name).copy()
            for name in ("path", "path_velocity", "goal", "goal_velocity")
        }
        for kind, tolerances in (("path", goal.path_tolerance), ("goal", goal.goal_tolerance)):
            for tolerance in tolerances:
                if tolerance.name not in names:
                    raise ValueError(f"{kind}_tolerance names {tolerance.name!r}, no joint of ours")
                joint = list(names).index(tolerance.name)
                for key, value in (
                    (kind, tolerance.position),
                    (f"{kind}_velocity", tolerance.velocity),
                ):
                    values[key][joint] = _resolve(float(values[key][joint]), value)
        seconds = nanoseconds(goal.goal_time_tolerance) / NANOSECONDS
        forever = seconds == -1.0
        return replace(
            self,
            **values,
            goal_time=math.inf if forever else _resolve(self.goal_time, seconds),
        )


def _resolve(default: float, asked: float) -> float:
    """0 leaves the default, -1 lifts it."""
    if asked == -1.0:
        return 0.0
    if asked < 0.0:
        raise ValueError(f"a tolerance is {asked}: must be positive, 0 or -1")
    return asked or default


def grace(goal_time: float, generation: str) -> float:
    """How long after the end the robot may take to arrive, as a controller reads its goal_time [s].

    Args:
        goal_time: The controller's parameter [s].
        generation: 'jazzy' or 'lyrical'.

    Raises:
        ConfigError: a value that this generation does not allow.
    """
    if generation == LYRICAL:
        return math.inf if goal_time < 0 else goal_time
    if goal_time < 0:
        raise ConfigError(
            f"goal_time is {goal_time}: controller_generation {generation} takes 0 (for ever) or "
            "more"
        )
    return goal_time or math.inf


def braking_plan(
    now: float, motion: Motion, deceleration: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> JointPlan:
    """From motion to rest, each joint as fast as it may, and harder where its end is near.

    Args:
        now: When it begins [s].
        motion: Of the robot at that time.
        deceleration: (J,) [rad/s^2].
        lower: (J,) position limits [rad].
        upper: (J,) position limits [rad].
    """
    position, velocity = motion
    speed = np.abs(velocity)
    room = np.clip(np.where(velocity > 0, upper - position, position - lower), 0.0, None)
    moving = speed > 0
    stop = np.zeros(len(speed))
    stop[moving] = np.minimum(speed / deceleration, 2 * room / np.maximum(speed, 1e-12))[moving]
    # Between these times every joint is on one parabola, which a cubic between points reproduces.
    times = np.unique(np.concatenate([[0.0], stop]))
    spent = np.minimum(times[:, None], stop)
    share = np.divide(spent, stop, out=np.ones_like(spent), where=stop > 0)
    positions = position + velocity * spent * (1 - share / 2)
    return JointPlan(now + times, positions, velocity * (1 - share))


class Following(Protocol):
    """What the controller needs of the robot; times are seconds since the robot began."""

    def refusals(self, trajectory: JointTrajectory) -> list[str]:
        """Why a trajectory cannot be followed; empty when it can."""

    def follow(self, trajectory: JointTrajectory) -> float:
        """Follow it; the time of its last point [s]."""

    def brake(self) -> None:
        """Come to rest."""

    def desired(self, now: float) -> Motion:
        """What is asked of the joints."""

    def measured(self, now: float) -> Motion:
        """Where the joints are."""


class _Server(ActionServer):
    """Goals end when the robot's timer says so; no thread and no coroutine waits for that.

    rclpy would run a callback for each goal and end the goal when it returns. Here none is run
    until the end is known; ActionServer schedules it then.
    """

    def notify_execute(self, goal_handle: Any, execute_callback: Callable[..., Any] | None) -> None:
        """Schedule what ends the goal, if it is given."""
        if execute_callback is not None:
            super().notify_execute(goal_handle, execute_callback)


@dataclass
class _Active:
    """The goal being executed."""

    handle: Any
    end: float
    tolerances: Tolerances
    told: float = -np.inf


class MockController:
    """Serves the action on behalf of a robot, in the thread that serves the robot.

    Args:
        node: Owns the action server.
        action: Its name.
        names: J joints.
        robot: Follows, brakes and says where it is.

    Attributes:
        tolerances: What goals are held to that name no tolerances of their own.

    Raises:
        ConfigError: control_msgs is not installed, or `goal_time` is not allowed.
    """

    def __init__(self, node: Node, action: str, names: Sequence[str], robot: Following) -> None:
        self._type = follow_joint_trajectory()
        self._node, self._names, self._robot = node, list(names), robot
        generation = str(node.get_parameter("controller_generation").value)
        goal_time = grace(float(node.get_parameter("goal_time").value), generation)
        self.tolerances = replace(Tolerances.none(len(self._names)), goal_time=goal_time)
        self._active: _Active | None = None
        self._server = _Server(
            node,
            self._type,
            action,
            execute_callback=lambda handle: self._type.Result(),
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
            result_timeout=RESULT_KEPT,
        )

    def destroy(self) -> None:
        """Serve no more."""
        self._server.destroy()

    def preempt(self, words: str) -> None:
        """Abort the goal being executed, if there is one; the robot goes on."""
        if self._active is not None:
            self._finish("abort", self._type.Result.INVALID_GOAL, words)

    def _on_goal(self, goal: Any) -> GoalResponse:
        problems = self._robot.refusals(goal.trajectory)
        if problems:
            self._node.get_logger().error(f"goal rejected: {'; '.join(problems[:5])}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_accepted(self, handle: Any) -> None:
        self.preempt("Current goal preempted by new incoming action.")
        try:
            tolerances = self.tolerances.asked(handle.request, self._names)
        except ValueError as error:
            self._node.get_logger().error(f"{error}; using the default tolerances")
            tolerances = self.tolerances
        end = self._robot.follow(handle.request.trajectory)
        self._active = _Active(handle, end, tolerances)
        handle.execute()

    def _on_cancel(self, handle: Any) -> CancelResponse:
        # The goal's state is 'canceling' only after this; look() ends it.
        if self._active is not None and self._active.handle == handle:
            self._robot.brake()
        return CancelResponse.ACCEPT

    def look(self, now: float, stamp: Time) -> None:
        """Called by the robot's timer: tell how the goal goes, and end it when it has ended."""
        active = self._active
        if active is None:
            return
        result = self._type.Result
        if active.handle.is_cancel_requested:
            self._finish("canceled", result.SUCCESSFUL, "")
            return
        desired, actual = self._robot.desired(now), self._robot.measured(now)
        error: Motion = (desired[0] - actual[0], desired[1] - actual[1])
        if now - active.told >= FEEDBACK_EVERY:
            active.told = now
            self._tell(active.handle, stamp, desired, actual, error)
        limits = active.tolerances
        if now < active.end:
            out = self._outside(error, limits.path, limits.path_velocity)
            if out:
                self._robot.brake()
                words = f"Aborted due to path tolerance violation: {out}"
                self._finish("abort", result.PATH_TOLERANCE_VIOLATED, words)
            return
        out = self._outside(error, limits.goal, limits.goal_velocity)
        late = now - active.end
        if not out:
            self._finish("succeed", result.SUCCESSFUL, "Goal successfully reached!")
        elif late > limits.goal_time:
            self._robot.brake()
            words = f"Aborted due to goal_time_tolerance exceeding by {late:.3f} seconds: {out}"
            self._finish("abort", result.GOAL_TOLERANCE_VIOLATED, words)

    def _outside(self, error: Motion, position: np.ndarray, velocity: np.ndarray) -> str:
        """Which joint is outside its tolerance; '' when none is."""
        for unit, off, limit in (("rad", error[0], position), ("rad/s", error[1], velocity)):
            bad = np.flatnonzero((limit > 0) & (np.abs(off) > limit))
            if len(bad):
                joint = int(bad[0])
                return f"{self._names[joint]} is off by {off[joint]:.3f} {unit}"
        return ""

    def _tell(
        self, handle: Any, stamp: Time, desired: Motion, actual: Motion, error: Motion
    ) -> None:
        desired_point, actual_point, error_point = (
            JointTrajectoryPoint(positions=motion[0].tolist(), velocities=motion[1].tolist())
            for motion in (desired, actual, error)
        )
        feedback = self._type.Feedback(
            joint_names=self._names, desired=desired_point, actual=actual_point, error=error_point
        )
        feedback.header.stamp = stamp
        handle.publish_feedback(feedback)

    def _finish(self, how: str, code: int, words: str) -> None:
        """Bring the goal into a final state ('succeed', 'abort' or 'canceled'), with its result."""
        assert self._active is not None
        handle, self._active = self._active.handle, None
        getattr(handle, how)()
        result = self._type.Result(error_code=code, error_string=words)
        self._server.notify_execute(handle, lambda handle: result)
        self._node.get_logger().info(f"goal ended: {words or how}")
