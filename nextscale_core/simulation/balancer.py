"""`Balancer`: what turns a whole-body reference into joint targets of a robot in physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.description import some
from nextscale_core.robots.robot import Robot
from nextscale_core.simulation.model import physics_model
from nextscale_core.simulation.simulator import Gains, SimulatedState
from nextscale_core.trajectory.reference import Reference

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_ARM = (
    *("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow"),
    *("wrist_roll", "wrist_pitch", "wrist_yaw"),
)
LEG_JOINTS, WAIST_JOINTS, ARM_JOINTS = (
    tuple(f"{side}{name}_joint" for side in sides for name in names)
    for sides, names in (
        (("left_", "right_"), _LEG),
        (("waist_",), ("yaw", "roll", "pitch")),
        (("left_", "right_"), _ARM),
    )
)
UNITREE_JOINTS = (*LEG_JOINTS, *WAIST_JOINTS, *ARM_JOINTS)
"""The G1's 29 joints in the order of Unitree's software."""


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
        lateral: Factor on the reference's velocity to the left, for policies that sidestep slowly.
        fastest: Maximum of the sum [m/s].
    """

    gain: float = 2.0
    linear: float = 0.6
    angular: float = 1.0
    lateral: float = 1.0
    fastest: float = 2.0

    def velocity(self, state: SimulatedState, reference: Reference) -> np.ndarray:
        """Velocity that follows the reference's and brings the base back to its place.

        Returns:
            (3,) forward [m/s], left [m/s] and yaw rate [rad/s], in the heading of the base.
        """
        turn = Rotation.from_quat(reference.base_quaternion)
        heading = _yaw(state.base_quaternion)
        c, s = np.cos(heading), np.sin(heading)
        into = np.array([[c, s], [-s, c]])
        linear = into @ turn.apply(reference.linear_velocity)[:2] * [1.0, self.lateral]
        back = self.gain * into @ (reference.base_position - state.base_position)[:2]
        linear += back * min(1.0, self.linear / max(float(np.linalg.norm(back)), 1e-9))
        linear *= min(1.0, self.fastest / max(float(np.linalg.norm(linear)), 1e-9))
        error = _yaw(reference.base_quaternion) - heading
        error = float(np.remainder(error + np.pi, 2 * np.pi) - np.pi)
        rate = turn.apply(reference.angular_velocity)[2]
        rate += np.clip(self.gain * error, -self.angular, self.angular)
        return np.array([*linear, rate])


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
