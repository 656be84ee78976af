"""A robot in the test's own process that follows references or velocities, late and not exactly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.robots import Robot
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReference
from ros.controller_model import ControllerModel
from ros.graph import until

STEP = 0.01
LAG = 0.1
"""Time constant with which joints follow their reference [s]."""

OFF = 0.05
"""Constant error of the joints, as gravity makes it [rad]."""


class BalancingRobot:
    """Publishes joint states and odometry at 100 Hz, and records what it gets.

    It follows references, or velocities of the base and trajectories of other joints.

    Args:
        context: The ROS context.
        robot: The robot.
        namespace: Of the node.
    """

    def __init__(self, context: Context, robot: Robot, namespace: str = "") -> None:
        self.node = Node("balancing_robot", context=context, namespace=namespace)
        self.robot, self.off = robot, OFF
        self.quiet_joints = self.quiet_odometry = False
        self.references: list[MotionReference] = []
        self.velocities: list[TwistStamped] = []
        self.commands: list[JointTrajectory] = []
        self.bases: list[MultiDOFJointTrajectory] = []
        self._joints = robot.nominal.copy()
        self._goal = robot.nominal.copy()
        self._commanded: list[int] = []
        self._controller: ControllerModel | None = None
        self.place, self.heading, self.pitch = np.array([1.0, 2.0]), 0.0, 0.0
        self.world: tuple[float, np.ndarray] = (0.0, np.zeros(2))
        """Turn and shift of the odometry's world."""
        self._twist = np.zeros(3)
        self._states = self.node.create_publisher(JointState, "joint_states", 10)
        self._odometry = self.node.create_publisher(Odometry, "odom", 10)
        self.node.create_subscription(MotionReference, "motion_reference", self._refer, 50)
        self.node.create_subscription(TwistStamped, "cmd_vel", self._drive, 50)
        self.node.create_subscription(JointTrajectory, "motion_command", self._command, 10)
        self.node.create_subscription(
            MultiDOFJointTrajectory, "motion_command/base", self.bases.append, 10
        )
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=loop, daemon=True) for loop in (self._move, self._serve)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10.0)
        self._executor.shutdown()
        self.node.destroy_node()

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        until(condition, what, patience=seconds)

    def _refer(self, message: MotionReference) -> None:
        self.references.append(message)
        self._goal = np.array(message.positions)
        # The base slips: a tenth of the way is lost.
        twist = message.base_twist
        self._twist = 0.9 * np.array([twist.linear.x, twist.linear.y, twist.angular.z])

    def _drive(self, message: TwistStamped) -> None:
        self.velocities.append(message)
        twist = message.twist
        self._twist = 0.9 * np.array([twist.linear.x, twist.linear.y, twist.angular.z])

    def _command(self, message: JointTrajectory) -> None:
        """A trajectory of the joints that the feet do not need."""
        self.commands.append(message)
        if self._controller is None:
            names = list(self.robot.joint_names)
            self._commanded = [names.index(name) for name in message.joint_names]
            self._controller = ControllerModel(self._joints[self._commanded])
        self._controller.take(message, self._now())

    def _now(self) -> float:
        return self.node.get_clock().now().nanoseconds / NANOSECONDS

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.02)

    def _move(self) -> None:
        noise = np.random.default_rng(1)
        due = time.monotonic()
        while not self._ended.wait(max(due - time.monotonic(), 0.0)):
            due += STEP
            if self._controller is not None:
                self._controller.cycle(self._now())
                self._goal[self._commanded] = self._controller.position
            velocities = (self._goal - self._joints) / LAG
            self._joints = self._joints + STEP * velocities
            c, s = np.cos(self.heading), np.sin(self.heading)
            self.place = self.place + STEP * np.array([[c, -s], [s, c]]) @ self._twist[:2]
            self.heading += STEP * self._twist[2]
            stamp = self.node.get_clock().now().to_msg()
            if not self.quiet_joints:
                state = JointState(name=list(self.robot.joint_names))
                state.header.stamp = stamp
                shaken = self._joints + self.off + noise.normal(0.0, 1e-3, len(self._joints))
                state.position, state.velocity = shaken.tolist(), velocities.tolist()
                self._states.publish(state)
            if not self.quiet_odometry:
                base = Odometry(child_frame_id="pelvis")
                base.header.stamp, base.header.frame_id = stamp, "odom"
                pose = base.pose.pose
                turned, shift = self.world
                c, s = np.cos(turned), np.sin(turned)
                place = np.array([[c, -s], [s, c]]) @ self.place + shift
                pose.position.x, pose.position.y = (float(value) for value in place)
                pose.position.z = 0.78
                turn = Rotation.from_euler("zy", [self.heading + turned, self.pitch]).as_quat()
                for axis, value in zip("xyzw", turn.tolist(), strict=True):
                    setattr(pose.orientation, axis, value)
                self._odometry.publish(base)
