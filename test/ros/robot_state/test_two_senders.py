"""A driver and a second node that publish different joint states for the same joints."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nextscale_core.estimation.sender_conflicts import WINDOW
from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.msg import ErrorCode, MotionReport
from ros.fake_robot import FakeRobot
from ros.graph import GOOD, REPLY, START, Graph

TEXT = "a person raises the right arm"


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def node(graph: Graph) -> Child:
    return graph.start(
        "ros.fake_pipeline", {"seconds": 3.0, "state_timeout": 2.0, "diagnostics_period": 0.2}
    )


@pytest.fixture
def client(graph: Graph, node: Child) -> Iterator[Recorder]:
    recorder = Recorder(graph.context)
    recorder.wait(lambda: recorder.connected(mock=False), START, "the node", graph.alive)
    yield recorder
    node.check()
    recorder.destroy_node()


@pytest.fixture
def body(graph: Graph, robot: Robot, client: Recorder) -> Iterator[FakeRobot]:
    """The robot and its driver."""
    made = FakeRobot(graph.context, robot, rate=100.0)
    client.wait(lambda: made.publisher.get_subscription_count() > 1, REPLY, "the node")
    client.listen(WINDOW + 1.0)
    yield made
    made.close()


@contextmanager
def second_sender(
    graph: Graph, client: Recorder, names: Sequence[str], positions: Sequence[float]
) -> Iterator[None]:
    """A joint_state_publisher at 50 Hz."""
    node = Node("joint_state_publisher", context=graph.context)
    publisher = node.create_publisher(JointState, "/joint_states", 10)
    ended = threading.Event()

    def talk() -> None:
        while not ended.wait(0.02):
            message = JointState(name=list(names), position=list(positions))
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)

    client.wait(lambda: publisher.get_subscription_count() > 1, REPLY, "the node")
    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        client.listen(1.0)
        yield
    finally:
        ended.set()
        thread.join(10.0)
        node.destroy_node()


def ask(client: Recorder, text: str = TEXT) -> MotionReport:
    reports = len(client.reports)
    client.say(text)
    client.wait(lambda: len(client.reports) > reports, REPLY, "the report")
    return client.reports[-1]


def diagnosed(client: Recorder, level: bytes) -> DiagnosticStatus:
    """The first status of this level from now on."""
    heard: list[DiagnosticArray] = []
    subscription = client.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    client.wait(lambda: bool(heard) and heard[-1].status[0].level == level, REPLY, "diagnostics")
    client.destroy_subscription(subscription)
    return heard[-1].status[0]


def test_a_second_sender_of_zeros_keeps_every_motion_from_the_robot_until_it_is_gone(
    client: Recorder, graph: Graph, robot: Robot, body: FakeRobot, node: Child
) -> None:
    names = sorted(robot.joint_names)
    with second_sender(graph, client, names, [0.0] * len(names)):
        report = ask(client)
        assert report.outcome == MotionReport.FAILED
        assert report.error.code == ErrorCode.SENDER_CONFLICT
        assert "two senders contradict each other" in report.message
        assert "/joint_states is published by" in report.message
        for sender in ("/joint_state_publisher", "/puppet"):
            assert sender in report.message
        status = diagnosed(client, DiagnosticStatus.ERROR)
        assert "two senders contradict each other" in status.message
        client.listen(0.5)
        assert not client.commands and not client.bases
    client.listen(WINDOW + 1.0)
    assert ask(client).outcome in GOOD
    client.wait(lambda: bool(client.commands), REPLY, "the trajectory")
    first = client.commands[-1][1].points[0]
    np.testing.assert_allclose(first.positions, robot.nominal, atol=1e-3)
    assert node.log is not None
    log = node.log.read_text()
    assert log.count("requests are refused until they agree") == 1
    assert log.count("the senders of joint states agree again") == 1


def test_a_second_sender_that_begins_while_a_motion_is_made_keeps_it_from_the_robot(
    client: Recorder, graph: Graph, robot: Robot, body: FakeRobot
) -> None:
    client.say("please wait")
    client.listen(1.0)
    with second_sender(graph, client, robot.joint_names, [0.0] * robot.num_joints):
        client.wait(lambda: bool(client.reports), REPLY, "the report")
        assert client.reports[-1].error.code == ErrorCode.SENDER_CONFLICT
        client.listen(0.3)
        assert not client.commands


def test_senders_that_agree_or_publish_other_joints_are_served(
    client: Recorder, graph: Graph, robot: Robot, body: FakeRobot
) -> None:
    with second_sender(graph, client, robot.joint_names, (robot.nominal + 0.01).tolist()):
        assert ask(client).outcome in GOOD
    client.wait(lambda: body.speed() > 0.1, REPLY, "a movement")
    client.wait(lambda: body.speed() < 1e-6, REPLY, "the robot to rest")
    with second_sender(graph, client, ["left_gripper", "right_gripper"], [0.7, 0.7]):
        assert ask(client).outcome in GOOD
