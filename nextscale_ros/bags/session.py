"""A recorded session: what was said, and what came of it."""

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
from nextscale_core.bags.senders import NamedConflictDetector, Senders, conflict_error
from nextscale_core.estimation.history import MAX_GAP
from nextscale_core.exceptions import BagError
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.node.reports import shown

MAX_SENTENCES = 10_000

STILL = 1e-9
"""Joints that moved no further than this stood exactly still [rad]."""

LOOKED_AT = 1.5
"""So long before a sentence a robot must have stood to count as being at rest [s]: half a second
longer than the parameter `history` is by default."""

_ANSWERED = 1.0
"""A trajectory and its base are published with their report, not further apart than this [s]."""

_ON_ITS_WAY = 0.05
"""A report may come so long after its trajectory [s]."""


@dataclass(frozen=True)
class Topics:
    """Whole names of a session's topics; '' where there is none."""

    texts: str
    detailed: str
    states: str
    odometry: str
    commands: str
    bases: str
    reports: str
    ready: str


@dataclass(frozen=True)
class Sentence:
    """One sentence of a session and its answer.

    Attributes:
        time: When it was recorded [ns].
        command: What to send in order to say it again, with the seed that was reported.
        report: What came of it.
        answered: When the report was recorded [ns].
        trajectory: The trajectory that was published, or None.
        base: The base that belongs to it, or None.
        moved: How far a joint moved in the time before it and until the answer [rad]; NaN where
            that is not known: the recording or the node had only just begun, or states are
            missing.
    """

    time: int
    command: TextCommand
    report: MotionReport
    answered: int
    trajectory: JointTrajectory | None
    base: MultiDOFJointTrajectory | None
    moved: float = np.nan

    @property
    def at_rest(self) -> bool:
        """Whether the robot stood exactly still."""
        return self.stood(STILL)

    def stood(self, still: float) -> bool:
        """Whether no joint moved further than this [rad]."""
        return bool(self.moved <= still)


@dataclass(frozen=True)
class RecordedSession:
    """What is needed to say everything again.

    Attributes:
        topics: Where it was said.
        sentences: In the order of time, without those that nobody answered.
        unanswered: How many sentences nobody answered, or not as themselves.
    """

    topics: Topics
    sentences: tuple[Sentence, ...]
    unanswered: int


def read_session(bag: Bag, namespace: str = "") -> RecordedSession:
    """Take a recording apart.

    Args:
        bag: A recording made by `bag_recorder`.
        namespace: Of the node, such as '/robot1', where several were recorded.

    Raises:
        BagError: a topic of the session is missing, nothing was answered, or a trajectory began
            in states of two senders that contradict each other.
    """
    topics = _topics(bag, namespace)
    names = {topics.texts, topics.detailed, topics.commands, topics.bases, topics.reports} - {""}
    said: list[tuple[int, TextCommand]] = []
    reports: list[tuple[int, MotionReport]] = []
    commands: list[tuple[int, JointTrajectory]] = []
    bases: list[tuple[int, MultiDOFJointTrajectory]] = []
    for message in bag.messages(names):
        if len(said) + len(reports) + len(commands) > 3 * MAX_SENTENCES:
            raise BagError(f"{bag.path} holds more than {MAX_SENTENCES} sentences")
        if message.topic == topics.texts:
            said.append((message.time, TextCommand(text=taken(message, String).data)))
        elif message.topic == topics.detailed:
            said.append((message.time, taken(message, TextCommand)))
        elif message.topic == topics.reports:
            reports.append((message.time, taken(message, MotionReport)))
        elif message.topic == topics.commands:
            commands.append((message.time, taken(message, JointTrajectory)))
        else:
            bases.append((message.time, taken(message, MultiDOFJointTrajectory)))
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


def taken(message: Message, kind: type) -> Any:
    """A recorded message, taken apart by ROS.

    Raises:
        BagError: its bytes are no such message.
    """
    # ROS' own code may end the process on damaged bytes, so they are looked at first.
    kinds.decode(message.kind, message.data)
    return deserialize_message(message.data, kind)


