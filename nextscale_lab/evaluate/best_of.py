"""`BestOf`: a pipeline with a fixed number of candidates, as the measurements call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.pipeline import MotionPipeline


@dataclass(frozen=True)
class BestOf:
    """A pipeline that makes a number of candidates of each motion; 1 for what the model samples.

    Attributes:
        pipeline: The pipeline.
        candidates: Motions sampled for each sentence.
        first: The first motion of every batch.
    """

    pipeline: MotionPipeline
    candidates: int = 1
    first: list[MotionClip] = field(default_factory=list)

    def generate_batch(
        self, texts: Sequence[str], *, seeds: Sequence[int], seconds: Sequence[float] | None = None
    ) -> list[MotionClip]:
        """One motion per text and seed; see `MotionPipeline.generate_batch`."""
        clips = self.pipeline.generate_batch(
            texts, seeds=seeds, seconds=seconds, candidates=self.candidates
        )
        self.first.append(clips[0])
        return clips

    def __getattr__(self, name: str) -> Any:
        """What else the pipeline has, such as `choose_seconds`."""
        return getattr(self.pipeline, name)
