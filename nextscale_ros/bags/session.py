"""Sentences of a recorded session, with their answers and the motion of the robot around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.bags import Bag, Message
from nextscale_core.bags import definitions as kinds
from nextscale_core.bags.senders import ConflictFinder
from nextscale_core.estimation.history import MAX_GAP
from nextscale_core.exceptions import BagError
from nextscale_ros.bags.bag_recorder import SESSION
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.node.reports import shown

MAX_SENTENCES = 10_000

STILL = 1e-9
"""Maximum motion of the joints of a robot exactly at rest [rad]."""

REST_TIME = 1.5
"""Time before a sentence for which the robot must be at rest, half a second longer than the default
of the parameter `history` [s]."""

_NEEDED = ("joint_states", "motion_command", "motion_report")
"""Topics without which there is nothing to replay."""

_TOGETHER = 1.0
"""Maximum time between a trajectory, or its base, and its report [s]."""

_REPORT_DELAY = 0.05
"""Maximum time from a trajectory to its report [s]."""


@dataclass(frozen=True)
class Sentence:
    """One sentence of a session and its answer.

    Attributes:
        time: Time of recording [ns].
        command: The command to send again, with the reported seed.
        report: The report.
        answered: Time of recording of the report [ns].
        until: Time of recording until which the robot cannot have begun [ns].
        trajectory: The published trajectory, or None.
        base: The base that belongs to it, or None.
        moved: Maximum motion of a joint from `REST_TIME` before it until the answer [rad]; NaN
            where it is unknown: the recording or the node had just begun, or states are missing.
    """

    time: int
    command: TextCommand
    report: MotionReport
    answered: int
    until: int
    trajectory: JointTrajectory | None
    base: MultiDOFJointTrajectory | None
    moved: float = np.nan

    @property
    def at_rest(self) -> bool:
        """Whether the robot was exactly at rest."""
        return self.stood(STILL)

    def stood(self, still: float) -> bool:
        """Whether no joint moved by more than `still` [rad]."""
        return bool(self.moved <= still)


@dataclass(frozen=True)
class RecordedSession:
    """The sentences of a recording.

    Attributes:
        topics: Absolute names of the topics in `SESSION` by their relative names; '' if missing.
        sentences: Answered sentences in the order of time.
        unanswered: Number of sentences without an answer of their own.
    """

    topics: dict[str, str]
    sentences: tuple[Sentence, ...]
    unanswered: int


def read_session(bag: Bag, namespace: str = "") -> RecordedSession:
    """Read the sentences of a recording.

    Args:
        bag: A recording made by `bag_recorder`.
        namespace: Namespace of the node, such as '/robot1', if the bag has several.

    Raises:
        BagError: a topic of the session is missing, there is no answer, or a trajectory began in
            states of two senders that contradict each other.
    """
    topics = _topics(bag, namespace)
    types = {
        topics["text_command"]: String,
        topics["text_command/detailed"]: TextCommand,
        topics["motion_report"]: MotionReport,
        topics["motion_command"]: JointTrajectory,
        topics["motion_command/base"]: MultiDOFJointTrajectory,
    }
    said: list[tuple[int, TextCommand]] = []
    answers: dict[str, list[tuple[int, Any]]] = {topic: [] for topic in types}
    reports, commands, bases = (
        answers[topics[name]] for name in ("motion_report", "motion_command", "motion_command/base")
    )
    for message in bag.messages(set(types) - {""}):
        if len(said) + len(reports) + len(commands) > 3 * MAX_SENTENCES:
            raise BagError(f"{bag.path} holds more than {MAX_SENTENCES} sentences")
        value = deserialize(message, types[message.topic])
        if isinstance(value, String):
            said.append((message.time, TextCommand(text=value.data)))
        elif isinstance(value, TextCommand):
            said.append((message.time, value))
        else:
            answers[message.topic].append((message.time, value))
    sentences = list(_answered(said, reports, commands, bases))
    if not sentences:
        raise BagError(
            f"{bag.path} holds {len(said)} sentences and {len(reports)} reports, and none of the "
            "reports belongs to one of the sentences: there is nothing to replay"
        )
    moved = _movements(bag, topics, sentences)
    return RecordedSession(
        topics,
        tuple(replace(one, moved=far) for one, far in zip(sentences, moved, strict=True)),
        len(said) - len(sentences),
    )


def deserialize(message: Message, kind: type) -> Any:
    """Deserialize a recorded message by ROS.

    Raises:
        BagError: its bytes are not such a message.
    """
    # ROS' own code may end the process on damaged bytes, so they are checked first.
    kinds.decode(message.kind, message.data)
    return deserialize_message(message.data, kind)


def _topics(bag: Bag, namespace: str) -> dict[str, str]:
    """Absolute names of the session's topics in a namespace, by relative name; '' if missing."""

    def find(name: str, kind: str) -> str:
        if namespace:
            fitting = [f"{namespace.rstrip('/')}/{name}"]
        else:
            fitting = [one for one in bag.named(kind) if one.endswith(f"/{name}")]
        if len(fitting) > 1:
            raise BagError(f"{bag.path} has several: {', '.join(fitting)}; choose a --namespace")
        if fitting and fitting[0] in {topic.name for topic in bag.topics}:
            return bag.require(fitting[0], kind).name
        if name in _NEEDED:
            raise BagError(
                f"{bag.path} is not a recorded session: it has no topic {name} of type {kind}; "
                f"it has {bag.listed()}"
            )
        return ""

    return {topic.name: find(topic.name, topic.kind) for topic in SESSION}


