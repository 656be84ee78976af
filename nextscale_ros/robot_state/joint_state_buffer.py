"""Where the robot is now and where it was, pieced together from joint state messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import pinocchio as pin

from nextscale_core.estimation.history import MAX_GAP
from nextscale_core.estimation.joint_states import interpolated, merged
from nextscale_core.estimation.sender_conflicts import SenderConflictDetector
from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots import Robot, RobotState
from nextscale_ros.robot_state.clock_offset import ClockOffset
from nextscale_ros.robot_state.ring import Ring
from nextscale_ros.robot_state.velocities import LONGEST, end_velocities

KEPT = 3.0
"""How far back joint states are remembered [s]."""

FASTEST = 1000
"""Joint states per second that a memory is made for [Hz]; faster ones reach back less far."""

MAX_LAYOUTS = 16
"""Different lists of joint names that are remembered; robots have one to four."""

MAX_COMPLAINTS = 100
"""Different complaints made; a sender that invents names must not fill memory and log."""


_CARRIED = 0.05
"""Joints heard before the others are taken to have gone on for at most so long [s]."""


class RobotStateError(NextscaleError, RuntimeError):
    """The measured state of the robot is needed and is missing, incomplete or too old."""


class SenderConflictError(RobotStateError):
    """Two senders of joint states contradict each other: the state of the robot is not known."""


@dataclass(frozen=True)
class JointHistory:
    """Measured joint positions over time.

    Attributes:
        times: (N,) increasing, on the clock of the memory [s].
        positions: (N, J) in the order of the memory's joints [rad].
    """

    times: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.times)


@dataclass
class _Layout:
    """Messages with one list of names.

    Attributes:
        source: (M,) places in the message of the joints the robot has.
        target: (M,) places of these joints in the robot.
        rows: Their positions over time; NaN where a value was broken.
        measures: (M,) whether a velocity other than zero was ever heard of them. Drivers that
            measure none leave them out, send NaN, or send zeros.
        clock: Maps the stamps of these messages to the memory's clock.
    """

    source: np.ndarray
    target: np.ndarray
    rows: Ring
    measures: np.ndarray
    clock: ClockOffset = field(default_factory=ClockOffset)


class JointStateBuffer:
    """The last reading of every joint and the last seconds of all.

    Messages may name the joints in any order, or some of them only; several publishers may share
    the robot. Thread-safe: joint states arrive while a trajectory is being made.

    Args:
        joint_names: The joints of the robot, in the order of every array returned.
        ignored: Names of other joints that messages may hold.
        continuous: Those of the robot's joints that turn without end; senders may count their
            turns or not.
        senders: Names who publishes the joint states, for errors.

    Attributes:
        messages: Messages taken over so far.
        refused: Messages of which nothing could be used.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        ignored: Collection[str] = (),
        continuous: Collection[str] = (),
        senders: Callable[[], str] = str,
    ) -> None:
        self._names = tuple(joint_names)
        self._ignored = frozenset(ignored)
        self._continuous = frozenset(continuous)
        self._senders = senders
        self._place = {name: index for index, name in enumerate(self._names)}
        count = len(self._names)
        self._position = np.full(count, np.nan)
        self._velocity = np.full(count, np.nan)
        self._time = np.full(count, -np.inf)
        self._measured = np.full(count, -np.inf)
        self._conflicts = SenderConflictDetector(count)
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._complaints: set[str] = set()
        self._lock = threading.Lock()
        self.messages = 0
        self.refused = 0

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints that are remembered."""
        return self._names

    def update(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        time: float,
        stamp: float = 0.0,
        own: float = np.nan,
    ) -> list[str]:
        """Take over what is usable of one message.

        Args:
            names: Joint names; those the robot does not have are left out.
            positions: As many positions [rad]; values that are not finite are left out.
            velocities: As many velocities [rad/s], or none.
            time: When the message arrived, on a clock that never steps back [s].
            stamp: When the joints were measured, on any clock [s]; 0 where it is not said.
            own: `time` on our own clock for stamps [s]; NaN where there is none.

        Returns:
            Complaints about this message that have not been made before.
        """
        complaints: list[str] = []
        with self._lock:
            at = (time, stamp, own)
            used = self._take(tuple(names), positions, velocities, at, complaints)
            self.messages += 1
            self.refused += not used
            fresh = [text for text in complaints if text not in self._complaints]
            if len(self._complaints) >= MAX_COMPLAINTS:
                return []
            self._complaints.update(fresh)
        return fresh

    def _take(
        self,
        names: tuple[str, ...],
        positions: Sequence[float],
        velocities: Sequence[float],
        when: tuple[float, float, float],
        complaints: list[str],
    ) -> bool:
        """Whether anything of the message could be used."""
        if len(positions) != len(names):
            complaints.append(
                f"a joint state has {len(positions)} positions for {len(names)} names; left out"
            )
            return False
        layout = self._layouts.get(names)
        if layout is None:
            layout = self._new_layout(names, complaints)
        if not len(layout.target):
            return False
        values = np.asarray(positions, dtype=np.float64)[layout.source]
        speeds = np.full(len(values), np.nan)
        if len(velocities) == len(names):
            speeds = np.asarray(velocities, dtype=np.float64)[layout.source]
        sound = np.isfinite(values)
        if not sound.all():
            broken = sorted(self._names[i] for i in layout.target[~sound])
            complaints.append(f"joint states are not finite for {broken}; left out")
        time, stamp, own = when
        at = layout.clock.local(stamp, time, own)
        where = layout.target[sound]
        self._measured[where] = at
        self._position[where] = values[sound]
        layout.measures |= np.isfinite(speeds) & (speeds != 0.0)
        self._velocity[where] = np.where(np.isfinite(speeds), speeds, np.nan)[sound]
        self._time[where] = time
        if not sound.any():
            return False
        layout.rows.add(at, np.where(sound, values, np.nan))
        self._conflicts.add(where, values[sound], time, at)
        return True

    def _new_layout(self, names: tuple[str, ...], complaints: list[str]) -> _Layout:
        unknown = sorted(set(names) - set(self._names) - self._ignored)
        if unknown:
            complaints.append(
                f"joint states name joints unknown to the robot: {_some(unknown)}; left out"
            )
        # Of a joint named twice the last value counts, as it would in a dictionary.
        place = {name: index for index, name in enumerate(names) if name in self._place}
        source = np.array(list(place.values()), dtype=np.intp)
        target = np.array([self._place[name] for name in place], dtype=np.intp)
        if len(self._layouts) >= MAX_LAYOUTS:
            complaints.append(
                f"joint states name their joints in more than {MAX_LAYOUTS} ways; the history of "
                "the ways not heard for longest is forgotten"
            )
            oldest = min(self._layouts, key=lambda key: self._layouts[key].rows.last)
            del self._layouts[oldest]
        rows = Ring(int(KEPT * FASTEST), len(target))
        layout = _Layout(source, target, rows, np.zeros(len(target), dtype=bool))
        self._layouts[names] = layout
        return layout

    @property
    def empty(self) -> bool:
        """Whether no joint of the robot was ever heard of."""
        with self._lock:
            return not np.isfinite(self._time).any()

    def age(self, time: float) -> float:
        """Age of the oldest of the joints' last readings [s]; infinite where one is missing."""
        with self._lock:
            return float(time - self._measured.min())

    def in_conflict(self, time: float) -> bool:
        """Whether senders contradict each other at a time [s]."""
        with self._lock:
            return self._conflicts.conflict(time) is not None

    def conflict(self, time: float) -> str:
        """Which senders contradict each other, and where; '' where none do.

        Args:
            time: Now, on the clock of `update` [s].
        """
        with self._lock:
            found = self._conflicts.conflict(time)
        if found is None:
            return ""
        who = self._senders()
        return found.describe(self._names[found.joint]) + (f" ({who})" if who else "")

    def check_senders(self, time: float) -> None:
        """Make sure that no two senders contradict each other.

        Args:
            time: Now, on the clock of `update` [s].

        Raises:
            SenderConflictError: two do.
        """
        conflict = self.conflict(time)
        if conflict:
            raise SenderConflictError(
                f"{conflict}; stop one of them: the robot is left alone until they agree"
            )

    def current(self, time: float, timeout: float) -> RobotState:
        """The state of the whole robot; see `read`."""
        return self.read(time, timeout)[0]

    def read(self, time: float, timeout: float) -> tuple[RobotState, float]:
        """The state of the whole robot, and when it was so.

        Args:
            time: Now, on the clock of `update` [s].
            timeout: Greatest age of a reading [s].

        Returns:
            The state, and when its newest joint was measured, on the same clock [s]; joints that
            were measured before are taken to have gone on with their velocities since. Velocities
            that are not measured are those of the last positions; None where there are too few.

        Raises:
            RobotStateError: a joint was never measured, or its reading is too old.
            SenderConflictError: two senders contradict each other.
        """
        self.check_senders(time)
        with self._lock:
            position, velocity = self._position.copy(), self._velocities()
            heard, measured = self._time.copy(), self._measured.copy()
        missing = [name for name, at in zip(self._names, heard, strict=True) if at == -np.inf]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise RobotStateError(
                f"{len(missing)} of {len(self._names)} joints have not been measured: {shown}"
            )
        oldest = int(measured.argmin())
        age = time - measured[oldest]
        if age > timeout:
            raise RobotStateError(
                f"the last state of {self._names[oldest]} is {age:.2f} s old, the limit is "
                f"{timeout:.2f} s (parameter state_timeout): {_why(age, time - heard[oldest])}"
            )
        newest = float(measured.max())
        if not np.isfinite(velocity).all():
            return RobotState(positions=position), newest
        since = np.minimum(newest - measured, _CARRIED)
        return RobotState(position + velocity * since, velocity), newest

    def _velocities(self) -> np.ndarray:
        """(J,) velocities at each joint's last reading [rad/s]: measured, or from its positions."""
        velocity = self._velocity.copy()
        for layout in self._ordered():
            unmeasured = ~layout.measures | np.isnan(velocity[layout.target])
            # Joints that another publisher named later are not this one's.
            newest = self._measured[layout.target] <= layout.rows.last
            wanted = np.flatnonzero(unmeasured & newest)
            if len(wanted):
                times, rows = layout.rows.since(layout.rows.last - LONGEST)
                rows = rows[:, wanted]
                turns = [self._names[index] in self._continuous for index in layout.target[wanted]]
                rows[:, turns] = np.unwrap(rows[:, turns], axis=0)
                found = end_velocities(times, rows)
                known = np.isfinite(found)
                velocity[layout.target[wanted[known]]] = found[known]
        return velocity

    def stamp(self, time: float) -> float | None:
        """What the clock of the joint states shows at a time [s]; None where they say no time."""
        with self._lock:
            layouts = self._ordered()
            return layouts[-1].clock.stamp(time) if layouts else None

    def history(self, since: float) -> JointHistory:
        """All joints at the times of the joint states since a moment.

        Joints that come in other messages are brought to the same times by straight lines, which
        bridge no pause longer than `MAX_GAP`.

        Args:
            since: Begin, on the clock of `update` [s].

        Returns:
            Times at which every joint was known; none where some joint was not measured.
        """
        with self._lock:
            parts = [(layout.target, *layout.rows.since(since)) for layout in self._ordered()]
        streams: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in self._names]
        for target, at, rows in parts:
            for joint, column in zip(target, rows.T, strict=True):
                sound = np.isfinite(column)
                streams[joint].append((at[sound], column[sound]))
        empty = JointHistory(np.empty(0), np.empty((0, len(self._names))))
        joints = [
            (at, _unwrapped(column) if name in self._continuous else column)
            for name, (at, column) in zip(self._names, map(merged, streams), strict=True)
        ]
        if not joints or not all(len(at) for at, _ in joints):
            return empty
        times = max((at for at, _ in joints), key=len)
        values = np.stack([interpolated(times, *joint, MAX_GAP) for joint in joints], axis=1)
        whole = np.isfinite(values).all(axis=1)
        return JointHistory(times[whole], values[whole]) if whole.any() else empty

    def _ordered(self) -> list[_Layout]:
        """Layouts, the one heard last at the end, so that its joints win."""
        return sorted(self._layouts.values(), key=lambda layout: layout.rows.last)


