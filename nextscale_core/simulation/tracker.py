"""`TrackerBalancer`: the whole body by TWIST2's general motion tracker."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.robots.robot import Robot
from nextscale_core.simulation.balancer import UNITREE_JOINTS, OuterLoop, joint_order
from nextscale_core.simulation.simulator import Gains, SimulatedState
from nextscale_core.trajectory.reference import Reference

if TYPE_CHECKING:
    from nextscale_core.simulation.policies import OnnxPolicy

_ANKLES = [4, 5, 10, 11]  # in the order of UNITREE_JOINTS
_LEG_STANDING = (-0.2, 0.0, 0.0, 0.4, -0.2, 0.0)
_STANDING = np.array(
    [*_LEG_STANDING * 2, *[0.0] * 3, *(0, 0.4, 0, 1.2, 0, 0, 0), *(0, -0.4, 0, 1.2, 0, 0, 0)]
)
_STIFFNESS = np.array(
    [*(100.0, 100.0, 100.0, 150.0, 40.0, 40.0) * 2, *[150.0] * 3, *([40.0] * 4 + [4.0] * 3) * 2]
)
_DAMPING = np.array([*(2.0, 2.0, 2.0, 4.0, 2.0, 2.0) * 2, *[4.0] * 3, *([5.0] * 4 + [0.2] * 3) * 2])
_HISTORY = 10
_COMMAND = 35
_FRAME = _COMMAND + 92


class TrackerBalancer:
    """The whole body follows references by TWIST2's tracker.

    Args:
        robot: A G1 with all of its 29 joints.
        policy: The tracker.

    Raises:
        RobotError: another robot.
        ModelLoadError: the policy's actions are not 29 joints.
    """

    INPUTS = (_HISTORY + 1) * _FRAME + _COMMAND

    name = "tracker"
    needs_base = True

    def __init__(self, robot: Robot, policy: OnnxPolicy, outer: OuterLoop | None = None) -> None:
        self._order = joint_order(robot, UNITREE_JOINTS, policy.path.name)
        if policy.outputs != len(self._order):
            raise ModelLoadError(
                f"{policy.path}: a tracker has {len(self._order)} outputs, got {policy.outputs}"
            )
        self._policy = policy
        self._outer = outer or OuterLoop(lateral=2.0)
        back = np.argsort(self._order)
        self.gains = Gains(_STIFFNESS[back], _DAMPING[back])
        self.standing = _STANDING[back]
        self._back = back
        self._history: deque[np.ndarray] = deque(maxlen=_HISTORY)
        self._action = np.zeros(len(back))

    def reset(self, state: SimulatedState) -> None:
        """Forget history and last action."""
        self._history.clear()
        self._action = np.zeros_like(self._action)

    def act(self, state: SimulatedState, reference: Reference) -> np.ndarray:
        """Joint targets for the next control step (see `Balancer.act`)."""
        velocity = self._outer.velocity(state, reference)
        roll, pitch = _roll_pitch(reference.base_quaternion)
        command = np.array(
            [
                *velocity[:2],
                reference.base_position[2],
                roll,
                pitch,
                velocity[2],
                *reference.positions[self._order],
            ]
        )
        velocities = state.velocities[self._order]
        velocities[_ANKLES] = 0.0
        frame = np.concatenate(
            [
                command,
                0.25 * state.angular_velocity,
                _roll_pitch(state.base_quaternion),
                state.positions[self._order] - _STANDING,
                0.05 * velocities,
                self._action,
            ]
        )
        if not self._history:
            self._history.extend([frame] * _HISTORY)
        self._action = self._policy(np.concatenate([frame, *self._history, command]))
        self._history.append(frame)
        return (_STANDING + 0.5 * np.clip(self._action, -10.0, 10.0))[self._back]


def _roll_pitch(quaternion: np.ndarray) -> np.ndarray:
    return np.asarray(Rotation.from_quat(quaternion).as_euler("ZYX")[:0:-1])
