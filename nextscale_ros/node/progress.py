"""Progress of the work on one request, and its cancellation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nextscale_core.exceptions import GenerationCancelled
from nextscale_core.motion.constraints import Residual
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.stopwatch import Stopwatch
from nextscale_ros.action import GenerateMotion

Adapt = Callable[[Robot, RobotTrajectory, list[str]], RobotTrajectory]
"""Changes a trajectory for what executes it, and adds remarks to a list."""

_BEGINS = {
    "history": 0.0,
    "text": 0.03,
    "encode": 0.05,
    "generate": 0.06,
    "decode": 0.50,
    "stop": 0.52,
}
"""Share of the work on one sentence that precedes a stage of generation."""

_AFTER = {"targets": 0.6, "solve": 0.65, "resample": 0.88, "gate": 0.92, "message": 0.98}
"""Share of all work that precedes a stage of retargeting."""

EXECUTE = "execute"
"""Stage after the work: the controller executes the motion."""

STAGES = (*_BEGINS, *_AFTER, EXECUTE)
"""All stages that feedback names, in their order."""


class ProgressTracker:
    """Collects stage times and notes of one request, sends feedback and stops unwanted work.

    Args:
        seed: Seed of the request.
        stale: Whether the work has become pointless.
        feedback: Called at each stage and each pass of the model.
        steps: Passes for each of the model's scales; empty where unknown.
        texts: Number of sentences.

    Attributes:
        seed: As given.
        stopwatch: Times of the stages.
        notes: Remarks on how the motion continues the robot's past, for the report.
        adaptations: Remarks on how it was changed for what executes it, for the report.
        unknown: Remarks on sentences that are out of the reach of the model, and on motions that do
            not show them.
        residuals: How well the motion meets the constraints of the request, at the robot's size.
    """

    def __init__(
        self,
        seed: int = 0,
        stale: Callable[[], bool] = lambda: False,
        feedback: Callable[[GenerateMotion.Feedback], None] = lambda message: None,
        steps: Sequence[int] = (),
        texts: int = 1,
    ) -> None:
        self.seed = seed
        self.stopwatch = Stopwatch(entered=self.stage)
        self.notes: list[str] = []
        self.adaptations: list[str] = []
        self.unknown: list[str] = []
        self.residuals: tuple[Residual, ...] = ()
        self._stale, self._feedback, self._texts = stale, feedback, max(texts, 1)
        self._ends = np.cumsum(np.asarray(steps, dtype=np.int64))
        self._text = 0
        self._done = 0.0
        self._passes = 0

    def check(self, where: str) -> None:
        """Raise GenerationCancelled if the work has become pointless."""
        if self._stale():
            raise GenerationCancelled(f"cancelled {where}")

    def stage(self, name: str) -> None:
        """Enter a stage; raises as `check`."""
        self.check(f"before {name}")
        if name in _AFTER:
            self._send(name, _AFTER[name])
        elif name in _BEGINS:
            self._send(name, self._share(_BEGINS[name]))

    def passed(self, done: int, total: int) -> None:
        """Count a pass of the model; raises as `check`."""
        self.check(f"after pass {done} of {total}")
        if done <= self._passes and self._text + 1 < self._texts:
            # The count has restarted with the next sentence.
            self._text += 1
        self._passes = done
        scale, scales = done, total
        if len(self._ends) and self._ends[-1] == total:
            # The next pass belongs to the scale in progress.
            scales = len(self._ends)
            scale = min(int(np.searchsorted(self._ends, done, side="right")) + 1, scales)
        begin, end = _BEGINS["generate"], _BEGINS["decode"]
        share = self._share(begin + (end - begin) * done / max(total, 1))
        self._send("generate", share, scale, scales)

    def _share(self, share: float) -> float:
        """The share of all sentences' work, from that of the current one."""
        return (_AFTER["targets"] * self._text + share) / self._texts

    def _send(self, stage: str, done: float, scale: int = 0, scales: int = 0) -> None:
        self._done = max(self._done, min(done, 1.0))
        self._feedback(
            GenerateMotion.Feedback(
                stage=stage, text=self._text, scale=scale, scales=scales, done=self._done
            )
        )
