"""`SimulationConfig`: what disturbs a simulated robot, and the times of the simulation."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from nextscale_core.exceptions import ConfigError

PHYSICS_STEP = 0.002
"""Time step of the physics [s]."""

CONTROL_STEP = 0.02
"""Time between two commands of a controller [s]."""

INSTALL = "pip install 'nextscale[sim]'"
"""Command that installs the physics engine and the runtime of the policies."""


@dataclass(frozen=True)
class SimulationConfig:
    """Floor, disturbances and seed of a simulation.

    Attributes:
        friction: Coefficient of sliding friction between soles and floor.
        delay: Time from a command until the motors follow it [s].
        noise: Factor on the standard deviations of `MeasurementNoise`; 0 for exact measurements.
        push: Change of the base's horizontal velocity at each push [m/s]; 0 for none.
        push_interval: Time between two pushes, which have random directions [s].
        fixed_base: True to fix the root link in the world, for robots without a policy.
        seed: Seed of noise and pushes: the same seed gives the same simulation.

    Raises:
        ConfigError: a value is out of range.
    """

    friction: float = 1.0
    delay: float = 0.0
    noise: float = 0.0
    push: float = 0.0
    push_interval: float = 2.0
    fixed_base: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "friction": (0.01, 10.0),
            "delay": (0.0, 0.5),
            "noise": (0.0, 100.0),
            "push": (0.0, 10.0),
            "push_interval": (CONTROL_STEP, np.inf),
            "seed": (0, 2**63 - 1),
        }
        for key in fields(self):
            value = getattr(self, key.name)
            lowest, highest = limits.get(key.name, (0, 1))
            if not lowest <= value <= highest:
                raise ConfigError(
                    f"simulation: {key.name} must be within {lowest:g} and {highest:g}, got {value}"
                )


@dataclass(frozen=True)
class MeasurementNoise:
    """Standard deviations of a robot's sensors and state estimate.

    Attributes:
        positions: Of each joint [rad].
        velocities: Of each joint [rad/s].
        angular_velocity: Of each axis of the gyroscope [rad/s].
        acceleration: Of each axis of the accelerometer [m/s^2].
        orientation: Of the base about each axis [rad].
        base_position: Of each coordinate of the base [m].
        linear_velocity: Of each axis of the base [m/s].
    """

    positions: float = 0.005
    velocities: float = 0.2
    angular_velocity: float = 0.05
    acceleration: float = 0.2
    orientation: float = 0.01
    base_position: float = 0.005
    linear_velocity: float = 0.05


DISTURBED = SimulationConfig(friction=0.6, delay=0.02, noise=1.0, push=0.5)
"""The disturbances that `bench/physics.py` reports beside the nominal simulation."""
