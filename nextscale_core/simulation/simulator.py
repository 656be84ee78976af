"""`Simulator`: a robot in physics, one control step at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.simulation.config import (
    CONTROL_STEP,
    PHYSICS_STEP,
    MeasurementNoise,
    SimulationConfig,
)
from nextscale_core.simulation.model import physics_model, require_mujoco

CONTROL_STEPS = round(CONTROL_STEP / PHYSICS_STEP)
"""Steps of the physics from one command of a controller to the next."""


@dataclass(frozen=True)
class Gains:
    """Gains of the motors' proportional-derivative law.

    Attributes:
        stiffness: (J,) [N m/rad].
        damping: (J,) [N m s/rad].
    """

    stiffness: np.ndarray
    damping: np.ndarray


@dataclass(frozen=True)
class SimulatedState:
    """State of a simulated robot, exact or as its sensors and state estimate give it.

    Attributes:
        time: Since the reset [s].
        positions: (J,) joint positions, in the order of `Robot.joint_names` [rad].
        velocities: (J,) [rad/s].
        torques: (J,) torques of the motors [N m].
        base_position: (3,) base in the world [m], z up.
        base_quaternion: (4,) base in the world, x y z w (see `Robot.root_quaternion` for that of
            the URDF's root link).
        linear_velocity: (3,) of the base, in its own frame [m/s].
        angular_velocity: (3,) of the base, in its own frame [rad/s]: the gyroscope.
        acceleration: (3,) of the base without gravity's pull, in its own frame [m/s^2]: the
            accelerometer, which shows 9.81 upward at rest.
    """

    time: float
    positions: np.ndarray
    velocities: np.ndarray
    torques: np.ndarray
    base_position: np.ndarray
    base_quaternion: np.ndarray
    linear_velocity: np.ndarray
    angular_velocity: np.ndarray
    acceleration: np.ndarray

    @property
    def gravity(self) -> np.ndarray:
        """(3,) unit vector downward, in the frame of the base."""
        return np.asarray(Rotation.from_quat(self.base_quaternion).inv().apply([0.0, 0.0, -1.0]))


class Simulator:
    """A robot with motors and feet on a floor.

    A controller calls `step` with joint targets 50 times per simulated second. A ROS node that
    publishes faster calls `command` and `advance` instead, and `measure` as often as it likes.

    Example:
        >>> balancer = make_balancer(robot, "walking")
        >>> simulator = Simulator(robot, balancer.gains)
        >>> state = simulator.reset(balancer.standing)
        >>> balancer.reset(state)
        >>> state = simulator.step(balancer.act(state, reference))

    Args:
        robot: The robot.
        gains: Gains of the motors.
        config: Floor, disturbances and seed.

    Raises:
        ConfigError: MuJoCo is not installed.
        RobotError: the gains are not J numbers.
    """

    def __init__(self, robot: Robot, gains: Gains, config: SimulationConfig | None = None) -> None:
        self.robot, self.config = robot, config or SimulationConfig()
        self._mujoco = require_mujoco()
        self.physics = physics_model(robot, self.config)
        model = self.physics.model
        stiffness, damping = (
            self._checked(value, name)
            for name, value in (("stiffness", gains.stiffness), ("damping", gains.damping))
        )
        model.actuator_gainprm[:, 0] = stiffness
        model.actuator_biasprm[:, 1], model.actuator_biasprm[:, 2] = -stiffness, -damping
        self._data = self._mujoco.MjData(model)
        self.reset()

    @property
    def floating(self) -> bool:
        """True if the base moves."""
        return self.physics.floating

    @property
    def time(self) -> float:
        """Simulated time since the reset [s]."""
        return float(self._data.time)

    def reset(
        self,
        positions: np.ndarray | None = None,
        place: np.ndarray | None = None,
        heading: float = 0.0,
    ) -> SimulatedState:
        """Put the robot at rest on the floor, upright.

        Args:
            positions: (J,) posture [rad]; None for the nominal one.
            place: (2,) horizontal position of the base [m]; None for the origin.
            heading: Yaw of the base [rad].

        Returns:
            The measured state.

        Raises:
            RobotError: the posture is not J finite numbers.
        """
        posture = self.robot.nominal if positions is None else positions
        posture = self._checked(posture, "positions")
        position = np.array([*(np.zeros(2) if place is None else place), 0.0])
        turn = Rotation.from_euler("z", heading)
        position[2] = standing_height(self.robot, posture)
        self._mujoco.mj_resetData(self.physics.model, self._data)
        self._place(posture, position, turn)
        self._random = np.random.default_rng(self.config.seed)
        self._pending: deque[tuple[float, np.ndarray]] = deque()
        self._next_push = self.config.push_interval
        self._data.ctrl[:] = posture
        # For the first torques and acceleration.
        self._mujoco.mj_forward(self.physics.model, self._data)
        return self.measure()

    def command(self, targets: np.ndarray) -> None:
        """Give the motors new joint targets, which take effect after `config.delay`.

        Args:
            targets: (J,) [rad]; the motors' torque is stiffness times the error minus damping times
                the velocity, within the effort limits.

        Raises:
            RobotError: the targets are not J finite numbers.
        """
        self._pending.append((self.time + self.config.delay, self._checked(targets, "targets")))

    def advance(self, steps: int = 1) -> None:
        """Advance the physics by some steps of `PHYSICS_STEP`."""
        while steps > 0:
            now = self.time + PHYSICS_STEP / 2
            while self._pending and self._pending[0][0] < now:
                self._data.ctrl[:] = self._pending.popleft()[1]
            if self.config.push and now > self._next_push:
                self._next_push += self.config.push_interval
                angle = self._random.uniform(-np.pi, np.pi)
                self.push(self.config.push * np.array([np.cos(angle), np.sin(angle)]))
            due = min([self._next_push, *(at for at, _ in self._pending)]) - self.time
            many = int(np.clip(np.ceil(due / PHYSICS_STEP - 0.5), 1, steps))
            self._mujoco.mj_step(self.physics.model, self._data, nstep=many)
            steps -= many

    def step(self, targets: np.ndarray) -> SimulatedState:
        """Follow joint targets for one `CONTROL_STEP` and measure the state then.

        Raises:
            RobotError: the targets are not J finite numbers.
        """
        self.command(targets)
        self.advance(CONTROL_STEPS)
        return self.measure()

    def push(self, velocity: np.ndarray) -> None:
        """Change the base's horizontal velocity at once.

        Args:
            velocity: (2,) added, in the world [m/s].
        """
        if self.floating:
            self._data.qvel[:2] += velocity

    def state(self) -> SimulatedState:
        """The exact state; torques and acceleration are those of the last step."""
        data, physics = self._data, self.physics
        if self.floating:
            position, quaternion = data.qpos[:3].copy(), data.qpos[[4, 5, 6, 3]]
            linear = Rotation.from_quat(quaternion).inv().apply(data.qvel[:3])
            angular = data.qvel[3:6].copy()
        else:
            root = physics.model.body("base")
            position, quaternion = root.pos.copy(), root.quat[[1, 2, 3, 0]]
            linear, angular = np.zeros(3), np.zeros(3)
        return SimulatedState(
            time=self.time,
            positions=data.qpos[physics.joint_qpos],
            velocities=data.qvel[physics.joint_qvel],
            torques=data.actuator_force.copy(),
            base_position=position,
            base_quaternion=quaternion,
            linear_velocity=np.asarray(linear),
            angular_velocity=angular,
            acceleration=data.sensor("accelerometer").data.copy(),
        )

    def measure(self) -> SimulatedState:
        """The state with `config.noise`, as sensors and state estimate give it."""
        exact = self.state()
        if not self.config.noise:
            return exact
        values = dict(vars(exact))
        for name, deviation in vars(MeasurementNoise()).items():
            if name == "orientation":
                error = self._random.normal(0.0, self.config.noise * deviation, 3)
                turned = Rotation.from_quat(exact.base_quaternion) * Rotation.from_rotvec(error)
                values["base_quaternion"] = turned.as_quat()
            else:
                error = self._random.normal(size=values[name].shape)
                values[name] = values[name] + self.config.noise * deviation * error
        return SimulatedState(**values)

    def _place(self, posture: np.ndarray, position: np.ndarray, turn: Rotation) -> None:
        data, physics = self._data, self.physics
        quaternion = turn.as_quat()[[3, 0, 1, 2]]
        if self.floating:
            data.qpos[:3], data.qpos[3:7] = position, quaternion
        else:
            physics.model.body("base").pos, physics.model.body("base").quat = position, quaternion
        data.qpos[physics.joint_qpos] = posture
        coupling = self.robot.coupling
        if coupling is not None:
            for name, value in zip(
                list(self.robot.model.names)[2:], coupling.positions(posture), strict=True
            ):
                data.joint(name).qpos[0] = value

    def _checked(self, values: np.ndarray, name: str) -> np.ndarray:
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (self.robot.num_joints,) or not np.isfinite(values).all():
            raise RobotError(
                f"simulation: {name} must be {self.robot.num_joints} finite numbers, got shape "
                f"{values.shape}" + ("" if np.isfinite(values).all() else " with NaN or infinity")
            )
        return values


def standing_height(robot: Robot, posture: np.ndarray) -> float:
    """Height of the upright base above the floor where the lowest sole touches it [m].

    Args:
        robot: The robot.
        posture: (J,) [rad].
    """
    kinematics = kinematics_of(robot)
    points = kinematics.points(Poses(np.zeros((1, 3)), np.eye(3)[None], posture[None]))
    return -float(points[0, kinematics.soles, 2].min())
