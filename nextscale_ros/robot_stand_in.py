"""Base of the nodes that stand in for a robot: the mock robot and the simulated robot.

A stand-in is never a second source: it does not start where another node publishes joint states or
serves the controller's action, and it ends when such a node appears.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.timer import Timer
from sensor_msgs.msg import JointState

from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.options import DESCRIPTION
from nextscale_ros.other_robots import OtherRobotError, OtherRobots
from nextscale_ros.parameters.values import declare_parameters
from nextscale_ros.robot_description import described_robot, publish_description, resting_joints
from nextscale_ros.tf import BaseTransforms, root_link

_LOOK_EVERY = 0.2
"""Period of the search for another robot [s]."""


class RobotStandIn(Node):
    """A node that publishes the state of a robot while no other node does.

    Subclasses define `_subscribe`, called once, and `_tick`, called at the rate of the parameter
    `state_rate` from then on.

    Args:
        name: Name of the node and of its section in config/parameters.yaml.
        controller: Whether it serves the action of the parameter `controller`.
        parameter_overrides: Initial values of parameters, in addition to the command line's.

    Attributes:
        failure: Error that ends the node; '' while it runs.
        retired: True if the node ends, without an error, because another robot is present.

    Raises:
        NextscaleError: the robot cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        *,
        controller: bool = False,
        parameter_overrides: Sequence[Parameter] = (),
    ) -> None:
        super().__init__(name, parameter_overrides=list(parameter_overrides))
        declare_parameters(self, name)
        robot = self._robot = described_robot(self)
        self._names = list(robot.joint_names)
        # A real robot publishes all of its joints, and robot_state_publisher needs them.
        self._resting = resting_joints(robot)
        self._child_frame = self._text("base_link") or root_link(robot)
        self._base_frame = "odom"
        # A float holds nanoseconds since the start, not since 1970.
        self._epoch = self._now()
        self._transforms: BaseTransforms | None = None
        if self.get_parameter("publish_tf").value:
            self._transforms = BaseTransforms(self, robot)
        self._timer: Timer | None = None
        self.failure, self.retired = "", False
        action = self._text("controller") if controller else ""
        self._others = OtherRobots(self, self._text("joint_states_topic"), action)
        # Simulated time may stand still.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._look_timer = self.create_timer(_LOOK_EVERY, self._look, clock=self._steady)

    def _subscribe(self) -> None:
        """Create what takes commands."""
        raise NotImplementedError

    def _tick(self) -> None:
        """Advance the robot and publish its state."""
        raise NotImplementedError

    def _look(self) -> None:
        """Start once no other robot is present; end if there is one."""
        try:
            if self._timer is not None:
                self._others.check()
            elif self._others.absent():
                self._start()
        except OtherRobotError as error:
            kind = self.get_name().replace("_", " ")
            self._give_way(f"{error}: this {kind} would be a second source and ends")

    def _give_way(self, reason: str) -> None:
        """Stop the timers and end, as an error or quietly."""
        self.destroy_timer(self._look_timer)
        if self._timer is not None:
            self.destroy_timer(self._timer)
        if self.get_parameter("give_way").value:
            self.get_logger().warning(reason)
            self.retired = True
        else:
            self.failure = reason

    def _start(self) -> None:
        """Create publishers, subscriptions and the timer."""
        topic = self._text("description_topic")
        # A description that this node received, or that is already published, needs no second one.
        described = self._text("robot") == DESCRIPTION or self.count_publishers(topic)
        if self.get_parameter("publish_description").value and not described:
            self._description = publish_description(self, self._robot, topic)
        self._states = self.create_publisher(JointState, self._text("joint_states_topic"), 10)
        self._odometry = self.create_publisher(Odometry, self._text("odometry_topic"), 10)
        self._subscribe()
        self._timer = self._make_timer(1.0 / float(self.get_parameter("state_rate").value))

    def _make_timer(self, period: float) -> Timer:
        return self.create_timer(period, self._tick)

    def _text(self, parameter: str) -> str:
        return str(self.get_parameter(parameter).value)

    def _now(self) -> int:
        """The node's clock [ns]."""
        return int(self.get_clock().now().nanoseconds)

    def _seconds(self, nanoseconds: int) -> float:
        """A time of the node's clock [ns] as seconds since the node's start [s]."""
        return (nanoseconds - self._epoch) / NANOSECONDS

    def _publish_joints(self, positions: np.ndarray, velocities: np.ndarray, stamp: Time) -> None:
        """Publish the joints (J,), and those that rest [rad, rad/s]."""
        state = JointState(
            name=[*self._names, *self._resting],
            position=[*positions.tolist(), *self._resting.values()],
            velocity=[*velocities.tolist(), *[0.0] * len(self._resting)],
        )
        state.header.stamp = stamp
        self._states.publish(state)

    def _publish_base(
        self,
        position: np.ndarray,
        quaternion: np.ndarray,
        stamp: Time,
        linear: Sequence[float] = (0.0, 0.0, 0.0),
        angular: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Publish the base.

        Args:
            position: (3,) [m].
            quaternion: (4,) x y z w.
            stamp: Time of the state.
            linear: (3,) velocity in the frame of the base [m/s].
            angular: (3,) in the frame of the base [rad/s].
        """
        odometry = Odometry(child_frame_id=self._child_frame)
        odometry.header.frame_id = self._base_frame
        odometry.header.stamp = stamp
        pose, twist = odometry.pose.pose, odometry.twist.twist
        for vector, values in (
            (pose.position, position),
            (twist.linear, linear),
            (twist.angular, angular),
        ):
            vector.x, vector.y, vector.z = (float(value) for value in values)
        turn = pose.orientation
        turn.x, turn.y, turn.z, turn.w = (float(value) for value in quaternion)
        self._odometry.publish(odometry)
