"""History of the robot's states, and the human motion that a new motion continues."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

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
"""Maximum time between joint states of one history [s]."""

SHORTEST = 0.4
"""Minimum length of a history to continue from [s]."""

_AT_REST, _REST_TIME = 0.05, 0.3
"""Maximum motion of a joint [rad] in this time [s] of a robot at rest."""

_Track = TypeVar("_Track", BaseTrack, OrientationTrack)


@dataclass(frozen=True)
class RobotHistory:
    """Measured, and possibly predicted, states of a robot over time.

    Attributes:
        times: (N,) increasing, on one clock [s].
        positions: (N, J) in the order of `Robot.joint_names` [rad].
        base: Poses of the base on the same clock.
        imu: Orientations on the same clock.
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
        """Time from the first to the last state [s]."""
        return float(self.times[-1] - self.times[0]) if len(self) else 0.0

    @property
    def at_rest(self) -> bool:
        """Whether no joint moves at the end."""
        if not len(self):
            return True
        last = self.positions[self.times >= self.times[-1] - _REST_TIME]
        return bool(np.ptp(last, axis=0).max() < _AT_REST)

    def last(self, seconds: float) -> RobotHistory:
        """The last part, at most `seconds` long [s] and without a gap."""
        if not len(self):
            return self
        recent = int(np.searchsorted(self.times, self.times[-1] - seconds - 1e-9))
        first = max(recent, after_last_gap(self.times, MAX_GAP).start)
        return replace(self, times=self.times[first:], positions=self.positions[first:])


@dataclass(frozen=True)
class Prefix:
    """The human motion that the robot has just shown, which a new motion continues.

    Attributes:
        human: The motion and the robot's base.
        begin: Time of its first frame, on the clock of the robot's states [s].
        at_rest: Whether the robot is at rest at its end.
    """

    human: HumanHistory
    begin: float
    at_rest: bool

    @property
    def end(self) -> float:
        """Time of the last frame, on the clock of the robot's states [s]."""
        return self.begin + (len(self.human) - 1) / self.human.clip.fps


def prefix_of(robot: Robot, past: RobotHistory, seconds: float = 1.0) -> Prefix:
    """The human motion of the last `seconds` [s] of a history.

    Raises:
        InvalidMotionError: the history is too short or invalid.
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
    """Add the pose of the base to a measured state.

    Args:
        robot: The robot.
        state: Its joints now, the end of `past`.
        past: Its states until now.

    Returns:
        The state with a base above the floor z = 0; the same state where the history does not
        determine it.
    """
    used = past.last(_REST_TIME)
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
    """The human motion of a history, with those base measurements that cover the joint states."""
    base, imu = covering(past.times, past.base, past.imu)
    return robot_to_human(
        robot, past.times, past.positions, base=base, imu=imu, max_gap=MAX_GAP, fps=FPS
    )


def covering(
    times: np.ndarray, base: BaseTrack | None, imu: OrientationTrack | None
) -> tuple[BaseTrack | None, OrientationTrack | None]:
    """The parts of the base measurements that cover the times (N,) of joint states [s].

    Returns:
        The part of `base`, or None where it does not cover the times; and, only then, the same of
        `imu`.
    """
    base = _covering(times, base)
    return base, None if base is not None else _covering(times, imu)


def _covering(times: np.ndarray, track: _Track | None) -> _Track | None:
    """The part of a track that covers times (N,), up to `MAX_GAP`; None where it does not."""
    if track is None or not len(times):
        return None
    first, last = times[0] - MAX_GAP, times[-1] + MAX_GAP
    begin, end = np.searchsorted(track.times, first), np.searchsorted(track.times, last, "right")
    used = track.times[begin:end]
    if len(used) < 2 or used[0] > first + 2 * MAX_GAP or used[-1] < last - 2 * MAX_GAP:
        return None
    if np.diff(used).max() > MAX_GAP:
        return None
    arrays: dict[str, Any] = {
        name: value[begin:end] for name, value in vars(track).items() if np.ndim(value)
    }
    return replace(track, **arrays)
