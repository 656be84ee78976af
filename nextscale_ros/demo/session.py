"""A session of the demo: sentences sent while the previous motion is still executed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_ros.demo.recorder import DemoTimeoutError, Recorder
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport

LISTENERS = 2
"""Number of subscribers of /motion_command: the mock robot and the demo."""

SENDINGS = 10
"""Maximum number of attempts to send the first sentence."""

ARRIVED = 0.005
"""Maximum distance to the last point of the trajectory at rest [rad]."""

BEFORE_END = 1.0
"""Planned time from a takeover to the end of the previous trajectory [s]."""

SLOWER = 1.3
"""Allowance for the planning time of the next sentence, relative to the last one's."""


class DemoError(NextscaleError, RuntimeError):
    """A step of the demo failed."""


@dataclass(frozen=True)
class Answer:
    """Result of one sentence; times of the ROS clock [s].

    Attributes:
        text: The sentence.
        report: Report of the node.
        command: The trajectory; None where the node publishes references instead.
        sent: Time of sending the sentence.
        received: Time of receiving the trajectory.
    """

    text: str
    report: MotionReport
    command: JointTrajectory | None
    sent: float
    received: float

    @property
    def latency(self) -> float:
        """Time from sending the sentence to receiving the trajectory, over DDS [s]."""
        return self.received - self.sent

    @property
    def begin(self) -> float:
        """Start time of the trajectory."""
        stamp = 0 if self.command is None else nanoseconds(self.command.header.stamp)
        return stamp / NANOSECONDS or self.received

    @property
    def end(self) -> float:
        """Time of the trajectory's last point."""
        if self.command is None:
            return self.begin + float(self.report.duration)
        return self.begin + nanoseconds(self.command.points[-1].time_from_start) / NANOSECONDS


@dataclass(frozen=True)
class Seam:
    """Difference between a trajectory's first point and the robot's motion at that time.

    Attributes:
        position_jump: Largest position difference of a joint [rad].
        velocity_jump: Largest velocity difference of a joint [rad/s].
    """

    position_jump: float
    velocity_jump: float


class Session:
    """Sends sentences to the node and follows the robot's motion.

    Args:
        recorder: Records all topics.
        alive: Raises if a process has ended.

    Attributes:
        answers: Results of the sentences.
        patience: Maximum delay of an expected moment [s].
    """

    def __init__(self, recorder: Recorder, alive: Callable[[], None]) -> None:
        self._recorder, self._alive = recorder, alive
        self.answers: list[Answer] = []
        self.patience = 10.0

    def now(self) -> float:
        """Time of the ROS clock [s]."""
        return float(self._recorder.get_clock().now().nanoseconds) / NANOSECONDS

    def first(self, text: str) -> Answer:
        """Send a sentence until generate node, robot and demo are connected.

        Discovery takes time, and only the generate node knows its subscribers.

        Raises:
            DemoError: the node rejected the sentence, or subscribers are missing.
        """
        for _ in range(SENDINGS):
            # States recorded during start-up are not part of the motion.
            self._recorder.states[:] = self._recorder.states[-1:]
            answer = self.say(text)
            if answer.report.listeners >= LISTENERS:
                return answer
            self.answers.clear()
            self._recorder.listen(1.0)
        raise DemoError(
            f"/motion_command has {answer.report.listeners} subscribers, expected {LISTENERS}"
        )

    def say(self, text: str) -> Answer:
        """Send a sentence and wait for report and trajectory.

        Raises:
            DemoError: the node rejected the sentence.
        """
        recorder, sent = self._recorder, self.now()
        commands = len(recorder.commands)
        report = self._reported(text)
        recorder.wait(
            lambda: len(recorder.commands) > commands and bool(recorder.bases),
            10.0,
            "the trajectory on /motion_command",
            self._alive,
        )
        arrival, command = recorder.commands[-1]
        answer = Answer(text, report, command, sent, self.now() - (time.monotonic() - arrival))
        self.answers.append(answer)
        return answer

    def _reported(self, text: str) -> MotionReport:
        """Send a sentence and wait for its report.

        Raises:
            DemoError: the node rejected the sentence.
        """
        recorder = self._recorder
        reports = len(recorder.reports)
        recorder.say(text)
        recorder.wait(
            lambda: len(recorder.reports) > reports, 120.0, "a report on the sentence", self._alive
        )
        report = recorder.reports[-1]
        if report.outcome not in (MotionReport.PASS, MotionReport.REPAIRED):
            known = report.message.startswith(report.outcome)
            raise DemoError(report.message if known else f"{report.outcome}: {report.message}")
        return report

    def until_it_is_time(self, interrupt: float | None) -> None:
        """Wait until the next sentence is due.

        Args:
            interrupt: Time after the start of the last trajectory [s]; None for a takeover shortly
                before that trajectory's end, assuming a similar planning time.
        """
        last = self.answers[-1]
        if interrupt is None:
            moment = max(last.end - BEFORE_END - SLOWER * last.latency, last.received)
        else:
            moment = last.begin + interrupt
        self._recorder.wait(
            lambda: self.now() >= moment,
            max(moment - self.now(), 0.0) + self.patience,
            "the moment to interrupt",
            self._alive,
        )

    def until_it_rests(self) -> float:
        """Record until the robot rests in the last point; returns the remaining distance [rad].

        Raises:
            DemoError: the robot does not reach the last point.
        """
        recorder, answer = self._recorder, self.answers[-1]
        command = answer.command
        assert command is not None
        last = dict(zip(command.joint_names, command.points[-1].positions, strict=True))

        def error() -> float:
            if not recorder.states:
                return float("inf")
            state = recorder.states[-1]
            at = dict(zip(state.name, state.position, strict=True))
            return float(max(abs(at[name] - goal) for name, goal in last.items()))

        try:
            recorder.wait(
                lambda: self.now() > answer.end and error() < ARRIVED,
                max(answer.end - self.now(), 0.0) + 10.0,
                "the mock robot to reach the last point",
                self._alive,
            )
        except DemoTimeoutError as failure:
            raise DemoError(f"{failure}: {error():.3f} rad remain") from failure
        return error()


def seams(answers: Sequence[Answer], executed: RobotTrajectory, begin: float) -> tuple[Seam, ...]:
    """Difference between each trajectory's first point and the executed motion.

    Args:
        answers: Results of the sentences.
        executed: Executed motion.
        begin: Time of its first sample on the ROS clock [s].
    """
    times = executed.time_from_start
    motion = CubicHermiteSpline(times, executed.positions, executed.velocities)
    found = []
    for answer in answers:
        assert answer.command is not None
        columns = [executed.joint_names.index(name) for name in answer.command.joint_names]
        first = answer.command.points[0]
        offset = nanoseconds(first.time_from_start) / NANOSECONDS
        # With stamp 0 the robot has stood still since before the sentence was sent.
        due = answer.begin + offset if nanoseconds(answer.command.header.stamp) else answer.sent
        at = float(np.clip(due - begin, times[0], times[-1]))
        position = np.array(first.positions) - motion(at)[columns]
        velocity = np.array(first.velocities) - motion(at, 1)[columns]
        found.append(Seam(float(np.abs(position).max()), float(np.abs(velocity).max())))
    return tuple(found)
