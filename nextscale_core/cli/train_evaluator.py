"""`nextscale train evaluator`: the model that generated motion is measured with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluator(
    data: Annotated[Path, typer.Option("--data", help="CMU folder or HumanML3D folder.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run; made if missing.")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")] = 1000,
    width: Annotated[int, typer.Option(help="Channels of both encoders.")] = 192,
    dim: Annotated[int, typer.Option(help="Width of the common space.")] = 128,
    batch_size: Annotated[int, typer.Option(min=2, help="Pairs in a batch.")] = 64,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="Peak learning rate.")
    ] = 5e-4,
    eval_every: Annotated[
        int, typer.Option("--eval-every", min=1, help="Steps between validations.")
    ] = 100,
    max_minutes: Annotated[
        float, typer.Option("--max-minutes", min=0, help="Stop after that long; 0 for no limit.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the run.")] = 0,
    precision: Annotated[str, typer.Option("--precision", help="auto, no, bf16 or fp16.")] = "no",
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="CPU threads; 0 leaves the choice to torch.")
    ] = 0,
    name: Annotated[str, typer.Option(help="Name of the evaluator in reports.")] = "evaluator-cmu",
) -> None:
    """Train the evaluator: text and motion in one space, by contrast (TMR).

    The best weights, in fp16, are ready for `nextscale evaluate --evaluator OUT/evaluator`.
    """
    # Here, as `train` imports this file.
    from nextscale_core.cli.train import _fit, _use_threads
    from nextscale_core.evaluation.evaluator_model import EvaluatorConfig
    from nextscale_core.training.evaluator import pack_evaluator, train_evaluator
    from nextscale_core.training.loop import RunConfig
    from nextscale_core.training.ranks import is_main_process

    _use_threads(threads)
    run = RunConfig(
        out=out,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=min(100, steps),
        weight_decay=0.1,
        ema=0.99,
        eval_every=eval_every,
        max_minutes=max_minutes,
        seed=seed,
        precision=precision,
    )
    config = EvaluatorConfig(name=name, width=width, dim=dim)
    _fit(run, lambda: train_evaluator(data, run, config))
    if is_main_process():
        pack_evaluator(out / "best", out / "evaluator")
        typer.echo(f"wrote {out / 'evaluator'}; use it with --evaluator {out / 'evaluator'}")
