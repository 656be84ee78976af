"""Player of recorded sessions: publishes the robot's states and the sentences to a node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
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
from nextscale_ros.bags.session import RecordedSession, Sentence, deserialize
from nextscale_ros.bringup.processes import signals_held
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.qos import EVENTS, LATCHED

BEFORE = 3.0
"""Time before the first sentence at which the replay begins [s]."""

REST_TIME = 2.0
"""Time of states without a pause before a sentence to a robot at rest [s]."""

PAUSE = 0.05
"""Time between two states that counts as a pause, on a busy machine [s]."""

ATTEMPTS = 3
"""Maximum number of times a sentence to a robot at rest is sent until its answer is the recorded
one: on a busy machine the node may lose states, and then the robot is not known to be at rest."""

BY_CHANCE = (MotionReport.SUPERSEDED, MotionReport.CANCELED, MotionReport.FAILED)
"""Outcomes that depend on the time of other events. Such sentences are not sent again, as a
trajectory that is not in the recording would change the answers after it."""

_HOLD = 0.01
"""Period of the states of a robot that waits [s]."""

_POLL = 0.05
"""Maximum time of one wait for a message [s]."""

_TOGETHER = 10.0
"""Maximum time from a report to its trajectory [s]."""


class ReplayError(NextscaleError, RuntimeError):
    """The replay failed."""


@dataclass
class ReplayedAnswer:
    """Answer to a sentence that was sent again.

    Attributes:
        report: The node's report.
        trajectory: The trajectory, or None.
        base: The base that belongs to it, or None.
    """

    report: MotionReport
    trajectory: JointTrajectory | None = None
    base: MultiDOFJointTrajectory | None = None


class SessionPlayer:
    """Replaces the robot and the users of a recorded session.

    Time passes as in the recording, but stops while a sentence to a robot at rest waits for its
    answer: however slow this machine is, no later message reaches the node before it.

    Args:
        bag: The recording.
        session: Its sentences.
        context: ROS context of the node.
        alive: Raises if the node has ended.
        distance: Of an answer from the recorded one; 0 for the same.
        patience: Maximum time until the node is ready, and until each answer [s].
        still: Maximum motion of the joints of a robot at rest [rad].
    """

    def __init__(
        self,
        bag: Bag,
        session: RecordedSession,
        context: Context,
        alive: Callable[[], None],
        distance: Callable[[Sentence, ReplayedAnswer], float],
        patience: float,
        still: float,
    ) -> None:
        self._bag, self._session, self._alive, self._distance = bag, session, alive, distance
        self._patience, self._still = patience, still
        self._ready = False
        self._reports: list[MotionReport] = []
        self._commands: list[JointTrajectory] = []
        self._bases: list[MultiDOFJointTrajectory] = []
        self._node = node = Node("bag_replay", context=context)
        self._states = node.create_publisher(JointState, "joint_states", EVENTS)
        self._odometry = node.create_publisher(Odometry, "odom", EVENTS)
        self._texts = node.create_publisher(TextCommand, "text_command/detailed", EVENTS)
        node.create_subscription(Bool, "nextscale/ready", self._on_ready, LATCHED)
        self._subscriptions = [
            node.create_subscription(kind, topic, received.append, 10)
            for kind, topic, received in (
                (JointTrajectory, "motion_command", self._commands),
                (MultiDOFJointTrajectory, "motion_command/base", self._bases),
                (MotionReport, "motion_report", self._reports),
            )
        ]
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._last: dict[Any, tuple[int, Any]] = {}
        """Last message of each publisher, and its time in the recording [ns]."""
        self._without_pause_since = time.monotonic()
        self._last_state = 0.0
        self._shift = 0
        """Difference from a time of the recording to the clock [ns]."""

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()

    def play(self, progress: Callable[[float, float], None]) -> list[ReplayedAnswer | None]:
        """Play the session.

        Args:
            progress: Called with the seconds played and their total.

        Returns:
            An answer for each sentence; None where the node did not answer.

        Raises:
            ReplayError: the node does not become ready.
        """
        self._wait_for_node()
        sentences = self._session.sentences
        first = sentences[0].time - round(BEFORE * NANOSECONDS)
        begin = max(self._bag.begin, first)
        end = sentences[-1].answered + NANOSECONDS // 2
        waiting = [
            (n, one) for n, one in enumerate(sentences) if one.report.outcome not in BY_CHANCE
        ]
        answers: list[ReplayedAnswer | None] = [None] * len(sentences)
        sent: list[tuple[int, Sentence]] = []
        stream = self._stream(begin, end)
        self._publish_first_state(stream)
        for publisher, moment, message in stream:
            progress((moment - begin) / NANOSECONDS, (end - begin) / NANOSECONDS)
            while waiting and waiting[0][1].time <= moment:
                number, sentence = waiting.pop(0)
                self._spin_until(sentence.time)
                self._collect(sent, answers)
                if sentence.stood(self._still):
                    answers[number] = self._ask_at_rest(sentence)
                else:
                    self._texts.publish(sentence.command)
                    sent.append((number, sentence))
            self._spin_until(moment)
            self._publish(publisher, moment, message)
        for number, sentence in waiting:
            answers[number] = self._ask_at_rest(sentence)
        self._hold(self._patience if sent else 0.0, lambda: self._collect(sent, answers))
        return answers

    def _ask_at_rest(self, sentence: Sentence) -> ReplayedAnswer | None:
        """Send a sentence, and stop the time of the recording until it is answered.

        Of several answers, the one that is closest to the recorded one.
        """
        closest: ReplayedAnswer | None = None
        least = np.inf
        for _ in range(ATTEMPTS):
            self._hold(self._patience, self._has_rested)
            answers: list[ReplayedAnswer | None] = [None]
            sent = [(0, sentence)]
            self._texts.publish(sentence.command)
            self._hold(self._patience, lambda: self._collect(sent, answers))  # noqa: B023
            answer = answers[0]
            if answer is None:
                break
            distance = self._distance(sentence, answer)
            if closest is None or distance < least:
                closest, least = answer, distance
            if distance == 0.0:
                break
            # The rejected trajectory must be over for the node, too.
            left = 0.0 if answer.trajectory is None else answer.report.duration
            self._hold(left, lambda: False)
        # The robot continues as it did when it had been answered.
        self._set_time(sentence.answered)
        return closest

    def _has_rested(self) -> bool:
        """Whether the node has received states for long enough without a pause."""
        return time.monotonic() - self._without_pause_since >= REST_TIME

    def _stream(self, begin: int, end: int) -> Iterator[tuple[Any, int, Any]]:
        """Publisher, time of the recording [ns] and message."""
        topics = self._session.topics
        kinds = {topics["joint_states"]: (self._states, JointState)}
        if topics["odom"]:
            kinds[topics["odom"]] = (self._odometry, Odometry)
        for message in self._bag.messages(set(kinds), begin, end):
            publisher, kind = kinds[message.topic]
            yield publisher, message.time, deserialize(message, kind)

    def _publish_first_state(self, stream: Iterator[tuple[Any, int, Any]]) -> None:
        for publisher, moment, message in stream:
            self._set_time(moment)
            self._publish(publisher, moment, message)
            if publisher is self._states:
                return
        raise ReplayError("no joint state was recorded around the sentences")

    def _set_time(self, moment: int) -> None:
        """Set the current time of the recording [ns]."""
        self._shift = self._now() - moment

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _spin_until(self, moment: int) -> None:
        """Receive messages until a time of the recording [ns]."""
        while (left := moment + self._shift - self._now()) > 0:
            self._spin_once(left / NANOSECONDS)
        self._spin_once(0.0)

    def _spin_once(self, seconds: float) -> None:
        """Receive one message, if one arrives within this time and `_POLL` [s]."""
        with signals_held():
            self._executor.spin_once(timeout_sec=min(seconds, _POLL))

    def _publish(self, publisher: Any, moment: int, message: Any) -> None:
        """Publish a message of a time of the recording [ns], with its stamp shifted to now."""
        self._last[publisher] = moment, message
        self._send(publisher, message, self._shift)

    def _send(self, publisher: Any, message: Any, shift: int) -> None:
        """Publish a message with its stamp shifted [ns]; one without a stamp stays without."""
        if publisher is self._states:
            now = time.monotonic()
            if now - self._last_state > PAUSE:
                self._without_pause_since = now
            self._last_state = now
        before = message.header.stamp
        stamp = nanoseconds(before)
        sec, nanosec = divmod(max(stamp + shift, 0) if stamp else 0, NANOSECONDS)
        message.header.stamp = Time(sec=sec, nanosec=nanosec)
        publisher.publish(message)
        message.header.stamp = before

    def _hold(self, seconds: float, done: Callable[[], bool]) -> None:
        """Repeat the last states, with the time of the recording stopped, for at most `seconds`."""
        begin = time.monotonic()
        held = self._now() - self._shift
        while not done() and time.monotonic() < begin + seconds:
            self._alive()
            for publisher, (moment, message) in self._last.items():
                self._set_time(held)
                self._send(publisher, message, held - moment + self._shift)
            next_time = time.monotonic() + _HOLD
            while (left := next_time - time.monotonic()) > 0:
                self._spin_once(left)
        self._set_time(held)

    def _collect(
        self, sent: list[tuple[int, Sentence]], answers: list[ReplayedAnswer | None]
    ) -> bool:
        """Assign received reports to their sentences; returns whether all are answered."""
        while self._reports and sent:
            report = self._reports[0]
            number = next((n for n, one in sent if report.text == one.report.text), None)
            if number is None:
                self._reports.pop(0)
                continue
            if report.published:
                self._wait_for_trajectory()
            answer = ReplayedAnswer(self._reports.pop(0))
            if report.published:
                answer.trajectory, answer.base = self._commands.pop(0), self._bases.pop(0)
            answers[number] = answer
            sent[:] = [entry for entry in sent if entry[0] != number]
        return not sent

    def _wait_for_trajectory(self) -> None:
        deadline = time.monotonic() + _TOGETHER
        while not (self._commands and self._bases):
            if time.monotonic() > deadline:
                raise ReplayError("a trajectory was reported as published and did not arrive")
            self._spin_once(_POLL)

    def _on_ready(self, message: Bool) -> None:
        self._ready = bool(message.data)

    def _wait_for_node(self) -> None:
        deadline = time.monotonic() + self._patience
        while not (
            self._ready
            and self._texts.get_subscription_count() > 0
            and self._states.get_subscription_count() > 0
            and all(self._node.count_publishers(one.topic_name) > 0 for one in self._subscriptions)
        ):
            self._alive()
            if time.monotonic() > deadline:
                raise ReplayError(f"the node was not ready after {self._patience:.0f} s")
            self._spin_once(_POLL)
