"""Training and measurement of all unfinished rows and seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nextscale_core.exceptions import ConfigError
from nextscale_lab.evaluate.evaluator import Evaluator
from nextscale_lab.experiments.measure import Measurer
from nextscale_lab.experiments.models import Models
from nextscale_lab.experiments.results import RowResult, finished, result_path, write_result
from nextscale_lab.experiments.study import Study

Say = Callable[[str], None]


def run_rows(
    study: Study,
    names: Sequence[str],
    *,
    data: Path,
    tokenizer: Path,
    runs: Path,
    seeds: int,
    evaluator: Evaluator | None,
    cache: Path | None = None,
    say: Say = lambda line: None,
) -> list[RowResult]:
    """Train and measure rows, seed by seed; finished ones are kept.

    Args:
        study: The rows.
        names: Rows to run; 'all' for all.
        data: CMU or HumanML3D folder.
        tokenizer: Folder of the trained tokenizer of several scales.
        runs: Folder of models and results.
        seeds: Number of seeds: 0, 1, ...
        evaluator: Text and motion encoder of the metrics; None to train only.
        cache: Folder of encoded training libraries; None for one in `runs`.
        say: Called with one line per row and seed.

    Returns:
        The results of all rows and seeds.

    Raises:
        ConfigError: an unknown row, or settings that do not fit the tokenizer.
    """
    if seeds < 1:
        raise ConfigError(f"seeds must be at least 1, got {seeds}")
    rows = study.choose(names)
    models = Models(study, data, tokenizer, runs, cache)
    for row in rows:
        # Raises before the training.
        if row.has_scales:
            models.sampling(row)
    measurer = Measurer(models, evaluator, data) if evaluator else None
    out = []
    for seed in range(seeds):
        for row in rows:
            if measurer is None:
                budget = models.prepare(row, seed)
                say(f"{row.name}, seed {seed}: trained in {budget['train_seconds']:.0f} s")
                continue
            result = finished(runs, row.name, seed, measurer.settings(row))
            if result is None:
                result = measurer.measure(row, seed)
                write_result(runs, result)
            say(f"{row.name}, seed {seed}: {result_path(runs, row.name, seed).name}")
            out.append(result)
    return out
