"""Several sentences to a robot, each while the one before is still executed."""

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
"""The mock robot and the demo."""
SENDINGS = 10
ARRIVED = 0.005
"""How near the robot must come to the last point of the trajectory [rad]."""

BEFORE_END = 1.0
"""A sentence is sent so early that it should take over so long before the end [s]."""

SLOWER = 1.3
"""So much longer than the last sentence the next one may take."""


class DemoError(NextscaleError, RuntimeError):
    """The demo could not show what it should."""


@dataclass(frozen=True)
class Answer:
    """What came of one sentence; times by the clock of ROS [s].

    Attributes:
        text: The sentence.
        report: The node's report on it.
        command: The trajectory.
        sent: When the sentence was sent.
        received: When the trajectory came.
    """

    text: str
    report: MotionReport
    command: JointTrajectory
    sent: float
    received: float

    @property
    def latency(self) -> float:
        """From sending the sentence to receiving the trajectory, over DDS [s]."""
        return self.received - self.sent

    @property
    def begin(self) -> float:
        """Time of the trajectory's zero."""
        return nanoseconds(self.command.header.stamp) / NANOSECONDS or self.received

    @property
    def end(self) -> float:
        """Time of the trajectory's last point."""
        return self.begin + nanoseconds(self.command.points[-1].time_from_start) / NANOSECONDS


@dataclass(frozen=True)
class Seam:
    """How a trajectory's first point fits what the robot did at that point's time.

    Attributes:
        position_jump: Largest distance of a joint [rad].
        velocity_jump: Largest difference of a joint's velocity [rad/s].
    """

    position_jump: float
    velocity_jump: float


class Session:
    """Talks to the node and watches the robot.

    Args:
        recorder: Hears everything.
        alive: Raises when a process has ended.
    """

    def __init__(self, recorder: Recorder, alive: Callable[[], None]) -> None:
        self._recorder, self._alive = recorder, alive
        self.answers: list[Answer] = []

    def now(self) -> float:
        """The clock of ROS [s]."""
        return float(self._recorder.get_clock().now().nanoseconds) / NANOSECONDS

    def first(self, text: str) -> Answer:
        """Send a sentence until node, robot and we are all connected with each other.

        The nodes find each other at their own pace, and only the generate node knows whom it
        reaches.

        Raises:
            DemoError: the node refused the sentence, or nobody listens to it.
        """
        for _ in range(SENDINGS):
            # What was recorded while the nodes were starting is not part of the motion.
            self._recorder.states[:] = self._recorder.states[-1:]
            answer = self.say(text)
            if answer.report.listeners >= LISTENERS:
                return answer
            self.answers.clear()
            self._recorder.listen(1.0)
        raise DemoError(
            f"/motion_command has {answer.report.listeners} listeners, {LISTENERS} should listen"
        )

    def say(self, text: str) -> Answer:
        """Send a sentence and wait for what comes of it.

        Raises:
            DemoError: the node refused it.
        """
        recorder, reports, commands = self._recorder, *self._heard()
        sent = self.now()
        recorder.say(text)
        recorder.wait(
            lambda: len(recorder.reports) > reports, 120.0, "a report on the sentence", self._alive
        )
        report = recorder.reports[-1]
        if report.outcome not in (MotionReport.PASS, MotionReport.REPAIRED):
            known = report.message.startswith(report.outcome)
            raise DemoError(report.message if known else f"{report.outcome}: {report.message}")
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

    def _heard(self) -> tuple[int, int]:
        return len(self._recorder.reports), len(self._recorder.commands)

    def until_it_is_time(self, interrupt: float | None) -> None:
        """Wait for the moment to send the next sentence.

        Args:
            interrupt: So long after the last trajectory began [s]; None: so that the next one
                takes over shortly before the last one's end, if it takes as long to make.
        """
        last = self.answers[-1]
        if interrupt is None:
            moment = max(last.end - BEFORE_END - SLOWER * last.latency, last.received)
        else:
            moment = last.begin + interrupt
        self._recorder.wait(
            lambda: self.now() >= moment,
            max(moment - self.now(), 0.0) + 10.0,
            "the moment to interrupt",
            self._alive,
        )

    def until_it_rests(self) -> float:
        """Record until the robot stands in the last point; the distance left [rad].

        Raises:
            DemoError: it does not come there.
        """
        recorder, answer = self._recorder, self.answers[-1]
        command = answer.command
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
            raise DemoError(f"{failure}: {error():.3f} rad are left") from failure
        return error()


def seams(answers: Sequence[Answer], executed: RobotTrajectory, begin: float) -> tuple[Seam, ...]:
    """How well each trajectory fits what the robot did.

    Args:
        answers: The sentences.
        executed: What the robot did.
        begin: Time of its first sample, by the clock of ROS [s].
    """
    times = executed.time_from_start
    motion = CubicHermiteSpline(times, executed.positions, executed.velocities)
    found = []
    for answer in answers:
        columns = [executed.joint_names.index(name) for name in answer.command.joint_names]
        first = answer.command.points[0]
        offset = nanoseconds(first.time_from_start) / NANOSECONDS
        # A robot that begins on arrival stands until then, since before the sentence was sent.
        due = answer.begin + offset if nanoseconds(answer.command.header.stamp) else answer.sent
        at = float(np.clip(due - begin, times[0], times[-1]))
        position = np.array(first.positions) - motion(at)[columns]
        velocity = np.array(first.velocities) - motion(at, 1)[columns]
        found.append(Seam(float(np.abs(position).max()), float(np.abs(velocity).max())))
    return tuple(found)
