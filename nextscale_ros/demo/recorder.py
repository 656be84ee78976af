"""Recorder node of the demo: trajectories, reports and the robot's motion."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_ros.bringup.processes import signals_held
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport
from nextscale_ros.qos import LATCHED

_SPIN_TIMEOUT = 0.05
"""Maximum time of one spin [s]."""


class DemoTimeoutError(NextscaleError, TimeoutError):
    """An expected event did not occur in time."""


class Recorder(Node):
    """Publishes sentences and records every received message.

    Args:
        context: ROS context of the node; None for the default context.
        sim_time: Whether its clock is /clock.

    Attributes:
        ready: Whether the generate node has reported that it is ready.
        commands: Received trajectories with their arrival times (`time.monotonic`) [s].
        bases: Received base trajectories.
        reports: Received reports.
        states: Received joint states.
        odometry: Received base poses.
    """

    def __init__(self, context: Context | None = None, *, sim_time: bool = False) -> None:
        clock = Parameter("use_sim_time", value=sim_time)
        super().__init__("nextscale_recorder", context=context, parameter_overrides=[clock])
        self.ready = False
        self.commands: list[tuple[float, JointTrajectory]] = []
        self.bases: list[MultiDOFJointTrajectory] = []
        self.reports: list[MotionReport] = []
        self.states: list[JointState] = []
        self.odometry: list[Odometry] = []
        self._text = self.create_publisher(String, "/text_command", 10)
        self.create_subscription(Bool, "/nextscale/ready", self._on_ready, LATCHED)
        self._answers = [
            self.create_subscription(JointTrajectory, "/motion_command", self._on_command, 10),
            self.create_subscription(
                MultiDOFJointTrajectory, "/motion_command/base", self.bases.append, 10
            ),
            self.create_subscription(MotionReport, "/motion_report", self.reports.append, 10),
        ]
        self.create_subscription(JointState, "/joint_states", self.states.append, 100)
        self.create_subscription(Odometry, "/odom", self.odometry.append, 100)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)

    def _on_ready(self, message: Bool) -> None:
        self.ready = bool(message.data)

    def _on_command(self, message: JointTrajectory) -> None:
        self.commands.append((time.monotonic(), message))

    def say(self, text: str) -> float:
        """Publish a sentence; returns the time of sending (`time.monotonic`) [s]."""
        self._text.publish(String(data=text))
        return time.monotonic()

    def connected(self, mock: bool = True) -> bool:
        """Whether the generate node is ready and connected, and joint states arrive."""
        return self.is_served(self._answers) and (not mock or bool(self.states))

    def is_served(self, answers: Sequence[Subscription]) -> bool:
        """Whether the generate node is ready, takes sentences and publishes some topics."""
        return (
            self.ready
            and self._text.get_subscription_count() > 0
            and all(_is_matched(subscription) for subscription in answers)
        )

    def wait(
        self,
        condition: Callable[[], bool],
        timeout: float,
        what: str,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Process messages until `condition()` is true.

        Args:
            condition: Evaluated after every message.
            timeout: Maximum time [s].
            what: The expected event, for the error message 'waited ... for WHAT'.
            check: Raises if the event can no longer occur.

        Raises:
            DemoTimeoutError: the condition did not become true in time.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            check()
            if time.monotonic() > deadline:
                raise DemoTimeoutError(f"waited {timeout:.0f} s in vain for {what}")
            self._spin(_SPIN_TIMEOUT)

    def listen(self, seconds: float) -> None:
        """Process messages for a duration [s]."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            self._spin(min(left, _SPIN_TIMEOUT))

    def _spin(self, seconds: float) -> None:
        """Process the next message that arrives within a time [s]."""
        with signals_held():
            self._executor.spin_once(timeout_sec=seconds)

    def executed(self, robot: Robot, text: str) -> RobotTrajectory:
        """The recorded motion of the robot, from /joint_states and /odom.

        Args:
            robot: The robot; only its commanded joints are returned.
            text: The sentence behind the motion.

        Raises:
            DemoTimeoutError: fewer than two joint states were received.
        """
        if len(self.states) < 2:
            raise DemoTimeoutError("fewer than two joint states were recorded")
        stamps = np.array([nanoseconds(state.header.stamp) for state in self.states])
        fresh = np.concatenate([[True], np.diff(stamps) > 0])
        states = [state for state, keep in zip(self.states, fresh, strict=True) if keep]
        times = (stamps[fresh] - stamps[0]) / NANOSECONDS
        position, quaternion = self._base_at(stamps[fresh])
        columns = [states[0].name.index(name) for name in robot.joint_names]
        return RobotTrajectory(
            robot=robot.name,
            joint_names=robot.joint_names,
            positions=np.array([state.position for state in states])[:, columns],
            velocities=np.array([state.velocity for state in states])[:, columns],
            time_from_start=times,
            base_position=position,
            base_quaternion=quaternion,
            fps=float((len(times) - 1) / times[-1]),
            text=text,
        )

    def _base_at(self, stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Base positions (N, 3) and quaternions (N, 4) of the odometry nearest to `stamps` [ns]."""
        if not self.odometry:
            return np.zeros((len(stamps), 3)), np.tile([0.0, 0.0, 0.0, 1.0], (len(stamps), 1))
        times = [nanoseconds(message.header.stamp) for message in self.odometry]
        nearest = np.round(np.interp(stamps, times, np.arange(len(times)))).astype(int)
        poses = [self.odometry[i].pose.pose for i in nearest]
        positions = [[p.position.x, p.position.y, p.position.z] for p in poses]
        turns = [p.orientation for p in poses]
        return np.array(positions), np.array([[q.x, q.y, q.z, q.w] for q in turns])


def _is_matched(subscription: Subscription) -> bool:
    """Whether a publisher is matched; assumed on Humble, which does not report it."""
    count = getattr(subscription, "get_publisher_count", None)
    return count is None or count() > 0
