"""Mock robot node: joint_trajectory_controller with a robot that executes commands exactly.

Accepts trajectories on /motion_command and through the action (mock_controller.py) by the
controller's rules and logs why it rejects one. Interpolates between the points, lets a new
trajectory replace the active one, holds the last point, and publishes /joint_states (and /odom,
once a base trajectory was received) at 100 Hz, its URDF on /robot_description and the transforms of
its base on /tf; until the first base trajectory, the base stands above the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rclpy.parameter import Parameter
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.exceptions import ConfigError
from nextscale_ros.messages.conversions import base_poses
from nextscale_ros.messages.validate_trajectory import (
    check_joint_trajectory,
    nanoseconds,
)
from nextscale_ros.mock.mock_controller import LYRICAL, MockController, Motion, braking_plan
from nextscale_ros.robot_stand_in import RobotStandIn
from nextscale_ros.robot_state.spline_interpolation import (
    BaseFollower,
    JointFollower,
    joint_plan,
    offsets,
)
from nextscale_ros.spin import serve

JUMP = 0.05
"""Jump of the commanded position at the start of a trajectory that causes a warning [rad]."""

_TOGETHER = 0.5
"""Maximum time between a joint and a base trajectory that begin on arrival together [s]."""

TF_RATE = 50.0
"""Maximum rate of transforms [Hz]."""


class MockRobot(RobotStandIn):
    """A robot that stands in its nominal posture until it receives a trajectory.

    Args:
        parameter_overrides: Initial values of parameters, in addition to the command line's.

    Raises:
        NextscaleError: the robot cannot be loaded.
    """

    def __init__(self, *, parameter_overrides: Sequence[Parameter] = ()) -> None:
        super().__init__("mock_robot", controller=True, parameter_overrides=parameter_overrides)
        robot = self._robot
        rate = float(self.get_parameter("state_rate").value)
        self._joints = JointFollower(robot.nominal)
        self._base: BaseFollower | None = None
        self._splices = self._text("controller_generation") == LYRICAL
        # Arrival time of a joint or base trajectory, until its counterpart arrives.
        self._arrived: dict[str, float] = {}
        self._ticks, self._every = 0, max(round(rate / TF_RATE), 1)
        if self._transforms is not None:
            self._begin = self._transforms.standing(robot.nominal)
        self._moving = False
        self._controller: MockController | None = None

    def _subscribe(self) -> None:
        """Create the subscriptions and the action server."""
        command = self._text("command_topic")
        self.create_subscription(JointTrajectory, command, self._on_command, 10)
        self.create_subscription(
            MultiDOFJointTrajectory, self._text("base_topic"), self._on_base, 10
        )
        if self.get_parameter("follow_joint_trajectory").value:
            try:
                self._controller = MockController(self, self._text("controller"), self._names, self)
            except ConfigError as error:
                self.get_logger().warning(f"the controller's action is not served: {error}")
        joints = f"{self._robot.name}: {len(self._names)} joints"
        self.get_logger().info(f"{joints}, subscribed to {command}")

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
        plan = joint_plan(message, self._names, before)
        if self._splices:
            self._joints.splice(plan, max(begin, now), named, now)
        else:
            self._joints.start(replace(plan, times=begin + plan.times), now)
        jump = np.abs(self._joints.sample(now)[0] - before)
        if jump.max() > JUMP:
            joint = int(jump.argmax())
            self.get_logger().warning(
                f"the commanded position of {self._names[joint]} jumps by {jump[joint]:.3f} rad: a "
                "real robot would jerk"
            )
        self._moving = True
        end = self._joints.end
        self.get_logger().info(f"following {len(plan.times)} points for {end - now:.2f} s")
        return end

    def _on_base(self, message: MultiDOFJointTrajectory) -> None:
        if not message.points or any(len(point.transforms) != 1 for point in message.points):
            self.get_logger().error("base trajectory rejected: needs one transform in every point")
            return
        positions, quaternions = base_poses(message)
        times = offsets(message)
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

    def _tick(self) -> None:
        stamp = self.get_clock().now()
        now = self._seconds(stamp.nanoseconds)
        positions, velocities = self.measured(now)
        self._publish_joints(positions, velocities, stamp.to_msg())
        if self._controller is not None:
            self._controller.look(now, stamp.to_msg())
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


def main() -> None:
    """Entry point of `ros2 run nextscale_ros mock_robot`."""
    serve({"mock_robot": MockRobot}, threads=1)


if __name__ == "__main__":
    main()
