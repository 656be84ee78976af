"""Motion of the robot along its active trajectory until a new motion takes over.

Planning takes time, in which the robot continues along its active trajectory. A new trajectory that
began in the state measured before planning would make it jerk. So the new motion begins in the
state that the active trajectory reaches at the hand-over, and the published trajectory leads from
the measured state to there along the active one. Wherever before the hand-over it arrives, it
commands the motion that is executed anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.robots import RobotState, RobotTrajectory
from nextscale_core.trajectory.curves import quintic_fade
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory

CORRECTION = 0.5
"""Time in which the deviation of a joint from its plan fades out [s]."""


@dataclass(frozen=True)
class Splice:
    """The motion from a measured state along the active trajectory.

    Attributes:
        plan: The active trajectory.
        measured: The measured state.
        time: Time of measurement, on the clock of the plan [s].
    """

    plan: ActiveTrajectory
    measured: RobotState
    time: float

    def joints(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected positions and velocities (N, J) at times (N,) not before `time` [s].

        The deviation of the robot from its plan fades out.
        """
        positions, velocities = self.plan.joints(times)
        at, speed = self.plan.joints(np.array([self.time]))
        off = self.measured.positions - at[0]
        drift = np.zeros_like(off)
        if self.measured.velocities is not None:
            drift = self.measured.velocities - speed[0]
        place, place_rate, slope, slope_rate = (
            part[:, None] for part in quintic_fade(times - self.time, CORRECTION)
        )
        return (
            positions + place * off + slope * drift,
            velocities + place_rate * off + slope_rate * drift,
        )

    def state(self, time: float) -> RobotState:
        """Expected state at a time [s], without the base."""
        positions, velocities = self.joints(np.array([time]))
        return RobotState(positions[0], velocities[0])

    def followed_by(self, trajectory: RobotTrajectory, handover: float) -> RobotTrajectory:
        """A trajectory that begins in the measured state and continues with another one.

        Args:
            trajectory: Begins in `state(handover)`.
            handover: Time of its begin, a whole number of its steps after `time` [s]; points before
                it have no time in the human motion.
        """
        count = round((handover - self.time) * trajectory.fps)
        if count <= 0:
            return trajectory
        steps = np.arange(count) / trajectory.fps
        positions, velocities = self.joints(self.time + steps)
        # The planned base, moved rigidly so that it arrives at the begin of the new one.
        place, turn = self.plan.base(np.append(self.time + steps, handover))
        planned = Rotation.from_quat(turn)
        moved = Rotation.from_quat(trajectory.base_quaternion[0]) * planned[-1].inv()
        base = trajectory.base_position[0] + moved.apply(place[:-1] - place[-1])
        quaternion = (moved * planned[:-1]).as_quat()
        # q and -q are the same orientation; interpolation needs neighbours of one sign.
        if quaternion[-1] @ trajectory.base_quaternion[0] < 0:
            quaternion = -quaternion
        after = trajectory.time_from_start - trajectory.time_from_start[0] + handover - self.time
        source = trajectory.source_time
        if source is not None:
            source = np.concatenate([np.full(count, np.nan), source])
        return replace(
            trajectory,
            positions=np.concatenate([positions, trajectory.positions]),
            velocities=np.concatenate([velocities, trajectory.velocities]),
            time_from_start=np.concatenate([steps, after]),
            base_position=np.concatenate([base, trajectory.base_position]),
            base_quaternion=np.concatenate([quaternion, trajectory.base_quaternion]),
            source_time=source,
        )

    def missed_by(self, trajectory: RobotTrajectory, time: float) -> float:
        """Maximum jump of a joint if a new trajectory takes over from the active one [rad].

        Args:
            trajectory: Begins at `self.time`, as returned by `followed_by`.
            time: Time of the take-over [s].
        """
        at = np.array([max(time, self.time)])
        new = ActiveTrajectory(trajectory, self.time).joints(at)[0]
        return float(np.abs(new - self.joints(at)[0]).max())
