"""A robot in the test's own process, whose joint states come as the test wants them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from scipy.interpolate import CubicHermiteSpline
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.robots import Robot
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.robot_state.spline_interpolation import JointFollower, JointPlan


class FakeRobot:
    """Follows trajectories exactly and tells its joint states late, rarely or not at all.

    Args:
        context: The ROS context to live in.
        robot: The robot.
        rate: Joint states per second [Hz].
        delay: Gives the delay of each message [s]; messages keep their order.
        silent: Whether nothing is said at a time since the beginning [s].
        stamped: Whether messages say when they were measured.
        said: What messages say of the velocities.
        place: Where the joints begin; None for the nominal posture.
    """

    def __init__(
        self,
        context: Context,
        robot: Robot,
        rate: float,
        delay: Callable[[], float] = lambda: 0.0,
        silent: Callable[[float], bool] = lambda time: False,
        stamped: bool = True,
        said: Callable[[np.ndarray], list[float]] = np.ndarray.tolist,
        place: np.ndarray | None = None,
    ) -> None:
        self.node = Node("puppet", context=context)
        self.robot, self.rate, self.delay, self.silent = robot, rate, delay, silent
        self.stamped, self.said = stamped, said
        self.quiet = False
        self.told = 0
        self._epoch = int(self.node.get_clock().now().nanoseconds)
        self._follower = JointFollower(robot.nominal if place is None else place)
        self._truth: list[tuple[float, np.ndarray, np.ndarray]] = []
        self._lock = threading.Lock()
        self.publisher = self.node.create_publisher(JointState, "/joint_states", 10)
        self.node.create_subscription(JointTrajectory, "/motion_command", self._follow, 10)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._talk, daemon=True),
            threading.Thread(target=self._hear, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10.0)
        self._executor.shutdown()
        self.node.destroy_node()

    def _now(self) -> float:
        return (int(self.node.get_clock().now().nanoseconds) - self._epoch) / NANOSECONDS

    def _hear(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.02)

    def _follow(self, message: JointTrajectory) -> None:
        stamp = nanoseconds(message.header.stamp)
        with self._lock:
            now = self._now()
            begin = (stamp - self._epoch) / NANOSECONDS if stamp else now
            times = begin + np.array(
                [nanoseconds(point.time_from_start) / NANOSECONDS for point in message.points]
            )
            positions = np.array([point.positions for point in message.points])
            velocities = np.array([point.velocities for point in message.points])
            self._follower.start(JointPlan(times, positions, velocities), now)

    def _talk(self) -> None:
        """Measure on time, tell late."""
        names = list(self.robot.joint_names)
        waiting: deque[tuple[float, JointState]] = deque()
        due = self._now()
        while not self._ended.is_set():
            now = self._now()
            if due <= now:
                with self._lock:
                    at = self._now()
                    positions, velocities = self._follower.sample(at)
                self._truth.append((at, positions, velocities))
                due = max(due + 1.0 / self.rate, at - 0.05)
                message = JointState(
                    name=names, position=positions.tolist(), velocity=self.said(velocities)
                )
                if self.stamped:
                    sec, nanosec = divmod(self._epoch + round(at * NANOSECONDS), NANOSECONDS)
                    message.header.stamp = Time(sec=sec, nanosec=nanosec)
                if not self.quiet and not self.silent(at):
                    waiting.append((at + self.delay(), message))
            while waiting and waiting[0][0] <= self._now():
                self.publisher.publish(waiting.popleft()[1])
                self.told += 1
            time.sleep(max(min(due - self._now(), 0.002), 0.0))

    def speed(self) -> float:
        """Of the fastest joint now [rad/s]."""
        return float(np.abs(self._truth[-1][2]).max())

    def past(self, stamp: int) -> bool:
        """Whether it was measured after a stamp [ns]."""
        return self._truth[-1][0] > (stamp - self._epoch) / NANOSECONDS

    def at(self, stamp: int) -> tuple[np.ndarray, np.ndarray]:
        """True positions and velocities (J,) at a stamp [ns]."""
        time = (stamp - self._epoch) / NANOSECONDS
        truth = list(self._truth)
        times = np.array([row[0] for row in truth])
        assert times[0] < time <= times[-1]
        positions, velocities = (np.array([row[n] for row in truth]) for n in (1, 2))
        spline = CubicHermiteSpline(times, positions, velocities)
        return spline(time), spline(time, 1)

    @property
    def samples(self) -> int:
        """How often it was measured."""
        return len(self._truth)

    def largest_step(self, since: int = 0) -> float:
        """How far a joint ever was from where its velocity led, from a sample on [rad]."""
        truth = self._truth[since:]  # it grows meanwhile
        times, positions, velocities = (np.array([row[n] for row in truth]) for n in range(3))
        led = 0.5 * (velocities[1:] + velocities[:-1]) * np.diff(times)[:, None]
        return float(np.abs(np.diff(positions, axis=0) - led).max())