def _why(age: float, silence: float) -> str:
    """Why a state may be so old, and what helps.

    Args:
        age: Since it was measured [s].
        silence: Since its message arrived [s].
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


def _some(names: Sequence[str], count: int = 10) -> str:
    """A list of names for the log, which a sender of thousands must not fill."""
    shown = str([name[:100] for name in names[:count]])
    return shown if len(names) <= count else f"{shown} and {len(names) - count} more"


def joint_states_of(robot: Robot, senders: Callable[[], str] = str) -> JointStateBuffer:
    """Memory of the joints that move or are held; the URDF's others are ignored.

    Args:
        robot: The robot.
        senders: Names who publishes the joint states, for errors.
    """
    kinds = (pin.FrameType.JOINT, pin.FrameType.FIXED_JOINT)  # locked joints are fixed ones
    others = {frame.name for frame in robot.model.frames if frame.type in kinds}
    continuous = np.array(robot.joint_names)[robot.continuous].tolist()
    names = (*robot.joint_names, *robot.held)
    return JointStateBuffer(names, others, continuous, senders)


def _unwrapped(column: np.ndarray) -> np.ndarray:
    """Positions without leaps by whole turns, ending at the last position as it was measured."""
    turned: np.ndarray = np.unwrap(column)
    return turned - (turned[-1] - column[-1]) if len(column) else column
