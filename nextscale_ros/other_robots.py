"""Whether a robot is there already: who publishes its joint states, who serves its controller.

With two sources of joint states nobody knows where the robot is, and two controllers both answer
one goal. So a mock robot starts only where there is neither, and ends when one appears.
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

LOOK = 2.0
"""Time in which another robot is looked for before a mock robot starts [s]."""

PROBE = 2.0
"""Time in which a robot is looked for before anything is started [s]."""

GONE = 25.0
"""Patience with a publisher that stays silent [s]: DDS lists those of a killed process for 20 s."""

_SOMEBODY = "a node of unknown name"


class OtherRobotError(NextscaleError, RuntimeError):
    """There is another source of joint states, or another server of the controller's action."""


class OtherRobots:
    """Looks for another robot on behalf of a mock robot.

    Args:
        node: The mock robot, which publishes and serves nothing yet.
        joint_states: Its topic.
        action: Name of its controller's action; '' where it serves none.
        clock: Never steps back [s].
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
        self._heard = self._warned = False
        self._subscription = node.create_subscription(
            JointState, joint_states, self._on_state, SENSORS
        )

    def _on_state(self, message: JointState) -> None:
        self._heard = True

    def absent(self) -> bool:
        """Whether it is certain by now that there is no other robot; looks no more then.

        Raises:
            OtherRobotError: there is one.
        """
        passed, found = self._clock() - self._began, self._found(own=0)
        # The graph shows who it is a moment after the first message.
        named = found and _SOMEBODY not in found
        if (self._heard and (named or passed > LOOK)) or (found and passed > GONE):
            raise OtherRobotError(found or f"{_SOMEBODY} publishes {self._states}")
        if found and passed > LOOK and not self._warned:
            self._warned = True
            self._node.get_logger().warning(
                f"{found}, and is silent: waiting up to {GONE:g} s for it to go or to publish"
            )
        if found or passed < LOOK:
            return False
        self._node.destroy_subscription(self._subscription)
        return True

    def check(self) -> None:
        """Make sure that there still is no other robot, now that this one publishes.

        Raises:
            OtherRobotError: there is one.
        """
        if found := self._found(own=1):
            raise OtherRobotError(found)

    def _found(self, own: int) -> str:
        """Who there is beside so many publishers of our own; '' for nobody."""
        if who := _publishers(self._node, self._states, own):
            return f"{who} publishes {self._states}"
        # Servers cannot be listed, but every one publishes the states of its goals.
        served = f"{self._action}/_action/status"
        if self._action and (who := _publishers(self._node, served, own)):
            return f"{who} serves the action {self._action}"
        return ""


def _publishers(node: Node, topic: str, own: int = 0) -> str:
    """Names of those that publish a topic, beside so many publishers of the node itself."""
    name = (node.get_name(), node.get_namespace())
    found = [(one.node_name, one.node_namespace) for one in _endpoints(node, topic)]
    for _ in range(min(own, found.count(name))):
        found.remove(name)
    names = sorted(
        {
            _SOMEBODY if name.startswith("_NODE_NAME_UNKNOWN") else f"{space.rstrip('/')}/{name}"
            for name, space in found
        }
    )
    return " and ".join(names)


def _endpoints(node: Node, topic: str) -> list[Any]:
    return list(node.get_publishers_info_by_topic(topic))


@dataclass(frozen=True)
class Present:
    """What is there of a robot.

    Attributes:
        states: Who publishes its joint states, in a sentence; '' where nothing is heard.
        described: Whether somebody publishes its description.
    """

    states: str = ""
    described: bool = False


Look = Callable[[Iterable[str]], Mapping[str, Present]]
"""From namespaces to what is there; those that are left out are empty."""


def present_robots(namespaces: Iterable[str], seconds: float = PROBE) -> dict[str, Present]:
    """Look for robots that are there already.

    Args:
        namespaces: Where to look; '' is the root.
        seconds: How long at most [s].
    """
    context = Context()
    # The arguments of `ros2 launch` would be taken for remappings.
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
    heard: set[str] = set()
    try:
        for space, prefix in topics.items():

            def hear(message: JointState, space: str = space) -> None:
                heard.add(space)

            # Stubs know callbacks of one argument only.
            taker: Any = hear
            node.create_subscription(JointState, f"{prefix}joint_states", taker, SENSORS)
        until = time.monotonic() + seconds
        who: dict[str, str] = {}
        while (left := until - time.monotonic()) > 0.0 and not (
            len(heard) == len(topics) and all(who.values()) and _SOMEBODY not in who.values()
        ):
            executor.spin_once(timeout_sec=min(left, 0.1))
            who = {space: _publishers(node, f"{topics[space]}joint_states") for space in heard}
        return {
            space: Present(
                f"{who[space] or _SOMEBODY} publishes {prefix}joint_states" if space in who else "",
                bool(_endpoints(node, f"{prefix}robot_description")),
            )
            for space, prefix in topics.items()
        }
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        context.try_shutdown()
