"""What the demo hears on the graph: the trajectory, the report and the robot's motion."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
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

_MOMENT = 0.05
"""How long messages are waited for at once [s]."""


class DemoTimeoutError(NextscaleError, TimeoutError):
    """Something that was waited for did not happen in time."""


class Recorder(Node):
    """Sends sentences and remembers everything that comes back.

    Args:
        context: The ROS context to live in; None is the process's own.

    Attributes:
        ready: Whether the generate node has said it is ready.
        commands: Trajectories received, with the time of arrival (`time.monotonic`) [s].
        bases: Base trajectories received.
        reports: Reports received.
        states: Joint states received.
        odometry: Base poses received.
    """

    def __init__(self, context: Context | None = None) -> None:
        super().__init__("nextscale_recorder", context=context)
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
        """Send a sentence; the time of sending (`time.monotonic`) [s]."""
        self._text.publish(String(data=text))
        return time.monotonic()

    def connected(self, mock: bool = True) -> bool:
        """Whether the generate node is ready, hears us and is heard; and the mock robot is."""
        return (
            self.ready
            and self._text.get_subscription_count() > 0
            and all(_is_matched(subscription) for subscription in self._answers)
            and (not mock or bool(self.states))
        )

    def wait(
        self,
        condition: Callable[[], bool],
        timeout: float,
        what: str,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve messages until `condition()` holds.

        Args:
            condition: Looked at after every message.
            timeout: Patience [s].
            what: Completes the sentence 'waited for ...'.
            check: Raises when waiting has become pointless.

        Raises:
            DemoTimeoutError: the condition did not come true in time.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            check()
            if time.monotonic() > deadline:
                raise DemoTimeoutError(f"waited {timeout:.0f} s in vain for {what}")
            self._serve(_MOMENT)

    def listen(self, seconds: float) -> None:
        """Serve messages for a while [s]."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            self._serve(min(left, _MOMENT))

    def _serve(self, seconds: float) -> None:
        """Serve the next message, if one comes within this time [s]."""
        with signals_held():
            self._executor.spin_once(timeout_sec=seconds)

    def executed(self, robot: Robot, text: str) -> RobotTrajectory:
        """The robot's motion since the recording began, from /joint_states and /odom.

        Args:
            robot: The robot; joints that its trajectories leave out are left out here, too.
            text: The sentence behind the motion.

        Raises:
            DemoTimeoutError: fewer than two joint states were heard.
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
        """Base poses (N, 3) and (N, 4) at `stamps` [ns]: the odometry nearest in time."""
        if not self.odometry:
            return np.zeros((len(stamps), 3)), np.tile([0.0, 0.0, 0.0, 1.0], (len(stamps), 1))
        heard = np.array([nanoseconds(message.header.stamp) for message in self.odometry])
        after = np.clip(np.searchsorted(heard, stamps), 0, len(heard) - 1)
        before = np.maximum(after - 1, 0)
        index = np.where(stamps - heard[before] < heard[after] - stamps, before, after)
        poses = [self.odometry[i].pose.pose for i in index]
        return (
            np.array([[p.position.x, p.position.y, p.position.z] for p in poses]),
            np.array(
                [
                    [p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w]
                    for p in poses
                ]
            ),
        )


def _is_matched(subscription: Subscription) -> bool:
    """Whether somebody publishes to it; Humble cannot tell, and the graph has to do there."""
    count = getattr(subscription, "get_publisher_count", None)
    return count is None or count() > 0
