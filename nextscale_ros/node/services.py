"""The services of the generate node: what there is, and editing the last plan."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots import list_robots, load_robot
from nextscale_ros.messages import requests
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.node.models import list_models
from nextscale_ros.node.reports import Ended
from nextscale_ros.srv import EditPlan, ListModels, ListRobots

_LOOK = 0.1
"""How often a call that waits looks whether ROS still runs [s]."""


class CallReply:
    """A service call that waits for its end."""

    def __init__(self) -> None:
        self._ended: Ended | None = None
        self._event = threading.Event()

    canceled = False
    """A service cannot be canceled."""

    def feedback(self, message: object) -> None:
        """A service has none."""

    def done(self, ended: Ended) -> None:
        """The call has ended."""
        self._ended = ended
        self._event.set()

    def wait(self, ok: Callable[[], bool]) -> Ended | None:
        """Wait for the end; None where ROS ended before."""
        while not self._event.wait(_LOOK):
            if not ok():
                return None
        return self._ended


class Services:
    """Answers service calls.

    Args:
        node: Owns the services.
        submit: Hands a request on; False where the node is not active.
        current: Names of the robot and the model in use.
    """

    def __init__(
        self,
        node: Node,
        submit: Callable[[Any, Any, Any], bool],
        current: Callable[[], tuple[str, str]],
    ) -> None:
        self._node, self._submit, self._current = node, submit, current
        # A list is not kept waiting by an edit.
        lists, edits = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        for kind, name, callback, group in (
            (ListRobots, "list_robots", self._list_robots, lists),
            (ListModels, "list_models", self._list_models, lists),
            (EditPlan, "edit_plan", self._edit_plan, edits),
        ):
            node.create_service(kind, f"~/{name}", callback, callback_group=group)

    def not_active(self) -> Ended:
        """The answer while the node is not active."""
        message = (
            "the node is not active: ros2 lifecycle set "
            f"{self._node.get_fully_qualified_name()} activate"
        )
        error = ErrorCode(code=ErrorCode.NOT_ACTIVE, message=message)
        return Ended(MotionReport(outcome=MotionReport.FAILED, message=message, error=error))

    def _list_robots(
        self, request: ListRobots.Request, response: ListRobots.Response
    ) -> ListRobots.Response:
        response.current = self._current()[0]
        for name in list_robots():
            description, remedy = "", ""
            try:
                description = load_robot(name).profile.description
            except NextscaleError as error:
                remedy = str(error)
            response.names.append(name)
            response.descriptions.append(description)
            response.available.append(not remedy)
            response.remedies.append(remedy)
        return response

    def _list_models(
        self, request: ListModels.Request, response: ListModels.Response
    ) -> ListModels.Response:
        response.current = self._current()[1]
        for name, description in list_models():
            response.names.append(name)
            response.descriptions.append(description)
        return response

    def _edit_plan(
        self, request: EditPlan.Request, response: EditPlan.Response
    ) -> EditPlan.Response:
        reply = CallReply()
        ended: Ended | None = self.not_active()
        if self._submit(requests.of_edit, request, reply):
            ended = reply.wait(self._node.context.ok)
        if ended is None:
            return response
        response.report, response.error = ended.report, ended.report.error
        if ended.trajectory is not None:
            response.trajectory = ended.trajectory
        if ended.base is not None:
            response.base_trajectory = ended.base
        return response
