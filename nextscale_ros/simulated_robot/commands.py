"""What a simulated robot is commanded to do: whole-body references, or joints and a velocity."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots import Robot
from nextscale_core.simulation.simulator import SimulatedState
from nextscale_core.trajectory.config import MAX_OUTSIDE
from nextscale_core.trajectory.curves import minimum_jerk
from nextscale_core.trajectory.reference import Reference, ReferenceCurve, standing_reference
from nextscale_core.trajectory.standing import standing_pose, to_standing
from nextscale_ros.messages.validate_trajectory import check_joint_trajectory, nanoseconds
from nextscale_ros.msg import MotionReference
from nextscale_ros.qos import SENSORS
from nextscale_ros.robot_state.spline_interpolation import JointFollower, joint_plan

TIMEOUT = 0.3
"""Time after which a reference or a velocity without a successor is stale [s]."""

BUFFER = 0.1
"""Time by which references are followed later than they arrive at best: messages come in bursts
where a machine is busy, and a tracker minds a constant delay less than an irregular one [s]."""

_KEPT = 50
"""Number of references in the buffer."""

TAKE_UP = 1.0
"""Time in which the robot moves from standing by itself to the received reference [s]."""


class Commands(Protocol):
    """A source of references; times are those of the simulation [s]."""

    def reference(self, now: float, state: SimulatedState) -> Reference:
        """What the robot should do now.

        Args:
            now: Present time.
            state: Measured state.
        """
        ...

    def reset(self, state: SimulatedState) -> None:
        """The robot was put to stand in a state: nothing that came before counts."""
        ...

    def age(self, now: float) -> float:
        """Time since the last command [s]; infinite before the first one."""
        ...


class ReferenceCommands:
    """Follows nextscale_ros/MotionReference, and stands where none arrives.

    Args:
        node: Owns the subscription.
        topic: The topic.
        robot: The robot.
        posture: (J,) posture in which the robot stands at first [rad].
        clock: The present time of the simulation [s].
        seconds: Converts a stamp [ns] to a time of the simulation [s].
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        robot: Robot,
        posture: np.ndarray,
        clock: Callable[[], float],
        seconds: Callable[[int], float],
    ) -> None:
        self._node, self._robot, self._clock, self._seconds = node, robot, clock, seconds
        self._posture = posture
        self._axes = Rotation.from_matrix(robot.profile.axes.rotation())
        self._alone = self._given = standing_pose(robot)
        self._received: deque[tuple[float, Reference]] = deque(maxlen=_KEPT)
        self._lags: deque[float] = deque(maxlen=_KEPT)
        self._arrival = self._taken_up = -np.inf
        self._return: tuple[float, ReferenceCurve] | None = None
        node.create_subscription(MotionReference, topic, self._on_reference, SENSORS)

    def reset(self, state: SimulatedState) -> None:
        """Stand in the posture of the reset until the next reference arrives."""
        stand = standing_pose(self._robot, state.base_position, state.base_quaternion)
        self._alone = standing_reference(
            self._posture,
            np.array([*stand.base_position[:2], state.base_position[2]]),
            stand.base_quaternion,
        )
        self._given = self._alone
        self._received.clear()
        self._return, self._arrival = None, -np.inf

    def age(self, now: float) -> float:
        """Time since the last reference [s]."""
        return now - self._arrival

    def _on_reference(self, message: MotionReference) -> None:
        try:
            reference = self._read(message)
        except ValueError as error:
            self._node.get_logger().error(f"reference refused: {error}", throttle_duration_sec=1.0)
            return
        now, stamp = self._clock(), self._seconds(nanoseconds(message.header.stamp))
        if not self._received:
            self._taken_up = now
        elif stamp == self._received[-1][0]:
            self._received.pop()
        elif stamp < self._received[-1][0]:
            # The sender's clock went back, or it is another sender, which may be anywhere.
            self._received.clear()
            self._lags.clear()
            self._alone, self._taken_up = self._given, now
        self._received.append((stamp, reference))
        self._lags.append(now - stamp)
        self._arrival = now

    def _read(self, message: MotionReference) -> Reference:
        """The reference of a message, its joints in the order of the robot.

        Raises:
            ValueError: other joints, a wrong number of values, values that are not finite, or
                positions far outside the limits.
        """
        names = list(message.joint_names)
        if sorted(names) != sorted(self._robot.joint_names):
            raise ValueError(
                f"it names {len(names)} joints, and {self._robot.name} moves "
                f"{self._robot.num_joints}: {', '.join(self._robot.joint_names[:3])}, ..."
            )
        order = [names.index(name) for name in self._robot.joint_names]
        pose, twist = message.base_pose, message.base_twist
        place, turn = pose.position, pose.orientation
        values = [
            np.array(message.positions, dtype=np.float64),
            np.array(message.velocities, dtype=np.float64),
            np.array([place.x, place.y, place.z]),
            np.array([turn.x, turn.y, turn.z, turn.w]),
            np.array([twist.linear.x, twist.linear.y, twist.linear.z]),
            np.array([twist.angular.x, twist.angular.y, twist.angular.z]),
        ]
        if any(len(one) != len(order) for one in values[:2]):
            raise ValueError(f"it has {len(order)} names and {[len(v) for v in values[:2]]} values")
        if not all(np.isfinite(one).all() for one in values):
            raise ValueError("it holds NaN or infinity")
        positions, velocities, position, quaternion, linear, angular = values
        ordered = positions[order]
        beyond = np.maximum(
            self._robot.position_lower - ordered, ordered - self._robot.position_upper
        )
        if beyond.max() > MAX_OUTSIDE:
            name = self._robot.joint_names[int(beyond.argmax())]
            raise ValueError(f"it has {name} {beyond.max():.2f} rad outside its limits")
        if abs(np.linalg.norm(quaternion) - 1.0) > 0.01:
            raise ValueError(f"its quaternion has norm {np.linalg.norm(quaternion):.3f}, must be 1")
        return Reference(
            ordered,
            velocities[order],
            position,
            (Rotation.from_quat(quaternion) * self._axes.inv()).as_quat(),
            self._axes.apply(linear),
            self._axes.apply(angular),
        )

    def reference(self, now: float, state: SimulatedState) -> Reference:
        """The last reference; a stale one is followed by a return to standing."""
        self._given = self._next(now)
        return self._given

    def _next(self, now: float) -> Reference:
        if self._received and self.age(now) <= TIMEOUT:
            share = float(minimum_jerk(np.clip((now - self._taken_up) / TAKE_UP, 0.0, 1.0)))
            return _between(self._alone, self._buffered(now), share)
        if self._received:
            # Not from the reference itself: it may have been taken up in part only.
            self._return = (now, self._back(self._given))
            self._received.clear()
            self._node.get_logger().warning(
                f"no reference for {TIMEOUT} s: the robot stands until the next one"
            )
        if self._return is not None:
            begin, curve = self._return
            self._alone = curve.sample(np.array([now - begin]))[0]
        return self._alone

    def _buffered(self, now: float) -> Reference:
        """The reference that is due now, by linear interpolation; the last one if it is late."""
        # The clock of the sender may be another one: the shortest lag seen is its offset.
        due = now - min(self._lags) - BUFFER
        stamps = [stamp for stamp, _ in self._received]
        later = bisect_right(stamps, due)
        if later in (0, len(stamps)):
            return self._received[min(later, len(stamps) - 1)][1]
        (begin, before), (end, after) = self._received[later - 1], self._received[later]
        return interpolated(before, after, (due - begin) / (end - begin))

    def _back(self, last: Reference) -> ReferenceCurve:
        try:
            return ReferenceCurve(to_standing(self._robot, last))
        except RetargetError:
            still = replace(last, velocities=np.zeros_like(last.velocities))
            still = replace(still, linear_velocity=np.zeros(3), angular_velocity=np.zeros(3))
            return ReferenceCurve(to_standing(self._robot, still))


