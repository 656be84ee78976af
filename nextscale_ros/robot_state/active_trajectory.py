"""The trajectory that was published last: what the robot is expected to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.robots import RobotState, RobotTrajectory

LATEST = 2.0
"""Maximum delay between sending a trajectory and its execution that is looked for [s]."""

_USUAL, _NOISE = 0.02, 2e-3
"""Usual delay [s], and usual noise of measured positions [rad]."""

_COARSE, _FINE = 0.02, 0.001
"""Steps in which the delay is looked for [s]."""

_SAMPLES, _JOINTS = 60, 8
"""Maximum numbers of measured states, and of joints, that are looked at."""


@dataclass(frozen=True)
class ActiveTrajectory:
    """A trajectory and when it begins.

    Attributes:
        trajectory: What was published.
        begin: Its time 0, on the clock of the joint states [s].
        on_arrival: Whether the controller begins when it gets it, at `begin` at the earliest.
    """

    trajectory: RobotTrajectory
    begin: float
    on_arrival: bool = False

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

    def delay(self, times: np.ndarray, positions: np.ndarray, guess: float) -> float:
        """How much later than at `begin` the controller began, as the joints show.

        What a joint is off its plan all the time says nothing about time. As long as the plan does
        not move, the joints show nothing, and the guess remains.

        Args:
            times: (N,) when the joints were measured, N > 0 [s].
            positions: (N, J) where they were [rad].
            guess: What is most likely else [s].

        Returns:
            The most likely delay, 0 to `LATEST` [s].
        """
        plan = self.trajectory
        rows = np.unique(np.linspace(0, len(times) - 1, _SAMPLES).astype(int))
        # Joints that move most tell the time best.
        most = np.argsort(np.ptp(plan.positions, axis=0))[-_JOINTS:]
        measured = positions[np.ix_(rows, most)][:, None]
        spline = CubicHermiteSpline(
            plan.time_from_start, plan.positions[:, most], plan.velocities[:, most]
        )

        def likeliest(delays: np.ndarray) -> float:
            off = measured - spline(self._clipped(times[rows, None] - delays))
            off -= off.mean(axis=0)
            unlikely = (off**2).sum((0, 2)) / (2 * _NOISE**2) + np.abs(delays - guess) / _USUAL
            return float(delays[unlikely.argmin()])

        about = likeliest(np.append(np.arange(0.0, LATEST, _COARSE), LATEST))
        near = about + np.arange(-_COARSE, _COARSE + _FINE / 2, _FINE)
        return likeliest(np.unique(np.clip(near, 0.0, LATEST)))

    def _clipped(self, times: np.ndarray) -> np.ndarray:
        ends = self.trajectory.time_from_start[[0, -1]]
        return np.clip(np.asarray(times) - self.begin, *ends)
