"""`evaluate_models`: the field's metrics and physics for any text-to-motion model.

Protocol, where small data requires a choice:

- Each repeat takes a random caption of every clip. R-precision shuffles the clips into pools of 32
  (fewer if the split has fewer clips) as often as needed to rank 256 texts; a rest that does not
  fill a pool is left out of that shuffle.
- A model generates `generations` motions of each clip's length (1 to 9.8 s), each from a random
  caption and with its own seed. Each repeat takes one of them at random per clip, with its
  caption. Repeats share motions, so that the interval is slightly too narrow; as many generations
  as repeats give the field's protocol.
- FID compares with all recorded clips of the split; recorded motion gives 0, as in the field.
  With fewer clips than dimensions the value is too high for every row alike, least for the
  reconstruction, which is paired with the recordings.
- Diversity takes min(300, N // 2) disjoint pairs, MultiModality 10 captions x 10 seeds with 5
  disjoint pairs per caption and repeat.
- Intervals are 1.96 std / sqrt(repeats), the uncertainty for these clips.
- The error of the chosen duration is taken over all captions, each against its recording, with an
  interval over the captions. `constant_duration_error_s` in the settings is the error of the best
  constant.
- Real, reconstructed and generated motion use the same `clip_to_features`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tqdm import tqdm

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_lab.evaluate.evaluation_report import EvaluationReport, EvaluationRow
from nextscale_lab.evaluate.evaluator import Evaluator
from nextscale_lab.evaluate.metrics import MetricValue
from nextscale_lab.evaluate.reference import Reconstruct, reference_clips
from nextscale_lab.evaluate.repeats import Bench, Embedded, EvaluationPlan


class Generator(Protocol):
    """A model with the method of `MotionPipeline` that is measured."""

    def generate_batch(
        self, texts: Sequence[str], *, seeds: Sequence[int], seconds: Sequence[float]
    ) -> list[MotionClip]:
        """One motion per text, seed and duration [s]."""
        ...


def evaluate_models(
    data: str | Path,
    split: str,
    models: Mapping[str, Generator],
    evaluator: Evaluator,
    *,
    plan: EvaluationPlan | None = None,
    reconstruct: Reconstruct | None = None,
    progress: bool = True,
) -> EvaluationReport:
    """Measure recorded, reconstructed and generated motion by the protocol of this module.

    Args:
        data: CMU or HumanML3D folder.
        split: 'val' or 'test'.
        models: Models by name; may be empty.
        evaluator: Text and motion encoder of the metrics.
        plan: Numbers of motions and repeats.
        reconstruct: Encodes and decodes a clip (`pipeline_reconstruction`); None omits the row.
        progress: Show progress bars on stderr.

    Raises:
        ConfigError: unknown split, too few clips, a model with the name of another row, or an
            invalid result of an evaluator or model.
        MotionFileError: no data in the folder.
    """
    taken = {"real", "reconstruction"} & set(models)
    if taken:
        raise ConfigError(f"a model cannot have the name {min(taken)!r} of another row")
    clips = reference_clips(data, split)
    bench = Bench(clips, evaluator, plan or EvaluationPlan())
    real = bench.row(bench.recorded(bench.real))
    again = None
    if reconstruct is not None:
        made = [
            reconstruct(clip.clip)
            for clip in tqdm(clips, desc="reconstruction", unit="clip", disable=not progress)
        ]
        frames = [one.frames for one in made]
        mpjpe = float(np.average([one.mpjpe_mm for one in made], weights=frames))
        draw = bench.recorded(bench.embed([one.clip for one in made]))
        again = bench.row(draw, mpjpe=mpjpe)
    rows = {name: measure_model(bench, name, model, progress) for name, model in models.items()}
    return EvaluationReport(real, again, rows, _settings(bench, Path(data), split))


def measure_model(
    bench: Bench, name: str, model: Generator, progress: bool = True
) -> EvaluationRow:
    """Generate all motions of a model and measure them.

    Args:
        bench: Recorded clips and the plan.
        name: Name in the progress bar and errors.
        model: The model.
        progress: Show a progress bar on stderr.

    Raises:
        ConfigError: the model returned another number of motions than sentences.
    """
    plan, count = bench.plan, len(bench.clips)
    rng = np.random.default_rng(plan.seed)
    chosen = np.stack([bench.captions(rng) for _ in range(plan.generations)])
    jobs = [(n, int(chosen[g, n])) for g in range(plan.generations) for n in range(count)]
    several = rng.permutation(count)[: plan.captions]
    own = bench.captions(rng)
    jobs += [(int(n), int(own[n])) for n in several for _ in range(plan.motions)]
    made = bench.embed(_generate(bench, name, model, jobs, progress))
    split = plan.generations * count
    repeated = Embedded(
        made.embeddings[:split].reshape(plan.generations, count, -1),
        made.physics[:split].reshape(plan.generations, count, -1),
    )
    groups = made.embeddings[split:].reshape(len(several), plan.motions, -1)
    row = bench.row(bench.generated(chosen, repeated), groups=groups)
    if not isinstance(model, ChoosesSeconds):
        return row
    recordings = [(clip.captions, len(clip.clip) / FPS) for clip in bench.clips]
    errors = duration_errors(model, recordings)
    return replace(row, duration_error_s=MetricValue.of(errors))


def _generate(
    bench: Bench, name: str, model: Generator, jobs: Sequence[tuple[int, int]], progress: bool
) -> list[MotionClip]:
    """One motion for each (clip, caption), each with its own seed."""
    seconds = [min(max(len(bench.clips[n].clip) / FPS, MIN_SECONDS), MAX_SECONDS) for n, _ in jobs]
    # Batches of similar length need little padding.
    order = sorted(range(len(jobs)), key=lambda job: seconds[job])
    out: dict[int, MotionClip] = {}
    with tqdm(
        total=len(jobs), desc=f"generating ({name})", unit="motion", disable=not progress
    ) as bar:
        for begin in range(0, len(order), bench.plan.batch):
            part = order[begin : begin + bench.plan.batch]
            clips = model.generate_batch(
                [bench.clips[jobs[job][0]].captions[jobs[job][1]] for job in part],
                seeds=[bench.plan.seed + job for job in part],
                seconds=[seconds[job] for job in part],
            )
            if len(clips) != len(part):
                raise ConfigError(f"{name} made {len(clips)} motions of {len(part)} sentences")
            out.update(zip(part, clips, strict=True))
            bar.update(len(part))
    return [out[job] for job in range(len(jobs))]


def _settings(bench: Bench, data: Path, split: str) -> dict[str, Any]:
    plan = bench.plan
    return {
        "data": data.resolve().name,
        "split": split,
        "clips": len(bench.clips),
        "evaluator": bench.evaluator.name,
        "repeats": plan.repeats,
        "generations": plan.generations,
        "seed": plan.seed,
        "pool_size": bench.pool,
        "shuffles_per_repeat": bench.rounds,
        "diversity_pairs": bench.pairs,
        "multimodality_captions": min(plan.captions, len(bench.clips)),
        "multimodality_motions": plan.motions,
        "embedding_width": bench.real.embeddings.shape[1],
        "fid_samples": len(bench.clips),
        "intervals": "1.96 std / sqrt(repeats)",
        "constant_duration_error_s": constant_error([len(c.clip) / FPS for c in bench.clips]),
    }


@runtime_checkable
class ChoosesSeconds(Protocol):
    """A model that predicts a duration, as `MotionPipeline` does."""

    def choose_seconds(self, text: str) -> float:
        """Duration for a sentence [s]."""
        ...


def duration_errors(
    model: ChoosesSeconds, recordings: Iterable[tuple[Sequence[str], float]]
) -> np.ndarray:
    """(N,) absolute duration errors [s], one per caption.

    Args:
        model: Predicts durations.
        recordings: Captions and real duration [s] of each recorded clip.
    """
    return np.array(
        [
            abs(model.choose_seconds(caption) - seconds)
            for captions, seconds in recordings
            for caption in captions
        ]
    )


def constant_error(seconds: Sequence[float]) -> float:
    """Mean error of the best constant duration, the median of the recordings [s]."""
    values = np.asarray(seconds, dtype=np.float64)
    return float(np.abs(values - np.median(values)).mean())
