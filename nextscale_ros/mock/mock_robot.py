"""Mock robot node: joint_trajectory_controller with a robot that executes commands exactly.

Accepts trajectories on /motion_command and through the action (mock_controller.py) by the
controller's rules and logs why it rejects one. Interpolates between the points, lets a new
trajectory replace the active one, holds the last point, and publishes /joint_states (and /odom,
once a base trajectory was received) at 100 Hz, its URDF on /robot_description and the transforms of
its base on /tf; until the first base trajectory, the base stands above the origin.

It is never a second source: it does not start where another node publishes joint states or serves
the action, and it ends when such a node appears.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.exceptions import ConfigError
from nextscale_ros.messages.conversions import base_poses
from nextscale_ros.messages.validate_trajectory import (
    NANOSECONDS,
    check_joint_trajectory,
    nanoseconds,
)
from nextscale_ros.mock.mock_controller import LYRICAL, MockController, Motion, braking_plan
from nextscale_ros.mock.spline_interpolation import BaseFollower, JointFollower, JointPlan
from nextscale_ros.options import DESCRIPTION
from nextscale_ros.other_robots import OtherRobotError, OtherRobots
from nextscale_ros.parameters.values import declare_parameters
from nextscale_ros.robot_description import described_robot, publish_description, resting_joints
from nextscale_ros.spin import serve
from nextscale_ros.tf import BaseTransforms, root_link

JUMP = 0.05
"""Jump of the commanded position at the start of a trajectory that causes a warning [rad]."""

_TOGETHER = 0.5
"""Maximum time between a joint and a base trajectory that begin on arrival together [s]."""

TF_RATE = 50.0
"""Maximum rate of transforms [Hz]."""

_LOOK_EVERY = 0.2
"""Period of the search for another robot [s]."""


class MockRobot(Node):
    """A robot that stands in its nominal posture until it receives a trajectory.

    Args:
        parameter_overrides: Initial values of parameters, in addition to the command line's.

    Attributes:
        failure: Error that ends the node; '' while it runs.
        retired: True if the node ends, without an error, because another robot is present.

    Raises:
        NextscaleError: the robot cannot be loaded.
    """

    def __init__(self, *, parameter_overrides: Sequence[Parameter] = ()) -> None:
        super().__init__("mock_robot", parameter_overrides=list(parameter_overrides))
        declare_parameters(self, "mock_robot")
        robot = described_robot(self)
        self._child_frame = self._text("base_link") or root_link(robot)
        self._rate = float(self.get_parameter("state_rate").value)
        # A float holds nanoseconds since the start, not since 1970.
        self._epoch = self._now()
        self._robot = robot
        self._names = list(robot.joint_names)
        # A real robot publishes all of its joints, and robot_state_publisher needs them.
        self._resting = resting_joints(robot)
        self._joints = JointFollower(robot.nominal)
        self._base: BaseFollower | None = None
        self._splices = self._text("controller_generation") == LYRICAL
        # Arrival time of a joint or base trajectory, until its counterpart arrives.
        self._arrived: dict[str, float] = {}
        self._transforms: BaseTransforms | None = None
        self._ticks, self._every = 0, max(round(self._rate / TF_RATE), 1)
        if self.get_parameter("publish_tf").value:
            self._transforms = BaseTransforms(self, robot)
            self._begin = self._transforms.standing(robot.nominal)
        self._base_frame = "odom"
        self._moving = False
        self._controller: MockController | None = None
        self.failure, self.retired = "", False
        self._others = OtherRobots(self, self._text("joint_states_topic"), self._text("controller"))
        # Simulated time may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._look_timer = self.create_timer(_LOOK_EVERY, self._look, clock=steady)
        self._publishes = False

    def _look(self) -> None:
        """Start once no other robot is present; end if there is one."""
        try:
            if self._publishes:
                self._others.check()
            elif self._others.absent():
                self._publishes = True
                self._start()
        except OtherRobotError as error:
            self._give_way(f"{error}: this mock robot would be a second source and ends")

    def _give_way(self, reason: str) -> None:
        """Stop the timers and end, as an error or quietly."""
        self.destroy_timer(self._look_timer)
        if self._publishes:
            self.destroy_timer(self._timer)
        if self.get_parameter("give_way").value:
            self.get_logger().warning(reason)
            self.retired = True
        else:
            self.failure = reason

    def _start(self) -> None:
        """Create publishers, subscriptions, the action server and the timer."""
        command = self._text("command_topic")
        topic = self._text("description_topic")
        # A description that this node received, or that is already published, needs no second one.
        described = self._text("robot") == DESCRIPTION or self.count_publishers(topic)
        if self.get_parameter("publish_description").value and not described:
            self._description = publish_description(self, self._robot, topic)
        self._states = self.create_publisher(JointState, self._text("joint_states_topic"), 10)
        self._odometry = self.create_publisher(Odometry, self._text("odometry_topic"), 10)
        self.create_subscription(JointTrajectory, command, self._on_command, 10)
        self.create_subscription(
            MultiDOFJointTrajectory, self._text("base_topic"), self._on_base, 10
        )
        if self.get_parameter("follow_joint_trajectory").value:
            try:
                self._controller = MockController(self, self._text("controller"), self._names, self)
            except ConfigError as error:
                self.get_logger().warning(f"the controller's action is not served: {error}")
        self._timer = self.create_timer(1.0 / self._rate, self._on_timer)
        joints = f"{self._robot.name}: {len(self._names)} joints"
        self.get_logger().info(f"{joints}, subscribed to {command}")

    def _text(self, parameter: str) -> str:
        return str(self.get_parameter(parameter).value)

    def _now(self) -> int:
        """The node's clock [ns]."""
        return int(self.get_clock().now().nanoseconds)

    def _seconds(self, nanoseconds: int) -> float:
        """A time of the node's clock [ns] as seconds since the node's start [s]."""
        return (nanoseconds - self._epoch) / NANOSECONDS

    def _begin_of(self, message: JointTrajectory | MultiDOFJointTrajectory, kind: str) -> float:
        """Start time of a trajectory since the node's start [s]; a stamp of 0 means on arrival."""
        stamp = nanoseconds(message.header.stamp)
        if stamp:
            return self._seconds(stamp)
        now = self._seconds(self._now())
        first = self._arrived.pop("joints" if kind == "base" else "base", -np.inf)
        if not 0.0 <= now - first <= _TOGETHER:
            self._arrived[kind] = now
        elif kind == "base":
            return first
        elif self._base is not None:
            self._base.begin = now
        return now

    def _on_command(self, message: JointTrajectory) -> None:
        problems = self.refusals(message)
        if problems:
            self.get_logger().error(f"trajectory rejected: {'; '.join(problems[:5])}")
            return
        if self._controller is not None:
            self._controller.preempt("Current goal preempted by a command on the topic.")
        self.follow(message)

    # Interface `Following` of the action server.

    def refusals(self, trajectory: JointTrajectory) -> list[str]:
        """Reasons why the controller would reject a trajectory; empty if it is valid."""
        partial = bool(self.get_parameter("allow_partial_joints_goal").value)
        return check_joint_trajectory(trajectory, self._names, self._now(), partial)

    def brake(self) -> None:
        """Stop at the acceleration limits, or at once without `decelerate_on_cancel`."""
        now, robot = self._seconds(self._now()), self._robot
        motion = self.measured(now)
        if not self.get_parameter("decelerate_on_cancel").value:
            self._joints = JointFollower(motion[0])
            return
        limits = (robot.acceleration_limit, robot.position_lower, robot.position_upper)
        self._joints.start(braking_plan(now, motion, *limits), now)

    def desired(self, now: float) -> Motion:
        """Commanded motion of the joints at a time [s]."""
        return self._joints.sample(now)

    def measured(self, now: float) -> Motion:
        """Measured motion of the joints at a time [s], equal to the commanded motion."""
        return self.desired(now)

    def follow(self, message: JointTrajectory) -> float:
        """Follow a checked trajectory; returns the time of its last point [s]."""
        now = self._seconds(self._now())
        begin = self._begin_of(message, "joints")
        before = self._joints.sample(now)[0]
        named = np.isin(self._names, message.joint_names)
        columns = [self._names.index(name) for name in message.joint_names]
        rows = np.tile(before, (len(message.points), 1))
        rows[:, columns] = np.array([point.positions for point in message.points])
        speeds = None
        if all(len(point.velocities) for point in message.points):
            speeds = np.zeros_like(rows)
            speeds[:, columns] = np.array([point.velocities for point in message.points])
        times = _offsets(message)
        if self._splices:
            self._joints.splice(JointPlan(times, rows, speeds), max(begin, now), named, now)
        else:
            self._joints.start(JointPlan(begin + times, rows, speeds), now)
        jump = np.abs(self._joints.sample(now)[0] - before)
        if jump.max() > JUMP:
            joint = int(jump.argmax())
            self.get_logger().warning(
                f"the commanded position of {self._names[joint]} jumps by {jump[joint]:.3f} rad: a "
                "real robot would jerk"
            )
        self._moving = True
        end = self._joints.end
        self.get_logger().info(f"following {len(times)} points for {end - now:.2f} s")
        return end

    def _on_base(self, message: MultiDOFJointTrajectory) -> None:
        if not message.points or any(len(point.transforms) != 1 for point in message.points):
            self.get_logger().error("base trajectory rejected: needs one transform in every point")
            return
        positions, quaternions = base_poses(message)
        times = _offsets(message)
        norms = np.linalg.norm(quaternions, axis=1)
        if not np.isfinite(positions).all() or not np.allclose(norms, 1.0, atol=1e-3):
            self.get_logger().error("base trajectory rejected: NaN, or a quaternion of norm not 1")
            return
        if (np.diff(times) <= 0).any():
            self.get_logger().error("base trajectory rejected: time_from_start does not increase")
            return
        self._base_frame = message.header.frame_id or "odom"
        begin = self._begin_of(message, "base")
        self._base = BaseFollower(times, positions, quaternions, begin)

    def _on_timer(self) -> None:
        stamp = self.get_clock().now()
        now = self._seconds(stamp.nanoseconds)
        positions, velocities = self.measured(now)
        state = JointState(
            name=[*self._names, *self._resting],
            position=[*positions.tolist(), *self._resting.values()],
            velocity=[*velocities.tolist(), *[0.0] * len(self._resting)],
        )
        state.header.stamp = stamp.to_msg()
        self._states.publish(state)
        if self._controller is not None:
            self._controller.look(now, state.header.stamp)
        base = None if self._base is None else self._base.sample(now)
        if base is not None:
            self._publish_base(*base, stamp.to_msg())
        self._ticks += 1
        if self._transforms is not None and self._ticks % self._every == 0:
            place, turn = base or self._begin
            frame = self._base_frame
            self._transforms.publish(frame, place, turn, positions, stamp.to_msg())
        if self._moving and now >= self._joints.end:
            self._moving = False
            self.get_logger().info("reached the last point, holding it")

    def _publish_base(self, position: np.ndarray, quaternion: np.ndarray, stamp: Time) -> None:
        odometry = Odometry(child_frame_id=self._child_frame)
        odometry.header.frame_id = self._base_frame
        odometry.header.stamp = stamp
        pose = odometry.pose.pose
        pose.position.x, pose.position.y, pose.position.z = (float(v) for v in position)
        pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = (
            float(v) for v in quaternion
        )
        self._odometry.publish(odometry)


def _offsets(message: JointTrajectory | MultiDOFJointTrajectory) -> np.ndarray:
    """(N,) time_from_start of the points [s]."""
    return np.array([nanoseconds(point.time_from_start) for point in message.points]) / NANOSECONDS


def main() -> None:
    """Entry point of `ros2 run nextscale_ros mock_robot`."""
    serve(MockRobot, threads=1)


if __name__ == "__main__":
    main()
