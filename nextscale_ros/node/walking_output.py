"""The output for walking controllers: joints of the upper body, and a velocity for the legs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.publisher import Publisher

from nextscale_core.estimation.base_pose import root_link
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_core.trajectory.walking import (
    PathFollower,
    Velocity,
    WalkingLimits,
    slowed_to_walk,
    upper_joints,
)
from nextscale_ros.messages.conversions import joint_trajectory, of_joints
from nextscale_ros.messages.requests import RequestError, Response
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.stream_output import STEP, StreamOutput
from nextscale_ros.parameters.values import read_settings
from nextscale_ros.robot_state.inputs import RobotInputs
from nextscale_ros.robot_state.live_reference import LiveReference


def walking_joints(node: Node, robot: Robot) -> tuple[int, ...]:
    """Indices of the joints that the output commands, by the parameter `walking_waist`."""
    return upper_joints(robot, bool(node.get_parameter("walking_waist").value))


class WalkingOutput(StreamOutput):
    """Publishes trajectories of the upper body and velocities at 50 Hz; see `StreamOutput`.

    The velocity follows the planned path by the odometry. It is exactly zero while the reference
    stands, and as soon as odometry is stale, which ends the motion.

    Args:
        node: The node.
        robot: The robot.
        reference: The reference.
        inputs: State of the robot.
        commands: Publisher of the joints.
        velocities: Publisher of the velocity.
        bases: Publisher of the planned base.
        clock: Clock of the robot's states [s].
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        reference: LiveReference,
        inputs: RobotInputs,
        commands: Publisher,
        velocities: Publisher,
        bases: Publisher,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(node, reference, inputs, bases, clock)
        self._commands, self._velocities = commands, velocities
        self._joints = walking_joints(node, robot)
        self._frame = root_link(robot)

        def value(name: str) -> float:
            return float(node.get_parameter(name).value)

        self._limits = WalkingLimits(
            linear=value("max_linear"),
            angular=value("max_angular"),
            linear_acceleration=value("max_linear_acceleration"),
            angular_acceleration=value("max_angular_acceleration"),
        )
        self._patience = value("odometry_timeout")
        self._follower = PathFollower(self._limits)
        self._lost = False

    @property
    def listeners(self) -> int:
        """Number of subscribers of the velocity."""
        return int(self._velocities.get_subscription_count())

    @property
    def missing(self) -> str:
        """Message for the log while there is no subscriber."""
        return f"{self._velocities.topic_name} has no subscriber"

    def check(self) -> None:
        """Raise RequestError while odometry is stale."""
        problem = self._stale(self._clock())
        if problem:
            raise RequestError(ErrorCode.NO_ROBOT_STATE, f"{problem}; the feet stand still")

    def adapt(
        self, robot: Robot, trajectory: RobotTrajectory, remarks: list[str]
    ) -> RobotTrajectory:
        """Slow a trajectory down to what the feet can follow, and let it end standing."""
        slowed, factor = slowed_to_walk(trajectory, self._limits)
        if factor > 1.0:
            remarks.append(
                f"played {factor:.2f} times slower, for a walking controller of at most "
                f"{self._limits.linear:g} m/s and {self._limits.angular:g} rad/s"
            )
        return super().adapt(robot, slowed, remarks)

    def _begin(self, response: Response) -> None:
        assert response.trajectory is not None
        self._lost = False
        self._commands.publish(of_joints(response.trajectory, self._joints))

    def _rest(self, stream: ReferenceStream, now: float) -> None:
        """Send the arms along with the reference to its rest."""
        begin = now + read_settings(self._node).takeover_margin
        times = np.append(np.arange(begin, stream.end, STEP), stream.end + STEP)
        found = stream.sample(times)
        rest = replace(
            stream.trajectory,
            positions=found.positions,
            velocities=found.velocities,
            time_from_start=times - times[0],
            base_position=found.base_position,
            base_quaternion=found.base_quaternion,
            source_time=None,
        )
        message = joint_trajectory(rest)
        message.header.stamp = self._inputs.stamp(begin)
        self._commands.publish(of_joints(message, self._joints))

    def _problem(self, now: float) -> str:
        return self._stale(now) or super()._problem(now)

    def _stale(self, now: float) -> str:
        if self._inputs.base.last(now, self._patience) is not None:
            return ""
        return f"there is no odometry of the last {self._patience:g} s (parameter odometry_timeout)"

    def _play(self, stream: ReferenceStream, now: float) -> None:
        base = self._reference.base(now)
        # Neither odometry that comes back nor a robot that gets up sets the feet in motion again.
        if not self._lost and stream.moves(now):
            self._lost = base is None or bool(self._reference.fallen(now))
        if base is None or self._lost:
            command = self._follower.stop()
        else:
            command = self._follower.command(stream, now, base.position, base.quaternion, STEP)
        self._publish(command, now)

    def _end(self, now: float) -> Publisher:
        self._publish(self._follower.stop(), now)
        return self._velocities

    def _publish(self, command: Velocity, now: float) -> None:
        message = TwistStamped()
        message.header.frame_id = self._frame
        message.header.stamp = self._stamp(now)
        message.twist.linear.x = float(command.linear.real)
        message.twist.linear.y = float(command.linear.imag)
        message.twist.angular.z = float(command.angular)
        self._velocities.publish(message)
