"""The mock robot's action server: control_msgs/FollowJointTrajectory by ros2_controllers' rules.

Behaves as joint_trajectory_controller: a goal is checked before it is accepted, a newer goal or
command aborts the active one, a canceled goal is braked, and the tolerances of the goal or of the
configuration are checked on the path and at the end. The parameter `controller_generation` selects
the release to imitate:

- `jazzy` (Humble to Kilted): goal_time 0 means no time limit. A new trajectory replaces the old
  one, and points in the past are skipped. Joints that a trajectory omits stay where they are.
- `lyrical` (6.x, September 2026): goal_time 0 means no time after the end, below 0 no limit. A new
  trajectory is spliced into the old one at its stamp; if the stamp is past, it begins at once with
  its first point. Omitted joints finish their old motion.
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
from nextscale_ros.robot_state.spline_interpolation import JointPlan

FEEDBACK_EVERY = 0.05
"""Period of feedback messages, as in joint_trajectory_controller [s]."""

RESULT_KEPT = 10.0
"""Lifetime of unfetched results [s]; rclpy's 15 minutes would keep every trajectory in memory."""

_RESOLUTION = 1e-6
"""Least time between two points of a plan [s]."""

LYRICAL = "lyrical"
"""Release of joint_trajectory_controller that splices trajectories."""

Motion = tuple[np.ndarray, np.ndarray]
"""Positions (J,) [rad] and velocities (J,) [rad/s]."""


@dataclass(frozen=True)
class Tolerances:
    """Maximum deviation from the command; 0 means unlimited.

    Attributes:
        path: (J,) on the path [rad].
        path_velocity: (J,) on the path [rad/s].
        goal: (J,) at the end [rad].
        goal_velocity: (J,) at the end [rad/s].
        goal_time: Maximum time after the end until the goal tolerances hold [s].
    """

    path: np.ndarray
    path_velocity: np.ndarray
    goal: np.ndarray
    goal_velocity: np.ndarray
    goal_time: float = math.inf

    @classmethod
    def none(cls, joints: int) -> Tolerances:
        """Unlimited tolerances for a number of joints."""
        zero = np.zeros(joints)
        return cls(path=zero, path_velocity=zero, goal=zero, goal_velocity=zero)

    def asked(self, goal: Any, names: Sequence[str]) -> Tolerances:
        """These tolerances, overridden by those of a FollowJointTrajectory.Goal.

        Raises:
            ValueError: the goal names a joint that is not in `names`, or a negative value other
                than -1.
        """
        values = {
            name: getattr(self, name).copy()
            for name in ("path", "path_velocity", "goal", "goal_velocity")
        }
        for kind, tolerances in (("path", goal.path_tolerance), ("goal", goal.goal_tolerance)):
            for tolerance in tolerances:
                if tolerance.name not in names:
                    raise ValueError(f"{kind}_tolerance names the unknown joint {tolerance.name!r}")
                joint = list(names).index(tolerance.name)
                for key, value in (
                    (kind, tolerance.position),
                    (f"{kind}_velocity", tolerance.velocity),
                ):
                    values[key][joint] = _resolve(float(values[key][joint]), value)
        seconds = nanoseconds(goal.goal_time_tolerance) / NANOSECONDS
        goal_time = math.inf if seconds == -1.0 else _resolve(self.goal_time, seconds)
        return replace(self, **values, goal_time=goal_time)


def _resolve(default: float, asked: float) -> float:
    """A tolerance by control_msgs' rules: 0 keeps the default, -1 removes the limit."""
    if asked == -1.0:
        return 0.0
    if asked < 0.0:
        raise ValueError(f"a tolerance must be positive, 0 or -1, got {asked}")
    return asked or default


def grace(goal_time: float, generation: str) -> float:
    """Maximum time from the end of a trajectory to arrival, from the parameter goal_time [s].

    Args:
        goal_time: Parameter of the controller [s].
        generation: 'jazzy' or 'lyrical'.

    Raises:
        ConfigError: a value that this release does not accept.
    """
    if generation == LYRICAL:
        return math.inf if goal_time < 0 else goal_time
    if goal_time < 0:
        raise ConfigError(
            f"goal_time must be at least 0 (0: no limit) with controller_generation {generation}, "
            f"got {goal_time}"
        )
    return goal_time or math.inf


