"""Where the floating base is and was: odometry, transforms and an IMU, as they come."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.base_pose import base_in_link, root_link
from nextscale_core.estimation.samples import BaseTrack, OrientationTrack
from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots import Robot
from nextscale_ros.robot_state.clock_offset import ClockOffset
from nextscale_ros.robot_state.joint_state_buffer import KEPT
from nextscale_ros.robot_state.ring import Ring

FASTEST_BASE = 500
"""Poses per second that a memory is made for [Hz]."""

_LONGEST = 200
"""Longest name of a link in an error [characters]."""

_NORM = 0.05
"""A quaternion may miss the norm 1 by so much; it is then made right."""


class BasePoseError(NextscaleError, ValueError):
    """A pose of the base that cannot be used."""


@dataclass(frozen=True)
class BasePose:
    """The base at one moment.

    Attributes:
        position: (3,) in the odometry's world [m].
        quaternion: (4,) base (x forward, z up at zero), x y z w.
        time: When, on the memory's clock [s].
    """

    position: np.ndarray
    quaternion: np.ndarray
    time: float


class BasePoseBuffer:
    """The last seconds of the base's pose.

    Poses may be of the root link or of any link that cannot move against it. Thread-safe.

    Args:
        robot: Whose base.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._rows = Ring(int(KEPT * FASTEST_BASE), 7)
        self._clock = ClockOffset()
        self._lock = threading.Lock()
        self._to_base: dict[str, tuple[np.ndarray, Rotation]] = {}

    def update(
        self,
        position: np.ndarray,
        quaternion: np.ndarray,
        link: str,
        time: float,
        stamp: float,
        own: float = np.nan,
    ) -> None:
        """Take over one pose.

        Args:
            position: (3,) of the link in a world with z up [m].
            quaternion: (4,) of the link, x y z w.
            link: Which link, with or without a prefix ('g1/pelvis'); '' for the root link.
            time: When the message came, on a clock that never steps back [s].
            stamp: When it was measured, on any clock [s]; 0 where it is not said.
            own: `time` on our own clock for stamps [s]; NaN where there is none.

        Raises:
            BasePoseError: NaN, a quaternion that is none, or a link that moves against the base.
        """
        position, rotation = _sound(position, quaternion)
        offset, turn = self._mount(link)
        base = rotation * turn
        row = np.concatenate([position + rotation.apply(offset), base.as_quat()])
        with self._lock:
            at = self._clock.local(stamp, time, own)
            if at < self._rows.last - 1.0:
                self._rows.clear()
            self._rows.add(at, row)

    def _mount(self, link: str) -> tuple[np.ndarray, Rotation]:
        """Where the base lies in a link: origin (3,) and orientation."""
        if link not in self._to_base:
            mount = base_in_link(self._robot, link)
            if mount is None:
                raise BasePoseError(
                    f"poses of {link[:_LONGEST]!r} do not tell where the base is: it must be the "
                    f"root link {root_link(self._robot)!r} or a link that is fixed to it"
                )
            self._to_base[link] = mount
        return self._to_base[link]

    def last(self, time: float, timeout: float) -> BasePose | None:
        """The newest pose, or None where it is older than `timeout` [s] at `time` [s]."""
        with self._lock:
            at = self._rows.last
            if not time - at <= timeout:
                return None
            _, rows = self._rows.since(at)
        return BasePose(rows[-1, :3], rows[-1, 3:], at)

    def track(self, since: float) -> BaseTrack | None:
        """Poses from a moment on [s], or None where there are fewer than two."""
        with self._lock:
            times, rows = self._rows.since(since)
        if len(times) < 2:
            return None
        # Where the floor lies in an odometry's world is the sender's own affair.
        return BaseTrack(times, rows[:, :3], rows[:, 3:], floor=None)


class ImuBuffer:
    """The last seconds of an IMU's orientation. Thread-safe."""

    def __init__(self) -> None:
        self._rows = Ring(int(KEPT * FASTEST_BASE), 4)
        self._clock = ClockOffset()
        self._lock = threading.Lock()

    def update(
        self, quaternion: np.ndarray, time: float, stamp: float, own: float = np.nan
    ) -> None:
        """Take over one orientation; arguments as for `BasePoseBuffer.update`.

        Raises:
            BasePoseError: NaN or a quaternion that is none.
        """
        _, rotation = _sound(np.zeros(3), quaternion)
        with self._lock:
            at = self._clock.local(stamp, time, own)
            if at < self._rows.last - 1.0:
                self._rows.clear()
            self._rows.add(at, rotation.as_quat())

    def track(self, since: float, link: str) -> OrientationTrack | None:
        """Orientations from a moment on [s], or None where there are fewer than two."""
        with self._lock:
            times, rows = self._rows.since(since)
        return OrientationTrack(times, rows, link) if len(times) >= 2 else None


def _sound(position: np.ndarray, quaternion: np.ndarray) -> tuple[np.ndarray, Rotation]:
    position = np.asarray(position, dtype=np.float64)
    quaternion = np.asarray(quaternion, dtype=np.float64)
    norm = float(np.linalg.norm(quaternion))
    if not np.isfinite(position).all():
        raise BasePoseError(f"a pose of the base holds {position}")
    if not abs(norm - 1.0) <= _NORM:
        raise BasePoseError(f"an orientation of the base is no unit quaternion (norm {norm:.3g})")
    return position, Rotation.from_quat(quaternion)
