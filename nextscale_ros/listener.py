"""Hearing the robot without delay: subscriptions in a thread and an executor of their own.

rclpy's executors look at every entity of every node before they take a message, and their threads
wait for each other. A robot that tells its joints 500 times a second would keep a node with an
action, services and timers busy with that alone, and would be heard late while it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

LOOK_EVERY = 0.2
"""How long the end may go unnoticed [s]."""


class Listener:
    """Subscribes on behalf of another node.

    Args:
        node: Whose context, namespace and remappings hold.
        name: Added to its name.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._owner = node
        # Names are resolved by the owner; a second remapping could lead elsewhere.
        self._node = Node(
            # Hidden from `ros2 node list`: it is a part of its owner.
            f"_{node.get_name()}_{name}",
            context=node.context,
            namespace=node.get_namespace(),
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def subscribe(
        self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile, **more: Any
    ) -> Subscription:
        """Hear a topic.

        Args:
            kind: Type of the message.
            topic: Name, as the owner would give it.
            callback: Called in the listener's thread, one message after the other.
            qos: Quality of service.
            more: Further arguments of `Node.create_subscription`.
        """
        name = self._owner.resolve_topic_name(topic)
        return self._node.create_subscription(kind, name, callback, qos, **more)

    def destroy(self) -> None:
        """Hear nothing more."""
        self._ended.set()
        self._executor.wake()
        self._thread.join(5.0)
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()

    def _run(self) -> None:
        while not self._ended.is_set() and self._node.context.ok():
            try:
                self._executor.spin_once(timeout_sec=LOOK_EVERY)
            except ExternalShutdownException:
                return
            except Exception as error:
                if self._ended.is_set() or not self._node.context.ok():
                    return
                # One message that cannot be read must not make the node deaf.
                self._owner.get_logger().error(
                    f"a message could not be taken: {type(error).__name__}: {error}",
                    throttle_duration_sec=1.0,
                )
