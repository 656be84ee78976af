"""`ThreadedExecutor`: rclpy's executor of several threads, without its busy loop."""

from __future__ import annotations

from typing import Any

from rclpy.executors import MultiThreadedExecutor


class ThreadedExecutor(MultiThreadedExecutor):
    """Waits for what can come, also while a message waits for a thread.

    Until a thread takes a message, rclpy (7.1.6, 9.1.2) waits for the QoS events of its
    subscription, and not for messages; with Fast DDS the message ends that wait at once, again and
    again. The loop keeps Python's lock from the threads: some nodes serve 20 messages a second in
    place of 100, for good, and keep a core busy.
    """

    def can_execute(self, entity: Any) -> bool:
        """Whether to wait for an entity; not for events where something of their group is due."""
        if hasattr(entity, "event_type"):
            group = (one() for one in tuple(entity.callback_group.entities))
            if any(one is not None and one._executor_event for one in group):
                return False
        return bool(super().can_execute(entity))
