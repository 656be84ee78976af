"""Measurement of a row with one seed: guidance chosen on val, metrics on test, prompt suite."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.kinds import load_tokenizer
from nextscale_core.motion.clip import MotionClip
from nextscale_core.pipeline import MotionPipeline
from nextscale_lab.captions.verbs import count_verbs
from nextscale_lab.data.samples import Sample
from nextscale_lab.evaluate.benchmark import measure_model
from nextscale_lab.evaluate.best_of import BestOf
from nextscale_lab.evaluate.evaluation_report import EvaluationRow
from nextscale_lab.evaluate.evaluator import Evaluator, embed_texts
from nextscale_lab.evaluate.metrics import MetricValue
from nextscale_lab.evaluate.physics import NAMES, physics_table
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite, run_prompt_suite
from nextscale_lab.evaluate.reference import (
    ReferenceClip,
    pipeline_reconstruction,
    reference_clips,
)
from nextscale_lab.evaluate.repeats import Bench, EvaluationPlan
from nextscale_lab.experiments.document import STRUCTURE
from nextscale_lab.experiments.models import AnyPipeline, Models
from nextscale_lab.experiments.results import RowResult
from nextscale_lab.experiments.settings import Row
from nextscale_lab.train.tokenizer import evaluate_tokenizer

_SEED_STRIDE = 100_000
"""Distance of the sampling seeds of consecutive training seeds."""


class Measurer:
    """Measurement of rows.

    Args:
        models: Trained models.
        evaluator: Text and motion encoder of the metrics.
        data: CMU or HumanML3D folder.
    """

    def __init__(self, models: Models, evaluator: Evaluator, data: Path) -> None:
        self.models, self.evaluator, self.data = models, evaluator, data
        self.measuring = models.study.measuring
        self._choices: dict[tuple, tuple[float, dict[str, float]]] = {}
        self._structures: dict[tuple, dict[str, float]] = {}
        self._clips = lru_cache(maxsize=None)(self._read_clips)
        self._tokenizer_facts = lru_cache(maxsize=None)(self._read_tokenizer_facts)
        # A digest of embeddings distinguishes evaluators of the same name.
        words = embed_texts(evaluator, ["a person walks forward and sits down"])
        digest = hashlib.sha256(np.round(words, 4).tobytes()).hexdigest()[:16]
        self.evaluator_digest = f"{evaluator.name} {digest}"

    def settings(self, row: Row) -> dict[str, Any]:
        """Settings that determine a row's metrics, apart from the seed."""
        out: dict[str, Any] = {
            "kind": row.kind,
            "verbs": row.verbs,
            "measuring": asdict(self.measuring),
            "evaluator": self.evaluator_digest,
            **self.models.sources,
        }
        if row.kind != "retrieval":
            out |= {"training": asdict(row.training), "sampling": asdict(row.sampling)}
        if row.kind == "next-token":
            out["single_scale"] = asdict(self.models.study.single_scale)
        if row.kind == "scalemogen":
            out["skeletal"] = asdict(row.skeletal)
        return out

    def measure(self, row: Row, seed: int) -> RowResult:
        """Train the row's models, choose its guidance on val, and measure it on test."""
        budget = dict(self.models.prepare(row, seed))
        guidance, val = self._choose(row, seed)
        model = _Timed(self.models.pipeline(row, seed, guidance))
        clips = self._clips("test", row.verbs)
        bench = Bench(clips, self.evaluator, self._plan(seed))
        test = means_of(measure_model(bench, row.name, model, True))
        real = means_of(bench.row(bench.recorded(bench.real)))
        budget["motion_seconds"] = round(model.seconds / max(model.count, 1), 4)
        budget |= self._token_facts(row)
        if isinstance(model.pipeline, BestOf):
            tokens = (self.models.tokenizer_folder(row), row.verbs)
            if tokens not in self._structures:
                self._structures[tokens] = _structure(bench, model.pipeline.pipeline)
            budget["reconstruction"] = self._structures[tokens]
        about = {
            "data": self.data.resolve().name,
            "test clips": len(clips),
            "test captions": sum(len(clip.captions) for clip in clips),
            "val clips": len(self._clips("val", None)),
            "evaluator": self.evaluator.name,
            "pools of": bench.pool,
            "motions per clip": self.measuring.generations,
            "repeats": self.measuring.repeats,
        }
        battery = self._battery(row, model, seed)
        return RowResult(
            row.name, seed, self.settings(row), budget, guidance, val, test, real, battery, about
        )

    def _plan(self, seed: int) -> EvaluationPlan:
        m = self.measuring
        first = _SEED_STRIDE * (seed + 1)
        return EvaluationPlan(
            m.repeats, m.generations, m.captions, m.motions, seed=first, batch=m.batch
        )

    def _choose(self, row: Row, seed: int) -> tuple[float, dict[str, float]]:
        """The best guidance factor on val, and its metrics there."""
        # Rows that differ in their captions only share models and guidance.
        key = (row.kind, row.training, row.sampling, row.skeletal, seed)
        if key not in self._choices:
            plan = replace(self._plan(seed), generations=1, captions=1, motions=2)
            bench = Bench(self._clips("val", None), self.evaluator, plan)
            factors = (1.0,) if row.kind == "retrieval" else self.measuring.guidance_choices
            found = []
            for factor in factors:
                model = _Timed(self.models.pipeline(row, seed, factor))
                label = f"{row.name} on val, guidance x{factor:g}"
                metrics = means_of(measure_model(bench, label, model, True))
                # Two motions of one caption are too few for MultiModality.
                metrics.pop("multimodality", None)
                found.append((factor, metrics))
            best = min(found, key=lambda one: badness(one[1], self.measuring.choose_by))
            self._choices[key] = best
        return self._choices[key]

    def _battery(self, row: Row, model: _Timed, seed: int) -> float | None:
        m = self.measuring
        if not m.battery_seeds or row.verbs is not None:
            return None
        first = _SEED_STRIDE * (seed + 1)
        seeds = range(first, first + m.battery_seeds)
        return run_prompt_suite(
            model, load_prompt_suite(core=m.battery_core), seeds, name=row.name
        ).rate

    def _token_facts(self, row: Row) -> dict[str, Any]:
        """Passes, scales, and reconstruction error of the row's tokenizer on test [mm]."""
        if row.kind == "retrieval":
            return {}
        by_token = row.kind == "next-token"
        passes = "one a token" if by_token else sum(self.models.sampling(row).steps)
        return {"passes": passes, **self._tokenizer_facts(self.models.tokenizer_folder(row))}

    def _read_tokenizer_facts(self, folder: Path) -> dict[str, Any]:
        tokenizer = load_tokenizer(folder).eval()
        samples = [Sample(c.id, c.features, c.captions) for c in self._clips("test", None)]
        metrics = evaluate_tokenizer(tokenizer, samples, torch.device("cpu"))
        return {
            "divisors": list(tokenizer.quantizer.schedule.divisors),
            "reconstruction_mpjpe_mm": round(metrics["mpjpe_mm"], 2),
        }

    def _read_clips(self, split: str, verbs: tuple[int, int] | None) -> tuple[ReferenceClip, ...]:
        if verbs is None:
            return reference_clips(self.data, split)
        chosen = tuple(
            replace(clip, captions=own)
            for clip in self._clips(split, None)
            if (own := tuple(c for c in clip.captions if verbs[0] <= count_verbs(c) <= verbs[1]))
        )
        if len(chosen) < 8:
            raise ConfigError(
                f"split {split} has {len(chosen)} clips with captions of {verbs[0]} to {verbs[1]} "
                "verbs, 8 are needed"
            )
        return chosen