def _topics(bag: Bag, namespace: str) -> Topics:
    """The session's topics; of several namespaces the one asked for."""

    def find(name: str, kind: str, needed: bool = True) -> str:
        if namespace:
            fitting = [f"{namespace.rstrip('/')}/{name}"]
        else:
            fitting = [one for one in bag.named(kind) if one.endswith(f"/{name}")]
        if len(fitting) > 1:
            raise BagError(f"{bag.path} has several: {', '.join(fitting)}; choose a --namespace")
        there = {topic.name for topic in bag.topics}
        if needed and (not fitting or fitting[0] not in there):
            raise BagError(
                f"{bag.path} is no recorded session: it has no topic {name} of type {kind}; "
                f"it has {bag.listed()}"
            )
        if not fitting or fitting[0] not in there:
            return ""
        return bag.require(fitting[0], kind).name

    return Topics(
        texts=find("text_command", kinds.TEXT, needed=False),
        detailed=find("text_command/detailed", kinds.TEXT_COMMAND, needed=False),
        states=find("joint_states", kinds.JOINT_STATE),
        odometry=find("odom", kinds.ODOMETRY, needed=False),
        commands=find("motion_command", kinds.JOINT_TRAJECTORY),
        bases=find("motion_command/base", kinds.BASE_TRAJECTORY, needed=False),
        reports=find("motion_report", kinds.MOTION_REPORT),
        ready=find("nextscale/ready", kinds.BOOL, needed=False),
    )


def _answered(
    said: list[tuple[int, TextCommand]],
    reports: list[tuple[int, MotionReport]],
    commands: list[tuple[int, JointTrajectory]],
    bases: list[tuple[int, MultiDOFJointTrajectory]],
) -> Iterator[Sentence]:
    """Bring together what belongs together."""
    left = list(reports)
    for time, command in said:
        # Reports come in the order of the answers; the node cuts long texts and marks odd signs.
        whole = shown(command.text)
        late = time - NANOSECONDS  # two topics do not arrive in the order of sending
        found = next((one for one in left if one[0] >= late and one[1].text == whole), None)
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
        trajectory = _nearest(commands, answered) if report.published else None
        base = _nearest(bases, answered) if report.published else None
        yield Sentence(time, again, report, answered, trajectory, base)


def _nearest(messages: list[tuple[int, Any]], time: int) -> Any:
    """What was published together with a report; None where it was not recorded."""
    close = min(messages, key=lambda one: abs(one[0] - time), default=None)
    if close is None or abs(close[0] - time) > _ANSWERED * NANOSECONDS:
        return None
    messages.remove(close)
    return close[1]


@dataclass
class _Watch:
    """The joint states around one sentence.

    Attributes:
        begin: From when on they count [ns].
        end: Until when [ns].
        last: When the last one came [ns].
        gap: The longest time without one [ns].
        low: Least position of each joint [rad].
        high: Greatest position of each joint [rad].
    """

    begin: int
    end: int
    last: int
    gap: int = 0
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)

    def see(self, state: JointState, time: int) -> None:
        """Take a joint state into account."""
        self.gap, self.last = max(self.gap, time - self.last), time
        for name, at in zip(state.name, state.position, strict=False):
            self.low[name] = min(self.low.get(name, np.inf), at)
            self.high[name] = max(self.high.get(name, -np.inf), at)

    def moved(self) -> float:
        """How far a joint moved [rad]; NaN where that is not known for all of the time."""
        if not self.low or self.gap > _ns(MAX_GAP):
            return float("nan")
        return float(max(self.high[name] - low for name, low in self.low.items()))


def _movements(bag: Bag, topics: Topics, sentences: list[Sentence]) -> list[float]:
    """How far a joint moved around each sentence [rad]; NaN where that is not known."""
    watches = []
    for one in sentences:
        begin = one.time - _ns(LOOKED_AT)
        # The robot may move before the report arrives, and the node has looked long before.
        end = max(one.time, one.answered - _ns(_ON_ITS_WAY))
        watches.append(_Watch(begin, end, last=begin))
    names = {topics.states, topics.ready} - {""}
    ready: list[int] = []
    senders, conflicts = Senders(), NamedConflictDetector()
    for message in bag.messages(names):
        if message.topic == topics.ready:
            ready.append(message.time)
            continue
        inside = [n for n, one in enumerate(watches) if one.begin <= message.time <= one.end]
        if inside:
            state = taken(message, JointState)
            for n in inside:
                watches[n].see(state, message.time)
            senders.number(message, state)
            at, stamp = message.time / NANOSECONDS, nanoseconds(state.header.stamp) / NANOSECONDS
            found = conflicts.add(state.name, state.position, stamp, at)
            # Where the node refused, there is nothing to replay.
            if found is not None and any(sentences[n].trajectory is not None for n in inside):
                raise conflict_error(bag, senders, *found, at)
    # A node that has only begun to listen does not know how the robot stood before.
    fresh = [any(one.begin < time <= one.end for time in ready) for one in watches]
    return [np.nan if new else watch.moved() for new, watch in zip(fresh, watches, strict=True)]


def _ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
