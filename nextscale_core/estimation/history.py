"""The robot's last second: the beginning of the motion that continues it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.leg_odometry import BaseSource
from nextscale_core.estimation.robot_to_human import HumanHistory, robot_to_human
from nextscale_core.estimation.samples import BaseTrack, OrientationTrack, after_last_gap
from nextscale_core.exceptions import InvalidMotionError, NextscaleError, RobotError
from nextscale_core.motion.skeleton import FPS
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.state import RobotState

MAX_GAP = 0.25
"""A longer pause between joint states ends the history [s]."""

SHORTEST = 0.4
"""A history shorter than this says too little about what the robot does [s]."""

_AT_REST = 0.05
"""A robot none of whose joints moved further than this in the last moment stands [rad]."""

_MOMENT = 0.3
"""What the last moment is [s]."""


@dataclass(frozen=True)
class RobotHistory:
    """Measured, and perhaps expected, states of a robot over time.

    Attributes:
        times: (N,) increasing stamps on any one clock [s].
        positions: (N, J) in the order of `Robot.joint_names` [rad].
        base: Measured poses of the base on the same clock, if there are any.
        imu: Measured orientations on the same clock, if there are any.
    """

    times: np.ndarray
    positions: np.ndarray
    base: BaseTrack | None = None
    imu: OrientationTrack | None = None

    def __post_init__(self) -> None:
        if self.positions.ndim != 2 or len(self.positions) != len(self.times):
            raise RobotError(
                f"{len(self.times)} times need as many rows of joints, got {self.positions.shape}"
            )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def seconds(self) -> float:
        """From the first to the last state [s]."""
        return float(self.times[-1] - self.times[0]) if len(self) else 0.0

    @property
    def at_rest(self) -> bool:
        """Whether the robot stands still at the end."""
        if not len(self):
            return True
        last = self.positions[self.times >= self.times[-1] - _MOMENT]
        return bool(np.ptp(last, axis=0).max() < _AT_REST)

    def last(self, seconds: float) -> RobotHistory:
        """The last part, no longer than `seconds` and without a gap in it [s]."""
        if not len(self):
            return self
        recent = int(np.searchsorted(self.times, self.times[-1] - seconds - 1e-9))
        first = max(recent, after_last_gap(self.times, MAX_GAP).start)
        return replace(self, times=self.times[first:], positions=self.positions[first:])


@dataclass(frozen=True)
class Prefix:
    """The human motion that the robot has just made.

    Attributes:
        human: The motion and where the robot's base was in it.
        begin: Time of its first frame, on the clock of the robot's states [s].
        at_rest: Whether the robot stood still at its end.
    """

    human: HumanHistory
    begin: float
    at_rest: bool

    @property
    def end(self) -> float:
        """Time of the last frame, on the clock of the robot's states [s]."""
        return self.begin + (len(self.human) - 1) / self.human.clip.fps


def prefix_of(robot: Robot, past: RobotHistory, seconds: float = 1.0) -> Prefix:
    """What to continue.

    Args:
        robot: The robot.
        past: Its states.
        seconds: How much of its end to use [s].

    Raises:
        InvalidMotionError: the states are too few, or make no sense.
    """
    used = past.last(seconds)
    if used.seconds < min(SHORTEST, seconds):
        raise InvalidMotionError(
            f"the robot's joint states reach back {used.seconds:.2f} s without a gap of more than "
            f"{MAX_GAP} s; {SHORTEST} s are needed to continue from them"
        )
    human = _human(robot, used)
    return Prefix(human, float(used.times[-1]) - (len(human) - 1) / FPS, used.at_rest)


def with_base(robot: Robot, state: RobotState, past: RobotHistory) -> RobotState:
    """A measured state, with the base as the last moment of the robot shows it.

    Args:
        robot: The robot.
        state: Its joints now, the end of `past`.
        past: Its states until now.

    Returns:
        The state with a base that stands on the floor z = 0. Without any history it is taken as
        upright (`base_position` and `base_quaternion` stay None where they are).
    """
    used = past.last(_MOMENT)
    try:
        human = _human(robot, used)
    except NextscaleError:
        return state
    if human.base_source is BaseSource.STANDING:
        return state
    poses = human.poses
    return replace(
        state,
        base_position=poses.base[-1],
        base_quaternion=Rotation.from_matrix(poses.rotation[-1]).as_quat(),
    )


def _human(robot: Robot, past: RobotHistory) -> HumanHistory:
    """The inverse map, with those of the base's measurements that cover the joint states."""
    base, imu = covering(past.times, past.base, past.imu)
    return robot_to_human(
        robot, past.times, past.positions, base=base, imu=imu, max_gap=MAX_GAP, fps=FPS
    )


def covering(
    times: np.ndarray, base: BaseTrack | None, imu: OrientationTrack | None
) -> tuple[BaseTrack | None, OrientationTrack | None]:
    """What sensors say about the times of joint states.

    Args:
        times: (N,) of the joint states [s].
        base: Measured poses of the base, or None.
        imu: Measured orientations, or None.

    Returns:
        The part of `base` that the joint states need, or None where some of it is missing; and,
        only where there is none of the base, the same of `imu`.
    """
    span = None if base is None else _covering(base.times, times)
    if base is not None and span is not None:
        track = replace(
            base,
            times=base.times[span],
            positions=base.positions[span],
            quaternions=base.quaternions[span],
        )
        return track, None
    span = None if imu is None else _covering(imu.times, times)
    if imu is None or span is None:
        return None, None
    return None, replace(imu, times=imu.times[span], quaternions=imu.quaternions[span])


def _covering(sensor: np.ndarray, times: np.ndarray) -> slice | None:
    """Those of a sensor's times (M,) that the joint states (N,) need; None where some are missing.

    A last pose that is a little late is no reason to believe the soles rather than the sensor.
    """
    if not len(times):
        return None
    first, last = times[0] - MAX_GAP, times[-1] + MAX_GAP
    span = slice(int(np.searchsorted(sensor, first)), int(np.searchsorted(sensor, last, "right")))
    used = sensor[span]
    if len(used) < 2 or used[0] > first + 2 * MAX_GAP or used[-1] < last - 2 * MAX_GAP:
        return None
    return span if np.diff(used).max() <= MAX_GAP else None
