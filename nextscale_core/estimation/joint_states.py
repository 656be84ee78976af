"""Joint states from messages: any order of names, several senders, missing values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import pinocchio as pin

from nextscale_core.estimation.clock import ClockOffset
from nextscale_core.estimation.history import MAX_GAP, RobotHistory
from nextscale_core.estimation.joint_series import (
    JointSeries,
    NameLists,
    joint_tracks,
    sample,
    unwrap,
)
from nextscale_core.estimation.joint_velocities import LONGEST, end_velocities
from nextscale_core.estimation.ring_buffer import BUFFER_SECONDS, RingBuffer
from nextscale_core.estimation.sender_conflicts import MAX_ACCELERATION, SenderConflictDetector
from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.state import RobotState

MAX_RATE = 1000
"""Rate up to which joint states are buffered for `BUFFER_SECONDS` [Hz]."""

MAX_LAYOUTS = 16
"""Number of messages with all joints of the robot whose history is kept; robots have one to four
kinds, or one for each joint."""

MAX_WARNINGS = 100
"""Maximum number of different warnings, so that invented names fill neither memory nor log."""

_EXTRAPOLATED = 0.05
"""Maximum time by which joints measured earlier than the newest are extrapolated [s]."""


class RobotStateError(NextscaleError, RuntimeError):
    """The measured state of the robot is needed and is missing, incomplete or too old."""


class SenderConflictError(RobotStateError):
    """Two senders of joint states contradict each other: the state of the robot is not known."""


@dataclass
class _MessageLayout:
    """Buffer of the messages with some joints of the robot, whatever their order.

    Attributes:
        target: (M,) indices of these joints in the robot.
        rows: Their positions; NaN where a value was not finite.
        measures: (M,) whether a velocity other than zero has arrived. Drivers that measure none
            leave them out, send NaN, or send zeros.
        clock: Maps the stamps of these messages to the local clock.
    """

    target: np.ndarray
    rows: RingBuffer
    measures: np.ndarray
    clock: ClockOffset = field(default_factory=ClockOffset)


class JointStateBuffer:
    """The newest reading of every joint, and the history of all for `BUFFER_SECONDS`.

    Messages may name the joints in any order, or some of them only; several publishers may share
    the robot. Thread-safe: joint states arrive while a trajectory is planned.

    Args:
        joint_names: Joints of the robot, in the order of every array returned.
        ignored: Names of other joints that messages may hold.
        continuous: Names of the continuous joints; senders may count their turns or not.
        publishers: Describes who publishes the joint states, for errors.
        max_acceleration: Acceleration over which two senders contradict each other [rad/s^2].

    Attributes:
        joint_names: The same.
        messages: Number of messages received.
        refused: Number of messages without a usable value.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        ignored: Collection[str] = (),
        continuous: Collection[str] = (),
        publishers: Callable[[], str] = str,
        max_acceleration: float = MAX_ACCELERATION,
    ) -> None:
        self.joint_names = tuple(joint_names)
        self._ignored = frozenset(ignored)
        self._continuous = np.array([name in continuous for name in self.joint_names], dtype=bool)
        self._publishers = publishers
        self._index = {name: index for index, name in enumerate(self.joint_names)}
        count = len(self.joint_names)
        self._position = np.full(count, np.nan)
        self._velocity = np.full(count, np.nan)
        self._arrived = np.full(count, -np.inf)
        self._measured = np.full(count, -np.inf)
        self._conflicts = SenderConflictDetector(count, max_acceleration)
        self._names = NameLists(self._index)
        self._layouts: dict[bytes, _MessageLayout] = {}
        self._warnings: set[str] = set()
        self._lock = threading.Lock()
        self.messages = 0
        self.refused = 0

    @classmethod
    def of_robot(
        cls,
        robot: Robot,
        publishers: Callable[[], str] = str,
        max_acceleration: float = MAX_ACCELERATION,
    ) -> JointStateBuffer:
        """Buffer of the joints that move or are held; other joints of the URDF are ignored.

        Args:
            robot: The robot.
            publishers: As for the class.
            max_acceleration: As for the class.
        """
        kinds = (pin.FrameType.JOINT, pin.FrameType.FIXED_JOINT)  # locked joints are fixed ones
        others = {frame.name for frame in robot.model.frames if frame.type in kinds}
        continuous = np.array(robot.joint_names)[robot.continuous].tolist()
        names = (*robot.joint_names, *robot.held)
        return cls(names, others, continuous, publishers, max_acceleration)

    def update(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        time: float,
        stamp: float = 0.0,
        own: float = np.nan,
    ) -> list[str]:
        """Add the usable values of one message.

        Args:
            names: Joint names; those that the robot does not have are left out.
            positions: As many positions [rad]; values that are not finite are left out.
            velocities: As many velocities [rad/s], or none.
            time: Time of arrival, on a clock that never steps back [s].
            stamp: Time of measurement, on any clock [s]; 0 without a stamp.
            own: `time` on this machine's clock for stamps [s]; NaN where it has none.

        Returns:
            Warnings about this message that were not returned before.
        """
        warnings: list[str] = []
        with self._lock:
            at = (time, stamp, own)
            used = self._add(tuple(names), positions, velocities, at, warnings)
            self.messages += 1
            self.refused += not used
            new = [text for text in warnings if text not in self._warnings]
            if len(self._warnings) >= MAX_WARNINGS:
                return []
            self._warnings.update(new)
        return new

    def _add(
        self,
        names: tuple[str, ...],
        positions: Sequence[float],
        velocities: Sequence[float],
        at: tuple[float, float, float],
        warnings: list[str],
    ) -> bool:
        """Add one message; returns whether it had a usable value."""
        if len(positions) != len(names):
            warnings.append(
                f"a joint state has {len(positions)} positions for {len(names)} names; left out"
            )
            return False
        (source, target, repeated), new = self._names.columns(names)
        if new and (unknown := sorted(set(names) - set(self._index) - self._ignored)):
            # A sender of thousands of names must not fill the log.
            shown = str([name[:100] for name in unknown[:10]])
            more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            warnings.append(
                f"joint states name joints unknown to the robot: {shown}{more}; left out"
            )
        if not len(target):
            return False
        layout = self._layouts.get(target.tobytes()) or self._new_layout(target, warnings)
        given = np.asarray(positions, dtype=np.float64)
        self._conflicts.add_repeated(repeated, given, at[0])
        values = given[source]
        speeds = np.full(len(values), np.nan)
        if len(velocities) == len(names):
            speeds = np.asarray(velocities, dtype=np.float64)[source]
        speeds = np.where(np.isfinite(speeds), speeds, np.nan)
        valid = np.isfinite(values)
        if not valid.all():
            invalid = sorted(self.joint_names[i] for i in target[~valid])
            warnings.append(f"joint states are not finite for {invalid}; left out")
        time, stamp, own = at
        measured = layout.clock.local(stamp, time, own)
        layout.measures |= np.isfinite(speeds) & (speeds != 0.0)
        joints = target[valid]
        self._measured[joints] = measured
        self._position[joints] = values[valid]
        self._velocity[joints] = speeds[valid]
        self._arrived[joints] = time
        if not valid.any():
            return False
        layout.rows.add(measured, np.where(valid, values, np.nan))
        self._conflicts.add(joints, values[valid], time, measured)
        return True

    def _new_layout(self, target: np.ndarray, warnings: list[str]) -> _MessageLayout:
        layouts, room = self._layouts, MAX_LAYOUTS * len(self.joint_names) - len(target)
        while sum(len(layout.target) for layout in layouts.values()) > room:
            warnings.append(
                "joint states come with too many different sets of joints; the history of the "
                "oldest set is dropped"
            )
            del layouts[min(layouts, key=lambda key: layouts[key].rows.last)]
        rows = RingBuffer(int(BUFFER_SECONDS * MAX_RATE), len(target))
        layout = _MessageLayout(target, rows, np.zeros(len(target), dtype=bool))
        layouts[target.tobytes()] = layout
        return layout

    @property
    def empty(self) -> bool:
        """Whether no joint of the robot was ever measured."""
        with self._lock:
            return not np.isfinite(self._arrived).any()

    def age(self, time: float) -> float:
        """Age of the oldest of the joints' newest readings [s]; infinite where one is missing."""
        with self._lock:
            return float(time - self._measured.min())

    def in_conflict(self, time: float) -> bool:
        """Whether two senders contradict each other at a time [s]."""
        with self._lock:
            return self._conflicts.conflict(time) is not None

    def conflict(self, time: float) -> str:
        """Description of the senders that contradict each other at a time [s]; '' for none."""
        with self._lock:
            found = self._conflicts.conflict(time)
        if found is None:
            return ""
        publishers = self._publishers()
        suffix = f" ({publishers})" if publishers else ""
        return found.describe(self.joint_names[found.joint]) + suffix

    def check_senders(self, time: float) -> None:
        """Raise if two senders contradict each other.

        Args:
            time: Now, on the clock of `update` [s].

        Raises:
            SenderConflictError: two senders do.
        """
        conflict = self.conflict(time)
        if conflict:
            raise SenderConflictError(
                f"{conflict}; stop one of them: the robot is left alone until they agree"
            )

    @property
    def complete(self) -> bool:
        """Whether every joint has been measured at least once."""
        with self._lock:
            return bool(np.isfinite(self._arrived).all())

    def read(self, time: float, timeout: float) -> tuple[RobotState, float]:
        """The state of the whole robot, and its time.

        Args:
            time: Now, on the clock of `update` [s].
            timeout: Maximum age of a reading [s].

        Returns:
            The state, and the time at which its newest joint was measured, on the same clock [s].
            Joints measured earlier are extrapolated to it with their velocities. Velocities that
            are not measured are estimated from positions; None where there are too few.

        Raises:
            RobotStateError: a joint was never measured, or its reading is too old.
            SenderConflictError: two senders contradict each other.
        """
        self.check_senders(time)
        with self._lock:
            position, velocity = self._position.copy(), self._velocities()
            arrived, measured = self._arrived.copy(), self._measured.copy()
        missing = [self.joint_names[index] for index in np.flatnonzero(arrived == -np.inf)]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise RobotStateError(
                f"{len(missing)} of {len(self.joint_names)} joints have not been measured: {shown}"
            )
        oldest = int(measured.argmin())
        age = time - measured[oldest]
        if age > timeout:
            raise RobotStateError(
                f"the last state of {self.joint_names[oldest]} is {age:.2f} s old, the limit is "
                f"{timeout:.2f} s (parameter state_timeout): {_reason(age, time - arrived[oldest])}"
            )
        newest = float(measured.max())
        if not np.isfinite(velocity).all():
            return RobotState(positions=position), newest
        since = np.minimum(newest - measured, _EXTRAPOLATED)
        return RobotState(position + velocity * since, velocity), newest

    def _velocities(self) -> np.ndarray:
        """(J,) velocities at each joint's newest reading [rad/s]: measured, or from positions."""
        velocity = self._velocity.copy()
        for layout in self._by_age():
            unmeasured = ~layout.measures | np.isnan(velocity[layout.target])
            # A joint that another publisher has named since belongs to that one's layout.
            newest = self._measured[layout.target] <= layout.rows.last
            columns = np.flatnonzero(unmeasured & newest)
            if len(columns):
                times, rows = layout.rows.since(layout.rows.last - LONGEST)
                rows, joints = rows[:, columns], layout.target[columns]
                for column in np.flatnonzero(self._continuous[joints]):
                    rows[:, column] = unwrap(rows[:, column])
                estimated = end_velocities(times, rows)
                known = np.isfinite(estimated)
                velocity[joints[known]] = estimated[known]
        return velocity

    def stamp(self, time: float) -> float | None:
        """The clock of the joint states at a time [s]; None where they have no stamps."""
        with self._lock:
            layouts = self._by_age()
            return layouts[-1].clock.stamp(time) if layouts else None

    def history(self, since: float) -> RobotHistory:
        """Positions of all joints at the times of the joint states since a time.

        Joints that come in other messages are interpolated at these times, over gaps of at most
        `MAX_GAP`.

        Args:
            since: On the clock of `update` [s].

        Returns:
            The times at which every joint is known; empty where a joint was never measured.
        """
        with self._lock:
            series = [
                JointSeries(layout.target, *layout.rows.since(since)) for layout in self._by_age()
            ]
        tracks = joint_tracks(series, self._continuous)
        if not tracks or not all(len(times) for times, _ in tracks):
            return RobotHistory(np.empty(0), np.empty((0, len(self.joint_names))))
        times = max((times for times, _ in tracks), key=len)
        positions = sample(tracks, times, MAX_GAP)
        known = np.isfinite(positions).all(axis=1)
        return RobotHistory(times[known], positions[known])

    def _by_age(self) -> list[_MessageLayout]:
        """Layouts with the newest last, so that its joints take precedence."""
        return sorted(self._layouts.values(), key=lambda layout: layout.rows.last)


def _reason(age: float, silence: float) -> str:
    """Likely cause of an old state, and the remedy.

    Args:
        age: Time since it was measured [s].
        silence: Time since its message arrived [s].
    """
    if silence > 0.5 * age:
        return (
            f"no message has come for {silence:.2f} s; the sender has stopped, or this machine is "
            "too busy to receive in time: raise state_timeout, or run less beside it"
        )
    return (
        f"messages come {age - silence:.2f} s after they are stamped; the network or the sender is "
        "slow, or its clock is behind: synchronize the clocks, or raise state_timeout"
    )
