"""Plays a recorded session to a node: the robot's states as they came, and the sentences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.bags import Bag
from nextscale_core.exceptions import NextscaleError
from nextscale_ros.bag_session import RecordedSession, Sentence, taken
from nextscale_ros.message_rules import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.qos import EVENTS, LATCHED

BEFORE = 3.0
"""The replay begins so long before the first sentence [s]."""

STANDS = 2.0
"""A robot whose recording begins shortly before the first sentence has stood so long before [s]."""

_HOLD = 0.01
"""How often a robot that waits tells its state [s]."""

_TOGETHER = 10.0
"""Patience with a trajectory whose report has come [s]."""


class ReplayError(NextscaleError, RuntimeError):
    """The replay could not be carried through."""


@dataclass
class Answer:
    """What came of a sentence that was said again.

    Attributes:
        report: The node's report.
        trajectory: The trajectory, or None.
        base: The base that belongs to it, or None.
    """

    report: MotionReport
    trajectory: JointTrajectory | None = None
    base: MultiDOFJointTrajectory | None = None


@dataclass
class _Heard:
    """What the node has said so far."""

    ready: bool = False
    reports: list[MotionReport] = field(default_factory=list)
    commands: list[JointTrajectory] = field(default_factory=list)
    bases: list[MultiDOFJointTrajectory] = field(default_factory=list)


class SessionPlayer:
    """Stands in for the robot and for those who speak to it.

    Time goes on as it did in the recording, but it stands still while a sentence that was said to
    a standing robot waits for its answer: however long this machine takes, nothing that comes
    later in the recording reaches the node before.

    Args:
        bag: The recording.
        session: What was said in it.
        context: The ROS context to live in.
        alive: Raises when the node has ended.
        patience: With the start of the node and with each answer [s].
        still: Joints that moved no further than this stood [rad].
    """

    def __init__(
        self,
        bag: Bag,
        session: RecordedSession,
        context: Context,
        alive: Callable[[], None],
        patience: float,
        still: float,
    ) -> None:
        self._bag, self._session, self._alive = bag, session, alive
        self._patience, self._still = patience, still
        self._node = Node("bag_replay", context=context)
        self._heard = heard = _Heard()
        node = self._node
        self._states = node.create_publisher(JointState, "joint_states", EVENTS)
        self._odometry = node.create_publisher(Odometry, "odom", EVENTS)
        self._texts = node.create_publisher(TextCommand, "text_command/detailed", EVENTS)
        node.create_subscription(Bool, "nextscale/ready", self._on_ready, LATCHED)
        self._answers = [
            node.create_subscription(JointTrajectory, "motion_command", heard.commands.append, 10),
            node.create_subscription(
                MultiDOFJointTrajectory, "motion_command/base", heard.bases.append, 10
            ),
            node.create_subscription(MotionReport, "motion_report", heard.reports.append, 10),
        ]
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._last: dict[Any, Any] = {}
        self._shift = 0
        """What a time of the recording is to be shifted by to be now [ns]."""

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()

    def play(self, progress: Callable[[float, float], None]) -> list[Answer | None]:
        """Play everything.

        Args:
            progress: Told how many seconds of how many were played.

        Returns:
            An answer for each sentence; None where the node did not answer.

        Raises:
            ReplayError: the node does not become ready.
        """
        self._wait(self._connected, "the node to be ready")
        sentences = self._session.sentences
        first = sentences[0].time - round(BEFORE * NANOSECONDS)
        begin = max(self._bag.begin, first)
        end = sentences[-1].answered + NANOSECONDS // 2
        waiting = list(enumerate(sentences))
        answers: list[Answer | None] = [None] * len(sentences)
        said: list[tuple[int, Sentence]] = []
        stream = self._stream(begin, end)
        self._stand(stream, sentences[0])
        for topic, moment, message in stream:
            progress((moment - begin) / NANOSECONDS, (end - begin) / NANOSECONDS)
            while waiting and waiting[0][1].time <= moment:
                number, sentence = waiting.pop(0)
                self._until(sentence.time)
                self._collect(said, answers)
                self._say(sentence)
                said.append((number, sentence))
            if any(one.answered <= moment and one.stood(self._still) for _, one in said):
                self._hold(said, answers)
            self._until(moment)
            self._publish(topic, message)
        for number, sentence in waiting:
            self._say(sentence)
            said.append((number, sentence))
            self._hold(said, answers)
        self._hold(said, answers)
        return answers

    def _stream(self, begin: int, end: int) -> Iterator[tuple[Any, int, Any]]:
        """Publisher, time of the recording [ns] and message."""
        topics = self._session.topics
        kinds = {topics.states: (self._states, JointState)}
        if topics.odometry:
            kinds[topics.odometry] = (self._odometry, Odometry)
        for message in self._bag.messages(set(kinds), begin, end):
            publisher, kind = kinds[message.topic]
            yield publisher, message.time, taken(message, kind)

    def _stand(self, stream: Iterator[tuple[Any, int, Any]], first: Sentence) -> None:
        """Begin with the first state, for as long as the node looks back."""
        for publisher, moment, message in stream:
            self._start(moment)
            self._publish(publisher, message)
            if publisher is self._states:
                seconds = STANDS - (first.time - moment) / NANOSECONDS
                self._hold_for(seconds, lambda: False)
                self._start(moment)
                return
        raise ReplayError("no joint state was recorded around the sentences")

    def _start(self, moment: int) -> None:
        """Let this moment of the recording be now."""
        self._shift = self._now() - moment

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _until(self, moment: int) -> None:
        """Serve messages until a moment of the recording has come [ns]."""
        while (left := moment + self._shift - self._now()) > 0:
            self._executor.spin_once(timeout_sec=left / NANOSECONDS)
        self._executor.spin_once(timeout_sec=0.0)

    def _publish(self, publisher: Any, message: Any) -> None:
        self._last[publisher] = message
        stamp = nanoseconds(message.header.stamp)
        # A message that does not say when it was measured goes on not saying it.
        self._send(publisher, message, stamp + self._shift if stamp else 0)

    def _send(self, publisher: Any, message: Any, stamp: int) -> None:
        before = message.header.stamp
        sec, nanosec = divmod(max(stamp, 0), NANOSECONDS)
        message.header.stamp = Time(sec=sec, nanosec=nanosec)
        publisher.publish(message)
        message.header.stamp = before

    def _say(self, sentence: Sentence) -> None:
        self._texts.publish(sentence.command)

    def _hold(self, said: list[tuple[int, Sentence]], answers: list[Answer | None]) -> None:
        """Let the robot stand as it stands until all that was said is answered."""
        if said:
            begin = self._now()
            self._hold_for(self._patience, lambda: self._collect(said, answers))
            said.clear()
            self._shift += self._now() - begin

    def _hold_for(self, seconds: float, done: Callable[[], bool]) -> None:
        """Tell the last state again and again."""
        begin, shift = self._now(), self._shift
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self._alive()
            self._shift = shift + self._now() - begin
            for publisher, message in self._last.items():
                stamp = nanoseconds(message.header.stamp)
                self._send(publisher, message, stamp + self._shift if stamp else 0)
            next_time = time.monotonic() + _HOLD
            while (left := next_time - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left)
        self._shift = shift

    def _collect(self, said: list[tuple[int, Sentence]], answers: list[Answer | None]) -> bool:
        """Give the reports that have come to their sentences; whether none is waiting now."""
        heard = self._heard
        while heard.reports and said:
            report = heard.reports[0]
            number = next((n for n, one in said if self._is_on(report, one)), None)
            if number is None:
                heard.reports.pop(0)
                continue
            if report.published and not self._published():
                break
            heard.reports.pop(0)
            answer = Answer(report)
            if report.published:
                answer.trajectory, answer.base = heard.commands.pop(0), heard.bases.pop(0)
            answers[number] = answer
            said[:] = [entry for entry in said if entry[0] != number]
        return not said

    @staticmethod
    def _is_on(report: MotionReport, sentence: Sentence) -> bool:
        return bool(report.text == sentence.report.text)

    def _published(self) -> bool:
        """Whether the trajectory of a report has come, too; wait a moment for it."""
        deadline = time.monotonic() + _TOGETHER
        while not (self._heard.commands and self._heard.bases):
            if time.monotonic() > deadline:
                raise ReplayError("a trajectory was reported as published and did not arrive")
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def _on_ready(self, message: Bool) -> None:
        self._heard.ready = bool(message.data)

    def _connected(self) -> bool:
        return (
            self._heard.ready
            and self._texts.get_subscription_count() > 0
            and self._states.get_subscription_count() > 0
            and all(self._node.count_publishers(one.topic_name) > 0 for one in self._answers)
        )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._patience
        while not condition():
            self._alive()
            if time.monotonic() > deadline:
                raise ReplayError(f"waited {self._patience:.0f} s in vain for {what}")
            self._executor.spin_once(timeout_sec=0.05)
