"""What the planner needs of others, and what it makes of one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from nextscale_core.estimation.history import RobotHistory
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots import RobotState
from nextscale_core.safety import GateResult
from nextscale_core.stopwatch import Run, Stopwatch
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.splice import Splice
from nextscale_ros.robot_state.state_monitor import Now

Script = Sequence[tuple[str, float | None]]
"""Sentences and how long each is to take [s]; None lets parameter or model choose."""


class MotionSource(Protocol):
    """What the planner needs of `nextscale_core.pipeline.MotionPipeline`."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    def generate(
        self,
        text: str,
        *,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """A motion for the sentence."""
        ...

    def complete(
        self,
        known: MotionClip,
        known_frames: np.ndarray | None,
        text: str,
        *,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """A motion for the sentence that goes on from a known one."""
        ...


class EditingSource(MotionSource, Protocol):
    """A motion source that also makes sequences and edits motions."""

    def sequence(
        self,
        script: Script,
        *,
        start: MotionClip | None = None,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """A motion for sentence after sentence, going on from `start`."""
        ...

    def edit(
        self,
        clip: MotionClip,
        text: str,
        *,
        span: tuple[float, float] | None = None,
        parts: Sequence[str] | None = None,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """The motion with a part of it changed."""
        ...


class Surroundings(Protocol):
    """What the planner asks about the robot; see `state_monitor.StateMonitor`."""

    def past(self, settings: Settings, ahead: float) -> RobotHistory | None:
        """What the new motion continues."""
        ...

    def now(self, settings: Settings, ahead: float = 0.0) -> Now | None:
        """The state to begin in, so long after the measured one [s]."""
        ...


class Nowhere:
    """Surroundings in which nothing is known of the robot."""

    def past(self, settings: Settings, ahead: float) -> RobotHistory | None:
        """Nothing."""
        return None

    def now(self, settings: Settings, ahead: float = 0.0) -> Now | None:
        """Nothing."""
        return None


@dataclass(frozen=True)
class Progress:
    """How far the work on one request is.

    Attributes:
        stage: What is being done, a name of a stage of the stopwatch.
        text: Which of the sentences, from 0.
        scale: Scale that is being made, from 1; 0 where none is.
        scales: Scales of the model; 0 where none is being made.
        done: Share of the work done, 0 to 1; never falls.
    """

    stage: str
    text: int = 0
    scale: int = 0
    scales: int = 0
    done: float = 0.0


@dataclass
class Plan:
    """What came of one sentence.

    Attributes:
        seed: Seed of the sample.
        stopwatch: Seconds by stage.
        start: The state the new motion begins in, or None.
        lead: What the robot does until the new motion takes over: the trajectory begins with it.
            None: it begins in `start`, whenever it is executed.
        measured: Whether the robot's state was measured rather than assumed.
        again: Makes the trajectory again, from where the robot is then; None until there is one.
        notes: What the user should know, in sentences.
        result: The safety gate's answer; None until it was asked.
        clip: The human motion, without the past that it continues; None until it was made.
        listeners: Subscribers that the trajectory was sent to.
    """

    seed: int
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    start: RobotState | None = None
    lead: Splice | None = None
    measured: bool = False
    again: Callable[[], None] | None = None
    notes: list[str] = field(default_factory=list)
    result: GateResult | None = None
    clip: MotionClip | None = None
    listeners: int = 0
