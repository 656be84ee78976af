"""The demo with a simulated robot: sentences to a robot in physics, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context

from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.demo.session import SENDINGS, Answer, DemoError, Seam, Session
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReference

NODE = "simulated_robot"

SETTLE = 1.5
"""Time after the end of the last motion until the robot is at rest [s]."""

PATIENCE = 60.0
"""Maximum delay of the simulated time [s]."""

SEAM_SECONDS = 1.5
"""Time after a report in which the next motion takes over [s]."""


class SimulationRecorder(Recorder):
    """A recorder that also records what the simulated robot is commanded, and whether it fell.

    Attributes:
        references: What the balancing controller is given, 50 times per second.
        planned: What the generate node publishes, with `output: reference`.
        fallen: Message of the robot's diagnostics after a fall; '' while it is on its feet.
    """

    def __init__(self, context: Context | None = None) -> None:
        # On a busy machine the simulation takes longer, and nothing is late.
        super().__init__(context, sim_time=True)
        self.references: list[MotionReference] = []
        self.planned: list[MotionReference] = []
        self.fallen = ""
        self.create_subscription(MotionReference, f"/{NODE}/reference", self.references.append, 100)
        self.create_subscription(MotionReference, "/motion_reference", self.planned.append, 100)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if NODE in status.name and status.level == DiagnosticStatus.ERROR:
                self.fallen = status.message

    def connected(self, mock: bool = True) -> bool:
        """Whether the generate node is ready, and the robot publishes its state."""
        # The last answer is the report; what else is published depends on the output.
        return self.is_served(self._answers[-1:]) and bool(self.states) and bool(self.references)


class SimulatedSession(Session):
    """Sends sentences to the node while a simulated robot executes them.

    Args:
        recorder: Records all topics.
        alive: Raises if a process has ended.
    """

    def __init__(self, recorder: SimulationRecorder, alive: Callable[[], None]) -> None:
        def up() -> None:
            alive()
            if recorder.fallen:
                raise DemoError(recorder.fallen)

        super().__init__(recorder, up)
        self._simulated, self.patience = recorder, PATIENCE

    def first(self, text: str) -> Answer:
        """Send a sentence until generate node and robot are connected.

        Raises:
            DemoError: the node rejected the sentence, or no robot takes its output.
        """
        for _ in range(SENDINGS):
            answer = self.say(text)
            if answer.report.listeners:
                return answer
            self.answers.clear()
            self._recorder.listen(1.0)
        raise DemoError("the simulated robot does not take the output of the generate node")

    def say(self, text: str) -> Answer:
        """Send a sentence and wait for its report.

        Raises:
            DemoError: the node rejected the sentence, or the robot has fallen.
        """
        sent = self.now()
        report = self._reported(text)
        answer = Answer(text, report, None, sent, self.now())
        self.answers.append(answer)
        return answer

    def until_it_rests(self) -> float:
        """Record until the robot is at rest; returns the distance to its reference [rad].

        Raises:
            DemoError: the robot has fallen.
        """
        until = self.answers[-1].end + SETTLE
        self._recorder.wait(
            lambda: self.now() >= until and not self._simulated.references[-1].moving,
            max(until - self.now(), 0.0) + self.patience,
            "the simulated robot to come to rest",
            self._alive,
        )
        reference, state = self._simulated.references[-1], self._recorder.states[-1]
        at = dict(zip(state.name, state.position, strict=True))
        goals = zip(reference.joint_names, reference.positions, strict=True)
        return float(max(abs(at[name] - goal) for name, goal in goals))


@dataclass(frozen=True)
class ReferenceSeam:
    """Largest differences of successive references where a motion takes over.

    Attributes:
        step: Of a joint's position [rad].
        jump: The same without the motion at the references' own velocity [rad].
        velocity: Of a joint's velocity [rad/s].
    """

    step: float
    jump: float
    velocity: float


@dataclass(frozen=True)
class ReferenceSteps:
    """Steps from each of N references to the next one.

    Attributes:
        times: (N - 1,) times of the later ones [s].
        positions: (N - 1,) largest step of a joint [rad].
        jumps: (N - 1,) the same without the motion at the references' own velocity [rad].
        velocities: (N - 1,) largest change of a joint's velocity [rad/s].
    """

    times: np.ndarray
    positions: np.ndarray
    jumps: np.ndarray
    velocities: np.ndarray

    @classmethod
    def of(cls, references: Sequence[MotionReference]) -> ReferenceSteps:
        """The steps of recorded references; those that follow a lost one are left out."""
        times = np.array([nanoseconds(one.header.stamp) for one in references]) / NANOSECONDS
        positions = np.array([one.positions for one in references])
        velocities = np.array([one.velocities for one in references])
        passed = np.diff(times)
        kept = (passed > 0) & (passed < 1.5 * np.median(passed))
        step, change = np.diff(positions, axis=0), np.diff(velocities, axis=0)
        mean = velocities[1:] - change / 2
        jump = step - mean * passed[:, None]
        largest = [np.abs(values).max(axis=1)[kept] for values in (step, jump, change)]
        return cls(times[1:][kept], *largest)

    def within(self, begin: float, end: float) -> ReferenceSeam:
        """The largest ones in a span of time [s]; 0 where the span has no reference."""
        inside = (self.times >= begin) & (self.times <= end)
        series = (self.positions, self.jumps, self.velocities)
        return ReferenceSeam(*(float(one[inside].max(initial=0.0)) for one in series))


def reference_seams(
    answers: Sequence[Answer], references: Sequence[MotionReference]
) -> tuple[Seam, ...]:
    """Largest jumps of the reference while each motion takes over."""
    steps = ReferenceSteps.of(references)
    found = (steps.within(one.sent, one.received + SEAM_SECONDS) for one in answers)
    return tuple(Seam(one.jump, one.velocity) for one in found)
