"""Subscriptions to joint states, and to the base from odometry, TF or an IMU.

With `use_sim_time` messages are left out until the first /clock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as StampMessage
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.time import Time
from rclpy.timer import Timer
from sensor_msgs.msg import Imu, JointState

from nextscale_core.estimation.base_pose import (
    BaseJump,
    BasePoseBuffer,
    BasePoseError,
    ImuBuffer,
    root_link,
    told_jumps,
)
from nextscale_core.estimation.clock import AHEAD, JUMP
from nextscale_core.estimation.joint_states import MAX_WARNINGS, JointStateBuffer
from nextscale_core.estimation.sender_conflicts import CONTACT_ACCELERATION, MAX_ACCELERATION
from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.options import BALANCING
from nextscale_ros.qos import SENSORS, node_of, subscription_events
from nextscale_ros.robot_state.listener import Listener

DELAYS = 2000
"""Number of joint states whose delay is kept."""

_COMPARED = 200
"""Number of joint states whose stamps are compared with this machine's clock at a time."""

_TF_RATE = 50.0
"""Rate at which the transform of the base is looked up [Hz]."""


def told_new_world(jumps: list[BaseJump]) -> str:
    """How much the base jumped, and what happens then; '' where it did not."""
    told = told_jumps(jumps)
    what = "its world counts as a new one: the reference moves along, and nothing is walked back"
    return f"{told}; {what}" if told else ""


