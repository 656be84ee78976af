"""The trajectory that was published last, which the robot is expected to execute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.estimation.history import RobotHistory
from nextscale_core.robots import RobotState, RobotTrajectory

LATEST = 2.0
"""Maximum delay between sending a trajectory and its execution that is searched [s]."""

_USUAL, _NOISE = 0.02, 2e-3
"""Scale of the delay [s], and standard deviation of measured positions [rad]."""

_COARSE, _FINE = 0.02, 0.001
"""Steps of the search for the delay [s]."""

_SAMPLES, _JOINTS = 60, 8
"""Maximum numbers of measured states and of joints in that search."""

PATIENCE = 0.5
"""Delay after which a robot that still stands at the begin counts as not following [s]."""

_TRACKED = 0.5
"""Maximum deviation of a joint from the trajectory that the robot follows [rad]."""

_STOP_TIME = 0.3
"""Time over which planned and measured motion are compared [s]."""

_MOVES = 0.05
"""Minimum planned motion of a joint in that comparison [rad]."""

_STOPPED = 0.3
"""Share of the planned motion below which the robot counts as stopped."""


@dataclass(frozen=True)
class ActiveTrajectory:
    """A trajectory and its begin.

    Attributes:
        trajectory: The published trajectory.
        begin: Its time 0, on the clock of the joint states [s].
        on_arrival: Whether the controller begins when it receives it, at `begin` at the earliest.
    """

    trajectory: RobotTrajectory
    begin: float
    on_arrival: bool = False

    @property
    def end(self) -> float:
        """Time of its last point [s]."""
        return self.begin + float(self.trajectory.time_from_start[-1])

    def joints(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Commanded positions and velocities (N, J) at times (N,) [s].

        The robot stands at the first point before it, and at the last point after it.
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
        """Planned state at a time [s]."""
        at = np.array([time])
        positions, velocities = self.joints(at)
        place, turn = self.base(at)
        return RobotState(positions[0], velocities[0], place[0], turn[0])

    def is_followed(self, past: RobotHistory, state: RobotState, time: float) -> bool:
        """Whether the robot is near the trajectory, and moves as far as planned.

        Args:
            past: Measured states until then.
            state: Measured state.
            time: Its time [s].
        """
        off = state.positions - self.joints(np.array([time]))[0][0]
        if time < self.begin - PATIENCE or np.abs(off).max() > _TRACKED:
            return False
        recent = past.times > time - _STOP_TIME
        if recent.sum() < 2:
            return True
        planned = np.ptp(self.joints(past.times[recent])[0], axis=0)
        moved = np.ptp(past.positions[recent], axis=0)
        joint = int(planned.argmax())
        return bool(planned[joint] < _MOVES or moved[joint] > _STOPPED * planned[joint])

    def delay(self, times: np.ndarray, positions: np.ndarray, guess: float) -> float:
        """Estimate the time from `begin` to the begin of the execution, 0 to `LATEST` [s].

        A constant offset of a joint from its plan has no effect. While the plan does not move, the
        joints do not determine the delay, and the guess remains.

        Args:
            times: (N,) of the measured positions, N > 0 [s].
            positions: (N, J) measured [rad].
            guess: Most likely delay without measurements [s].
        """
        plan = self.trajectory
        rows = np.unique(np.linspace(0, len(times) - 1, _SAMPLES).astype(int))
        # Joints that move most determine the time best.
        most = np.argsort(np.ptp(plan.positions, axis=0))[-_JOINTS:]
        measured = positions[np.ix_(rows, most)][:, None]
        spline = CubicHermiteSpline(
            plan.time_from_start, plan.positions[:, most], plan.velocities[:, most]
        )

        def likeliest(delays: np.ndarray) -> float:
            off = measured - spline(self._clipped(times[rows, None] - delays))
            off -= off.mean(axis=0)
            cost = (off**2).sum((0, 2)) / (2 * _NOISE**2) + np.abs(delays - guess) / _USUAL
            return float(delays[cost.argmin()])

        coarse = likeliest(np.append(np.arange(0.0, LATEST, _COARSE), LATEST))
        near = coarse + np.arange(-_COARSE, _COARSE + _FINE / 2, _FINE)
        return likeliest(np.unique(np.clip(near, 0.0, LATEST)))

    def _clipped(self, times: np.ndarray) -> np.ndarray:
        ends = self.trajectory.time_from_start[[0, -1]]
        return np.clip(np.asarray(times) - self.begin, *ends)
