"""`evaluate_models`: the field's figures and physics for any text-to-motion model.

How the figures are taken, where small data asks for a choice:

- Each repeat takes one caption of every clip at random. R-precision shuffles the clips anew into
  pools of 32 (fewer when the split has fewer clips) and does so as often as it takes to rank 256
  texts; what does not fill a pool sits out that shuffle.
- A model makes `generations` motions for each clip, each from a random caption and with a seed
  of its own, as long as the clip (1 to 9.8 s). Each repeat takes one of them at random for each
  clip, with its caption. So repeats share motions, and the interval is a little too narrow; as
  many generations as repeats give the field's protocol.
- FID compares with all recorded clips of the split. Recorded motion is compared with itself,
  as in the field, and gives 0. With fewer clips than dimensions the value is too high for
  every row alike; the reconstruction, being paired with the recordings, is favoured by that.
- Diversity takes min(300, N // 2) disjoint pairs, MultiModality 10 captions x 10 seeds, and in
  each repeat 5 disjoint pairs of each ten.
- Intervals are 1.96 std / sqrt(repeats). They tell how sure the figure is for these clips, not
  for others.
- The error of the chosen duration is taken over all captions, each against its recording; its
  interval is over the captions. `constant_duration_error_s` in the settings is what the best
  constant would have.
- Real, reconstructed and generated motion go through the same `clip_to_features`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_lab.evaluate.duration import ChoosesSeconds, constant_error, duration_errors
from nextscale_lab.evaluate.evaluation_report import EvaluationReport, EvaluationRow
from nextscale_lab.evaluate.evaluator import Evaluator
from nextscale_lab.evaluate.metrics import Figure
from nextscale_lab.evaluate.reference import Reconstruct, reference_clips
from nextscale_lab.evaluate.repeats import Bench, Embedded, Plan


class Generator(Protocol):
    """What is measured: `MotionPipeline`, or anything that generates like it."""

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
    repeats: int = 20,
    generations: int = 3,
    captions: int = 10,
    motions: int = 10,
    seed: int = 0,
    batch: int = 16,
    reconstruct: Reconstruct | None = None,
    progress: bool = True,
) -> EvaluationReport:
    """Measure recorded, reconstructed and generated motion; see the module's text for how.

    Args:
        data: CMU or HumanML3D folder.
        split: 'val' or 'test'.
        models: Name -> model; none at all measures the recorded clips only.
        evaluator: The space to measure in.
        repeats: Repeats of every figure.
        generations: Motions that a model makes for each clip.
        captions: Captions for MultiModality.
        motions: Motions of each of those captions.
        seed: First of all seeds; the same seed gives every model the same captions and seeds.
        batch: Motions generated at once.
        reconstruct: Encodes and decodes a clip (`pipeline_reconstruction`); None leaves the
            row out.
        progress: Show bars on stderr.

    Raises:
        ConfigError: unknown split, too few clips, a name of a row used for a model, or an
            evaluator or model that returns what it should not.
        MotionFileError: no data in the folder.
    """
    plan = Plan(repeats, generations, captions, motions, seed, batch)
    taken = {"real", "reconstruction"} & set(models)
    if taken:
        raise ConfigError(f"a model cannot be called {min(taken)!r}: that is another row's name")
    clips = reference_clips(data, split)
    bench = Bench(clips, evaluator, plan)
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
        name: Name for the bar and errors.
        model: The model.
        progress: Show a bar on stderr.

    Raises:
        ConfigError: the model made another number of motions than it was asked for.
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
    return replace(row, duration_error_s=Figure.of(errors))


def _generate(
    bench: Bench,
    name: str,
    model: Generator,
    jobs: Sequence[tuple[int, int]],
    progress: bool,
) -> list[MotionClip]:
    """One motion for each (clip, caption), all with seeds of their own."""
    seconds = [min(max(len(bench.clips[n].clip) / FPS, MIN_SECONDS), MAX_SECONDS) for n, _ in jobs]
    # Motions of like length go together: nothing is computed on padding.
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


# The name under which experiments/measure.py imports it.
model_row = measure_model
