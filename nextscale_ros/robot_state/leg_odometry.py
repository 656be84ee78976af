"""Where a robot is by its soles alone, one measurement after the other."""

from __future__ import annotations

from collections import deque

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.leg_odometry import leg_odometry, standing
from nextscale_core.robots import Robot
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.rotations import yaw

WINDOW = 15
"""Measurements that have a say in which foot stands."""

PAUSE = 0.5
"""After a pause so long, the robot is taken to have stayed where it was [s]."""


class LegOdometry:
    """The base of a robot that nobody measures: a foot that stands does not move.

    The path begins above the origin, facing x. It drifts, as every odometry does.

    Args:
        robot: The robot.
    """

    def __init__(self, robot: Robot) -> None:
        self._kinematics = kinematics_of(robot)
        self._seen: deque[tuple[float, np.ndarray]] = deque(maxlen=WINDOW)
        self._place, self._yaw = np.zeros(2), 0.0

    def update(self, positions: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Take over one measurement; those that are not newer than the last move nothing.

        Args:
            positions: (J,) joint positions [rad].
            time: When they were measured [s].

        Returns:
            Where the base is now, (3,) [m], and its orientation, (4,) x y z w.
        """
        if self._seen and time - self._seen[-1][0] > PAUSE:
            self._seen.clear()
        newer = not self._seen or time > self._seen[-1][0]
        if newer:
            self._seen.append((time, np.array(positions, dtype=np.float64)))
        times = np.array([at for at, _ in self._seen])
        joints = np.stack([row for _, row in self._seen])
        if len(times) < 2:
            poses = standing(self._kinematics, joints).poses
        else:
            fps = (len(times) - 1) / (times[-1] - times[0])
            poses = leg_odometry(self._kinematics, joints, float(fps)).poses
            if newer:
                self._go(poses.base[-2:, :2], Rotation.from_matrix(poses.rotation[-2:]))
        turned = Rotation.from_matrix(poses.rotation[-1])
        level = Rotation.from_euler("z", self._yaw - yaw(turned.as_matrix())) * turned
        return np.array([*self._place, poses.base[-1, 2]]), level.as_quat()

    def _go(self, places: np.ndarray, turns: Rotation) -> None:
        """Add the last step of a path in a world of its own."""
        before, after = yaw(turns.as_matrix())
        c, s = np.cos(self._yaw - before), np.sin(self._yaw - before)
        self._place = self._place + np.array([[c, -s], [s, c]]) @ (places[1] - places[0])
        self._yaw += float(np.angle(np.exp(1j * (after - before))))
