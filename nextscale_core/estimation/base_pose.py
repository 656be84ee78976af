"""Poses of the floating base, from messages about the root link or a link fixed to it.

What is done with each message uses pinocchio's quaternions: one rotation at a time, scipy's (1.17)
take some ten times as long, a tenth of a core at 500 messages a second.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
import pinocchio
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.clock import ClockOffset
from nextscale_core.estimation.ring_buffer import BUFFER_SECONDS, RingBuffer
from nextscale_core.estimation.samples import BaseTrack, OrientationTrack
from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots.description import link_frame, link_names
from nextscale_core.robots.robot import Robot

MAX_RATE = 500
"""Rate up to which poses are buffered for `BUFFER_SECONDS` [Hz]."""

FALL_TILT, FALL_TURN = np.radians(60.0), np.radians(30.0)
"""Tilt over which a robot has fallen, and how far that is over its reference's [rad]."""

_LONGEST_NAME = 200
"""Maximum length of a frame name [characters]; longer ones are cut in errors."""

_NORM = 0.05
"""Maximum deviation of a quaternion's norm from 1; it is normalized."""

_RESTART = 1.0
"""Step back in time after which a buffer begins anew [s]."""

MAX_SPEED, MAX_TURN_RATE = 5.0, 10.0
"""Speed [m/s] and rate of turn about the vertical [rad/s] of a base that no robot reaches."""

_SHORTEST_STEP = 0.05
"""Minimum time between two poses for these rates: stamps have jitter [s]."""

_ABSENCE = 0.5
"""Time without poses after which a base that is elsewhere counts as jumped, by default [s]."""

_MAX_JUMPS = 100
"""Maximum number of jumps that are kept until they are reported."""


class BasePoseError(NextscaleError, ValueError):
    """An invalid pose of the base."""


class BaseLinkError(BasePoseError):
    """A pose of a link that is not fixed to the base."""


def root_link(robot: Robot) -> str:
    """Name of the URDF's root link."""
    return str(robot.model.frames[2].name)  # after 'universe' and the floating joint


def link_named(robot: Robot, frame_id: str) -> str:
    """Link of a message's frame, which may have a prefix ('g1/pelvis'); '' if there is none."""
    # pinocchio rejects half characters.
    if not frame_id.isprintable() or len(frame_id) > _LONGEST_NAME:
        return ""
    links = link_names(robot.model)
    names = (frame_id, frame_id.lstrip("/"), frame_id.rpartition("/")[2])
    return next((name for name in names if name in links), "")


def valid_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """A quaternion (4,) x y z w, normalized.

    Raises:
        BasePoseError: its norm is not 1.
    """
    quaternion = np.asarray(quaternion, dtype=np.float64)
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1.0) <= _NORM:
        raise BasePoseError(f"the orientation of the base has norm {norm:.3g}, not 1")
    return quaternion / norm


