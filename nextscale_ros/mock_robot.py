"""A robot that obeys perfectly: joint_trajectory_controller without a robot behind it.

It accepts on /motion_command what the controller would accept and says why it refuses the rest,
follows splines between the points, lets a new trajectory replace the one it follows, holds the
last point, and publishes /joint_states (and /odom, once a base trajectory came) at 100 Hz.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_ros.conversions import base_poses
from nextscale_ros.follower import BaseFollower, JointFollower, JointPlan
from nextscale_ros.message_rules import NANOSECONDS, check_joint_trajectory, nanoseconds
from nextscale_ros.parameters import SPECS, chosen_robot
from nextscale_ros.serving import serve

JUMP = 0.05
"""Distance of what a new trajectory asks for at once from the present state that earns a warning
[rad]."""


class MockRobot(Node):
    """Stands in its nominal pose until it is told to move.

    Args:
        parameter_overrides: Start values of parameters, beside those of the command line.

    Raises:
        NextscaleError: the robot cannot be loaded.
    """

    def __init__(self, *, parameter_overrides: Sequence[Parameter] = ()) -> None:
        super().__init__("mock_robot", parameter_overrides=list(parameter_overrides))
        for name in ("robot", "profile", "joints"):
            spec = SPECS[name]
            self.declare_parameter(name, spec.default, spec.descriptor())
        robot = chosen_robot(self)
        command = self._declare("command_topic", "/motion_command", "JointTrajectory, in.")
        base = self._declare("base_topic", "/motion_command/base", "MultiDOFJointTrajectory, in.")
        states = self._declare("joint_states_topic", "/joint_states", "JointState, out.")
        odometry = self._declare("odometry_topic", "/odom", "Odometry of the base, out.")
        root = robot.model.frames[2].name
        self._child_frame = self._declare("base_link", root, "Child frame of the odometry.")
        rate = self.declare_parameter(
            "state_rate",
            100.0,
            ParameterDescriptor(
                description="Joint states per second [Hz].",
                read_only=True,
                floating_point_range=[FloatingPointRange(from_value=1.0, to_value=1000.0)],
            ),
        ).value
        # Times since now keep their nanoseconds in a float; times since 1970 do not.
        self._epoch = self._now()
        self._names = list(robot.joint_names)
        # A real robot says where its held joints are, too.
        self._held = dict(robot.held)
        self._joints = JointFollower(robot.nominal)
        self._base: BaseFollower | None = None
        self._base_frame = "odom"
        self._moving = False
        self._states = self.create_publisher(JointState, states, 10)
        self._odometry = self.create_publisher(Odometry, odometry, 10)
        self.create_subscription(JointTrajectory, command, self._on_command, 10)
        self.create_subscription(MultiDOFJointTrajectory, base, self._on_base, 10)
        self.create_timer(1.0 / float(rate or 100.0), self._on_timer)
        self.get_logger().info(f"{robot.name}: {len(self._names)} joints, listening on {command}")

    def _declare(self, name: str, default: str, description: str) -> str:
        descriptor = ParameterDescriptor(description=description, read_only=True)
        return str(self.declare_parameter(name, default, descriptor).value)

    def _now(self) -> int:
        """The node's clock [ns]."""
        return int(self.get_clock().now().nanoseconds)

    def _seconds(self, nanoseconds: int) -> float:
        """A time on the node's clock [ns] as seconds since the node began [s]."""
        return (nanoseconds - self._epoch) / NANOSECONDS

    def _times(self, message: JointTrajectory | MultiDOFJointTrajectory, now: int) -> np.ndarray:
        """When the points are due (N,) [s] since the node began; a stamp of 0 means `now` [ns]."""
        begin = self._seconds(nanoseconds(message.header.stamp) or now)
        offsets = [nanoseconds(point.time_from_start) for point in message.points]
        return begin + np.array(offsets) / NANOSECONDS

    def _on_command(self, message: JointTrajectory) -> None:
        now = self._now()
        problems = check_joint_trajectory(message, self._names, now)
        if problems:
            self.get_logger().error(f"trajectory rejected: {'; '.join(problems[:5])}")
            return
        order = [message.joint_names.index(name) for name in self._names]
        positions = np.array([point.positions for point in message.points])[:, order]
        velocities = None
        if all(len(point.velocities) for point in message.points):
            velocities = np.array([point.velocities for point in message.points])[:, order]
        times = self._times(message, now)
        here = self._seconds(now)
        before = self._joints.sample(here)[0]
        self._joints.start(JointPlan(times, positions, velocities), here)
        jump = np.abs(self._joints.sample(here)[0] - before)
        if jump.max() > JUMP:
            joint = int(jump.argmax())
            self.get_logger().warning(
                f"what is due now is {jump[joint]:.3f} rad away at {self._names[joint]}: a real "
                "robot would jerk"
            )
        self._moving = True
        self.get_logger().info(f"following {len(times)} points for {times[-1] - here:.2f} s")

    def _on_base(self, message: MultiDOFJointTrajectory) -> None:
        if not message.points or any(len(point.transforms) != 1 for point in message.points):
            self.get_logger().error("base trajectory rejected: needs one transform in every point")
            return
        positions, quaternions = base_poses(message)
        times = self._times(message, self._now())
        norms = np.linalg.norm(quaternions, axis=1)
        if not np.isfinite(positions).all() or not np.allclose(norms, 1.0, atol=1e-3):
            self.get_logger().error("base trajectory rejected: NaN, or a quaternion of norm not 1")
            return
        if (np.diff(times) <= 0).any():
            self.get_logger().error("base trajectory rejected: time_from_start does not increase")
            return
        self._base_frame = message.header.frame_id or "odom"
        self._base = BaseFollower(times, positions, quaternions)

    def _on_timer(self) -> None:
        stamp = self.get_clock().now()
        now = self._seconds(stamp.nanoseconds)
        positions, velocities = self._joints.sample(now)
        state = JointState(
            name=[*self._names, *self._held],
            position=[*positions.tolist(), *self._held.values()],
            velocity=[*velocities.tolist(), *[0.0] * len(self._held)],
        )
        state.header.stamp = stamp.to_msg()
        self._states.publish(state)
        if self._base is not None:
            self._publish_base(now, stamp.to_msg())
        if self._moving and now >= self._joints.end:
            self._moving = False
            self.get_logger().info("arrived at the last point, holding it")

    def _publish_base(self, now: float, stamp: Time) -> None:
        assert self._base is not None
        position, quaternion = self._base.sample(now)
        odometry = Odometry(child_frame_id=self._child_frame)
        odometry.header.frame_id = self._base_frame
        odometry.header.stamp = stamp
        pose = odometry.pose.pose
        pose.position.x, pose.position.y, pose.position.z = (float(v) for v in position)
        pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = (
            float(v) for v in quaternion
        )
        self._odometry.publish(odometry)


def main() -> None:
    """Entry point of `ros2 run nextscale_ros mock_robot`."""
    sys.exit(serve(MockRobot, threads=1))


if __name__ == "__main__":
    main()
