"""joint_trajectory_controller as far as jumps are concerned, cycle by cycle.

Its rules, read in ros2_controllers 4.42 (`jazzy`) and in its master branch of August 2026
(`lyrical`): a stamp of zero begins in the cycle in which a trajectory is taken; up to a first point
still to come there is a cubic from the measured state; points that are past are skipped; the
command of a cycle is what is due one period later. In `lyrical` a trajectory that comes while
another one is followed is spliced into that one at its stamp, and one whose stamp is past begins
in that cycle.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from scipy.interpolate import CubicHermiteSpline
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.robots import Robot
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds

PERIOD = 0.01
"""Of the control loop [s]."""

Knots = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Times (N,) [s], positions (N, J) [rad], velocities (N, J) [rad/s]."""


class ControllerModel:
    """A controller and joints that do what it commands.

    Args:
        positions: (J,) where the joints stand at first [rad].
        generation: 'jazzy' or 'lyrical'.
    """

    def __init__(self, positions: np.ndarray, generation: str = "jazzy") -> None:
        self.generation = generation
        self.position, self.velocity = positions.copy(), np.zeros(len(positions))
        self.commands: list[tuple[float, np.ndarray]] = []
        self.rejected = 0
        self.late = 0.0
        """Maximum time by which a trajectory came after its stamp [s]."""
        self._knots: Knots | None = None
        self._new: JointTrajectory | None = None

    def take(self, message: JointTrajectory, now: float) -> None:
        """What the callback of the topic does; the joints are in the robot's order."""
        stamp = nanoseconds(message.header.stamp) / NANOSECONDS
        end = stamp + nanoseconds(message.points[-1].time_from_start) / NANOSECONDS
        if stamp and end < now:
            self.rejected += 1
        else:
            self._new = message

    def cycle(self, now: float) -> None:
        """One turn of the control loop."""
        if self._new is not None:
            self._install(self._new, now)
            self._new = None
        if self._knots is not None:
            self.position, self.velocity = self._sample(now + PERIOD)
        self.commands.append((now + PERIOD, self.position.copy()))

    def _install(self, message: JointTrajectory, now: float) -> None:
        stamp = nanoseconds(message.header.stamp) / NANOSECONDS
        offsets = np.array([nanoseconds(p.time_from_start) for p in message.points]) / NANOSECONDS
        positions = np.array([point.positions for point in message.points])
        velocities = np.array([point.velocities for point in message.points])
        begin = stamp or now
        self.late = max(self.late, now - begin)
        before = [(now, self.position, self.velocity)]
        if self.generation == "lyrical" and self._knots is not None:
            begin = max(begin, now)
            times = self._knots[0]
            on_the_way = times[(times > now) & (times < begin)]
            before += [(float(t), *self._sample(float(t))) for t in [*on_the_way, begin]]
        first = begin + offsets[0]
        before = [one for one in before if one[0] < first]
        self._knots = (
            np.array([*(one[0] for one in before), *(begin + offsets)]),
            np.array([*(one[1] for one in before), *positions]),
            np.array([*(one[2] for one in before), *velocities]),
        )

    def _sample(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        assert self._knots is not None
        times, positions, velocities = self._knots
        if time >= times[-1] or len(times) == 1:
            return positions[-1], np.zeros_like(positions[-1])
        row = max(int(np.searchsorted(times, time, "right")) - 1, 0)
        part = slice(row, row + 2)
        spline = CubicHermiteSpline(times[part], positions[part], velocities[part])
        return spline(time), spline(time, 1)

    def strain(self, robot: Robot) -> tuple[float, float]:
        """Largest velocity and acceleration from command to command, as shares of the limits."""
        commands = list(self.commands)  # it grows meanwhile
        times = np.array([time for time, _ in commands])
        places = np.array([place for _, place in commands])
        steps = np.diff(times)[:, None]
        speeds = np.diff(places, axis=0) / steps
        middle = (steps[1:] + steps[:-1]) / 2
        pushes = np.abs(np.diff(speeds, axis=0)) / middle
        return (
            float((np.abs(speeds) / robot.velocity_limit).max()),
            float((pushes / robot.acceleration_limit).max()),
        )


class ModelRobot:
    """A robot with such a controller in the test's own process: `/motion_command` in, joints out.

    Args:
        context: The ROS context to live in.
        robot: The robot.
        generation: Of the controller.
        way: How long messages are on their way to the controller [s].
        ahead: How far the robot's clock is ahead of ours [s].
        simulated: Publish `/clock`, and live by it; it stands still until `run` is set.
    """

    def __init__(
        self,
        context: Context,
        robot: Robot,
        generation: str = "jazzy",
        way: float = 0.0,
        ahead: float = 0.0,
        simulated: bool = False,
    ) -> None:
        self.robot, self.way, self.ahead = robot, way, ahead
        self.model = ControllerModel(robot.nominal, generation)
        self.run = not simulated
        self.tells_time = self.tells_state = True
        self._time = 500.0 if simulated else None
        self._node = Node("model_robot", context=context)
        self._waiting: deque[tuple[float, JointTrajectory]] = deque()
        self._states = self._node.create_publisher(JointState, "/joint_states", 10)
        self._clock = self._node.create_publisher(Clock, "/clock", 10) if simulated else None
        self._node.create_subscription(JointTrajectory, "/motion_command", self._on_command, 10)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._control, daemon=True),
            threading.Thread(target=self._hear, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10.0)
        self._executor.shutdown()
        self._node.destroy_node()

    @property
    def now(self) -> float:
        """The robot's clock [s]."""
        if self._time is not None:
            return self._time
        return int(self._node.get_clock().now().nanoseconds) / NANOSECONDS + self.ahead

    @property
    def speed(self) -> float:
        """Of the fastest joint [rad/s]."""
        return float(np.abs(self.model.velocity).max())

    def _on_command(self, message: JointTrajectory) -> None:
        self._waiting.append((time.monotonic() + self.way, message))

    def _hear(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.02)

    def _control(self) -> None:
        """The control loop. As in real time: a busy machine runs the cycles later, and they are as
        they would have been."""
        due, ahead = time.monotonic(), self.now - time.monotonic()
        while not self._ended.wait(max(due + PERIOD - time.monotonic(), 0.0)):
            due += PERIOD
            if self._time is not None and self.run:
                self._time += PERIOD
            now = due + ahead if self._time is None else self._time
            while self._waiting and self._waiting[0][0] <= due:
                self.model.take(self._waiting.popleft()[1], now)
            # As ros2_control: a state is read before the command of its cycle is made.
            state = JointState(
                name=list(self.robot.joint_names),
                position=self.model.position.tolist(),
                velocity=self.model.velocity.tolist(),
            )
            if self.run:
                self.model.cycle(now)
            sec, nanosec = divmod(round(now * NANOSECONDS), NANOSECONDS)
            state.header.stamp = Time(sec=sec, nanosec=nanosec)
            if self._clock is not None and self.tells_time:
                self._clock.publish(Clock(clock=state.header.stamp))
            if self.tells_state:
                self._states.publish(state)
