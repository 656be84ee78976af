"""Subscriptions with an executor and a thread of their own, for state without delay.

rclpy's executors check every entity of every node before they take a message, and their threads
wait for each other. Joint states at 500 Hz alone would keep a node with an action, services and
timers busy, and would arrive late whenever it is.
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

POLL = 0.2
"""Maximum time until the executor notices its end [s]."""


class _OneThread(CallbackGroup):
    """Callbacks that only the thread `thread` executes; the node's executor skips them."""

    thread = 0

    def can_execute(self, entity: Any) -> bool:
        return threading.get_ident() == self.thread

    def beginning_execution(self, entity: Any) -> bool:
        return True

    def ending_execution(self, entity: Any) -> None:
        pass


class _SubscriptionSet:
    """Some subscriptions of a node, with the interface of a node for an executor."""

    timers = clients = services = guards = ()

    def __init__(self) -> None:
        # Replaced as a whole, never changed: the executor's thread may be iterating over it.
        self.subscriptions: tuple[Subscription, ...] = ()

    @property
    def waitables(self) -> tuple[Any, ...]:
        # The stubs declare a single handler instead of a list.
        return tuple(h for one in self.subscriptions for h in cast(Any, one.event_handlers))


class _SubscriptionExecutor(SingleThreadedExecutor):
    """Serves subscriptions of a node whose other entities another executor serves."""

    def __init__(self, served: _SubscriptionSet, **arguments: Any) -> None:
        self._served = served
        super().__init__(**arguments)

    def get_nodes(self) -> list[Any]:
        """The subscriptions, in place of nodes."""
        return [self._served]


class Listener:
    """Subscriptions of a node that its executor does not serve.

    Args:
        node: Owns the subscriptions.
        name: Name of the thread.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node, self._served, self._group = node, _SubscriptionSet(), _OneThread()
        self._executor = _SubscriptionExecutor(self._served, context=node.context)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def subscribe(
        self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile, **more: Any
    ) -> Subscription:
        """Subscribe to a topic; arguments as for `Node.create_subscription`.

        The callback is called in the listener's thread, for one message after the other.
        """
        subscription = self._node.create_subscription(
            kind, topic, callback, qos, callback_group=self._group, **more
        )
        self._served.subscriptions = (*self._served.subscriptions, subscription)
        self._executor.wake()
        return subscription

    def destroy(self) -> None:
        """End the thread and destroy the subscriptions."""
        self._ended.set()
        self._executor.wake()
        self._thread.join(5.0)
        self._executor.shutdown(timeout_sec=1.0)
        for subscription in self._served.subscriptions:
            self._node.destroy_subscription(subscription)

    def _run(self) -> None:
        self._group.thread = threading.get_ident()
        while not self._ended.is_set() and self._node.context.ok():
            try:
                self._executor.spin_once(timeout_sec=POLL)
            except ExternalShutdownException:
                return
            except Exception as error:
                if self._ended.is_set() or not self._node.context.ok():
                    return
                # One invalid message must not end the subscriptions.
                self._node.get_logger().error(
                    f"a message could not be taken: {type(error).__name__}: {error}",
                    throttle_duration_sec=1.0,
                )
