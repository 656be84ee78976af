"""What the node hears of the robot: joint states, and the base from odometry, TF or an IMU."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.time import Time
from rclpy.timer import Timer
from sensor_msgs.msg import Imu, JointState

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.qos import SENSORS, subscription_events
from nextscale_ros.robot_state.base_pose_buffer import BasePoseBuffer, BasePoseError, ImuBuffer
from nextscale_ros.robot_state.joint_state_buffer import MAX_COMPLAINTS, joint_states_of
from nextscale_ros.robot_state.listener import Listener

DELAYS = 2000
"""Joint states of which the delay is kept."""

_TF_RATE = 50.0
"""How often the transform of the base is looked up [Hz]."""


class RobotInputs:
    """Subscribes to everything that tells where the robot is, and remembers it.

    All times in the memories are by `clock`.

    Args:
        node: Owns the subscriptions.
        robot: The robot.
        clock: The clock that the robot lives by; never steps back [s].
        complain: Takes what is wrong with the connections.

    Attributes:
        joints: Joint states; of held joints too.
        base: Poses of the base.
        imu: Orientations.
        imu_link: The link they are of.
        delays: From the stamps of the last joint states to here, where the clocks agree [s].

    Raises:
        ConfigError: `base_source` is 'tf' and tf2_ros is not installed.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        clock: Callable[[], float] = time.monotonic,
        complain: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._node, self._robot, self._clock, self._events = node, robot, clock, complain
        self._listener = Listener(node, "robot")
        self._told: set[str] = set()
        self._conflict = False
        self._timer: Timer | None = None
        self._tf: Any = None
        self.forget()
        self.imu_link = self._text("imu_link")
        try:
            self._subscribe_all(robot)
        except BaseException:
            # Nobody else knows of the thread that hears.
            self.destroy()
            raise

    def forget(self) -> None:
        """As if nothing had ever been heard."""
        self.delays: deque[float] = deque(maxlen=DELAYS)
        self.joints = joint_states_of(self._robot, self._publishers)
        self.base = BasePoseBuffer(self._robot)
        self.imu = ImuBuffer()

    def _subscribe_all(self, robot: Robot) -> None:
        self._subscribe(JointState, "joint_states_topic", self._on_joint_state)
        source = self._text("base_source")
        if source == "odometry":
            self._subscribe(Odometry, "odometry_topic", self._on_odometry)
        elif source == "tf":
            self._listen_to_tf(robot)
        if self._text("imu_topic"):
            self._subscribe(Imu, "imu_topic", self._on_imu)

    def _text(self, parameter: str) -> str:
        return str(self._node.get_parameter(parameter).value)

    def _subscribe(self, kind: type, parameter: str, callback: Callable[[Any], None]) -> None:
        topic = self._text(parameter)
        events = subscription_events(self._node, topic, SENSORS, self._events)
        self._listener.subscribe(kind, topic, callback, SENSORS, event_callbacks=events)

    def destroy(self) -> None:
        """Hear nothing more; what was heard stays."""
        self._listener.destroy()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        if self._tf is not None:
            self._tf.unregister()
        self._timer = self._tf = None

    def _publishers(self) -> str:
        """The nodes that publish joint states."""
        topic = self._node.resolve_topic_name(self._text("joint_states_topic"))
        found = self._node.get_publishers_info_by_topic(topic)
        nodes = sorted({f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in found})
        return f"{topic} is published by {', '.join(nodes) or 'nobody any more'}"

    def _own(self) -> float:
        """The clock that stamps are by [s]."""
        return float(self._node.get_clock().now().nanoseconds) / NANOSECONDS

    def _complain(self, complaint: str) -> None:
        """Warn once of each thing."""
        if complaint in self._told or len(self._told) >= MAX_COMPLAINTS:
            return
        self._told.add(complaint)
        self._node.get_logger().warning(complaint)

    def _on_joint_state(self, message: JointState) -> None:
        own, stamp = self._own(), nanoseconds(message.header.stamp) / NANOSECONDS
        if stamp > 0.0:
            self.delays.append(own - stamp)
        complaints = self.joints.update(
            message.name,
            message.position,
            message.velocity,
            self._clock(),
            stamp,
            own,
        )
        for complaint in complaints:
            self._node.get_logger().warning(complaint)
        self._watch_senders()

    def _watch_senders(self) -> None:
        """Log when senders begin and when they cease to contradict each other."""
        now = self._clock()
        before, self._conflict = self._conflict, self.joints.in_conflict(now)
        if self._conflict and not before:
            conflict = self.joints.conflict(now)
            self._node.get_logger().error(f"{conflict}; requests are refused until they agree")
        if before and not self._conflict:
            self._node.get_logger().info("the senders of joint states agree again")

    def _on_odometry(self, message: Odometry) -> None:
        pose = message.pose.pose
        self._take_base(pose.position, pose.orientation, message.child_frame_id, message.header)

    def _take_base(self, place: Any, turn: Any, link: str, header: Any) -> None:
        try:
            self.base.update(
                np.array([place.x, place.y, place.z]),
                np.array([turn.x, turn.y, turn.z, turn.w]),
                link.lstrip("/"),
                self._clock(),
                nanoseconds(header.stamp) / NANOSECONDS,
                self._own(),
            )
        except BasePoseError as error:
            self._complain(f"{error}; left out")

    def _on_imu(self, message: Imu) -> None:
        turn = message.orientation
        if message.orientation_covariance[0] == -1.0:
            # REP-145: a sensor that measures no orientation says so in this way.
            self._complain(f"the IMU on {self._text('imu_topic')} measures no orientation")
            return
        try:
            self.imu.update(
                np.array([turn.x, turn.y, turn.z, turn.w]),
                self._clock(),
                nanoseconds(message.header.stamp) / NANOSECONDS,
                self._own(),
            )
        except BasePoseError as error:
            self._complain(f"{error}; left out")

    def _listen_to_tf(self, robot: Robot) -> None:
        try:
            from tf2_ros import Buffer, TransformException, TransformListener
        except ImportError as error:
            raise ConfigError(
                "base_source: tf needs tf2_ros, which comes with a ROS installation (apt install "
                "ros-$ROS_DISTRO-tf2-ros-py) and not from PyPI; use odometry or none"
            ) from error
        buffer = Buffer(node=self._node)
        # The listener's subscriptions live as long as it does.
        self._tf = TransformListener(buffer, self._node)
        world, root = self._text("base_frame"), robot.model.frames[2].name

        def look_up() -> None:
            try:
                found = buffer.lookup_transform(world, root, Time())
            except TransformException as error:
                self._complain(f"no transform from {world} to {root} yet: {error}")
                return
            moved = found.transform
            self._take_base(moved.translation, moved.rotation, root, found.header)

        self._timer = self._node.create_timer(
            1.0 / _TF_RATE, look_up, callback_group=MutuallyExclusiveCallbackGroup()
        )