def _answered(
    said: list[tuple[int, TextCommand]],
    reports: list[tuple[int, MotionReport]],
    commands: list[tuple[int, JointTrajectory]],
    bases: list[tuple[int, MultiDOFJointTrajectory]],
) -> Iterator[Sentence]:
    """Sentences with the reports, trajectories and bases that belong to them."""
    left = list(reports)
    for time, command in said:
        # Reports are in the order of the answers; the node cuts long texts and marks odd signs.
        text = shown(command.text)
        late = time - NANOSECONDS  # messages of two topics may arrive in another order
        found = next((one for one in left if one[0] >= late and one[1].text == text), None)
        if found is None:
            continue
        left.remove(found)
        answered, report = found
        again = TextCommand(
            text=command.text,
            seconds=command.seconds,
            seed=int(report.seed),
            guidance=command.guidance,
            steps=command.steps,
        )
        sent, trajectory = _nearest(commands, report, answered)
        _, base = _nearest(bases, report, answered)
        # On a busy machine the robot has begun long before the report comes.
        until = max(time, min(sent, answered - _ns(_REPORT_DELAY)))
        yield Sentence(time, again, report, answered, until, trajectory, base)


def _nearest(messages: list[tuple[int, Any]], report: MotionReport, time: int) -> tuple[int, Any]:
    """Remove and return the message published with a report, which came at a time [ns].

    That time and None where none was published or recorded.
    """
    close = min(messages, key=lambda one: abs(one[0] - time), default=(time, None))
    if not report.published or abs(close[0] - time) > _TOGETHER * NANOSECONDS:
        return time, None
    if close in messages:
        messages.remove(close)
    return close


@dataclass
class _JointRange:
    """Range of the joints during a span of time.

    Attributes:
        begin: Begin of the span [ns].
        end: End of the span [ns].
        last: Time of the last joint state [ns].
        gap: Longest time without one [ns].
        low: Minimum position of each joint [rad].
        high: Maximum position of each joint [rad].
    """

    begin: int
    end: int
    last: int
    gap: int = 0
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)

    def add(self, state: JointState, time: int) -> None:
        """Add a joint state."""
        self.gap, self.last = max(self.gap, time - self.last), time
        for name, at in zip(state.name, state.position, strict=False):
            self.low[name] = min(self.low.get(name, np.inf), at)
            self.high[name] = max(self.high.get(name, -np.inf), at)

    def moved(self) -> float:
        """Maximum motion of a joint [rad]; NaN after a gap."""
        if not self.low or self.gap > _ns(MAX_GAP):
            return float("nan")
        return float(max(self.high[name] - low for name, low in self.low.items()))


def _movements(bag: Bag, topics: dict[str, str], sentences: list[Sentence]) -> list[float]:
    """Maximum motion of a joint around each sentence [rad]; NaN where it is unknown.

    Raises:
        BagError: a trajectory began in states of two senders that contradict each other.
    """
    ranges = []
    for one in sentences:
        begin = one.time - _ns(REST_TIME)
        ranges.append(_JointRange(begin, one.until, last=begin))
    ready: list[int] = []
    finder = ConflictFinder(bag)
    ready_topic = topics["nextscale/ready"]
    for message in bag.messages({topics["joint_states"], ready_topic} - {""}):
        if message.topic == ready_topic:
            ready.append(message.time)
            continue
        inside = [n for n, one in enumerate(ranges) if one.begin <= message.time <= one.end]
        if inside:
            state = deserialize(message, JointState)
            for n in inside:
                ranges[n].add(state, message.time)
            found = finder.add(message, state)
            # Where the node refused, there is nothing to replay.
            if found is not None and any(sentences[n].trajectory is not None for n in inside):
                raise finder.error(found)
    # A node that has just become ready does not know the states before.
    fresh = [any(one.begin < time <= one.end for time in ready) for one in ranges]
    return [np.nan if new else one.moved() for new, one in zip(fresh, ranges, strict=True)]


def _ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
