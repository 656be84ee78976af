"""Publishers and subscribers that do not fit are reported; those that fit are heard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from nextscale_ros.qos import (
    COMMAND,
    EVENTS,
    LATCHED,
    SENSORS,
    publisher_events,
    subscription_events,
)
from ros.graph import Graph, until

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class Pair:
    """We and somebody else, in one thread."""

    def __init__(self, graph: Graph) -> None:
        self.us = Node("us", context=graph.context)
        self.them = Node("them", context=graph.context, namespace="/lab")
        self.reports: list[str] = []
        self.heard: list[object] = []
        self._executor = SingleThreadedExecutor(context=graph.context)
        self._executor.add_node(self.us)
        self._executor.add_node(self.them)

    def close(self) -> None:
        self._executor.shutdown()
        self.us.destroy_node()
        self.them.destroy_node()

    def subscribe(self, topic: str, profile: QoSProfile, kind: type = String) -> None:
        events = subscription_events(self.us, topic, profile, self.reports.append)
        self.us.create_subscription(kind, topic, self.heard.append, profile, event_callbacks=events)

    def publish(self, topic: str, profile: QoSProfile):
        events = publisher_events(self.us, topic, profile, self.reports.append)
        return self.us.create_publisher(String, topic, profile, event_callbacks=events)

    def wait(self, condition) -> None:
        until(
            condition,
            "the other side",
            lambda: self._executor.spin_once(timeout_sec=0.05),
            told=lambda: f"reports {self.reports}",
        )


@pytest.fixture
def pair(graph: Graph) -> Iterator[Pair]:
    pair = Pair(graph)
    yield pair
    pair.close()


def test_a_best_effort_publisher_of_sentences_is_reported_with_what_would_be_right(
    pair: Pair,
) -> None:
    pair.subscribe("text_command", EVENTS)
    pair.them.create_publisher(String, "/text_command", BEST_EFFORT)
    pair.wait(lambda: pair.reports)
    assert pair.reports == [
        "nothing is received from /lab/them on /text_command: it offers reliability best_effort "
        "and we ask for reliability reliable; publish reliability reliable"
    ]


def test_a_description_that_is_not_kept_for_late_comers_is_reported(pair: Pair) -> None:
    pair.subscribe("robot_description", LATCHED)
    pair.them.create_publisher(String, "/robot_description", RELIABLE)
    pair.wait(lambda: pair.reports)
    (report,) = pair.reports
    assert "offers durability volatile and we ask for durability transient_local" in report


def test_two_policies_that_do_not_fit_are_both_named(pair: Pair) -> None:
    pair.subscribe("both", LATCHED)
    pair.them.create_publisher(String, "/both", BEST_EFFORT)
    pair.wait(lambda: pair.reports)
    (report,) = pair.reports
    assert "reliability best_effort and durability volatile" in report


def test_each_publisher_that_does_not_fit_is_reported_once(pair: Pair) -> None:
    pair.subscribe("many", EVENTS)
    for count in range(1, 4):
        pair.them.create_publisher(String, "/many", BEST_EFFORT)
        pair.wait(lambda count=count: len(pair.reports) >= count)
    fitting = pair.them.create_publisher(String, "/many", RELIABLE)
    pair.wait(lambda: fitting.get_subscription_count() > 0)
    fitting.publish(String(data="and this one is heard"))
    pair.wait(lambda: pair.heard)
    assert len(pair.reports) == 3


def test_a_subscriber_that_asks_for_more_than_commands_offer_is_reported(pair: Pair) -> None:
    pair.publish("motion_command", COMMAND)
    latched = QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    pair.them.create_subscription(String, "/motion_command", pair.heard.append, latched)
    pair.wait(lambda: pair.reports)
    assert pair.reports == [
        "/lab/them receives nothing from us on /motion_command: it asks for durability "
        "transient_local and we offer durability volatile; subscribe durability volatile"
    ]


@pytest.mark.parametrize("profile", [RELIABLE, BEST_EFFORT], ids=["reliable", "best effort"])
def test_joint_states_are_heard_from_publishers_of_either_kind(
    pair: Pair, profile: QoSProfile
) -> None:
    pair.subscribe("joint_states", SENSORS, JointState)
    publisher = pair.them.create_publisher(JointState, "/joint_states", profile)
    pair.wait(lambda: publisher.get_subscription_count() > 0)
    # A best-effort message may be lost on its way.
    pair.wait(lambda: publisher.publish(JointState(name=["a"])) or pair.heard)
    assert list(pair.heard[0].name) == ["a"]
    assert pair.reports == []


def test_a_late_comer_gets_the_description(pair: Pair) -> None:
    pair.them.create_publisher(String, "/robot_description", LATCHED).publish(
        String(data="<robot/>")
    )
    pair.subscribe("robot_description", LATCHED)
    pair.wait(lambda: pair.heard)
    assert pair.heard[0].data == "<robot/>"
    assert pair.reports == []
