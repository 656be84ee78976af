"""Who sent the joint states of a recording, as far as it can be told, and whether they agree.

A recording does not store which node sent a message: only the topic, sometimes a channel of its
own, and the form of the messages. A driver sends velocities in the order of the robot, a
`joint_state_publisher` positions in the order of the alphabet: that tells the two apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from nextscale_core.bags.definitions import JOINT_STATE, decode
from nextscale_core.bags.reading import NANOSECONDS, Bag, Message
from nextscale_core.estimation.sender_conflicts import SenderConflict, SenderConflictDetector
from nextscale_core.exceptions import BagError

MAX_SENDERS = 32
"""Maximum number of distinct senders; further ones count as the last."""

MAX_JOINTS = 1000
"""Joints that are looked at where the robot is not known."""

LOOKED_AT = 5000
"""Joint states that `find_conflict` looks at."""


@dataclass(frozen=True)
class Form:
    """What the messages of one sender have in common.

    Attributes:
        topic: Their topic.
        channel: Which of the recording's channels of this topic.
        frame: Frame of the header.
        names: Joints.
        velocities: Whether they hold velocities.
        efforts: Whether they hold efforts.
        stamped: Whether they say when they were measured.
    """

    topic: str
    channel: int
    frame: str
    names: tuple[str, ...]
    velocities: bool
    efforts: bool
    stamped: bool

    def describe(self) -> str:
        """In words, for lists of senders."""
        parts = [(self.velocities, "velocities"), (self.efforts, "efforts")]
        more = " and ".join(word for there, word in parts if there)
        return (
            f"{self.topic}, {len(self.names)} joints from {self.names[0] if self.names else '-'}, "
            f"{f'with {more}' if more else 'positions only'}{'' if self.stamped else ', no stamps'}"
        )


class Senders:
    """Numbers the senders of joint states from 1, in the order in which they appear.

    Args:
        chosen: Numbers of those to read; empty: all.
    """

    def __init__(self, chosen: Collection[int] = ()) -> None:
        self._chosen = frozenset(chosen)
        self._numbers: dict[Form, int] = {}
        self._counts: dict[int, int] = {}

    def number(self, message: Message, state: Any) -> int:
        """The number of who sent a message.

        Args:
            message: As it was recorded.
            state: The joint state in it.
        """
        form = Form(
            message.topic,
            message.channel,
            state.header.frame_id,
            tuple(state.name),
            len(state.velocity) > 0,
            len(state.effort) > 0,
            bool(state.header.stamp.sec or state.header.stamp.nanosec),
        )
        if form not in self._numbers and len(self._numbers) < MAX_SENDERS:
            self._numbers[form] = len(self._numbers) + 1
        number = self._numbers.get(form, MAX_SENDERS)
        self._counts[number] = self._counts.get(number, 0) + 1
        return number

    def wanted(self, number: int) -> bool:
        """Whether the messages of a sender are to be read."""
        return not self._chosen or number in self._chosen

    def check_choice(self) -> None:
        """Make sure that the senders asked for are there.

        Raises:
            BagError: one is not.
        """
        missing = sorted(self._chosen - set(self._counts))
        if missing:
            raise BagError(
                f"there is no sender {missing[0]} in that part of the bag; the senders of joint "
                f"states are: {self.listed()}"
            )

    def note(self) -> str:
        """What was left out, in a sentence; '' where all were read."""
        if not self._chosen:
            return ""
        left = self.listed(set(self._counts) - self._chosen)
        return f"joint states of other senders were left out: {left}" if left else ""

    def listed(self, numbers: Collection[int] | None = None) -> str:
        """Senders with their numbers, for errors; None: all."""
        return "; ".join(
            f"{number}: {form.describe()}, {self._counts[number]} messages"
            for form, number in self._numbers.items()
            if numbers is None or number in numbers
        )

    def of_joint(self, name: str) -> list[int]:
        """Numbers of the senders of a joint that are read."""
        return [n for form, n in self._numbers.items() if name in form.names and self.wanted(n)]


def conflict_error(
    bag: Bag, senders: Senders, conflict: SenderConflict, name: str, time: float
) -> BagError:
    """Why joint states cannot be used, and what can be chosen instead.

    Args:
        bag: The recording.
        senders: Its senders.
        conflict: Where two of them contradict each other.
        name: Name of the joint.
        time: When that was found [s].
    """
    since = time - bag.begin / NANOSECONDS
    text = f"{conflict.describe(name)}, first seen {since:.2f} s after the begin of {bag.path}. "
    numbers = senders.of_joint(name)
    if len(numbers) > 1:
        return BagError(
            f"{text}Messages of {len(numbers)} forms name this joint: {senders.listed(numbers)}. "
            "'nextscale bag to-motion' and 'to-trajectory' read those chosen with --sender NUMBER"
        )
    count = max((topic.publishers for topic in bag.topics if topic.kind == JOINT_STATE), default=0)
    known = f"it had {count} publishers, but" if count > 1 else "for"
    return BagError(
        f"{text}The recording cannot tell them apart: {known} it does not store which node sent a "
        "message, and the messages have one form. Take a part without the conflict with --begin "
        "and --end, or record again with one publisher"
    )


class ConflictWatch:
    """Looks for conflicts in joint states of any robot."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._detector = SenderConflictDetector(MAX_JOINTS)

    def add(
        self, names: Sequence[str], positions: Sequence[float], stamp: float, recorded: float
    ) -> tuple[SenderConflict, str] | None:
        """Take one message.

        Args:
            names: Joints.
            positions: Their positions [rad].
            stamp: When they were measured [s]; 0 where it is not said.
            recorded: When the message was recorded [s].

        Returns:
            A conflict that there is now, and the name of its joint.
        """
        values = np.asarray(positions, dtype=np.float64)
        if len(values) != len(names) or not len(names):
            return None
        for name in names:
            if len(self._places) < MAX_JOINTS:
                self._places.setdefault(name, len(self._places))
        places = np.array([self._places.get(name, -1) for name in names])
        sound = np.isfinite(values) & (places >= 0)
        if not sound.any():
            return None
        self._detector.add(places[sound], values[sound], recorded, stamp or recorded)
        found = self._detector.conflict(recorded)
        return None if found is None else (found, list(self._places)[found.joint])


def find_conflict(bag: Bag, topics: Collection[str]) -> BagError | None:
    """The first conflict among the first joint states of a recording, as an error; else None.

    Args:
        bag: The recording.
        topics: Topics of joint states.

    Raises:
        BagError: the recording is damaged.
    """
    senders, watch = Senders(), ConflictWatch()
    first = None
    for message in islice(bag.messages(topics), LOOKED_AT):
        state = decode(message.kind, message.data)
        senders.number(message, state)
        stamp = state.header.stamp.sec + state.header.stamp.nanosec / NANOSECONDS
        found = watch.add(state.name, state.position, stamp, message.time / NANOSECONDS)
        if found is not None and first is None:
            first = (*found, message.time / NANOSECONDS)
    return None if first is None else conflict_error(bag, senders, *first)
