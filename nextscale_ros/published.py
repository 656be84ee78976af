"""The trajectory that was published last: what the robot is expected to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.retarget import RobotState, RobotTrajectory


@dataclass(frozen=True)
class PublishedPlan:
    """A trajectory and when it begins.

    Attributes:
        trajectory: What was published.
        begin: Its time 0, on the clock of the joint states [s].
    """

    trajectory: RobotTrajectory
    begin: float

    @property
    def end(self) -> float:
        """When it arrives at its last point [s]."""
        return self.begin + float(self.trajectory.time_from_start[-1])

    def joints(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities (N, J) that a controller commands at times (N,) [s].

        Before the first point and after the last the robot stands there.
        """
        plan = self.trajectory
        spline = CubicHermiteSpline(plan.time_from_start, plan.positions, plan.velocities)
        clipped = self._clipped(times)
        moving = (times - self.begin == clipped)[:, None]
        return spline(clipped), np.where(moving, spline(clipped, 1), 0.0)

    def base(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Planned base at times (N,) [s]: positions (N, 3) [m], quaternions (N, 4) x y z w."""
        plan = self.trajectory
        clipped = self._clipped(times)
        turn = Slerp(plan.time_from_start, Rotation.from_quat(plan.base_quaternion))
        place = np.stack(
            [np.interp(clipped, plan.time_from_start, column) for column in plan.base_position.T], 1
        )
        return place, turn(clipped).as_quat()

    def state(self, time: float) -> RobotState:
        """Where the robot should be at a time [s]."""
        at = np.array([time])
        positions, velocities = self.joints(at)
        place, turn = self.base(at)
        return RobotState(positions[0], velocities[0], place[0], turn[0])

    def _clipped(self, times: np.ndarray) -> np.ndarray:
        ends = self.trajectory.time_from_start[[0, -1]]
        return np.clip(np.asarray(times) - self.begin, *ends)