class _Timed:
    """A pipeline that measures its processor time."""

    def __init__(self, pipeline: AnyPipeline) -> None:
        self.pipeline = BestOf(pipeline) if isinstance(pipeline, MotionPipeline) else pipeline
        self.seconds, self.count = 0.0, 0

    def generate_batch(
        self, texts: Sequence[str], *, seeds: Sequence[int], seconds: Sequence[float] | None = None
    ) -> list[MotionClip]:
        began = time.process_time()
        clips = self.pipeline.generate_batch(texts, seeds=seeds, seconds=seconds)
        self.seconds += time.process_time() - began
        self.count += len(clips)
        return clips


def _structure(bench: Bench, pipeline: MotionPipeline) -> dict[str, float]:
    """Bones and joint angles of the recorded clips through a tokenizer."""
    through = pipeline_reconstruction(pipeline)
    made = physics_table([through(clip.clip).clip for clip in bench.clips], bench.ranges)
    return {name: round(float(made[:, NAMES.index(name)].mean()), 6) for name, *_ in STRUCTURE}


def means_of(row: EvaluationRow) -> dict[str, float]:
    """Means of a row's metrics by name."""
    out = {f"r_precision_{k}": figure.mean for k, figure in enumerate(row.r_precision, start=1)}
    for name, figure in vars(row).items():
        if isinstance(figure, MetricValue):
            out[name] = figure.mean
    return {name: round(value, 6) for name, value in out.items()}


def badness(metrics: Mapping[str, float], choose_by: str) -> float:
    """Criterion on val; smaller is better."""
    if choose_by == "r_precision":
        return -metrics["r_precision_3"]
    return metrics[choose_by]
