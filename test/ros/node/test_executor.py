"""The executor that serves the generate node's callbacks in threads."""

from __future__ import annotations

import threading

import pytest
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nextscale_ros.bringup.processes import Child
from nextscale_ros.executor import ThreadedExecutor
from nextscale_ros.qos import SENSORS
from ros.graph import REPLY, Graph, until

MESSAGES = 40


class Counting(ThreadedExecutor):
    """Counts how often it waits."""

    rounds = 0

    def get_nodes(self) -> list[Node]:
        self.rounds += 1
        return super().get_nodes()


@pytest.fixture
def node(graph: Graph) -> Node:
    return Node("listener", context=graph.context, start_parameter_services=False)


def test_events_wait_for_the_message_before_them(graph: Graph, node: Node) -> None:
    executor = ThreadedExecutor(num_threads=2, context=graph.context)
    subscription = node.create_subscription(JointState, "here", lambda message: None, SENSORS)
    executor.add_node(node)
    events = subscription.event_handlers
    for due in (False, True, False):
        subscription._executor_event = due
        assert executor.get_nodes() == [node]
        waited = list(map(executor.can_execute, [subscription, *events]))
        assert events and waited == [not due] * len(waited)
    executor.shutdown()
    node.destroy_node()


def test_it_does_not_loop_while_messages_wait_for_a_thread(graph: Graph) -> None:
    """Of nodes of rclpy's own executor, a third wait hundreds of times for each message."""
    robot = graph.start("mock_robot")
    assert max(waits_per_message(graph, robot, number) for number in range(8)) < 30


def waits_per_message(graph: Graph, robot: Child, number: int) -> float:
    """How often the executor of a new node waits for each of some joint states."""
    node = Node(f"listener_{number}", context=graph.context)
    heard: list[JointState] = []
    node.create_subscription(JointState, "joint_states", heard.append, SENSORS)
    executor = Counting(num_threads=3, context=graph.context)
    executor.add_node(node)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=serve)
    thread.start()
    until(lambda: bool(heard), "joint states", patience=REPLY, told=robot.tail)
    count, rounds = len(heard), executor.rounds
    until(lambda: len(heard) >= count + MESSAGES, "more", patience=REPLY, told=robot.tail)
    waits = (executor.rounds - rounds) / (len(heard) - count)
    ended.set()
    thread.join()
    executor.shutdown()
    node.destroy_node()
    return waits
