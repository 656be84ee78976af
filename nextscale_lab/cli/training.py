"""What the commands of `nextscale train` share: options, and how a run is started and ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nextscale_lab.train.loop import RunConfig

Data = Annotated[
    list[Path],
    typer.Option("--data", help="CMU folder (clips.jsonl) or HumanML3D folder; may be repeated."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run; made if missing.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")]
Minutes = Annotated[
    float, typer.Option("--max-minutes", min=0, help="Stop after that long; 0 for no limit.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the run.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", help="no, bf16, fp16, or auto: bf16 where the processor is fast at it."
    ),
]
Rate = Annotated[float, typer.Option("--learning-rate", help="Peak learning rate.")]
EvalEvery = Annotated[int, typer.Option("--eval-every", min=1, help="Steps between validations.")]
SaveMinutes = Annotated[
    float, typer.Option("--save-minutes", min=0, help="Minutes between checkpoints.")
]
OnBadData = Annotated[
    str,
    typer.Option("--on-bad-data", help="refuse: end at a broken file or line; skip: leave it out."),
]
Frames = Annotated[
    int, typer.Option("--frames", "--batch-size", min=1, help="Frames in a batch, over all GPUs.")
]
Threads = Annotated[
    int, typer.Option("--threads", min=0, help="CPU threads; 0 leaves the choice to torch.")
]


def use_threads(threads: int) -> None:
    """Limit torch to so many threads; 0 leaves the choice to torch."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def fit(run: RunConfig, train: Callable[[], dict[str, float]]) -> None:
    """Train, and say where the weights are or how to go on."""
    from nextscale_lab.ranks import is_main_process
    from nextscale_lab.train.distributed import TrainingStopped

    try:
        figures = train()
    except TrainingStopped as stopped:
        if is_main_process():
            typer.echo(f"{stopped}; the same command goes on from there", err=True)
        raise typer.Exit(stopped.exit_code) from stopped
    if is_main_process():
        typer.echo(json.dumps({name: round(value, 4) for name, value in figures.items()}))
        typer.echo(f"the best weights are in {run.out / 'best'}, the last in {run.out / 'last'}")