class BaseTransform:
    """Transforms poses of links that are fixed to the base into poses of the base.

    Args:
        robot: The robot.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._base_in_link: dict[str, tuple[np.ndarray, pinocchio.Quaternion]] = {}

    def __call__(
        self, position: np.ndarray, quaternion: np.ndarray, frame_id: str = ""
    ) -> np.ndarray:
        """(7,) position [m] and quaternion x y z w of the base.

        Args:
            position: (3,) of the link in a world with z up [m].
            quaternion: (4,) of the link, x y z w.
            frame_id: The link, with or without a prefix; '' for the root link.

        Raises:
            BaseLinkError: an unknown link, or one that moves relative to the base.
            BasePoseError: NaN, or a quaternion whose norm is not 1.
        """
        origin, turn = self._lookup(frame_id)
        position = np.asarray(position, dtype=np.float64)
        if not np.isfinite(position).all():
            raise BasePoseError(f"a pose of the base holds {position}")
        rotation = pinocchio.Quaternion(valid_quaternion(quaternion))
        return np.concatenate([position + rotation * origin, (rotation * turn).coeffs()])

    def _lookup(self, frame_id: str) -> tuple[np.ndarray, pinocchio.Quaternion]:
        """Origin (3,) [m] and orientation of the base in a link."""
        if frame_id not in self._base_in_link:
            link = link_named(self._robot, frame_id) if frame_id else root_link(self._robot)
            frame = link_frame(self._robot.model, link) if link else None
            if frame is None or frame.parentJoint != 1:
                raise BaseLinkError(
                    f"poses of {frame_id[:_LONGEST_NAME]!r} do not determine the base of "
                    f"{self._robot.name}: the frame must be the root link "
                    f"{root_link(self._robot)!r} or a link that is fixed to it"
                )
            to_base = frame.placement.inverse()
            turn = pinocchio.Quaternion(to_base.rotation)
            self._base_in_link[frame_id] = (np.array(to_base.translation), turn)
        return self._base_in_link[frame_id]


def tipped_over(quaternion: np.ndarray, reference: np.ndarray) -> float | None:
    """Tilt of a robot that lies or falls though its reference does not [rad]; None of others.

    Args:
        quaternion: (4,) measured base (x forward, z up at zero), x y z w.
        reference: (4,) base of the reference.
    """
    tilt, wanted = (_tilt(one) for one in (quaternion, reference))
    return tilt if tilt > max(FALL_TILT, wanted + FALL_TURN) else None


def _tilt(quaternion: np.ndarray) -> float:
    """Angle between the z axis of a base and the vertical [rad]."""
    x, y = quaternion[:2]
    return float(np.arccos(np.clip(1 - 2 * (x * x + y * y), -1.0, 1.0)))


@dataclass(frozen=True)
class BasePose:
    """The base at one time.

    Attributes:
        position: (3,) in the odometry's world [m].
        quaternion: (4,) base (x forward, z up at zero), x y z w.
        time: On the local clock [s].
        world: Number of the odometry's world, which is another one after each jump.
    """

    position: np.ndarray
    quaternion: np.ndarray
    time: float
    world: int = 0


@dataclass(frozen=True)
class BaseJump:
    """A step of the base that no robot makes: the odometry's world is another one after it.

    Attributes:
        distance: [m].
        turn: About the vertical [rad].
    """

    distance: float
    turn: float

    @classmethod
    def between(cls, before: np.ndarray, after: np.ndarray) -> BaseJump:
        """The step between two poses (7,), position [m] and quaternion x y z w."""
        first, second = pinocchio.Quaternion(before[3:]), pinocchio.Quaternion(after[3:])
        rotation = second * first.conjugate()
        turn = 2 * math.atan2(rotation.z, rotation.w)
        return cls(math.dist(before[:3], after[:3]), abs(math.remainder(turn, math.tau)))

    def within(self, seconds: float) -> bool:
        """Whether a robot can make this step in a time [s]."""
        return self.distance <= MAX_SPEED * seconds and self.turn <= MAX_TURN_RATE * seconds


def told_jumps(jumps: list[BaseJump], what: str = "the measured base (odometry, TF)") -> str:
    """How much a base jumped, in words; '' where it did not."""
    if not jumps:
        return ""
    times = f"{len(jumps)} times, by up to" if len(jumps) > 1 else "by"
    distance = max(jump.distance for jump in jumps)
    turn = np.degrees(max(jump.turn for jump in jumps))
    return f"{what} jumped {times} {distance:.2f} m and {turn:.0f} degrees"


def in_one_world(times: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, list[BaseJump]]:
    """Poses without their jumps: after each, the base goes on from where it was before.

    Args:
        times: (N,) increasing [s].
        poses: (N, 7) positions [m] and quaternions x y z w.

    Returns:
        The poses (N, 7) in the first of their worlds, and the jumps.
    """
    passed = np.maximum(np.diff(times), _SHORTEST_STEP)
    steps, turns = np.diff(poses[:, :3], axis=0), _turns(poses)
    distances = np.linalg.norm(steps, axis=1)
    jumped = (distances > MAX_SPEED * passed) | (np.abs(turns) > MAX_TURN_RATE * passed)
    if not jumped.any():
        return poses, []
    jumps = list(map(BaseJump, distances[jumped].tolist(), np.abs(turns[jumped]).tolist()))
    back = Rotation.from_rotvec(np.outer(-np.cumsum(np.where(jumped, turns, 0.0)), [0, 0, 1]))
    way = np.cumsum(back.apply(np.where(jumped[:, None], 0.0, steps)), axis=0)
    found = poses.copy()
    found[1:, :3] = poses[0, :3] + way
    found[1:, 3:] = (back * Rotation.from_quat(poses[1:, 3:])).as_quat()
    return found, jumps


def _turns(poses: np.ndarray) -> np.ndarray:
    """Turns (N - 1,) about the vertical from each pose of (N, 7) to the next [rad]."""
    rotation = Rotation.from_quat(poses[:, 3:])
    z, w = (rotation[1:] * rotation[:-1].inv()).as_quat()[:, 2:].T
    turns: np.ndarray = (2 * np.arctan2(z, w) + np.pi) % (2 * np.pi) - np.pi
    return turns


class _Buffer:
    """Rows of one sender for `BUFFER_SECONDS`, at their times on the local clock. Thread-safe."""

    def __init__(self, width: int) -> None:
        self._rows = RingBuffer(int(BUFFER_SECONDS * MAX_RATE), width)
        self._clock = ClockOffset()
        self._lock = threading.Lock()

    def _add(self, row: np.ndarray, time: float, stamp: float, own: float) -> BaseJump | None:
        """Add a row, unless it is not newer than the last; returns what `_begin` returns."""
        with self._lock:
            at = self._clock.local(stamp, time, own)
            if at < self._rows.last - _RESTART:
                self._rows.clear()
            if not at > self._rows.last:
                return None
            jump = self._begin(row, at)
            self._rows.add(at, row)
            return jump

    def _begin(self, row: np.ndarray, at: float) -> BaseJump | None:
        """Called with each row before it is added at a time [s]."""
        return None

    def _since(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            return self._rows.since(time)


class BasePoseBuffer(_Buffer):
    """The last seconds of the base's pose. Thread-safe.

    A step that no robot makes (a map frame that is relocated, a restarted simulation) begins a new
    world: the poses from before it are forgotten.

    Args:
        robot: The robot.
        absence: Time without poses after which the base begins a new world wherever it is not
            where it was [s].
    """

    def __init__(self, robot: Robot, absence: float = _ABSENCE) -> None:
        super().__init__(7)
        self._to_base = BaseTransform(robot)
        self._absence = absence
        self._newest: tuple[float, np.ndarray] | None = None
        self._world = 0
        self._jumps: deque[BaseJump] = deque(maxlen=_MAX_JUMPS)

    def update(
        self,
        position: np.ndarray,
        quaternion: np.ndarray,
        link: str,
        time: float,
        stamp: float,
        own: float = np.nan,
    ) -> BaseJump | None:
        """Add one pose.

        Args:
            position: As for `BaseTransform`.
            quaternion: As for `BaseTransform`.
            link: The link, with or without a prefix ('g1/pelvis'); '' for the root link.
            time: Time of arrival, on a clock that never steps back [s].
            stamp: Time of measurement, on any clock [s]; 0 without a stamp.
            own: `time` on this machine's clock for stamps [s]; NaN where it has none.

        Returns:
            The step from the pose before, where that begins a new world.

        Raises:
            BasePoseError: as for `BaseTransform`.
        """
        return self._add(self._to_base(position, quaternion, link), time, stamp, own)

    def _begin(self, row: np.ndarray, at: float) -> BaseJump | None:
        """Begin a new world with a row that no robot reaches from the one before."""
        newest, self._newest = self._newest, (at, row)
        if newest is None:
            return None
        # A clock that was set back says nothing about the time between them.
        passed = max(at - newest[0], _SHORTEST_STEP)
        jump = BaseJump.between(newest[1], row)
        if jump.within(passed if passed <= self._absence else _SHORTEST_STEP):
            return None
        self._rows.clear()
        self._world += 1
        self._jumps.append(jump)
        return jump

    def new_jumps(self) -> list[BaseJump]:
        """The jumps since the last call."""
        with self._lock:
            jumps = list(self._jumps)
            self._jumps.clear()
        return jumps

    def last(self, time: float, timeout: float) -> BasePose | None:
        """The newest pose, or None where it is older than `timeout` [s] at `time` [s]."""
        with self._lock:
            newest, world = self._newest, self._world
        if newest is None or not time - newest[0] <= timeout:
            return None
        at, row = newest
        return BasePose(row[:3], row[3:], at, world)

    def track(self, since: float) -> BaseTrack | None:
        """Poses since a time [s], or None where there are fewer than two."""
        times, rows = self._since(since)
        if len(times) < 2:
            return None
        # The height of the floor in an odometry's world is not known.
        return BaseTrack(times, rows[:, :3], rows[:, 3:], floor=None)


class ImuBuffer(_Buffer):
    """The last seconds of an IMU's orientation. Thread-safe."""

    def __init__(self) -> None:
        super().__init__(4)

    def update(
        self, quaternion: np.ndarray, time: float, stamp: float, own: float = np.nan
    ) -> None:
        """Add one orientation; arguments and errors as for `BasePoseBuffer.update`."""
        self._add(valid_quaternion(quaternion), time, stamp, own)

    def track(self, since: float, link: str) -> OrientationTrack | None:
        """Orientations of a link since a time [s], or None where there are fewer than two."""
        times, rows = self._since(since)
        return OrientationTrack(times, rows, link) if len(times) >= 2 else None
