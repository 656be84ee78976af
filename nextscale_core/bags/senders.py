"""Senders of the joint states of a recording, distinguished by the form of their messages.

A recording does not store which node sent a message: only the topic, sometimes a channel for each
publisher, and the form of the messages. A driver sends velocities in the order of the robot, a
`joint_state_publisher` positions in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Collection
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
"""Maximum number of joints where the robot is not known."""

CHECKED = 5000
"""Number of joint states that `find_conflict` reads."""


@dataclass(frozen=True)
class Form:
    """Common properties of the messages of one sender.

    Attributes:
        topic: Their topic.
        channel: Number of the recording's channel of this topic.
        frame: Frame of the header.
        names: Joint names.
        velocities: Whether they have velocities.
        efforts: Whether they have efforts.
        stamped: Whether they have stamps.
    """

    topic: str
    channel: int
    frame: str
    names: tuple[str, ...]
    velocities: bool
    efforts: bool
    stamped: bool

    def describe(self) -> str:
        """Description for lists of senders."""
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
        """Number of the sender of a recorded message, and of the joint state in it."""
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

    def is_chosen(self, number: int) -> bool:
        """Whether the messages of a sender are to be read."""
        return not self._chosen or number in self._chosen

    def check_choice(self) -> None:
        """Check that all chosen senders have appeared.

        Raises:
            BagError: one has not.
        """
        missing = sorted(self._chosen - set(self._counts))
        if missing:
            raise BagError(
                f"there is no sender {missing[0]} in that part of the bag; the senders of joint "
                f"states are: {self.listed(self._counts)}"
            )

    def note(self) -> str:
        """Sentence about the senders left out; '' for none."""
        left_out = self.listed([number for number in self._counts if not self.is_chosen(number)])
        return f"joint states of other senders were left out: {left_out}" if left_out else ""

    def listed(self, numbers: Collection[int]) -> str:
        """Senders with their numbers, for errors."""
        return "; ".join(
            f"{number}: {form.describe()}, {self._counts[number]} messages"
            for form, number in self._numbers.items()
            if number in numbers
        )

    def of_joint(self, name: str) -> list[int]:
        """Numbers of the chosen senders of a joint."""
        return [
            number
            for form, number in self._numbers.items()
            if name in form.names and self.is_chosen(number)
        ]


def conflict_error(
    bag: Bag, senders: Senders, conflict: SenderConflict, name: str, time: float
) -> BagError:
    """Error about joint states of two senders that contradict each other, with the remedy.

    Args:
        bag: The recording.
        senders: Its senders.
        conflict: The conflict.
        name: Name of the joint.
        time: Time of recording at which it was detected [s].
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


Conflict = tuple[SenderConflict, str, float]
"""A conflict, the name of its joint, and the time of recording at which it was detected [s]."""


class ConflictFinder:
    """Detects conflicts in the recorded joint states of any robot.

    Args:
        bag: The recording.
    """

    def __init__(self, bag: Bag) -> None:
        self._bag, self._senders = bag, Senders()
        self._index: dict[str, int] = {}
        self._detector = SenderConflictDetector(MAX_JOINTS)

    def add(self, message: Message, state: Any) -> Conflict | None:
        """Add a recorded message, and the joint state in it; returns the current conflict."""
        self._senders.number(message, state)
        values = np.asarray(state.position, dtype=np.float64)
        if len(values) != len(state.name):
            return None
        for name in state.name:
            if len(self._index) < MAX_JOINTS:
                self._index.setdefault(name, len(self._index))
        joints = np.array([self._index.get(name, -1) for name in state.name], dtype=np.intp)
        valid = np.isfinite(values) & (joints >= 0)
        if not valid.any():
            return None
        recorded = message.time / NANOSECONDS
        stamp = state.header.stamp.sec + state.header.stamp.nanosec / NANOSECONDS
        self._detector.add(joints[valid], values[valid], recorded, stamp or recorded)
        found = self._detector.conflict(recorded)
        return None if found is None else (found, list(self._index)[found.joint], recorded)

    def error(self, conflict: Conflict) -> BagError:
        """Error about a conflict."""
        return conflict_error(self._bag, self._senders, *conflict)


def find_conflict(bag: Bag, topics: Collection[str]) -> BagError | None:
    """Error about the first conflict among the first `CHECKED` joint states of topics, or None.

    Raises:
        BagError: the recording is damaged.
    """
    finder = ConflictFinder(bag)
    first = None
    for message in islice(bag.messages(topics), CHECKED):
        found = finder.add(message, decode(message.kind, message.data))
        first = first or found
    return None if first is None else finder.error(first)
