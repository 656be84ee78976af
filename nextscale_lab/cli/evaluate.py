"""`nextscale evaluate`: R-precision, FID and physics of models on recorded clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nextscale_core.exceptions import ConfigError
from nextscale_lab.cli.train import OnBadData

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline

_DEFAULT_MODEL = "moscale-cmu"


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="CMU folder or HumanML3D folder.")],
    json_path: Annotated[
        Path, typer.Option("--json", help="File for the whole report.", dir_okay=False)
    ],
    split: Annotated[str, typer.Option(help="val or test.")] = "val",
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"Name or folder of a model; may be repeated; default {_DEFAULT_MODEL}."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of every metric.")] = 20,
    generations: Annotated[
        int, typer.Option(min=1, help="Generated motions per clip; the repeats draw from them.")
    ] = 3,
    captions: Annotated[int, typer.Option(min=1, help="Captions for MultiModality.")] = 10,
    motions: Annotated[int, typer.Option(min=2, help="Motions per such caption.")] = 10,
    evaluator: Annotated[
        str,
        typer.Option(help="Name or folder of an evaluator, or FILE.py:FUNCTION that makes one."),
    ] = "evaluator-cmu",
    seed: Annotated[int, typer.Option(min=0, help="First random seed.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Motions generated at once.")] = 16,
    device: Annotated[str, typer.Option(help="Torch device.")] = "cpu",
    on_bad_data: OnBadData = "refuse",
    markdown: Annotated[
        Path | None, typer.Option(help="File for the tables in Markdown.", dir_okay=False)
    ] = None,
) -> None:
    """Measure models against recorded clips: R-precision, FID, diversity, feet, smoothness.

    The row 'reconstruction' uses the tokenizer of the first model.

    nextscale evaluate --data DATA --split val --json report.json --markdown report.md
    """
    # `nextscale_core.cli` loads this module as an entry point, so that it cannot be imported above.
    from nextscale_core.cli.outputs import check_files

    check_files((json_path, markdown), (evaluator.partition(":")[0],))
    # Loading torch takes seconds, which `nextscale --help` does not need.
    from nextscale_core.motion.formats import bad_data
    from nextscale_core.npz import write_text
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_lab.evaluate.benchmark import evaluate_models
    from nextscale_lab.evaluate.best_of import BestOf
    from nextscale_lab.evaluate.evaluator import load_evaluator
    from nextscale_lab.evaluate.reference import pipeline_reconstruction
    from nextscale_lab.evaluate.repeats import EvaluationPlan

    judge = load_evaluator(evaluator, device)
    pipelines: dict[str, MotionPipeline] = {}
    for name in model or [_DEFAULT_MODEL]:
        pipeline = MotionPipeline.from_pretrained(name, device=device)
        # Reports hold the name of a folder, not its path.
        if pipeline.name in pipelines:
            raise ConfigError(f"two models have the name {pipeline.name!r}; rename one folder")
        pipelines[pipeline.name] = pipeline
    first = next(iter(pipelines.values()))
    with bad_data.on_bad_data(on_bad_data):
        report = evaluate_models(
            data,
            split,
            {name: BestOf(pipeline) for name, pipeline in pipelines.items()},
            judge,
            plan=EvaluationPlan(repeats, generations, captions, motions, seed, batch),
            reconstruct=pipeline_reconstruction(first),
        )
    text = json.dumps(report.to_dict(), indent=2, allow_nan=False)
    write_text(json_path, text + "\n")
    if markdown:
        write_text(markdown, report.markdown() + "\n")
    console = Console()
    for header, *rows in report.tables():
        table = Table(*header)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    typer.echo(f"report: {json_path}")
