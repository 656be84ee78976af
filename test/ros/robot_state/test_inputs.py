"""Subscriptions to the base from TF, with a stand-in for tf2_ros, which is not on PyPI."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nextscale_core.estimation import clock
from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot, load_robot
from nextscale_ros.robot_state.inputs import RobotInputs
from ros.declaring import context_with, node_of
from ros.graph import TRIES, Graph, until

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def context(graph: Graph) -> Iterator[Context]:
    with context_with(graph) as context:
        yield context


class TransformException(Exception):  # noqa: N818
    """As in tf2_ros."""


class Buffer:
    """The part of tf2_ros's that is used: the newest transform between two frames."""

    def __init__(self, cache_time: object = None, node: Node | None = None) -> None:
        self._known: dict[tuple[str, str], TransformStamped] = {}

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        self._known[transform.header.frame_id, transform.child_frame_id] = transform

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: object
    ) -> TransformStamped:
        try:
            return self._known[target_frame, source_frame]
        except KeyError:
            raise TransformException(f'"{source_frame}" does not exist') from None


class TransformListener:
    """As in tf2_ros: fills a buffer from /tf."""

    def __init__(self, buffer: Buffer, node: Node) -> None:
        self._buffer, self._node = buffer, node
        self._subscription = node.create_subscription(TFMessage, "/tf", self._hear, 100)

    def _hear(self, message: Any) -> None:
        for transform in message.transforms:
            self._buffer.set_transform(transform, "default_authority")

    def unregister(self) -> None:
        self._node.destroy_subscription(self._subscription)


@pytest.fixture
def with_tf2_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tf2_ros")
    for one in (Buffer, TransformException, TransformListener):
        setattr(module, one.__name__, one)
    monkeypatch.setitem(sys.modules, "tf2_ros", module)


@contextmanager
def served(node: Node) -> Iterator[None]:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        executor.shutdown()


def transform(node: Node, height: float) -> TransformStamped:
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = "odom", "pelvis"
    message.header.stamp = node.get_clock().now().to_msg()
    message.transform.translation.x = 3.0
    message.transform.translation.z = height
    message.transform.rotation.z = message.transform.rotation.w = np.sqrt(0.5)
    return message


@pytest.mark.skipif(TFMessage is None, reason="needs tf2_msgs, which is not here")
@pytest.mark.usefixtures("with_tf2_ros")
def test_the_base_comes_from_tf_for_as_long_as_it_is_published(
    context: Context, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "JUMP", 0.3)
    monkeypatch.setattr(clock, "PATIENCE", 0.3)
    with node_of(context, "generate_node", {"base_source": "tf"}) as node:
        inputs = RobotInputs(node, robot)
        assert robot.model.frames[2].name == "pelvis"
        publisher = node.create_publisher(TFMessage, "/tf", 10)

        def tell() -> None:
            publisher.publish(TFMessage(transforms=[transform(node, 0.8)]))

        with served(node):
            until(lambda: inputs.base.last(time.monotonic(), 0.5) is not None, "the base", tell)
            pose = inputs.base.last(time.monotonic(), 0.5)
            assert pose is not None
            np.testing.assert_allclose(pose.position, [3.0, 0.0, 0.8])
            np.testing.assert_allclose(pose.quaternion, [0, 0, np.sqrt(0.5), np.sqrt(0.5)])
            # The buffer still has the last one; it grows old all the same.
            time.sleep(1.2)
            assert inputs.base.last(time.monotonic(), 0.5) is None
        inputs.destroy()


@pytest.mark.skipif(TFMessage is None, reason="needs tf2_msgs, which is not here")
@pytest.mark.usefixtures("with_tf2_ros")
def test_a_base_that_never_comes_is_logged_once(context: Context, robot: Robot) -> None:
    with node_of(context, "generate_node", {"base_source": "tf"}) as node:
        told: list[str] = []
        node.get_logger().warning = told.append  # type: ignore[method-assign]
        inputs = RobotInputs(node, robot)
        with served(node):
            until(lambda: bool(told), "a warning", lambda: None)
            time.sleep(0.2)
        inputs.destroy()
    assert len(told) == 1 and told[0].startswith("no transform from odom to pelvis yet")


def test_without_tf2_ros_the_error_states_where_to_get_it(context: Context, robot: Robot) -> None:
    with node_of(context, "generate_node", {"base_source": "tf"}) as node:
        if find_spec("tf2_ros") is not None:
            pytest.skip("tf2_ros is installed")
        threads = threading.active_count()
        with pytest.raises(ConfigError, match="use odometry or none"):
            RobotInputs(node, robot)
        assert threading.active_count() == threads


def test_the_drivers_of_all_joints_may_publish_at_the_same_instant(
    context: Context, robot: Robot
) -> None:
    with node_of(context, "generate_node") as node:
        inputs = RobotInputs(node, robot)
        drivers = [node.create_publisher(JointState, "/joint_states", 10) for _ in robot.nominal]

        def publish() -> None:
            # Nothing is read meanwhile: all messages wait.
            with inputs.joints._lock:
                for driver, name in zip(drivers, robot.joint_names, strict=True):
                    driver.publish(JointState(name=[name], position=[0.0]))
                time.sleep(0.3)
            time.sleep(0.3)

        matched = [lambda one=one: one.get_subscription_count() > 0 for one in drivers]
        until(lambda: all(one() for one in matched), "the subscription", lambda: None)
        read = []
        for _ in range(TRIES):
            inputs.forget()
            publish()
            read.append(inputs.joints.complete)
        assert any(read)
        inputs.destroy()


@pytest.mark.parametrize(
    ("ahead", "told"), [(-60.0, "s behind this"), (60.0, "s ahead of this"), (0.0, "")]
)
def test_joint_states_with_the_stamps_of_another_clock_are_told(
    context: Context, robot: Robot, ahead: float, told: str
) -> None:
    complaints: list[str] = []
    with node_of(context, "generate_node") as node:
        inputs = RobotInputs(node, robot, complain=complaints.append)
        publisher = node.create_publisher(JointState, "/joint_states", 10)
        names, positions = list(robot.joint_names), robot.nominal.tolist()

        def tell() -> None:
            stamp = (node.get_clock().now() + Duration(seconds=ahead)).to_msg()
            message = JointState(name=names, position=positions)
            message.header.stamp = stamp
            publisher.publish(message)
            time.sleep(0.002)

        until(lambda: inputs.joints.messages >= 500, "joint states", tell)
        inputs.destroy()
    assert len(complaints) == bool(told)
    # They may lie for a while before they are read.
    said = rf"joint states are stamped (59|60|61)\.\d {told} machine's clock"
    assert all(re.search(said, one) for one in complaints)
