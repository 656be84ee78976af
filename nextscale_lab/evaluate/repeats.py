"""Rows of the report: one draw of captions and motions a repeat, and every figure of it."""

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
    Figure,
    diversity,
    fid,
    mm_dist,
    multimodality,
    r_precision,
)
from nextscale_lab.evaluate.physics import NAMES, physics_table
from nextscale_lab.evaluate.reference import ReferenceClip

POOL_SIZE = 32
RANKINGS = 256
"""Texts that each repeat ranks at least."""
DIVERSITY_PAIRS = 300


@dataclass(frozen=True)
class Plan:
    """How much is generated and how often it is measured.

    Attributes:
        repeats: Repeats of every figure.
        generations: Motions that a model makes for each clip.
        captions: Captions for MultiModality.
        motions: Motions of each of those captions.
        seed: First of all seeds; the same seed gives every model the same captions and seeds.
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
    """What one repeat measures: (N, D), (N, D) and (N, K) of physics."""

    texts: np.ndarray
    motions: np.ndarray
    physics: np.ndarray


@dataclass(frozen=True)
class Embedded:
    """Motions after all that is slow: (..., D) embeddings and (..., K) physics."""

    embeddings: np.ndarray
    physics: np.ndarray


class Bench:
    """The recorded clips, embedded once, and the rows that are measured against them."""

    def __init__(self, clips: Sequence[ReferenceClip], evaluator: Evaluator, plan: Plan) -> None:
        self.clips, self.evaluator, self.plan = clips, evaluator, plan
        sentences = [caption for clip in clips for caption in clip.captions]
        self._counts = np.array([len(clip.captions) for clip in clips])
        self._firsts = np.cumsum(self._counts) - self._counts
        self._sentences = embed_texts(evaluator, sentences)
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
        return Embedded(embed_motions(self.evaluator, features), physics_table(clips))

    def captions(self, rng: np.random.Generator) -> np.ndarray:
        """(N,) place of one random caption of each clip, among those of its clip."""
        return rng.integers(self._counts)

    def recorded(self, made: Embedded) -> Callable[[np.random.Generator], Draw]:
        """One motion for each clip, with a random caption of it."""

        def draw(rng: np.random.Generator) -> Draw:
            rows = self._firsts + self.captions(rng)
            return Draw(self._sentences[rows], made.embeddings, made.physics)

        return draw

    def generated(
        self, chosen: np.ndarray, made: Embedded
    ) -> Callable[[np.random.Generator], Draw]:
        """Motions (G, N, ...) made from captions `chosen` (G, N): one of G for each clip."""
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
        """All figures over all repeats."""
        values: dict[str, list[float]] = {}

        def note(name: str, value: float) -> None:
            values.setdefault(name, []).append(float(value))

        for repeat in range(self.plan.repeats):
            drawn = draw(np.random.default_rng([self.plan.seed, repeat, 0]))
            # Every row sees the same shuffles, so that rows differ by their motions only.
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
        first, second, third = (Figure.of(values[f"top{place}"]) for place in (1, 2, 3))
        ratio = [jerk / self._jerk for jerk in values["jerk_mps3"]] if self._jerk > 0 else None
        return EvaluationRow(
            r_precision=(first, second, third),
            fid=Figure.of(values["fid"]),
            mm_dist=Figure.of(values["mm_dist"]),
            diversity=Figure.of(values["diversity"]),
            multimodality=Figure.of(values["multimodality"]) if groups is not None else None,
            foot_skate_ratio=Figure.of(values["foot_skate_ratio"]),
            contact_speed_mps=_if_known(values.get("contact_speed_mps")),
            ground_penetration_mm=Figure.of(values["ground_penetration_mm"]),
            jerk_mps3=Figure.of(values["jerk_mps3"]),
            jerk_ratio=_if_known(ratio),
            bone_deviation_mm=Figure.of(values["bone_deviation_mm"]),
            mpjpe_mm=None if mpjpe is None else Figure(mpjpe, 0.0),
        )


def _if_known(values: list[float] | None) -> Figure | None:
    return Figure.of(values) if values else None
