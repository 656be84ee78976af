"""Rows of the report: metrics over repeats with random captions and motions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import clip_to_features
from nextscale_lab.evaluate.evaluation_report import EvaluationRow
from nextscale_lab.evaluate.evaluator import Evaluator, embed_motions, embed_texts
from nextscale_lab.evaluate.metrics import (
    MetricValue,
    diversity,
    fid,
    mm_dist,
    multimodality,
    r_precision,
)
from nextscale_lab.evaluate.physics import NAMES, AngleRanges, physics_table
from nextscale_lab.evaluate.reference import ReferenceClip

POOL_SIZE = 32
RANKINGS = 256
"""Minimum number of ranked texts per repeat."""
DIVERSITY_PAIRS = 300


@dataclass(frozen=True)
class EvaluationPlan:
    """Numbers of motions and repeats.

    Attributes:
        repeats: Repeats of every metric.
        generations: Generated motions per clip.
        captions: Captions for MultiModality.
        motions: Motions per such caption.
        seed: First random seed; equal seeds give all models equal captions and seeds.
        batch: Motions generated at once.
    """

    repeats: int = 20
    generations: int = 3
    captions: int = 10
    motions: int = 10
    seed: int = 0
    batch: int = 16

    def __post_init__(self) -> None:
        lowest = {"motions": 2, "seed": 0}
        for name in ("repeats", "generations", "captions", "motions", "seed", "batch"):
            value, low = getattr(self, name), lowest.get(name, 1)
            if not isinstance(value, int) or value < low:
                raise ConfigError(f"{name} must be a whole number from {low} on, got {value!r}")


@dataclass(frozen=True)
class Draw:
    """Data of one repeat: (N, D) texts, (N, D) motions and (N, K) physics."""

    texts: np.ndarray
    motions: np.ndarray
    physics: np.ndarray


@dataclass(frozen=True)
class Embedded:
    """(..., D) embeddings and (..., K) physics of motions."""

    embeddings: np.ndarray
    physics: np.ndarray


class Bench:
    """The embedded recorded clips and the measurement of rows against them."""

    def __init__(
        self, clips: Sequence[ReferenceClip], evaluator: Evaluator, plan: EvaluationPlan
    ) -> None:
        self.clips, self.evaluator, self.plan = clips, evaluator, plan
        sentences = [caption for clip in clips for caption in clip.captions]
        self._counts = np.array([len(clip.captions) for clip in clips])
        self._firsts = np.cumsum(self._counts) - self._counts
        self._sentences = embed_texts(evaluator, sentences)
        self.ranges = AngleRanges.of([clip.clip for clip in clips])
        self.real = self.embed([c.clip for c in clips], [c.features for c in clips])
        self.pool = min(POOL_SIZE, len(clips))
        self.rounds = math.ceil(RANKINGS / (len(clips) // self.pool * self.pool))
        self.pairs = min(DIVERSITY_PAIRS, len(clips) // 2)
        self._jerk = float(self.real.physics[:, NAMES.index("jerk_mps3")].mean())

    def embed(
        self, clips: Sequence[MotionClip], features: Sequence[np.ndarray] | None = None
    ) -> Embedded:
        """Embeddings and physics of motions."""
        features = features or [clip_to_features(clip) for clip in clips]
        return Embedded(embed_motions(self.evaluator, features), physics_table(clips, self.ranges))

    def captions(self, rng: np.random.Generator) -> np.ndarray:
        """(N,) index of a random caption of each clip."""
        return rng.integers(self._counts)

    def recorded(self, made: Embedded) -> Callable[[np.random.Generator], Draw]:
        """Draws of one motion per clip with a random caption."""

        def draw(rng: np.random.Generator) -> Draw:
            rows = self._firsts + self.captions(rng)
            return Draw(self._sentences[rows], made.embeddings, made.physics)

        return draw

    def generated(
        self, chosen: np.ndarray, made: Embedded
    ) -> Callable[[np.random.Generator], Draw]:
        """Draws of one of G motions per clip, from motions (G, N, ...) of captions (G, N)."""
        texts = self._sentences[self._firsts + chosen]
        places = np.arange(len(self.clips))

        def draw(rng: np.random.Generator) -> Draw:
            which = rng.integers(len(chosen), size=len(places))
            return Draw(
                texts[which, places], made.embeddings[which, places], made.physics[which, places]
            )

        return draw

    def row(
        self,
        draw: Callable[[np.random.Generator], Draw],
        groups: np.ndarray | None = None,
        mpjpe: float | None = None,
    ) -> EvaluationRow:
        """Metrics over all repeats."""
        values: dict[str, list[float]] = {}

        def note(name: str, value: float) -> None:
            values.setdefault(name, []).append(float(value))

        for repeat in range(self.plan.repeats):
            drawn = draw(np.random.default_rng([self.plan.seed, repeat, 0]))
            # The same shuffles for every row.
            rng = np.random.default_rng([self.plan.seed, repeat, 1])
            shares = r_precision(
                drawn.texts, drawn.motions, rng, pool=self.pool, rounds=self.rounds
            )
            for place, share in enumerate(shares, start=1):
                note(f"top{place}", share)
            note("fid", fid(self.real.embeddings, drawn.motions))
            note("mm_dist", mm_dist(drawn.texts, drawn.motions))
            note("diversity", diversity(drawn.motions, self.pairs, rng))
            if groups is not None:
                note("multimodality", multimodality(groups, rng))
            for name, column in zip(NAMES, drawn.physics.T, strict=True):
                known = column[np.isfinite(column)]
                if len(known):
                    note(name, known.mean())
        if self._jerk > 0:
            values["jerk_ratio"] = [jerk / self._jerk for jerk in values["jerk_mps3"]]
        metrics = {name: MetricValue.of(own) for name, own in values.items()}
        first, second, third = (metrics.pop(f"top{place}") for place in (1, 2, 3))
        if mpjpe is not None:
            metrics["mpjpe_mm"] = MetricValue(mpjpe, 0.0)
        return EvaluationRow((first, second, third), **metrics)