def braking_plan(
    now: float, motion: Motion, deceleration: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> JointPlan:
    """A plan that stops each joint at its maximum deceleration, harder near a position limit.

    Args:
        now: Start time [s].
        motion: Motion of the robot at that time.
        deceleration: (J,) maximum deceleration [rad/s^2].
        lower: (J,) position limits [rad].
        upper: (J,) position limits [rad].
    """
    position, velocity = motion
    speed = np.abs(velocity)
    room = np.clip(np.where(velocity > 0, upper - position, position - lower), 0.0, None)
    moving = speed > 0
    stop = np.zeros(len(speed))
    stop[moving] = np.minimum(speed / deceleration, 2 * room / np.maximum(speed, 1e-12))[moving]
    # Between these times every joint follows one parabola, which a cubic reproduces exactly.
    # Joints that stop at almost the same time share one: times of a spline must differ.
    times = np.unique(np.ceil(np.concatenate([[0.0], stop]) / _RESOLUTION)) * _RESOLUTION
    spent = np.minimum(times[:, None], stop)
    share = np.divide(spent, stop, out=np.ones_like(spent), where=stop > 0)
    positions = position + velocity * spent * (1 - share / 2)
    return JointPlan(now + times, positions, velocity * (1 - share))


class Following(Protocol):
    """Interface of the robot for its controller; times are seconds since the robot's start."""

    def refusals(self, trajectory: JointTrajectory) -> list[str]:
        """Reasons to reject a trajectory; empty if it is valid."""

    def follow(self, trajectory: JointTrajectory) -> float:
        """Follow a trajectory; returns the time of its last point [s]."""

    def brake(self) -> None:
        """Stop the joints."""

    def desired(self, now: float) -> Motion:
        """Commanded motion of the joints."""

    def measured(self, now: float) -> Motion:
        """Measured motion of the joints."""


class _Server(ActionServer):
    """Action server whose goals are ended by the robot's timer, without a waiting thread.

    rclpy runs an execute callback per goal and ends the goal when it returns; here the callback is
    scheduled only once the result is known.
    """

    def notify_execute(self, goal_handle: Any, execute_callback: Callable[..., Any] | None) -> None:
        """Schedule the callback that ends the goal, if given."""
        if execute_callback is not None:
            super().notify_execute(goal_handle, execute_callback)


@dataclass
class _Active:
    """The active goal."""

    handle: Any
    end: float
    tolerances: Tolerances
    last_feedback: float = -np.inf


class MockController:
    """Serves the action for a robot, in the robot's own thread.

    Args:
        node: Owner of the action server.
        action: Name of the action.
        names: Names of the J joints.
        robot: The robot to command.

    Attributes:
        tolerances: Default tolerances of goals.

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
        """Destroy the action server."""
        self._server.destroy()

    def preempt(self, words: str) -> None:
        """Abort the active goal, if any; the robot's motion continues."""
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
        # The goal's state becomes 'canceling' after this callback; look() ends it.
        if self._active is not None and self._active.handle == handle:
            self._robot.brake()
        return CancelResponse.ACCEPT

    def look(self, now: float, stamp: Time) -> None:
        """Publish feedback and end a finished goal; called by the robot's timer."""
        active = self._active
        if active is None:
            return
        result = self._type.Result
        if active.handle.is_cancel_requested:
            self._finish("canceled", result.SUCCESSFUL, "")
            return
        desired, actual = self._robot.desired(now), self._robot.measured(now)
        error: Motion = (desired[0] - actual[0], desired[1] - actual[1])
        if now - active.last_feedback >= FEEDBACK_EVERY:
            active.last_feedback = now
            self._publish_feedback(active.handle, stamp, desired, actual, error)
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
        """The first joint outside its tolerance, as a sentence; '' if there is none."""
        for unit, off, limit in (("rad", error[0], position), ("rad/s", error[1], velocity)):
            bad = np.flatnonzero((limit > 0) & (np.abs(off) > limit))
            if len(bad):
                joint = int(bad[0])
                return f"{self._names[joint]} is off by {off[joint]:.3f} {unit}"
        return ""

    def _publish_feedback(
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
        """End the active goal ('succeed', 'abort' or 'canceled') with a result."""
        assert self._active is not None
        handle, self._active = self._active.handle, None
        getattr(handle, how)()
        result = self._type.Result(error_code=code, error_string=words)
        self._server.notify_execute(handle, lambda handle: result)
        self._node.get_logger().info(f"goal ended: {words or how}")
