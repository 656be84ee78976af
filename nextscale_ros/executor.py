"""`ThreadedExecutor`: rclpy's executor of several threads, without its busy loop."""

from __future__ import annotations

from typing import Any

from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node


class ThreadedExecutor(MultiThreadedExecutor):
    """Waits for what can come, also while a message waits for a thread.

    Until a thread takes a message, rclpy (7.1.6, 9.1.2) waits for the QoS events of its
    subscription, and not for messages; with Fast DDS the message ends that wait at once, again and
    again. The loop keeps Python's lock from the threads: some nodes serve 20 messages a second in
    place of 100, for good, and keep a core busy.
    """

    _busy: frozenset[Any] = frozenset()
    """Callback groups in which something is due."""

    def get_nodes(self) -> list[Node]:
        """The nodes; rclpy asks for them before each wait."""
        nodes = super().get_nodes()
        self._busy = frozenset(
            entity.callback_group
            for node in nodes
            for kind in (node.subscriptions, node.timers, node.clients, node.services)
            for entity in kind
            if entity._executor_event
        )
        return nodes

    def can_execute(self, entity: Any) -> bool:
        """Whether to wait for an entity; not for events where something of their group is due."""
        if hasattr(entity, "event_type") and entity.callback_group in self._busy:
            return False
        return bool(super().can_execute(entity))
