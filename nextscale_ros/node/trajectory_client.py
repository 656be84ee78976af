"""The other output: a trajectory controller of ros2_control executes, and says how it went.

`TrajectoryController` is a client of control_msgs/FollowJointTrajectory. It waits for nothing: what
happens is told to callbacks, and whoever does not answer is given up after a time.
"""

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
"""How long a controller may take to accept or refuse [s]."""

GONE_PATIENCE = 1.0
"""How long a controller may be out of sight during an execution [s]."""

REPLACED = "a newer trajectory replaced it"

_DROPPED = (ErrorCode.EXECUTION_ABORTED, ErrorCode.CANCELED)
"""How controllers tell that they dropped a trajectory for another one."""

_LOOK_EVERY = 0.1
"""How often the times are looked at [s]."""

Done = Callable[[ExecutionResult], object]
"""Told once how an execution ended."""

Feedback = Callable[[Any], object]
"""Gets FollowJointTrajectory.Feedback: desired, actual and error."""


@dataclass(eq=False)
class _Goal:
    """One trajectory on its way.

    Attributes:
        number: Counts them.
        message: FollowJointTrajectory.Goal; None once it was sent to the controller.
        seconds: From sending to the last point [s].
        allowance: How much longer it may take [s].
        deadline: By the robot's clock [s].
        answer_by: By `time.monotonic()` [s].
        gone_since: When the controller was last seen to be away, by `time.monotonic()` [s].
        handle: What the controller accepted.
        cancel: Whether it is wanted no more.
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
    answer_by: float = math.inf
    gone_since: float | None = None
    handle: Any = None
    cancel: bool = False
    ended: bool = False


class _Client(ActionClient):
    """One that may be destroyed while an executor is about to serve it."""

    def take_data(self) -> dict[str, Any]:
        """What has come; nothing once it is destroyed."""
        try:
            return dict(super().take_data())
        except InvalidHandle:
            return {}


class TrajectoryController:
    """Sends trajectories to a controller and watches their execution.

    A newer trajectory replaces the one being executed once the controller has accepted it; one that
    is refused leaves the older one running. All methods may be called in any thread and return at
    once. Callbacks come in threads of the executor and must be quick.

    Args:
        node: Owns the action client; must be served by an executor.
        action: Name of the controller's action.
        timeout: Gives how much longer than its trajectory an execution may take [s].
        clock: The clock that the robot lives by; never steps back [s].

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
        # rclpy registers a request after it has sent it, and loses an answer that comes between
        # the two. In one group with the client, our requests and their answers never overlap.
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
        """Whether the controller can be seen."""
        return bool(self._client.server_is_ready())

    @property
    def busy(self) -> bool:
        """Whether a trajectory is on its way or being executed."""
        with self._lock:
            return bool(self._live)

    def send(
        self,
        trajectory: JointTrajectory,
        done: Done,
        feedback: Feedback | None = None,
        accepted: Callable[[], object] = lambda: None,
    ) -> None:
        """Have a trajectory executed instead of whatever is being executed.

        Args:
            trajectory: With all joints of the controller; a stamp of 0 begins on arrival.
            done: Called exactly once, unless the controller object is destroyed before.
            feedback: Called as often as the controller tells where the robot is.
            accepted: Called once the controller has accepted it and is to execute it.
        """
        length = nanoseconds(trajectory.points[-1].time_from_start) if trajectory.points else 0
        begin = nanoseconds(trajectory.header.stamp)
        ahead = begin - int(self._node.get_clock().now().nanoseconds) if begin else 0
        seconds = (length + max(ahead, 0)) / NANOSECONDS
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
                deadline=self._clock() + seconds + allowance,
            )
            self._live[goal.number] = goal
        self._do(self._request)

    def cancel(self) -> bool:
        """Stop whatever is being executed; the result tells when it has stopped.

        Returns:
            Whether there was anything to stop.
        """
        with self._lock:
            goals = list(self._live.values())
            for goal in goals:
                goal.cancel = True
        for goal in goals:
            self._do(lambda goal=goal: self._request_cancel(goal))  # type: ignore[misc]
        return bool(goals)

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is being executed, at most so long [s]; for use after `cancel`.

        The answers come by the executor: where no other thread serves it, requests are sent and
        the time is waited for nothing.

        Returns:
            Whether nothing is being executed.
        """
        # Nobody may serve us any more, and a lost answer matters no more.
        self._work()
        with self._idle:
            return self._idle.wait_for(lambda: not self._live, seconds)

    def destroy(self) -> None:
        """Let go of the controller. What is being executed goes on, and no callback comes."""
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
        """Send the newest, unless an answer is due: requests beyond a few would be lost."""
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
        goal.message = None  # sent; and rclpy keeps what it never gets an answer to
        answer.add_done_callback(lambda future: self._on_answer(goal, future))

    def _request_result(self, goal: _Goal) -> None:
        result = goal.handle.get_result_async()
        result.add_done_callback(lambda future: self._on_result(goal, future))

    def _request_cancel(self, goal: _Goal) -> None:
        # One that has not been accepted yet is canceled when it is.
        if goal.handle is not None:
            goal.handle.cancel_goal_async()

    def _look(self) -> None:
        """Give up those that take too long."""
        self._work()  # should a wake-up have been lost
        with self._lock:
            goals = list(self._live.values())
        if not goals:
            return
        now, ready = time.monotonic(), self.ready
        for goal in goals:
            goal.gone_since = None if ready else min(goal.gone_since or now, now)
            if goal.handle is None and now > goal.answer_by:
                goal.cancel = True  # should it be accepted later
                code = ErrorCode.NO_CONTROLLER
                told = f"the controller at {self.name} did not answer in {ANSWER_PATIENCE:.1f} s"
            elif goal.gone_since is not None and now - goal.gone_since > GONE_PATIENCE:
                code = ErrorCode.NO_CONTROLLER
                told = (
                    f"the controller at {self.name} vanished during the execution; whether the "
                    "robot moves on is not known"
                )
            elif self._clock() > goal.deadline:
                goal.cancel = True
                self._request_cancel(goal)
                code = ErrorCode.EXECUTION_TIMED_OUT
                told = (
                    f"a trajectory of {goal.seconds:.1f} s had not been executed "
                    f"{goal.allowance:.1f} s after its end (execution_timeout); canceled"
                )
            else:
                continue
            self._end(goal, code, told)
        self._request()  # one may have waited for an answer that never came

    # -- answers; rclpy calls these in any thread

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
            # For the newer one, whose acceptance is still on its way.
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
        except Exception as error:  # it must not end the executor
            self._node.get_logger().error(
                f"a callback of {self.name} failed: {type(error).__name__}: {error}"
            )
