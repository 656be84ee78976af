"""The topic `robot_description`: waited for, and turned into a robot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.resources import resource
from nextscale_core.retarget import Robot, load_robot
from nextscale_ros.description import (
    DescriptionTimeoutError,
    described_robot,
    description_text,
    publish_description,
    wait_for_description,
)
from nextscale_ros.parameters import declare_parameters
from nextscale_ros.qos import LATCHED
from ros.graph import REPLY, Graph

PROFILE = str(resource("config/robots/g1.yaml"))


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


def listener(graph: Graph, namespace: str, **parameters: str) -> Node:
    """A node that wants to know its robot."""
    node = Node(
        "listener",
        context=graph.context,
        namespace=namespace,
        parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
    )
    graph.stack.callback(node.destroy_node)
    declare_parameters(node, section="viewer_node")
    return node


@pytest.fixture
def teller(graph: Graph) -> Iterator[Node]:
    node = Node("teller", context=graph.context, namespace="lab")
    yield node
    node.destroy_node()


def test_what_was_said_before_anybody_listened_is_heard(
    graph: Graph, teller: Node, robot: Robot
) -> None:
    publisher: Publisher = publish_description(teller, robot, "robot_description")
    node = listener(graph, "lab", robot="robot_description", profile=PROFILE)
    assert wait_for_description(node, "robot_description", REPLY) == description_text(robot)
    heard = described_robot(node, REPLY)
    assert heard.joint_names == robot.joint_names
    np.testing.assert_allclose(heard.nominal, robot.nominal)
    assert node.get_name() == "listener", "the node's own name and parameters are left alone"
    teller.destroy_publisher(publisher)


def test_nobody_says_anything(graph: Graph) -> None:
    node = listener(graph, "elsewhere", robot="robot_description", profile=PROFILE)
    with pytest.raises(DescriptionTimeoutError, match="on /elsewhere/robot_description"):
        described_robot(node, 0.3)


def test_who_says_it_too_early_is_told_how(graph: Graph, teller: Node) -> None:
    volatile = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)
    publisher = teller.create_publisher(String, "mumbled", volatile)
    publisher.publish(String(data="<robot/>"))
    node = listener(graph, "lab")
    with pytest.raises(DescriptionTimeoutError, match="must be reliable and transient local"):
        wait_for_description(node, "mumbled", 3.0)


def test_a_description_needs_a_profile(graph: Graph) -> None:
    node = listener(graph, "lab", robot="robot_description")
    with pytest.raises(ConfigError, match="needs the parameter profile"):
        described_robot(node, 0.3)


@pytest.mark.parametrize("text", ["<robot", "<robot name='r'/>", "hello"])
def test_a_text_that_describes_no_robot_is_refused(graph: Graph, teller: Node, text: str) -> None:
    publisher = teller.create_publisher(String, "robot_description", LATCHED)
    publisher.publish(String(data=text))
    node = listener(graph, "lab", robot="robot_description", profile=PROFILE)
    with pytest.raises(RobotError):
        described_robot(node, REPLY)
    teller.destroy_publisher(publisher)


def test_meshes_that_are_not_found_keep_their_names(
    robot: Robot, tmp_path_factory: pytest.TempPathFactory
) -> None:

    lost = replace(robot, mesh_dirs=(tmp_path_factory.mktemp("empty"),))
    assert "file://" not in description_text(lost)
    assert description_text(lost).count("<mesh") == description_text(robot).count("<mesh")
