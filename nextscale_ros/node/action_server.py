"""The action /generate_motion: goals in, feedback by scale, results out."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from nextscale_ros.action import GenerateMotion
from nextscale_ros.messages.requests import Reply
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.reports import Ended

ACTION = "generate_motion"

KEPT = 30
"""How long a result can be asked for [s]; each is a trajectory in memory."""

_LOOK = 0.05
"""How often a goal that waits looks whether it was canceled [s]."""


class GoalReply:
    """A goal that waits for its end.

    Args:
        handle: The goal.
    """

    def __init__(self, handle: ServerGoalHandle) -> None:
        self._handle = handle
        self._ended: Ended | None = None
        self._event = threading.Event()

    @property
    def canceled(self) -> bool:
        """Whether the client wants it no more."""
        return bool(self._handle.is_cancel_requested)

    def feedback(self, message: GenerateMotion.Feedback) -> None:
        """Pass it on."""
        if not self._event.is_set():
            self._handle.publish_feedback(message)

    def done(self, ended: Ended) -> None:
        """The goal has ended."""
        self._ended = ended
        self._event.set()

    def wait(self, canceled: Callable[[], None]) -> Ended:
        """Wait for the end.

        Args:
            canceled: Called once when the client wants it no more.
        """
        told = False
        while not self._event.wait(_LOOK):
            if self.canceled and not told:
                told = True
                canceled()
        assert self._ended is not None
        return self._ended


class GenerateMotionServer:
    """Serves the action; the work is done elsewhere.

    Args:
        node: Owns the action server.
        ready: Whether goals are accepted now.
        submit: Takes a goal and who waits for it.
        cancel: Told that a goal is wanted no more.
    """

    def __init__(
        self,
        node: Node,
        ready: Callable[[], bool],
        submit: Callable[[GenerateMotion.Goal, Reply], None],
        cancel: Callable[[Reply], None],
    ) -> None:
        self._node, self._ready, self._submit, self._cancel = node, ready, submit, cancel
        self._server = ActionServer(
            node,
            GenerateMotion,
            ACTION,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            # A goal that waits must not keep others, or its own cancellation, from being heard.
            callback_group=ReentrantCallbackGroup(),
            result_timeout=KEPT,
        )

    def destroy(self) -> None:
        """Serve no more."""
        self._server.destroy()

    def _on_goal(self, goal: GenerateMotion.Goal) -> GoalResponse:
        if self._ready():
            return GoalResponse.ACCEPT
        self._node.get_logger().warning(
            "a goal was rejected: the node is not active (ros2 lifecycle set "
            f"{self._node.get_fully_qualified_name()} activate)",
            throttle_duration_sec=1.0,
        )
        return GoalResponse.REJECT

    def _execute(self, handle: ServerGoalHandle) -> GenerateMotion.Result:
        reply = GoalReply(handle)
        self._submit(handle.request, reply)
        ended = reply.wait(lambda: self._cancel(reply))
        try:
            if ended.report.error.code == ErrorCode.NONE:
                handle.succeed()
            elif handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
        except rclpy_implementation.RCLError:
            # Canceled between our look and the call.
            handle.canceled()
        result = GenerateMotion.Result(report=ended.report, error=ended.report.error)
        if ended.trajectory is not None:
            result.trajectory = ended.trajectory
        if ended.base is not None:
            result.base_trajectory = ended.base
        return result