class RobotInputs:
    """Subscribes to the state of the robot and buffers it, at times of `clock`.

    Args:
        node: Owns the subscriptions.
        robot: The robot.
        clock: Clock of the robot, which never steps back [s].
        complain: Called with problems of the connections.

    Attributes:
        joints: Joint states, those of held joints included.
        base: Poses of the base.
        imu: Orientations of the link `imu_link`.
        imu_link: The link.
        delays: Times from the stamps of the last joint states to their arrival [s].

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
        self._warnings: set[str] = set()
        self._conflict = False
        self._timer: Timer | None = None
        self._tf: Any = None
        self.forget()
        self.imu_link = self._text("imu_link")
        try:
            self._subscribe_all()
        except BaseException:
            # The caller has no object to destroy, and the listener's thread is running.
            self.destroy()
            raise

    def forget(self) -> None:
        """Empty all buffers."""
        self.delays: deque[float] = deque(maxlen=DELAYS)
        self._compared, self._other_clock = 0, False
        balances = self._text("output") in BALANCING
        limit = CONTACT_ACCELERATION if balances else MAX_ACCELERATION
        self.joints = JointStateBuffer.of_robot(self._robot, self._publishers, limit)
        timeout = float(self._node.get_parameter("odometry_timeout").value)
        self.base = BasePoseBuffer(self._robot, timeout)
        self.imu = ImuBuffer()

    def _subscribe_all(self) -> None:
        self._subscribe(JointState, "joint_states_topic", self._on_joint_state)
        source = self._text("base_source")
        if source == "odometry":
            self._subscribe(Odometry, "odometry_topic", self._on_odometry)
        elif source == "tf":
            self._subscribe_tf()
        if self._text("imu_topic"):
            self._subscribe(Imu, "imu_topic", self._on_imu)

    def _text(self, parameter: str) -> str:
        return str(self._node.get_parameter(parameter).value)

    def _subscribe(self, kind: type, parameter: str, callback: Callable[[Any], None]) -> None:
        topic = self._text(parameter)
        events = subscription_events(self._node, topic, SENSORS, self._events)

        def receive(message: Any) -> None:
            # Simulated time is 0 until the first /clock: when the message came is not known.
            if self._clock() > 0.0:
                callback(message)

        self._listener.subscribe(kind, topic, receive, SENSORS, event_callbacks=events)

    def destroy(self) -> None:
        """End the subscriptions; the buffers stay."""
        self._listener.destroy()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        if self._tf is not None:
            self._tf.unregister()
        self._timer = self._tf = None

    def stamp(self, time: float) -> StampMessage:
        """A time by `clock` [s] on the clock of the joint states' stamps, or else on the node's."""
        seconds = self.joints.stamp(time)
        if seconds is None:
            own = float(self._node.get_clock().now().nanoseconds) / NANOSECONDS
            seconds = own + time - self._clock()
        sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
        return StampMessage(sec=int(sec), nanosec=int(nanosec))

    def _publishers(self) -> str:
        """Description of the nodes that publish joint states."""
        topic = self._node.resolve_topic_name(self._text("joint_states_topic"))
        found = self._node.get_publishers_info_by_topic(topic)
        nodes = sorted(set(map(node_of, found)))
        return f"{topic} is published by {', '.join(nodes) or 'no node any more'}"

    def _arrival(self, message: Any) -> tuple[float, float, float]:
        """Time of arrival by `clock`, stamp, and time of arrival by the clock of stamps [s]."""
        own = float(self._node.get_clock().now().nanoseconds) / NANOSECONDS
        return self._clock(), nanoseconds(message.header.stamp) / NANOSECONDS, own

    def _warn_once(self, warning: str) -> None:
        if warning in self._warnings or len(self._warnings) >= MAX_WARNINGS:
            return
        self._warnings.add(warning)
        self._node.get_logger().warning(warning)

    def _on_joint_state(self, message: JointState) -> None:
        now, stamp, own = self._arrival(message)
        if stamp > 0.0:
            self.delays.append(own - stamp)
            self._compare_clocks()
        warnings = self.joints.update(
            message.name, message.position, message.velocity, now, stamp, own
        )
        for warning in warnings:
            self._node.get_logger().warning(warning)
        self._log_conflict(now)

    def _compare_clocks(self) -> None:
        """Complain once where the joint states' stamps are those of another clock."""
        self._compared += 1
        if self._other_clock or self._compared % _COMPARED:
            return
        # What a busy machine receives late is not late all the time.
        recent = list(self.delays)[-_COMPARED:]
        off = min(recent) if min(recent) > JUMP else max(recent)
        if not -AHEAD <= off <= JUMP:
            self._other_clock = True
            way = "behind" if off > 0 else "ahead of"
            self._events(
                f"joint states are stamped {abs(off):.1f} s {way} this machine's clock: "
                "trajectories are stamped by their clock, so the controller must use it too; "
                "synchronize the clocks if it does not"
            )

    def _log_conflict(self, now: float) -> None:
        """Log the begin and the end of a conflict of senders."""
        before, self._conflict = self._conflict, self.joints.in_conflict(now)
        if self._conflict and not before:
            conflict = self.joints.conflict(now)
            self._node.get_logger().error(f"{conflict}; requests are refused until they agree")
        if before and not self._conflict:
            self._node.get_logger().info("the senders of joint states agree again")

    def _on_odometry(self, message: Odometry) -> None:
        pose = message.pose.pose
        self._add_base(pose.position, pose.orientation, message.child_frame_id, message)

    def _add_base(self, place: Any, turn: Any, link: str, message: Any) -> None:
        position = np.array([place.x, place.y, place.z])
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        try:
            jump = self.base.update(position, quaternion, link, *self._arrival(message))
        except BasePoseError as error:
            self._warn_once(f"{error}; left out")
            return
        if jump is not None:
            self._node.get_logger().warning(told_new_world([jump]), throttle_duration_sec=1.0)

    def _on_imu(self, message: Imu) -> None:
        turn = message.orientation
        if message.orientation_covariance[0] == -1.0:
            # REP-145: the sensor measures no orientation.
            self._warn_once(f"the IMU on {self._text('imu_topic')} measures no orientation")
            return
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        try:
            self.imu.update(quaternion, *self._arrival(message))
        except BasePoseError as error:
            self._warn_once(f"{error}; left out")

    def _subscribe_tf(self) -> None:
        try:
            from tf2_ros import Buffer, TransformException, TransformListener
        except ImportError as error:
            raise ConfigError(
                "base_source: tf needs tf2_ros, which comes with a ROS installation (apt install "
                "ros-$ROS_DISTRO-tf2-ros-py) and not from PyPI; use odometry or none"
            ) from error
        buffer = Buffer(node=self._node)
        # The listener owns its subscriptions.
        self._tf = TransformListener(buffer, self._node)
        world, root = self._text("base_frame"), root_link(self._robot)

        def look_up() -> None:
            try:
                found = buffer.lookup_transform(world, root, Time())
            except TransformException as error:
                self._warn_once(f"no transform from {world} to {root} yet: {error}")
                return
            self._add_base(found.transform.translation, found.transform.rotation, root, found)

        self._timer = self._node.create_timer(
            1.0 / _TF_RATE, look_up, callback_group=MutuallyExclusiveCallbackGroup()
        )
