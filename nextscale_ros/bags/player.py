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
from nextscale_ros.bags.session import RecordedSession, Sentence, taken
from nextscale_ros.bringup.processes import signals_held
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.qos import EVENTS, LATCHED

BEFORE = 3.0
"""The replay begins so long before the first sentence [s]."""

STANDS = 2.0
"""So long the robot is told to stand, without a pause, before a sentence that came at rest [s]."""

PAUSE = 0.05
"""Two states further apart than this are a pause: this machine was busy [s]."""

ATTEMPTS = 3
"""How often a sentence that came at rest is said until its answer is the one recorded: on a busy
machine the node may lose states, and then it does not know that the robot stood."""

BY_CHANCE = (MotionReport.SUPERSEDED, MotionReport.CANCELED, MotionReport.FAILED)
"""Outcomes that depend on when something else happened; such sentences are not said again, as a
trajectory that was not there in the recording would change what comes after."""

_HOLD = 0.01
"""How often a robot that waits tells its state [s]."""

_MOMENT = 0.05
"""How long messages are waited for at once [s]."""

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
        is_same: Whether an answer is the one recorded.
        patience: With the start of the node and with each answer [s].
        still: Joints that moved no further than this stood [rad].
    """

    def __init__(
        self,
        bag: Bag,
        session: RecordedSession,
        context: Context,
        alive: Callable[[], None],
        is_same: Callable[[Sentence, Answer | None], bool],
        patience: float,
        still: float,
    ) -> None:
        self._bag, self._session, self._alive, self._is_same = bag, session, alive, is_same
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
        self._moments: dict[Any, int] = {}
        self._even_since = time.monotonic()
        self._told = 0.0
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
        waiting = [
            (n, one) for n, one in enumerate(sentences) if one.report.outcome not in BY_CHANCE
        ]
        answers: list[Answer | None] = [None] * len(sentences)
        said: list[tuple[int, Sentence]] = []
        stream = self._stream(begin, end)
        self._stand(stream)
        for publisher, moment, message in stream:
            progress((moment - begin) / NANOSECONDS, (end - begin) / NANOSECONDS)
            while waiting and waiting[0][1].time <= moment:
                number, sentence = waiting.pop(0)
                self._until(sentence.time)
                self._collect(said, answers)
                if sentence.stood(self._still):
                    answers[number] = self._ask_standing(sentence)
                else:
                    self._say(sentence)
                    said.append((number, sentence))
            self._until(moment)
            self._publish(publisher, moment, message)
        for number, sentence in waiting:
            answers[number] = self._ask_standing(sentence)
        self._hold_for(self._patience if said else 0.0, lambda: self._collect(said, answers))
        return answers

    def _ask_standing(self, sentence: Sentence) -> Answer | None:
        """Say a sentence while the robot stands, and let time stand still until it is answered."""
        for _ in range(ATTEMPTS):
            self._hold_for(self._patience, self._has_stood)
            answers: list[Answer | None] = [None]
            said = [(0, sentence)]
            self._say(sentence)
            self._hold_for(self._patience, lambda: self._collect(said, answers))  # noqa: B023
            answer = answers[0]
            if answer is None or self._is_same(sentence, answer):
                break
            # The node must not think that the robot follows what was refused.
            left = 0.0 if answer.trajectory is None else answer.report.duration
            self._hold_for(left, lambda: False)
        # Now the robot sets out, or stands on, as it did when it had been answered.
        self._start(sentence.answered)
        return answer

    def _has_stood(self) -> bool:
        """Whether the node was told the robot's state for long enough without a pause."""
        return time.monotonic() - self._even_since >= STANDS

    def _stream(self, begin: int, end: int) -> Iterator[tuple[Any, int, Any]]:
        """Publisher, time of the recording [ns] and message."""
        topics = self._session.topics
        kinds = {topics.states: (self._states, JointState)}
        if topics.odometry:
            kinds[topics.odometry] = (self._odometry, Odometry)
        for message in self._bag.messages(set(kinds), begin, end):
            publisher, kind = kinds[message.topic]
            yield publisher, message.time, taken(message, kind)

    def _stand(self, stream: Iterator[tuple[Any, int, Any]]) -> None:
        """Begin with the first state."""
        for publisher, moment, message in stream:
            self._start(moment)
            self._publish(publisher, moment, message)
            if publisher is self._states:
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
            self._serve(left / NANOSECONDS)
        self._serve(0.0)

    def _serve(self, seconds: float) -> None:
        """Serve the next message, if one comes within this time or a moment [s]."""
        with signals_held():
            self._executor.spin_once(timeout_sec=min(seconds, _MOMENT))

    def _publish(self, publisher: Any, moment: int, message: Any) -> None:
        self._last[publisher] = message
        self._moments[publisher] = moment
        stamp = nanoseconds(message.header.stamp)
        # A message that does not say when it was measured goes on not saying it.
        self._send(publisher, message, stamp + self._shift if stamp else 0)

    def _send(self, publisher: Any, message: Any, stamp: int) -> None:
        if publisher is self._states:
            now = time.monotonic()
            if now - self._told > PAUSE:
                self._even_since = now
            self._told = now
        before = message.header.stamp
        sec, nanosec = divmod(max(stamp, 0), NANOSECONDS)
        message.header.stamp = Time(sec=sec, nanosec=nanosec)
        publisher.publish(message)
        message.header.stamp = before

    def _say(self, sentence: Sentence) -> None:
        self._texts.publish(sentence.command)

    def _hold_for(self, seconds: float, done: Callable[[], bool]) -> None:
        """Tell the last state again and again, and let the time of the recording stand still."""
        begin = time.monotonic()
        held = self._now() - self._shift
        while not done() and time.monotonic() < begin + seconds:
            self._alive()
            for publisher, message in self._last.items():
                self._start(held)
                stamp = nanoseconds(message.header.stamp)
                since = held - self._moments[publisher]
                self._send(publisher, message, stamp + since + self._shift if stamp else 0)
            next_time = time.monotonic() + _HOLD
            while (left := next_time - time.monotonic()) > 0:
                self._serve(left)
        self._start(held)

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
            self._serve(_MOMENT)
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
            self._serve(_MOMENT)
