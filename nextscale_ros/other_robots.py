"""Search for present robots: publishers of joint states and servers of the controller's action.

Two sources of joint states contradict each other, and two controllers both answer one goal.
Therefore a mock robot starts only where there is neither, and ends when one appears.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from nextscale_core.exceptions import NextscaleError
from nextscale_ros.qos import SENSORS

LOOK = 3.5
"""Duration of the search for another robot before a mock robot starts [s].

Where the first announcements of a participant are lost, Fast DDS repeats them after 3 s.
"""

PROBE = 2.0
"""Maximum duration of the search for robots before any process is started [s]."""

GONE = 25.0
"""Maximum wait for a silent publisher; DDS lists those of a killed process for 20 s [s]."""

_NAMED = 1.0
"""Maximum time to wait for the name of a node that was found without one [s]."""

_UNKNOWN = "a node of unknown name"


class OtherRobotError(NextscaleError, RuntimeError):
    """Another node publishes joint states or serves the controller's action."""


class OtherRobots:
    """Searches for another robot on behalf of a mock robot.

    Args:
        node: The mock robot, before it publishes or serves.
        joint_states: Topic of the joint states.
        action: Name of the controller's action; '' for none.
        clock: Monotonic clock [s].
    """

    def __init__(
        self,
        node: Node,
        joint_states: str,
        action: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node, self._clock, self._began = node, clock, clock()
        self._states = node.resolve_topic_name(joint_states)
        self._action = node.resolve_service_name(action) if action else ""
        self._received = self._warned = False
        self._subscription = node.create_subscription(
            JointState, joint_states, self._on_state, SENSORS
        )

    def _on_state(self, message: JointState) -> None:
        self._received = True

    def absent(self) -> bool:
        """Whether the search is complete without finding another robot.

        Raises:
            OtherRobotError: another robot is present.
        """
        passed, found = self._clock() - self._began, self._found(own=0)
        # The graph lists the node a moment after its first message.
        named = found and _UNKNOWN not in found
        if (self._received and (named or passed > LOOK)) or (found and passed > GONE):
            raise OtherRobotError(
                self._named(found, own=0) or f"{_UNKNOWN} publishes {self._states}"
            )
        if found and passed > LOOK and not self._warned:
            self._warned = True
            self._node.get_logger().warning(
                f"{found}, but sends nothing: waiting up to {GONE:g} s for a message or its end"
            )
        if found or passed < LOOK:
            return False
        self._node.destroy_subscription(self._subscription)
        return True

    def check(self) -> None:
        """Check for another robot while this one publishes.

        Raises:
            OtherRobotError: another robot is present.
        """
        if found := self._found(own=1):
            raise OtherRobotError(self._named(found, own=1))

    def _named(self, found: str, own: int) -> str:
        """What was found, with the name of the node if it becomes known within a moment."""
        deadline = time.monotonic() + _NAMED
        while _UNKNOWN in found and time.monotonic() < deadline:
            time.sleep(0.05)
            found = self._found(own) or found
        return found

    def _found(self, own: int) -> str:
        """Other publishers or servers, in a sentence; `own` is the number of own publishers."""
        if who := _publishers(self._node, self._states, own):
            return f"{who} publishes {self._states}"
        # Action servers cannot be listed, but each publishes the status of its goals.
        served = f"{self._action}/_action/status"
        if self._action and (who := _publishers(self._node, served, own)):
            return f"{who} serves the action {self._action}"
        return ""


def _publishers(node: Node, topic: str, own: int = 0) -> str:
    """Names of the nodes that publish a topic, without `own` publishers of the node itself."""
    name = (node.get_name(), node.get_namespace())
    endpoints = node.get_publishers_info_by_topic(topic)
    found = [(one.node_name, one.node_namespace) for one in endpoints]
    for _ in range(min(own, found.count(name))):
        found.remove(name)
    names = sorted(
        {
            _UNKNOWN if name.startswith("_NODE_NAME_UNKNOWN") else f"{space.rstrip('/')}/{name}"
            for name, space in found
        }
    )
    return " and ".join(names)


@dataclass(frozen=True)
class Present:
    """Topics of a robot that are published already.

    Attributes:
        states: Publisher of its joint states, in a sentence; '' if none are received.
        described: Whether its description is published.
    """

    states: str = ""
    described: bool = False


Look = Callable[[Iterable[str]], Mapping[str, Present]]
"""Returns what is present by namespace; missing namespaces have no robot."""


def present_robots(namespaces: Iterable[str], seconds: float = PROBE) -> dict[str, Present]:
    """Search for robots that are present already.

    Args:
        namespaces: Namespaces to search; '' is the root.
        seconds: Maximum duration [s].
    """
    context = Context()
    # Without arguments: those of `ros2 launch` would be parsed as remappings.
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = Node(
        "_nextscale_look",
        context=context,
        use_global_arguments=False,
        start_parameter_services=False,
        enable_rosout=False,
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    topics = {space: f"{f'/{space}' if space else ''}/" for space in namespaces}
    received: set[str] = set()
    try:
        for space, prefix in topics.items():

            def receive(message: JointState, space: str = space) -> None:
                received.add(space)

            # Any: the type stubs accept callbacks of one argument only.
            callback: Any = receive
            node.create_subscription(JointState, f"{prefix}joint_states", callback, SENSORS)
        until = time.monotonic() + seconds
        who: dict[str, str] = {}
        while (left := until - time.monotonic()) > 0.0 and not (
            len(received) == len(topics) and all(who.values()) and _UNKNOWN not in who.values()
        ):
            executor.spin_once(timeout_sec=min(left, 0.1))
            who = {space: _publishers(node, f"{topics[space]}joint_states") for space in received}
        return {
            space: Present(
                f"{who[space] or _UNKNOWN} publishes {prefix}joint_states" if space in who else "",
                bool(node.get_publishers_info_by_topic(f"{prefix}robot_description")),
            )
            for space, prefix in topics.items()
        }
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        context.try_shutdown()
