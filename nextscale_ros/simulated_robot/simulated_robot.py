"""Simulated robot node: a robot in physics, kept on its feet by a balancing controller.

The simulation keeps pace with real time. It publishes /joint_states, /odom, /imu and the transforms
of the base at `state_rate`, and with `publish_clock` the simulated time. What it is commanded by
depends on the parameter `balancer`:

    tracker     whole-body references, nextscale_ros/MotionReference
    walking     joints of the upper body on /motion_command, the velocity of the walk on /cmd_vel
    pd, fixed   all joints on /motion_command; the base of `pd` is free, so that the robot falls

Where no command arrives, the robot stands. A fall is logged and stands in /diagnostics until the
service `~/reset` puts the robot on its feet again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.parameter import Parameter
from rclpy.time import Time
from rclpy.timer import Timer
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Imu
from std_srvs.srv import Trigger

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.rotations import heading_of
from nextscale_core.simulation.config import CONTROL_STEP, PHYSICS_STEP, SimulationConfig
from nextscale_core.simulation.policies import make_balancer
from nextscale_core.simulation.rollout import has_fallen, pelvis_height
from nextscale_core.simulation.simulator import SimulatedState, Simulator, standing_height
from nextscale_core.trajectory.reference import Reference, standing_reference
from nextscale_core.trajectory.walking import upper_joints
from nextscale_ros.messages.conversions import motion_reference
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReference
from nextscale_ros.robot_stand_in import RobotStandIn
from nextscale_ros.simulated_robot.choice import FIXED, PD, TRACKER, WALKING, choose
from nextscale_ros.simulated_robot.commands import Commands, ReferenceCommands, TrajectoryCommands
from nextscale_ros.simulated_robot.pace import Pace
from nextscale_ros.spin import serve
from nextscale_ros.tf import root_link

_DIAGNOSE_EVERY = 1.0
"""Period of diagnostics [s]."""


LYING = 0.2
"""Height of the pelvis of a robot that lies, relative to standing. It is held there, since only its
feet collide with the floor."""


class SimulatedRobot(RobotStandIn):
    """A robot in physics that stands until it is commanded.

    Args:
        parameter_overrides: Initial values of parameters, in addition to the command line's.

    Raises:
        NextscaleError: robot, policy or physics engine cannot be loaded, or parameters contradict
            each other.
    """

    def __init__(self, *, parameter_overrides: Sequence[Parameter] = ()) -> None:
        super().__init__("simulated_robot", parameter_overrides=parameter_overrides)
        self._own_clock = bool(self._value("publish_clock"))
        speed = float(self._value("speed"))
        if self.get_parameter("use_sim_time").value:
            raise ConfigError(
                "the simulated robot is a source of time: leave its use_sim_time false, and set "
                "publish_clock for other nodes with use_sim_time"
            )
        if speed != 1.0 and not self._own_clock:
            raise ConfigError(
                f"speed {speed:g} needs publish_clock: true here and use_sim_time: true on all "
                "other nodes"
            )
        robot = self._robot
        choice = choose(robot, self._text("balancer"), self._text("policy"))
        fixed = choice.balancer == FIXED
        self._choice = choice
        self._balancer = make_balancer(robot, PD if fixed else choice.balancer, choice.policy)
        config = SimulationConfig(
            friction=float(self._value("friction")),
            delay=float(self._value("delay")),
            noise=float(self._value("noise")),
            push=float(self._value("push_speed")),
            push_interval=float(self._value("push_period")),
            fixed_base=fixed,
            seed=int(self._value("seed")),
        )
        self._simulator = Simulator(robot, self._balancer.gains, config)
        step = 1.0 / float(self._value("state_rate"))
        self._substeps = round(step / PHYSICS_STEP)
        self._control_every = round(CONTROL_STEP / step)
        self._step_time, self._speed = step, speed
        self._axes = Rotation.from_matrix(robot.profile.axes.rotation())
        self._posture = self._balancer.standing.copy()
        if choice.balancer == WALKING:
            # The upper body is commanded from the nominal posture on.
            upper = list(upper_joints(robot, waist=True))
            self._posture[upper] = robot.nominal[upper]
        self._height = kinematics_of(robot).standing_height(self._posture)
        base = np.array([0.0, 0.0, standing_height(robot, self._posture)])
        self._upright = standing_reference(self._posture, base, np.array([0.0, 0.0, 0.0, 1.0]))
        self._steps, self._falls, self._fallen = 0, 0, False
        self._root = root_link(robot)
        self._commands: Commands
        if choice.note:
            self.get_logger().warning(choice.note)

    def _value(self, parameter: str) -> Any:
        return self.get_parameter(parameter).value

    def _make_timer(self, period: float) -> Timer:
        # The wall clock may be set.
        return self.create_timer(period / 2, self._tick, clock=self._steady)

    def _subscribe(self) -> None:
        """Put the robot on the floor and create what commands it."""
        self._imu = self.create_publisher(Imu, self._text("imu_topic"), 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._references = self.create_publisher(MotionReference, "~/reference", 10)
        if self._own_clock:
            self._clock_topic = self.create_publisher(Clock, "/clock", 10)
        self._epoch = self._now()
        self._pace = Pace(self._step_time, self._speed, not self._own_clock)
        self._diagnosed = (0.0, self._pace.real)
        posture, topic = self._posture, self._text("command_topic")
        commanded = topic
        if self._choice.balancer == TRACKER:
            commanded = self._text("reference_topic")
            self._commands = ReferenceCommands(
                self,
                commanded,
                self._robot,
                posture,
                lambda: self._pace.seconds,
                self._seconds,
            )
        else:
            velocity = self._text("cmd_vel_topic") if self._choice.balancer == WALKING else ""
            commanded += f" and {velocity}" if velocity else ""
            self._commands = TrajectoryCommands(
                self,
                topic,
                velocity,
                self._robot,
                posture,
                lambda: self._pace.seconds,
                self._seconds,
            )
        self._stand()
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_timer(_DIAGNOSE_EVERY, self._diagnose, clock=self._steady)
        self.get_logger().info(
            f"{self._robot.name}: {len(self._names)} joints, {self._choice.words}, "
            f"subscribed to {commanded}"
        )

    # -- the simulation

    def _stand(self, place: np.ndarray | None = None, heading: float = 0.0) -> None:
        """Put the robot on its feet."""
        self._measured = self._simulator.reset(self._posture, place, heading)
        self._balancer.reset(self._measured)
        self._commands.reset(self._measured)
        self._fallen = False

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        # Where a tracker's reference is: it would walk there at once.
        here = self._commands.reference(self._pace.seconds, self._measured)
        heading = heading_of(here.base_quaternion)
        self._stand(here.base_position[:2], heading)
        self._steps = 0
        response.success, response.message = True, f"{self._robot.name} stands again"
        self.get_logger().info(response.message)
        return response

    def _tick(self) -> None:
        """Make the steps that are due."""
        given_up = self._pace.given_up
        for _ in range(self._pace.due()):
            self._step()
        if self._pace.given_up > given_up and not self._own_clock:
            self.get_logger().warning(
                f"this machine is too slow for the simulation: {self._pace.given_up:.1f} s of it "
                "were left out until now",
                throttle_duration_sec=5.0,
            )

    def _step(self) -> None:
        if self._steps % self._control_every == 0:
            self._control(self._pace.seconds)
        self._steps += 1
        self._pace.made()
        if self._fallen and pelvis_height(self._robot, self._measured) < LYING * self._height:
            self._measured = _at_rest(self._measured)
        else:
            self._simulator.advance(self._substeps)
            self._measured = self._simulator.measure()
        self._publish()

    def _control(self, now: float) -> None:
        state = self._measured
        reference = self._commands.reference(now, state)
        # Only a whole-body reference may ask for a lower or tilted base.
        wanted = reference if self._choice.balancer == TRACKER else self._upright
        down = has_fallen(self._robot, self._height, state, wanted)
        if self._simulator.floating and down and not self._fallen:
            self._fallen = True
            self._falls += 1
            tilt = np.degrees(np.arccos(np.clip(-state.gravity[2], -1.0, 1.0)))
            self.get_logger().error(
                f"the robot has fallen {now:.1f} s after the start: pelvis at "
                f"{pelvis_height(self._robot, state):.2f} m, tilted by {tilt:.0f} degrees; "
                f"it lies until 'ros2 service call {self.get_fully_qualified_name()}/reset "
                "std_srvs/srv/Trigger'"
            )
        self._publish_reference(reference)
        if self._fallen:
            # The motors only damp, as a robot's own software makes them after a fall.
            self._simulator.command(state.positions)
            return
        self._simulator.command(self._balancer.act(state, reference))

    # -- what it publishes

    def _publish(self) -> None:
        measured, stamp = self._measured, Time(nanoseconds=self._stamp()).to_msg()
        if self._own_clock:
            self._clock_topic.publish(Clock(clock=stamp))
        rotation = Rotation.from_quat(measured.base_quaternion) * self._axes
        root = rotation.as_quat()
        linear, angular, acceleration = (
            self._axes.inv().apply(vector)
            for vector in (
                measured.linear_velocity,
                measured.angular_velocity,
                measured.acceleration,
            )
        )
        self._publish_joints(measured.positions, measured.velocities, stamp)
        self._publish_base(measured.base_position, root, stamp, linear, angular)
        imu = Imu()
        imu.header.stamp, imu.header.frame_id = stamp, self._root
        turn, rate, pull = imu.orientation, imu.angular_velocity, imu.linear_acceleration
        turn.x, turn.y, turn.z, turn.w = (float(value) for value in root)
        rate.x, rate.y, rate.z = (float(value) for value in angular)
        pull.x, pull.y, pull.z = (float(value) for value in acceleration)
        self._imu.publish(imu)
        if self._transforms is not None:
            self._transforms.publish(
                self._base_frame, measured.base_position, root, measured.positions, stamp
            )

    def _publish_reference(self, reference: Reference) -> None:
        """Publish what the balancing controller is given."""
        moving = bool(np.any(reference.velocities) or np.any(reference.linear_velocity))
        message = motion_reference(self._robot, reference, self._base_frame, moving)
        message.header.stamp = Time(nanoseconds=self._stamp()).to_msg()
        self._references.publish(message)

    def _stamp(self) -> int:
        """The present time of the simulation, on the clock of stamps [ns]."""
        return self._epoch + round(self._pace.seconds * NANOSECONDS)

    def _diagnose(self) -> None:
        simulated, real = self._diagnosed
        self._diagnosed = (self._pace.simulated, self._pace.real)
        rate = (self._pace.simulated - simulated) / max(self._pace.real - real, 1e-6)
        age = self._commands.age(self._pace.seconds)
        values = {
            "balancer": self._choice.balancer,
            "policy": str(self._choice.policy or "none"),
            "state": "fallen" if self._fallen else "stands or moves",
            "falls": str(self._falls),
            "age of the last command [s]": "none" if np.isinf(age) else f"{age:.2f}",
            "height of the base [m]": f"{self._measured.base_position[2]:.3f}",
            "simulated per real time": f"{rate:.2f}",
            "behind real time [s]": f"{self._pace.given_up:.2f}",
        }
        level, message = DiagnosticStatus.OK, "simulated robot is on its feet"
        if self._fallen:
            level, message = DiagnosticStatus.ERROR, "simulated robot has fallen, ~/reset"
        status = DiagnosticStatus(
            level=level,
            name=f"{self.get_fully_qualified_name()}: simulation",
            message=message,
            hardware_id=self._robot.name,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def _at_rest(state: SimulatedState) -> SimulatedState:
    zero = np.zeros(3)
    return replace(
        state,
        velocities=np.zeros_like(state.velocities),
        linear_velocity=zero,
        angular_velocity=zero,
        acceleration=-9.81 * state.gravity,
    )


def main() -> None:
    """Entry point of `ros2 run nextscale_ros simulated_robot`."""
    serve({"simulated_robot": SimulatedRobot}, threads=1)


if __name__ == "__main__":
    main()
