"""Non-blocking client of control_msgs/FollowJointTrajectory, for a controller of ros2_control."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.action import ActionClient
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.task import Future
from trajectory_msgs.msg import JointTrajectory

from nextscale_ros.messages.execution import (
    ExecutionResult,
    execution_result,
    follow_joint_trajectory,
)
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import ErrorCode

ANSWER_PATIENCE = 3.0
"""Maximum time of a controller to accept or refuse a goal [s]."""

GONE_PATIENCE = 1.0
"""Maximum time that a controller may be undiscoverable during an execution [s]."""

REPLACED = "a newer trajectory replaced it"

_DROPPED = (ErrorCode.EXECUTION_ABORTED, ErrorCode.CANCELED)
"""Error codes of a controller that dropped a trajectory for another one."""

_LOOK_EVERY = 0.1
"""Period of the timeout checks [s]."""

_SLACK = 0.02
"""Time that a trajectory may be sent after its first point, as it may be when it is handed over
[s]."""

Done = Callable[[ExecutionResult], object]
"""Called once with the result of an execution."""

Feedback = Callable[[Any], object]
"""Called with FollowJointTrajectory.Feedback: desired, actual and error."""


@dataclass(eq=False)
class _Goal:
    """One trajectory that was sent and has not ended.

    Attributes:
        number: Number of the goal.
        message: FollowJointTrajectory.Goal; None once it was sent to the controller.
        seconds: Time from sending to the last point [s].
        allowance: Additional time allowed [s].
        deadline: End of the allowance on the robot's clock [s].
        send_by: Latest time of sending, on the robot's clock [s]; infinite for a trajectory that
            begins on arrival.
        answer_by: Deadline for the acceptance, by `time.monotonic()` [s].
        gone_since: When the controller became undiscoverable, by `time.monotonic()` [s].
        handle: Goal handle, once the controller accepted the goal.
        cancel: Whether the goal is to be canceled.
        ended: Whether `done` was called.
    """

    number: int
    message: Any
    done: Done
    feedback: Feedback | None
    accepted: Callable[[], object]
    seconds: float
    allowance: float
    deadline: float
    send_by: float = math.inf
    answer_by: float = math.inf
    gone_since: float | None = None
    handle: Any = None
    cancel: bool = False
    ended: bool = False


class _Client(ActionClient):
    """An action client that may be destroyed while an executor is about to serve it."""

    def take_data(self) -> dict[str, Any]:
        """Take received data; nothing once the client is destroyed."""
        try:
            return dict(super().take_data())
        except InvalidHandle:
            return {}


class TrajectoryController:
    """Sends trajectories to a controller and supervises their execution.

    A newer trajectory replaces the current one once the controller has accepted it; a refused one
    leaves the current one running. One waits while an answer to another is due, and is not sent
    once its first point is past. All methods are thread-safe and return at once. Callbacks run
    in threads of the executor and must be quick.

    Args:
        node: Owns the action client; must be served by an executor.
        action: Name of the controller's action.
        timeout: Returns the time that an execution may take beyond its trajectory [s].
        clock: Clock of the robot's states; never steps back [s].

    Raises:
        ConfigError: control_msgs is not installed.
    """

    def __init__(
        self,
        node: Node,
        action: str,
        timeout: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._type = follow_joint_trajectory()
        self._node, self._timeout, self._clock = node, timeout, clock
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._sent = 0
        self._live: dict[int, _Goal] = {}
        self._jobs: deque[Callable[[], None]] = deque()
        # rclpy registers a request after sending it, and loses an answer that comes in between. In
        # one callback group, requests and answers never overlap.
        group = MutuallyExclusiveCallbackGroup()
        self._client = _Client(node, self._type, action, callback_group=group)
        self.name = node.resolve_service_name(action)
        self._wake = node.create_guard_condition(self._work, callback_group=group)
        self._timer = node.create_timer(
            _LOOK_EVERY,
            self._look,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    @property
    def ready(self) -> bool:
        """Whether the controller is available."""
        return bool(self._client.server_is_ready())

    @property
    def busy(self) -> bool:
        """Whether a trajectory is being sent or executed."""
        with self._lock:
            return bool(self._live)

    @property
    def answer_due(self) -> bool:
        """Whether the controller has yet to accept or refuse a trajectory."""
        with self._lock:
            return any(goal.handle is None for goal in self._live.values())

    def send(
        self,
        trajectory: JointTrajectory,
        done: Done,
        feedback: Feedback | None = None,
        accepted: Callable[[], object] = lambda: None,
        begin: float | None = None,
    ) -> None:
        """Send a trajectory to replace the current one.

        Args:
            trajectory: Trajectory of all joints of the controller; a stamp of 0 begins on arrival.
            done: Called exactly once, unless this object is destroyed before.
            feedback: Called for each feedback message of the controller.
            accepted: Called once the controller has accepted the trajectory.
            begin: Time of its stamp on the robot's clock [s]; None where it begins on arrival.
        """
        length = nanoseconds(trajectory.points[-1].time_from_start) if trajectory.points else 0
        now = self._clock()
        seconds = length / NANOSECONDS + (0.0 if begin is None else max(begin - now, 0.0))
        allowance = self._timeout()
        with self._lock:
            self._sent += 1
            goal = _Goal(
                number=self._sent,
                message=self._type.Goal(trajectory=trajectory),
                done=done,
                feedback=feedback,
                accepted=accepted,
                seconds=seconds,
                allowance=allowance,
                deadline=now + seconds + allowance,
                send_by=math.inf if begin is None else max(begin, now) + _SLACK,
            )
            self._live[goal.number] = goal
        self._do(self._request)

    def cancel(self) -> bool:
        """Cancel all goals; `done` is called once each has stopped.

        Returns:
            Whether there was a goal.
        """
        with self._lock:
            goals = list(self._live.values())
            for goal in goals:
                goal.cancel = True
        for goal in goals:
            self._do(lambda goal=goal: self._request_cancel(goal))  # type: ignore[misc]
        return bool(goals)

    def settle(self, seconds: float) -> bool:
        """Wait after `cancel` until all goals have ended.

        The answers come by the executor: without another thread that serves it, requests are sent
        and the wait ends with the time.

        Args:
            seconds: Maximum wait [s].

        Returns:
            Whether all goals have ended.
        """
        # No executor may serve the callback group any more, and a lost answer does not matter.
        self._work()
        with self._idle:
            return self._idle.wait_for(lambda: not self._live, seconds)

    def destroy(self) -> None:
        """Destroy the client; an execution continues, and no callback is called."""
        with self._lock:
            self._live.clear()
            self._jobs.clear()
        self._node.destroy_timer(self._timer)
        self._node.destroy_guard_condition(self._wake)
        self._client.destroy()

    # -- in the client's callback group

    def _do(self, job: Callable[[], None]) -> None:
        self._jobs.append(job)
        self._wake.trigger()

    def _work(self) -> None:
        while self._jobs:
            try:
                job = self._jobs.popleft()
            except IndexError:  # destroyed meanwhile
                return
            job()

    def _request(self) -> None:
        """Send the newest goal, unless an answer is due: rclpy loses concurrent requests."""
        with self._lock:
            unsent = [goal for goal in self._live.values() if goal.message is not None]
            sent = [goal for goal in self._live.values() if goal.message is None]
        for overtaken in unsent[:-1]:
            self._end(overtaken, ErrorCode.PREEMPTED, REPLACED)
        if not unsent or any(goal.handle is None for goal in sent):
            return
        goal = unsent[-1]
        if goal.cancel:
            self._end(goal, ErrorCode.CANCELED, "canceled before it was sent to the controller")
            return
        if self._clock() > goal.send_by:
            self._end(
                goal,
                ErrorCode.TOO_LATE,
                "the trajectory would have begun in the past by the time that it could be sent",
            )
            return
        if not self.ready:
            self._end(
                goal,
                ErrorCode.NO_CONTROLLER,
                f"no controller serves {self.name}; start joint_trajectory_controller, or name "
                "its action with the parameter controller",
            )
            return

        def on_feedback(message: Any) -> None:
            if goal.feedback is not None and not goal.ended:
                self._call(goal.feedback, message.feedback)

        goal.answer_by = time.monotonic() + ANSWER_PATIENCE
        answer = self._client.send_goal_async(goal.message, on_feedback)
        goal.message = None  # sent; rclpy keeps goals that are never answered
        answer.add_done_callback(lambda future: self._on_answer(goal, future))

    def _request_result(self, goal: _Goal) -> None:
        result = goal.handle.get_result_async()
        result.add_done_callback(lambda future: self._on_result(goal, future))

    def _request_cancel(self, goal: _Goal) -> None:
        # A goal that has not been accepted yet is canceled when it is.
        if goal.handle is not None:
            goal.handle.cancel_goal_async()

    def _look(self) -> None:
        """End the goals that take too long."""
        self._work()  # in case a wake-up was lost
        with self._lock:
            goals = list(self._live.values())
        if not goals:
            return
        now, ready = time.monotonic(), self.ready
        for goal in goals:
            goal.gone_since = None if ready else min(goal.gone_since or now, now)
            if goal.handle is None and now > goal.answer_by:
                goal.cancel = True  # in case it is accepted later
                code = ErrorCode.NO_CONTROLLER
                message = f"the controller at {self.name} did not answer in {ANSWER_PATIENCE:.1f} s"
            elif goal.gone_since is not None and now - goal.gone_since > GONE_PATIENCE:
                code = ErrorCode.NO_CONTROLLER
                message = (
                    f"the controller at {self.name} vanished during the execution; whether the "
                    "robot moves on is not known"
                )
            elif self._clock() > goal.deadline:
                goal.cancel = True
                self._request_cancel(goal)
                code = ErrorCode.EXECUTION_TIMED_OUT
                message = (
                    f"a trajectory of {goal.seconds:.1f} s had not been executed "
                    f"{goal.allowance:.1f} s after its end (execution_timeout); asked to cancel it"
                )
            else:
                continue
            self._end(goal, code, message)
        self._request()  # one may have waited for an answer that never came

    # -- answers, in any thread

    def _on_answer(self, goal: _Goal, future: Future) -> None:
        handle = future.result()
        if not handle.accepted:
            self._end(
                goal,
                ErrorCode.CONTROLLER_REFUSED,
                f"the controller at {self.name} did not accept the trajectory; its log says why",
            )
            self._do(self._request)
            return
        with self._lock:
            goal.handle = handle
            older = [other for other in self._live.values() if other.number < goal.number]
            wanted = not (goal.cancel or goal.ended)
        for other in older:
            self._end(other, ErrorCode.PREEMPTED, REPLACED)
        if wanted:
            self._call(lambda _: goal.accepted(), None)
        self._do(lambda: self._request_result(goal))
        if goal.cancel or goal.ended:
            self._do(lambda: self._request_cancel(goal))
        self._do(self._request)

    def _on_result(self, goal: _Goal, future: Future) -> None:
        response = future.result()
        result = response.result
        outcome = execution_result(response.status, result.error_code, result.error_string)
        with self._lock:
            newer = any(number > goal.number for number in self._live)
        if newer and outcome.code in _DROPPED and not goal.cancel:
            # Dropped for the newer one, whose acceptance is still on its way.
            outcome = ExecutionResult(ErrorCode.PREEMPTED, REPLACED)
        self._end(goal, outcome.code, outcome.message)

    def _end(self, goal: _Goal, code: int, message: str) -> None:
        with self._lock:
            if goal.ended or goal.number not in self._live:
                return
            goal.ended = True
            del self._live[goal.number]
            self._idle.notify_all()
        self._call(goal.done, ExecutionResult(int(code), message))

    def _call(self, callback: Callable[[Any], object], argument: Any) -> None:
        try:
            callback(argument)
        except Exception as error:  # must not end the executor
            self._node.get_logger().error(
                f"a callback of {self.name} failed: {type(error).__name__}: {error}"
            )
