"""Calls of services, for tests."""

from __future__ import annotations

from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from nextscale_ros.demo.recorder import DemoTimeoutError, Recorder
from ros.graph import REPLY

ASK_AGAIN = 15.0
"""After how long without an answer a request is sent once more [s]."""


def call(client: Recorder, kind: type, name: str, request: object, again: bool = True) -> Any:
    """The answer of a service, by default one of the generate node's.

    A server may take a request before it has discovered that the client listens; its answer is then
    lost for good (ros2/rmw_fastrtps#842), now and then on a busy machine. So a client is kept as
    long as its node, and what is not answered is asked again, by another client.

    Args:
        client: The node to ask from.
        kind: Type of the service.
        name: Within `/generate_node`, or absolute.
        request: What to ask.
        again: Whether the request does no harm when it comes twice.

    Raises:
        DemoTimeoutError: no answer came.
    """
    full = name if name.startswith("/") else f"/generate_node/{name}"
    known = [service for service in client.clients if service.service_name == full]
    sent: list[Any] = []
    for last in (False, False, True) if again else (True,):
        service = known.pop() if known else client.create_client(kind, full)
        client.wait(service.service_is_ready, REPLY, name)
        sent.append(service.call_async(request))
        try:
            client.wait(
                lambda: any(future.done() for future in sent),
                REPLY if last else ASK_AGAIN,
                f"{name}, asked {len(sent)} times",
            )
            break
        except DemoTimeoutError:
            if last:
                raise
            known.clear()
    return next(future.result() for future in sent if future.done())


def set_parameters(client: Recorder, **values: object) -> list[tuple[bool, str]]:
    """Whether the generate node took the values, one by one, and if not why."""
    messages = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    answer = call(
        client, SetParameters, "set_parameters", SetParameters.Request(parameters=messages)
    )
    return [(bool(result.successful), str(result.reason)) for result in answer.results]


def set_parameter(client: Recorder, name: str, value: object) -> tuple[bool, str]:
    """Whether the generate node took the value, and if not why."""
    (result,) = set_parameters(client, **{name: value})
    return result


def state_of(client: Recorder) -> int:
    """Number of the generate node's lifecycle state."""
    return int(call(client, GetState, "get_state", GetState.Request()).current_state.id)


def change(client: Recorder, transition: int) -> bool:
    """Whether the generate node made a transition of its lifecycle."""
    before = state_of(client)
    request = ChangeState.Request(transition=Transition(id=transition))
    try:
        return bool(call(client, ChangeState, "change_state", request, again=False).success)
    except DemoTimeoutError:
        # The answer may be lost (see `call`), and to ask twice is another question.
        return state_of(client) != before
