"""A mock robot is never a second robot: it refuses to start, and ends, where another one is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from nextscale_ros import other_robots
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.other_robots import OtherRobotError, OtherRobots, present_robots
from nextscale_ros.qos import LATCHED
from ros.graph import REPLY, START, Graph, until

STATES = "joint_states"


@contextmanager
def driver(graph: Graph, namespace: str = "", name: str = "driver") -> Iterator[Any]:
    """A node that publishes joint states; yields what publishes one of them."""
    node = Node(name, namespace=namespace, context=graph.context)
    publisher = node.create_publisher(JointState, STATES, 10)
    try:
        yield lambda: publisher.publish(JointState(name=["a"], position=[0.0]))
    finally:
        node.destroy_node()


def mock(graph: Graph, namespace: str, **parameters: object) -> Child:
    child = graph.start("mock_robot", parameters, ["-r", f"__ns:=/{namespace}"])
    graph.children.remove(child)
    return child


def ended(child: Child, do: Callable[[], None] = lambda: None) -> int:
    until(lambda: child.process.poll() is not None, "the mock robot's end", do)
    return int(child.process.returncode)


def states(recorder: Recorder, namespace: str) -> list[JointState]:
    received: list[JointState] = []
    recorder.create_subscription(JointState, f"/{namespace}/joint_states", received.append, 10)
    return received


@pytest.mark.parametrize(("give_way", "status"), [(False, 1), (True, 0)])
def test_where_joint_states_are_published_it_does_not_start_and_reports_why(
    graph: Graph, give_way: bool, status: int
) -> None:
    space = f"taken_{status}"
    with driver(graph, space) as publish:
        child = mock(graph, space, give_way=give_way)
        assert ended(child, publish) == status
    assert f"/{space}/driver publishes /{space}/joint_states" in child.tail()
    assert "Traceback" not in child.tail()


@pytest.mark.parametrize(("give_way", "status"), [(False, 1), (True, 0)])
def test_when_another_node_publishes_joint_states_it_ends_and_reports_why(
    graph: Graph, give_way: bool, status: int
) -> None:
    space = f"late_{status}"
    recorder = graph.recorder()
    received = states(recorder, space)
    child = mock(graph, space, give_way=give_way)
    recorder.wait(lambda: bool(received), START, "the mock robot", child.check)
    # The publisher of a driver that is being configured exists before its first message.
    with driver(graph, space):
        assert ended(child) == status
    assert f"/{space}/driver publishes /{space}/joint_states" in child.tail()
    recorder.listen(0.3)
    count = len(received)
    recorder.listen(0.5)
    assert len(received) == count


def test_a_second_mock_robot_does_not_start_and_the_first_goes_on(graph: Graph) -> None:
    recorder = graph.recorder()
    received = states(recorder, "twice")
    first = mock(graph, "twice")
    recorder.wait(lambda: bool(received), START, "the mock robot", first.check)
    second = mock(graph, "twice")
    assert ended(second) == 1
    # Whichever of the two it discovers first.
    found = ("publishes /twice/joint_states", "action /twice/joint_trajectory_controller/")
    assert "/twice/mock_robot" in second.tail() and any(it in second.tail() for it in found)
    received.clear()
    recorder.wait(lambda: len(received) > 20, REPLY, "the first mock robot", first.check)


def test_robots_of_other_namespaces_are_no_matter(graph: Graph) -> None:
    recorder = graph.recorder()
    received = states(recorder, "mine")
    with driver(graph, "theirs") as publish:
        child = mock(graph, "mine")
        until(lambda: bool(received), "the mock robot", lambda: (publish(), recorder.listen(0.02)))
        recorder.listen(1.0)
        child.check()


def test_when_another_node_serves_the_action_it_ends_and_reports_why(
    graph: Graph,
) -> None:
    control = pytest.importorskip("control_msgs.action", reason="needs control_msgs")
    from rclpy.action import ActionServer

    recorder = graph.recorder()
    received = states(recorder, "served")
    child = mock(graph, "served")
    recorder.wait(lambda: bool(received), START, "the mock robot", child.check)
    node = Node("controller", namespace="served", context=graph.context)
    action = "joint_trajectory_controller/follow_joint_trajectory"
    server = ActionServer(node, control.FollowJointTrajectory, action, lambda handle: None)
    try:
        assert ended(child) == 1
        assert f"/served/controller serves the action /served/{action}" in child.tail()
    finally:
        server.destroy()
        node.destroy_node()


def test_after_kill_9_a_mock_robot_starts_again_when_dds_has_forgotten_the_first(
    graph: Graph,
) -> None:
    recorder = graph.recorder()
    received = states(recorder, "killed")
    first = mock(graph, "killed")
    recorder.wait(lambda: bool(received), START, "the mock robot", first.check)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(10.0)
    recorder.listen(0.5)
    received.clear()
    second = mock(graph, "killed")
    recorder.wait(lambda: bool(received), START, "the second mock robot", second.check)


class Looking:
    """A node that looks for another robot by a clock that the test sets."""

    def __init__(self, context: Context, namespace: str) -> None:
        self.now = 0.0
        self.node = Node("looking", namespace=namespace, context=context)
        self.others = OtherRobots(self.node, STATES, "", lambda: self.now)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)

    def serve(self) -> None:
        self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()


def test_a_publisher_that_stays_silent_is_waited_for_and_then_counts(graph: Graph) -> None:
    looking = Looking(graph.context, "silent")
    try:
        with driver(graph, "silent"):
            until(lambda: bool(looking.others._found(own=0)), "the driver", looking.serve)
            for looking.now in (0.0, other_robots.LOOK + 0.1, other_robots.GONE - 0.1):
                assert not looking.others.absent()
            looking.now = other_robots.GONE + 0.1
            with pytest.raises(OtherRobotError, match="/silent/driver publishes"):
                looking.others.absent()
        until(lambda: not looking.others._found(own=0), "the driver's end", looking.serve)
        assert looking.others.absent()
    finally:
        looking.close()


def test_a_robot_is_found_before_anything_is_started(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", graph.env["ROS_DOMAIN_ID"])
    assert present_robots(["nobody"], 0.5)["nobody"].states == ""
    recorder = graph.recorder()
    recorder.create_publisher(String, "/lab/robot_description", LATCHED)
    with driver(graph, "lab") as publish:
        timer = recorder.create_timer(0.02, publish)
        stop = graph_spins(recorder)
        try:
            found = present_robots(["lab", "nobody"], 5.0)
        finally:
            stop()
            recorder.destroy_timer(timer)
    assert found["lab"].states == "/lab/driver publishes /lab/joint_states"
    assert found["lab"].described and not found["nobody"].described
    assert not found["nobody"].states


def graph_spins(recorder: Recorder) -> Callable[[], None]:
    """Serve a node in a thread; returns what ends that."""
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            recorder.listen(0.02)

    thread = threading.Thread(target=serve)
    thread.start()

    def stop() -> None:
        done.set()
        thread.join()

    return stop
