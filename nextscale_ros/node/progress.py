"""Whether the work at hand is still wanted, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nextscale_core.exceptions import GenerationCancelled
from nextscale_ros.node.plan import Progress

_BEGINS = {"history": 0.0, "text": 0.03, "encode": 0.05, "generate": 0.06, "decode": 0.55}
"""Share of the work that is done when a stage of making the motion begins."""

_AFTER = {"targets": 0.6, "solve": 0.65, "resample": 0.88, "gate": 0.92, "message": 0.98}
"""The same for what follows once, when the motion is made."""


EXECUTE = "execute"
"""What follows the work: the controller executes the motion."""

STAGES = (*_BEGINS, *_AFTER, EXECUTE)
"""All stages that feedback names, in their order."""


class Watch:
    """Stops work that nobody wants, and tells how far the rest is.

    Args:
        stale: Whether the work has become pointless.
        tell: Hears of progress.
        steps: Passes for each of the model's scales; empty where they are unknown.
        texts: Number of sentences.
    """

    def __init__(
        self,
        stale: Callable[[], bool] = lambda: False,
        tell: Callable[[Progress], None] = lambda progress: None,
        steps: Sequence[int] = (),
        texts: int = 1,
    ) -> None:
        self._stale, self._tell, self._texts = stale, tell, max(texts, 1)
        self._ends = np.cumsum(np.asarray(steps, dtype=np.int64))
        self._text = 0
        self._done = 0.0
        self._passes = 0

    def check(self, where: str) -> None:
        """Go on only if the work is still wanted.

        Raises:
            GenerationCancelled: it is not.
        """
        if self._stale():
            raise GenerationCancelled(f"cancelled {where}")

    def stage(self, name: str) -> None:
        """A stage begins.

        Raises:
            GenerationCancelled: the work has become pointless.
        """
        self.check(f"before {name}")
        if name in _AFTER:
            self._say(name, _AFTER[name])
        elif name in _BEGINS:
            self._say(name, self._of_text(_BEGINS[name]))

    def passed(self, done: int, total: int) -> None:
        """The model has made a pass.

        Raises:
            GenerationCancelled: the work has become pointless.
        """
        self.check(f"after pass {done} of {total}")
        if done <= self._passes and self._text + 1 < self._texts:
            # Counting has begun anew: the next sentence.
            self._text += 1
        self._passes = done
        scale, scales = done, total
        if len(self._ends) and self._ends[-1] == total:
            # The pass that comes next belongs to the scale that is being made.
            scales = len(self._ends)
            scale = min(int(np.searchsorted(self._ends, done, side="right")) + 1, scales)
        begin, end = _BEGINS["generate"], _BEGINS["decode"]
        share = self._of_text(begin + (end - begin) * done / max(total, 1))
        self._say("generate", share, scale, scales)

    def _of_text(self, share: float) -> float:
        """The share of all sentences, from that of one."""
        whole = _AFTER["targets"]
        return (whole * self._text + share) / self._texts

    def _say(self, stage: str, done: float, scale: int = 0, scales: int = 0) -> None:
        self._done = max(self._done, min(done, 1.0))
        self._tell(Progress(stage, self._text, scale, scales, self._done))
