"""The action and the services of the generate node."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots import list_robots, load_robot
from nextscale_ros.action import GenerateMotion
from nextscale_ros.messages import requests
from nextscale_ros.messages.requests import Client, Response
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.node.models import list_models
from nextscale_ros.qos import SERVICES
from nextscale_ros.srv import EditPlan, ListModels, ListRobots

ACTION = "generate_motion"

KEPT = 30
"""Time for which a result can be requested; each is a trajectory in memory [s]."""

_LOOK = 0.05
"""Period in which a waiting callback checks for cancellation and shutdown [s]."""


class WaitingClient:
    """A goal or a service call whose callback waits for the response.

    Args:
        handle: The goal; None for a service call, which has no feedback and cannot be canceled.
    """

    def __init__(self, handle: ServerGoalHandle | None = None) -> None:
        self._handle = handle
        self._response: Response | None = None
        self._event = threading.Event()

    @property
    def canceled(self) -> bool:
        """Whether the goal was canceled."""
        return self._handle is not None and bool(self._handle.is_cancel_requested)

    def feedback(self, message: GenerateMotion.Feedback) -> None:
        """Publish feedback."""
        if self._handle is not None and not self._event.is_set():
            self._handle.publish_feedback(message)

    def respond(self, response: Response) -> None:
        """End the wait."""
        self._response = response
        self._event.set()

    def wait(
        self, canceled: Callable[[], None] = lambda: None, ok: Callable[[], bool] = lambda: True
    ) -> Response | None:
        """Wait for the response.

        Args:
            canceled: Called once when the goal is canceled.
            ok: Whether to go on waiting.

        Returns:
            The response, or None where `ok` ended the wait.
        """
        notified = False
        while not self._event.wait(_LOOK):
            if not ok():
                return None
            if self.canceled and not notified:
                notified = True
                canceled()
        return self._response


def _fill(message: Any, response: Response) -> Any:
    """Copy a response into the result of the action or the response of a service."""
    message.report, message.error = response.report, response.report.error
    if response.trajectory is not None:
        message.trajectory = response.trajectory
    if response.base is not None:
        message.base_trajectory = response.base
    if response.residuals:
        message.residuals = list(response.residuals)
    return message


class Services:
    """Serves the action `generate_motion` and the services of the generate node.

    Args:
        node: Owns action server and services.
        active: Whether the node is active.
        submit: Passes a request on; False where the node is not active.
        cancel: Called when the client of a request cancels it.
        current: Names of the robot and the model in use.
    """

    def __init__(
        self,
        node: Node,
        active: Callable[[], bool],
        submit: Callable[[Any, Any, Client], bool],
        cancel: Callable[[Client], None],
        current: Callable[[], tuple[str, str]],
    ) -> None:
        self._node, self._active, self._current = node, active, current
        self._submit, self._cancel = submit, cancel
        # A list does not wait for an edit.
        lists, edits = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        for kind, name, callback, group in (
            (ListRobots, "list_robots", self._list_robots, lists),
            (ListModels, "list_models", self._list_models, lists),
            (EditPlan, "edit_plan", self._edit_plan, edits),
        ):
            node.create_service(
                kind, f"~/{name}", callback, qos_profile=SERVICES, callback_group=group
            )
        self._server = ActionServer(
            node,
            GenerateMotion,
            ACTION,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            # A goal that waits must not block others, or its own cancellation.
            callback_group=ReentrantCallbackGroup(),
            goal_service_qos_profile=SERVICES,
            result_service_qos_profile=SERVICES,
            cancel_service_qos_profile=SERVICES,
            result_timeout=KEPT,
        )

    def destroy(self) -> None:
        """Destroy the action server; the node destroys its services."""
        self._server.destroy()

    def _remedy(self) -> str:
        return f"ros2 lifecycle set {self._node.get_fully_qualified_name()} activate"

    def _not_active(self) -> Response:
        message = f"the node is not active: {self._remedy()}"
        error = ErrorCode(code=ErrorCode.NOT_ACTIVE, message=message)
        return Response(MotionReport(outcome=MotionReport.FAILED, message=message, error=error))

    # -- the action

    def _on_goal(self, goal: GenerateMotion.Goal) -> GoalResponse:
        if self._active():
            return GoalResponse.ACCEPT
        self._node.get_logger().warning(
            f"goal rejected: the node is not active ({self._remedy()})", throttle_duration_sec=1.0
        )
        return GoalResponse.REJECT

    def _execute(self, handle: ServerGoalHandle) -> GenerateMotion.Result:
        client = WaitingClient(handle)
        if not self._submit(requests.of_goal, handle.request, client):
            client.respond(self._not_active())
        response = client.wait(canceled=lambda: self._cancel(client))
        assert response is not None
        try:
            if response.report.error.code == ErrorCode.NONE:
                handle.succeed()
            elif handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
        except rclpy_implementation.RCLError:
            # Canceled between the check and the call.
            handle.canceled()
        return _fill(GenerateMotion.Result(), response)

    # -- the services

    def _edit_plan(
        self, request: EditPlan.Request, response: EditPlan.Response
    ) -> EditPlan.Response:
        client = WaitingClient()
        if not self._submit(requests.of_edit, request, client):
            return _fill(response, self._not_active())
        ended = client.wait(ok=self._node.context.ok)
        return response if ended is None else _fill(response, ended)

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
