"""What a robot under way does until a new motion can take over.

Making a trajectory takes time, and meanwhile the robot goes on with the one it follows. A
trajectory that began in the state measured at first would by then be somewhere else: the robot
would jerk. So the new motion begins in the state in which the plan under way will have the robot at
the hand-over, and the trajectory that is published leads from the measured state up to there along
that plan. Whenever it arrives before the hand-over, it asks for nothing but what is being done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.robots import RobotState, RobotTrajectory
from nextscale_core.trajectory.curves import quintic_fade
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory

CORRECTION = 0.5
"""Time in which what a joint is off its plan vanishes [s]."""


@dataclass(frozen=True)
class Splice:
    """The way from a measured state along the plan under way.

    Attributes:
        plan: What the robot follows.
        measured: Where it is.
        time: When that was, on the clock of the plan [s].
    """

    plan: ActiveTrajectory
    measured: RobotState
    time: float

    def joints(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected positions and velocities (N, J) at times (N,) not before `time` [s].

        What the robot is off its plan fades away.
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
        """Where the robot is expected to be at a time [s], its base unknown."""
        positions, velocities = self.joints(np.array([time]))
        return RobotState(positions[0], velocities[0])

    def followed_by(self, trajectory: RobotTrajectory, handover: float) -> RobotTrajectory:
        """A trajectory that begins in the measured state and goes on with another one.

        What comes before the hand-over belongs to no human motion.

        Args:
            trajectory: Begins in `state(handover)`.
            handover: When it begins, a whole number of its steps after `time` [s].
        """
        count = round((handover - self.time) * trajectory.fps)
        if count <= 0:
            return trajectory
        steps = np.arange(count) / trajectory.fps
        positions, velocities = self.joints(self.time + steps)
        # The plan's base, moved as a rigid body so that it arrives where the new one begins.
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
        """How far the plan under way and a new trajectory are apart at a time [s].

        Args:
            trajectory: Begins at `self.time`, as `followed_by` returns it.
            time: When it is published.

        Returns:
            The greatest distance of a joint [rad]: what a controller would jump.
        """
        at = np.array([max(time, self.time)])
        new = ActiveTrajectory(trajectory, self.time).joints(at)[0]
        return float(np.abs(new - self.joints(at)[0]).max())
