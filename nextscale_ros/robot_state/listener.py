"""Receiving the robot's state without delay: subscriptions in a thread and executor of their own.

rclpy's executors look at every entity of every node before they take a message, and their threads
wait for each other. A robot that publishes its joint states 500 times a second would keep a node
with an action, services and timers busy with that alone, and would be heard late while it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from rclpy.callback_groups import CallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

LOOK_EVERY = 0.2
"""Longest time until the end is noticed [s]."""


class _OneThread(CallbackGroup):
    """Callbacks that one thread alone executes: the executor of their node leaves them out."""

    thread = 0
    """Its identifier."""

    def can_execute(self, entity: Any) -> bool:
        return threading.get_ident() == self.thread

    def beginning_execution(self, entity: Any) -> bool:
        return True

    def ending_execution(self, entity: Any) -> None:
        pass


class _Part:
    """Some subscriptions of a node, as an executor looks at a node."""

    timers = clients = services = guards = ()

    def __init__(self) -> None:
        # Replaced as a whole, never changed: the executor's thread may be looking at it.
        self.subscriptions: tuple[Subscription, ...] = ()

    @property
    def waitables(self) -> tuple[Any, ...]:
        # Stubs take the list for a single handler.
        return tuple(h for one in self.subscriptions for h in cast(Any, one.event_handlers))


class _PartExecutor(SingleThreadedExecutor):
    """Serves a part of a node that another executor serves."""

    def __init__(self, part: _Part, **arguments: Any) -> None:
        self._part = part
        super().__init__(**arguments)

    def get_nodes(self) -> list[Any]:
        """What is looked at."""
        return [self._part]


class Listener:
    """Subscriptions of a node that its executor does not serve.

    Args:
        node: Owns the subscriptions.
        name: Name of the thread.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node, self._part, self._group = node, _Part(), _OneThread()
        self._executor = _PartExecutor(self._part, context=node.context)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def subscribe(
        self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile, **more: Any
    ) -> Subscription:
        """Subscribe to a topic.

        Args:
            kind: Type of the message.
            topic: Its name.
            callback: Called in the listener's thread, one message after the other.
            qos: Quality of service.
            more: Further arguments of `Node.create_subscription`.
        """
        subscription = self._node.create_subscription(
            kind, topic, callback, qos, callback_group=self._group, **more
        )
        self._part.subscriptions = (*self._part.subscriptions, subscription)
        self._executor.wake()
        return subscription

    def destroy(self) -> None:
        """Receive nothing more."""
        self._ended.set()
        self._executor.wake()
        self._thread.join(5.0)
        self._executor.shutdown(timeout_sec=1.0)
        for subscription in self._part.subscriptions:
            self._node.destroy_subscription(subscription)

    def _run(self) -> None:
        self._group.thread = threading.get_ident()
        while not self._ended.is_set() and self._node.context.ok():
            try:
                self._executor.spin_once(timeout_sec=LOOK_EVERY)
            except ExternalShutdownException:
                return
            except Exception as error:
                if self._ended.is_set() or not self._node.context.ok():
                    return
                # One message that cannot be read must not make the node deaf.
                self._node.get_logger().error(
                    f"a message could not be taken: {type(error).__name__}: {error}",
                    throttle_duration_sec=1.0,
                )
