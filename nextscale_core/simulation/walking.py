"""`WalkingBalancer`: legs by a velocity policy of holosoma, the upper body by the reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.robots.description import some
from nextscale_core.robots.robot import Robot
from nextscale_core.simulation.balancer import (
    LEG_JOINTS,
    UNITREE_JOINTS,
    WAIST_JOINTS,
    OuterLoop,
    joint_order,
)
from nextscale_core.simulation.config import CONTROL_STEP
from nextscale_core.simulation.model import physics_model
from nextscale_core.simulation.simulator import Gains, SimulatedState
from nextscale_core.trajectory.reference import Reference

if TYPE_CHECKING:
    from nextscale_core.simulation.policies import OnnxPolicy

_LEG = (-0.312, 0.0, 0.0, 0.669, -0.363, 0.0)
_ARM = (0.2, 0.2, 0.0, 0.6, 0.0, 0.0, 0.0, 0.2, -0.2, 0.0, 0.6, 0.0, 0.0, 0.0)
_STANDING = dict(zip(UNITREE_JOINTS, (*_LEG, *_LEG, 0.0, 0.0, 0.0, *_ARM), strict=True))
_ACTION_SCALE = 0.25
_GAIT_PERIOD = 1.0  # [s]
_STEPPING = 0.5  # [s] after a push


@dataclass(frozen=True)
class WalkingOptions:
    """How the robot's body is shared between policy and reference.

    Attributes:
        waist: True if the waist follows the reference, False if the policy moves it.
        start: The robot begins to step when the command is above it [m/s and rad/s].
        stop: It stands still again when the command is below it [m/s and rad/s].
        push: Speed of the base at which it steps for half a second, whatever the command [m/s].
        full_effort: Error at which a motor of the upper body gives its effort limit [rad].
        acceleration: Maximum change of the commanded velocity [m/s^2 and rad/s^2].
    """

    waist: bool = False
    start: float = 0.25
    stop: float = 0.1
    push: float = 0.3
    full_effort: float = 0.25
    acceleration: float = 3.0


class WalkingBalancer:
    """The legs walk at the reference's root velocity; the upper body follows its joints.

    Args:
        robot: A G1 with all of its 29 joints.
        policy: The walking policy.
        options: How the body is shared.
        outer: Correction of drift.

    Raises:
        RobotError: another robot.
        ModelLoadError: the policy's actions are not 29 joints, or its metadata lack joint names,
            gains or the range of commands.
    """

    INPUTS = 100

    name = "walking"
    needs_base = True

    def __init__(
        self,
        robot: Robot,
        policy: OnnxPolicy,
        options: WalkingOptions | None = None,
        outer: OuterLoop | None = None,
    ) -> None:
        try:
            names, stiffness, damping, ranges = (
                json.loads(policy.metadata[key])
                for key in ("dof_names", "kp", "kd", "command_ranges")
            )
            limits = [ranges[key] for key in ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")]
            self._lowest, self._highest = np.array(limits, dtype=np.float64).T
        except (KeyError, TypeError, ValueError) as error:
            raise ModelLoadError(
                f"{policy.path}: a walking policy states dof_names, kp, kd and command_ranges in "
                f"its metadata; got {sorted(policy.metadata)}"
            ) from error
        self._order = joint_order(robot, names, policy.path.name)
        if policy.outputs != len(names) or not len(names) == len(stiffness) == len(damping):
            raise ModelLoadError(
                f"{policy.path}: {len(names)} joints, {len(stiffness)} stiffnesses, "
                f"{len(damping)} dampings and {policy.outputs} outputs do not agree"
            )
        self._policy, self._options = policy, options or WalkingOptions()
        self._outer = outer or OuterLoop()
        back = self._back = np.argsort(self._order)
        lacking = [name for name in names if name not in _STANDING]
        if lacking:
            raise ModelLoadError(f"{policy.path} is not for a G1: it moves {some(lacking)}")
        self._default = np.array([_STANDING[name] for name in names])
        self.standing = self._default[back]
        moved = LEG_JOINTS if self._options.waist else (*LEG_JOINTS, *WAIST_JOINTS)
        self._by_policy = np.isin(names, moved)
        # The policy's own arms are soft: a raised one would hang 20 degrees below its reference.
        firm = physics_model(robot).effort[self._order] / self._options.full_effort
        gains = (
            np.where(self._by_policy, *pair) for pair in ((stiffness, firm), (damping, firm / 20))
        )
        self.gains = Gains(*(values[back] for values in gains))
        self._rest()

    def reset(self, state: SimulatedState) -> None:
        """Forget last action, gait and command."""
        self._rest()

    def _rest(self) -> None:
        self._action = np.zeros(len(self._order))
        self._command = np.zeros(3)
        self._pushed = 0.0
        self._phase = np.full(2, np.pi)

    def act(self, state: SimulatedState, reference: Reference) -> np.ndarray:
        """Joint targets for the next control step (see `Balancer.act`)."""
        command = self._velocity(state, reference)
        order = self._order
        # The policy sees the joints that it does not move in its own standing posture: it was
        # trained to move them too, and steps aside to make up for arms that are elsewhere.
        away = np.where(self._by_policy, state.positions[order] - self._default, 0.0)
        velocities = np.where(self._by_policy, state.velocities[order], 0.0)
        observation = np.concatenate(
            [
                self._action,
                0.25 * state.angular_velocity,
                command[2:],
                command[:2],
                np.cos(self._phase),
                away,
                0.05 * velocities,
                state.gravity,
                np.sin(self._phase),
            ]
        )
        self._action = self._policy(observation)
        by_policy = self._default + _ACTION_SCALE * self._action
        targets = np.where(self._by_policy, by_policy, reference.positions[order])
        return targets[self._back]

    def _velocity(self, state: SimulatedState, reference: Reference) -> np.ndarray:
        """(3,) commanded forward, left [m/s] and yaw rate [rad/s]; advances the gait."""
        wanted = self._outer.velocity(state, reference)
        wanted = np.clip(wanted, self._lowest, self._highest)
        step = self._options.acceleration * CONTROL_STEP
        self._command = self._command + np.clip(wanted - self._command, -step, step)
        self._pushed = max(self._pushed - CONTROL_STEP, 0.0)
        if np.linalg.norm(state.linear_velocity[:2]) > self._options.push:
            self._pushed = _STEPPING
        stands = bool((self._phase == np.pi).all())
        threshold = self._options.start if stands else self._options.stop
        if not self._pushed and np.abs(self._command).max() < threshold:
            self._phase = np.full(2, np.pi)
            return np.zeros(3)
        if stands:
            self._phase = np.array([0.0, np.pi])
        advanced = self._phase + 2 * np.pi * CONTROL_STEP / _GAIT_PERIOD
        self._phase = np.remainder(advanced + np.pi, 2 * np.pi) - np.pi
        return self._command
