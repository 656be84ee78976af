"""`Balancer`: what turns a whole-body reference into joint targets of a robot in physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.description import some
from nextscale_core.robots.robot import Robot
from nextscale_core.simulation.model import physics_model
from nextscale_core.simulation.simulator import Gains, SimulatedState
from nextscale_core.trajectory.reference import Reference


class Balancer(Protocol):
    """A controller that makes a robot follow references, 50 times per second.

    Attributes:
        name: 'pd', 'walking' or 'tracker'.
        gains: Gains of the motors that its targets are for.
        standing: (J,) posture in which it stands at rest, the posture to reset the robot in [rad].
        needs_base: True if it keeps a floating base upright; False for a robot with a fixed base.
    """

    name: str
    gains: Gains
    standing: np.ndarray
    needs_base: bool

    def reset(self, state: SimulatedState) -> None:
        """Forget what was before; the robot stands in `state`."""
        ...

    def act(self, state: SimulatedState, reference: Reference) -> np.ndarray:
        """Joint targets for the next control step.

        Args:
            state: Measured state.
            reference: One moment, in the same world as the state's base.

        Returns:
            (J,) targets, in the order of `Robot.joint_names` [rad].
        """
        ...


class PdBalancer:
    """Motors that follow the reference's joints, without any balance.

    Args:
        robot: The robot.
    """

    name = "pd"
    needs_base = False

    def __init__(self, robot: Robot) -> None:
        # Full effort at an error of 0.1 rad, and a time constant of 0.05 s.
        stiffness = np.minimum(physics_model(robot).effort, 1000.0) / 0.1
        self.gains = Gains(stiffness, stiffness / 20.0)
        self.standing = robot.nominal

    def reset(self, state: SimulatedState) -> None:
        """Do nothing: the law has no memory."""

    def act(self, state: SimulatedState, reference: Reference) -> np.ndarray:
        """The reference's joint positions."""
        return reference.positions


@dataclass(frozen=True)
class OuterLoop:
    """Velocity that brings the base back to where the reference is.

    Attributes:
        gain: Velocity per error [1/s].
        linear: Maximum correction [m/s].
        angular: Maximum correction [rad/s].
    """

    gain: float = 1.0
    linear: float = 0.4
    angular: float = 0.6

    def correction(self, state: SimulatedState, reference: Reference) -> np.ndarray:
        """(3,) forward [m/s], left [m/s] and yaw rate [rad/s], in the heading of the base."""
        heading = _yaw(state.base_quaternion)
        away = (reference.base_position - state.base_position)[:2]
        c, s = np.cos(heading), np.sin(heading)
        linear = self.gain * np.array([c * away[0] + s * away[1], c * away[1] - s * away[0]])
        linear *= min(1.0, self.linear / max(float(np.linalg.norm(linear)), 1e-9))
        turn = np.remainder(_yaw(reference.base_quaternion) - heading + np.pi, 2 * np.pi) - np.pi
        angular = np.clip(self.gain * turn, -self.angular, self.angular)
        return np.array([*linear, angular])


def _yaw(quaternion: np.ndarray) -> float:
    x, y, z, w = quaternion
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def joint_order(robot: Robot, names: Sequence[str], policy: str) -> np.ndarray:
    """Index in `robot.joint_names` of each joint of a policy.

    Raises:
        RobotError: the robot lacks one of the joints, or has others.
    """
    have = list(robot.joint_names)
    lacking = [name for name in names if name not in have]
    if lacking or len(names) != len(have) or robot.base_held:
        what = f"lacks {some(lacking)}" if lacking else f"moves {len(have)} joints"
        raise RobotError(
            f"the policy {policy} moves {len(names)} joints ({some(names, 3)}), and "
            f"{robot.name} {what}; choose the controller 'pd', which holds the base in the world"
        )
    return np.array([have.index(name) for name in names])
