"""Joint states of a recording, as they came: any order, parts of the robot, several senders."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nextscale_core.estimation.joint_states import interpolated, merged
from nextscale_core.estimation.sender_conflicts import SenderConflict, SenderConflictDetector
from nextscale_core.exceptions import BagError
from nextscale_core.robots.profile import nearest
from nextscale_core.robots.robot import Robot

MAX_RATE = 100.0
"""Joint states beyond so many a second are left out: motion has 20 frames a second [Hz]."""

MAX_LAYOUTS = 64
"""Different lists of joint names that are told apart; robots have one to four."""

MAX_NUMBERS = 60_000_000
"""Most positions that are kept: 480 MB, more than five hours of a robot with 29 joints."""


@dataclass
class _Layout:
    """Messages with one list of names.

    Attributes:
        source: (M,) places in the message of the joints the robot has.
        target: (M,) places of these joints in the robot.
        stamps: When each message says it was measured [s]; 0 where it does not.
        recorded: When each message was recorded [s].
        rows: Positions, M for each message [rad]; NaN where broken.
        last: Time of the last message that was kept [s].
    """

    source: np.ndarray
    target: np.ndarray
    stamps: array[float] = field(default_factory=lambda: array("d"))
    recorded: array[float] = field(default_factory=lambda: array("d"))
    rows: array[float] = field(default_factory=lambda: array("d"))
    last: float = -np.inf


@dataclass(frozen=True)
class Stream:
    """What one sender said of some joints.

    Attributes:
        joints: (M,) their places in the robot.
        stamps: (N,) when each message says it was measured [s]; 0 where it does not.
        recorded: (N,) when each was recorded [s].
        positions: (N, M) [rad]; NaN where broken.
    """

    joints: np.ndarray
    stamps: np.ndarray
    recorded: np.ndarray
    positions: np.ndarray

    def only(self, rows: np.ndarray) -> Stream:
        """The messages of these numbers."""
        return Stream(self.joints, self.stamps[rows], self.recorded[rows], self.positions[rows])


class JointCollector:
    """Takes joint states one by one and keeps of them what a motion needs.

    Args:
        robot: Whose joints.

    Attributes:
        messages: Messages taken over so far.
        unusable: Messages of which nothing could be used: no joint of the robot, or not as many
            positions as names.
        strangers: Names of joints that the robot does not have.
        broken: Names of joints with values that were not finite.
        conflict: The first conflict of two senders, and when it was found [s]; None while they
            agree.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._place = {name: n for n, name in enumerate(robot.joint_names)}
        self._layouts: dict[tuple[int, tuple[str, ...]], _Layout] = {}
        self._conflicts = SenderConflictDetector(robot.num_joints)
        self.conflict: tuple[SenderConflict, float] | None = None
        self._numbers = 0
        self.messages = 0
        self.unusable = 0
        self.strangers: set[str] = set()
        self.broken: set[str] = set()

    def add(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        stamp: float,
        recorded: float,
        sender: int = 0,
    ) -> None:
        """Take over one message.

        Args:
            names: Joints.
            positions: As many positions [rad].
            stamp: When they were measured [s]; 0 where it is not said.
            recorded: When the message was recorded [s].
            sender: Number of who sent it.

        Raises:
            BagError: the recording is too long, or its joints are named in ever new ways.
        """
        self.messages += 1
        layout = self._layout(sender, tuple(names))
        if not len(layout.target) or len(positions) != len(names):
            self.unusable += 1
            return
        time = stamp or recorded
        row = np.asarray(positions, dtype=np.float64)[layout.source]
        sound = np.isfinite(row)
        self._watch(layout.target[sound], row[sound], recorded, time)
        # A clock that was set back must not silence the sender for ever.
        if 0 <= time - layout.last < 0.99 / MAX_RATE:
            return
        layout.last = time
        if not sound.all():
            self.broken |= {self._robot.joint_names[n] for n in layout.target[~sound]}
            row = np.where(sound, row, np.nan)
        self._numbers += len(row)
        if self._numbers > MAX_NUMBERS:
            raise BagError("the recording is too long: take parts of it with --begin and --end")
        layout.stamps.append(stamp)
        layout.recorded.append(recorded)
        layout.rows.extend(row)

    def _watch(self, joints: np.ndarray, row: np.ndarray, recorded: float, time: float) -> None:
        """Look for a conflict until there is one."""
        if self.conflict is None and self._conflicts.add(joints, row, recorded, time):
            found = self._conflicts.conflict(recorded)
            self.conflict = None if found is None else (found, recorded)

    def _layout(self, sender: int, names: tuple[str, ...]) -> _Layout:
        known = self._layouts.get((sender, names))
        if known is None:
            # Of a joint named twice the last value counts, as it would in a dictionary.
            places = {name: n for n, name in enumerate(names) if name in self._place}
            if len(self.strangers) < 1000:
                self.strangers |= set(names) - set(places)
            known = _Layout(
                np.array(list(places.values()), dtype=np.intp),
                np.array([self._place[name] for name in places], dtype=np.intp),
            )
            if len(self._layouts) >= MAX_LAYOUTS:
                raise BagError(
                    f"joint states name their joints in more than {MAX_LAYOUTS} ways; a robot "
                    "does so in one to four"
                )
            self._layouts[sender, names] = known
        return known

    def streams(self) -> list[Stream]:
        """Everything that was kept, one for each list of names.

        Raises:
            BagError: nothing was; the message says why.
        """
        found = []
        for layout in self._layouts.values():
            if len(layout.stamps):
                positions = np.array(layout.rows).reshape(-1, len(layout.target))
                stamps, recorded = np.array(layout.stamps), np.array(layout.recorded)
                found.append(Stream(layout.target, stamps, recorded, positions))
        if found:
            return found
        name, wanted = self._robot.name, self._robot.joint_names
        if not self.messages:
            raise BagError("there is no joint state in that part of the bag")
        if self.strangers:
            shown = sorted(self.strangers)
            raise BagError(
                f"none of the joints in the bag is one of {name}'s: {', '.join(shown[:5])}"
                f"{', ...' if len(shown) > 5 else ''}; {nearest(shown[0], wanted)}; "
                "is it another --robot?"
            )
        raise BagError(f"none of {self.messages} joint states has a position for each of its names")


def at_times(
    robot: Robot, streams: Sequence[tuple[np.ndarray, Stream]], times: np.ndarray, max_gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """All joints at given times, by straight lines that bridge no longer pause than `max_gap`.

    Args:
        robot: The robot.
        streams: What each sender said, and when (N,) [s], increasing.
        times: (T,) [s].
        max_gap: [s].

    Returns:
        Positions (T, J) [rad], NaN where a joint was not heard of, and (J,) whether it ever was.
    """
    count = robot.num_joints
    continuous = robot.continuous
    values = np.full((len(times), count), np.nan)
    heard = np.zeros(count, dtype=bool)
    for joint in range(count):
        parts = []
        for at, stream in streams:
            for column in np.flatnonzero(stream.joints == joint):
                sound = np.isfinite(stream.positions[:, column])
                parts.append((at[sound], stream.positions[sound, column]))
        if not any(len(at) for at, _ in parts):
            continue
        heard[joint] = True
        at, angles = merged(parts)
        if continuous[joint]:
            angles = np.unwrap(angles)
        values[:, joint] = interpolated(times, at, angles, max_gap)
    return values, heard