def interpolated(before: Reference, after: Reference, share: float) -> Reference:
    """A reference a share of the way from one to another one that is near."""
    values = {
        name: (1.0 - share) * value + share * getattr(after, name)
        for name, value in vars(before).items()
    }
    first, second = before.base_quaternion, after.base_quaternion
    turn = (1.0 - share) * first + share * np.copysign(1.0, first @ second) * second
    return Reference(**{**values, "base_quaternion": turn / np.linalg.norm(turn)})


def _between(alone: Reference, received: Reference, share: float) -> Reference:
    """A reference whose joints and height are on the way from one to another one."""
    if share >= 1.0:
        return received
    place = received.base_position.copy()
    place[2] += (1.0 - share) * (alone.base_position[2] - place[2])
    joints = received.positions + (1.0 - share) * (alone.positions - received.positions)
    return replace(received, positions=joints, base_position=place)


class TrajectoryCommands:
    """Follows trajectory_msgs/JointTrajectory and, with legs that walk, a velocity.

    Trajectories may leave joints out, which stay where they are. A stale velocity is zero.

    Args:
        node: Owns the subscriptions.
        topic: Topic of the trajectories.
        velocity_topic: Topic of geometry_msgs/TwistStamped in the frame of the base; '' for none.
        robot: The robot.
        posture: (J,) posture in which the robot stands at first [rad].
        clock: The present time of the simulation [s].
        seconds: Converts a stamp [ns] to a time of the simulation [s].
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        velocity_topic: str,
        robot: Robot,
        posture: np.ndarray,
        clock: Callable[[], float],
        seconds: Callable[[int], float],
    ) -> None:
        self._node, self._robot, self._clock, self._seconds = node, robot, clock, seconds
        self._posture = posture
        self._joints = JointFollower(posture)
        self._velocity, self._arrival, self._last = np.zeros(3), -np.inf, -np.inf
        node.create_subscription(JointTrajectory, topic, self._on_trajectory, 10)
        if velocity_topic:
            node.create_subscription(TwistStamped, velocity_topic, self._on_velocity, SENSORS)

    def reset(self, state: SimulatedState) -> None:
        """Hold the posture of the reset until the next trajectory arrives."""
        self._joints = JointFollower(self._posture)
        self._velocity = np.zeros(3)

    def age(self, now: float) -> float:
        """Time since the last trajectory or velocity [s]."""
        return now - max(self._last, self._arrival)

    def _on_trajectory(self, message: JointTrajectory) -> None:
        now = self._clock()
        names = self._robot.joint_names
        problems = check_joint_trajectory(message, names, partial=True)
        if problems:
            self._node.get_logger().error(f"trajectory rejected: {'; '.join(problems[:5])}")
            return
        plan = joint_plan(message, names, self._joints.sample(now)[0])
        stamp = nanoseconds(message.header.stamp)
        begin = self._seconds(stamp) if stamp else now
        self._joints.start(replace(plan, times=begin + plan.times), now)
        self._last = now
        self._node.get_logger().info(
            f"following {len(plan.times)} points for {self._joints.end - now:.2f} s"
        )

    def _on_velocity(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        velocity = np.array([linear.x, linear.y, angular.z])
        if not np.isfinite(velocity).all():
            self._node.get_logger().error(
                "velocity refused: it holds NaN or infinity", throttle_duration_sec=1.0
            )
            return
        self._velocity, self._arrival = velocity, self._clock()

    def reference(self, now: float, state: SimulatedState) -> Reference:
        """The commanded joints, over the place where the robot is."""
        positions, velocities = self._joints.sample(now)
        forward, left, turn = self._velocity if now - self._arrival <= TIMEOUT else np.zeros(3)
        # Whoever sends the velocity corrects the drift; the pose of the robot has no error here.
        return Reference(
            positions,
            velocities,
            state.base_position,
            state.base_quaternion,
            np.array([forward, left, 0.0]),
            np.array([0.0, 0.0, turn]),
        )
