"""From a sentence to a reviewed trajectory: the calls into the core, without any message."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from nextscale_core.exceptions import GenerationCancelled
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget import (
    GateResult,
    Retargeter,
    Robot,
    RobotState,
    SafetyGate,
    with_approach,
)
from nextscale_core.stopwatch import Stopwatch
from nextscale_ros.parameters import MAX_SEED, Settings

WARM_UP_TEXT = "a person stands still"
WARM_UP_SECONDS = 2.0


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
        seconds: float | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: tuple[int, ...] | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> MotionClip:
        """A motion for the sentence."""
        ...


@dataclass
class Plan:
    """What came of one sentence.

    Attributes:
        seed: Seed of the sample.
        stopwatch: Seconds by stage.
        start: The measured state the trajectory begins in, or None.
        result: The safety gate's answer; None until it was asked.
        listeners: Subscribers that the trajectory was sent to.
    """

    seed: int
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    start: RobotState | None = None
    result: GateResult | None = None
    listeners: int = 0


class Planner:
    """Generates, retargets and reviews.

    Args:
        pipeline: The motion model.
        robot: The robot.
        rate: Points per second of the trajectory [Hz].
    """

    def __init__(self, pipeline: MotionSource, robot: Robot, rate: float) -> None:
        self.robot = robot
        self.pipeline = pipeline
        self._rate = rate
        self._retargeter = Retargeter(robot)
        self._gate = SafetyGate(robot)

    def warm_up(self) -> Stopwatch:
        """Go the whole way once, so that the first sentence does not pay for it."""
        plan = Plan(seed=0)
        self.fill(plan, WARM_UP_TEXT, Settings(seconds=WARM_UP_SECONDS), lambda: None)
        return plan.stopwatch

    def fill(
        self,
        plan: Plan,
        text: str,
        settings: Settings,
        measured: Callable[[], RobotState | None],
        stale: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do the work and write it into `plan`, which stays readable when this raises.

        Args:
            plan: Takes the stages, the start state and the result.
            text: A sentence that `validate_sentence` has passed.
            settings: Length, guidance and so on.
            measured: Gives the robot's state, or None; asked as late as possible.
            stale: Whether the work has become pointless.

        Raises:
            GenerationCancelled: `stale` said so.
            NextscaleError: generation or retargeting failed, or `measured` raised it.
        """

        def progress(done: int, total: int) -> None:
            if stale():
                raise GenerationCancelled(f"cancelled after pass {done} of {total}")

        clip = self.pipeline.generate(
            text,
            seconds=settings.seconds,
            seed=plan.seed,
            guidance=settings.guidance,
            steps=settings.steps,
            stopwatch=plan.stopwatch,
            progress=progress,
        )
        plan.start = measured()
        trajectory = self._retargeter.retarget(
            clip, rate=self._rate, start=plan.start, stopwatch=plan.stopwatch
        )
        if plan.start is None:
            trajectory = with_approach(self.robot, trajectory)
        if stale():
            raise GenerationCancelled("cancelled after retargeting")
        with plan.stopwatch.stage("gate"):
            plan.result = self._gate.review(trajectory, start=plan.start)


def choose_seed(settings: Settings) -> int:
    """The seed of the settings, or a new one."""
    return secrets.randbelow(MAX_SEED) if settings.seed is None else settings.seed
