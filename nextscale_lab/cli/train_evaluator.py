"""`nextscale train evaluator`: the model that generated motion is measured with."""

from __future__ import annotations

from typing import Annotated

import typer

from nextscale_lab.cli.training import (
    Data,
    EvalEvery,
    Minutes,
    OnBadData,
    Out,
    Precision,
    Rate,
    Seed,
    Steps,
    Threads,
    fit,
    use_threads,
)


def evaluator(
    data: Data,
    out: Out,
    steps: Steps = 1000,
    width: Annotated[int, typer.Option(help="Channels of both encoders.")] = 192,
    dim: Annotated[int, typer.Option(help="Width of the common space.")] = 128,
    batch_size: Annotated[int, typer.Option(min=2, help="Pairs in a batch.")] = 64,
    learning_rate: Rate = 5e-4,
    eval_every: EvalEvery = 100,
    max_minutes: Minutes = 0.0,
    seed: Seed = 0,
    precision: Precision = "no",
    on_bad_data: OnBadData = "refuse",
    threads: Threads = 0,
    name: Annotated[str, typer.Option(help="Name of the evaluator in reports.")] = "evaluator-cmu",
) -> None:
    """Train the evaluator: text and motion in one space, by contrast (TMR).

    The best weights, in fp16, are ready for `nextscale evaluate --evaluator OUT/evaluator`.
    """
    from nextscale_lab.evaluate.evaluator_model import EvaluatorConfig
    from nextscale_lab.ranks import is_main_process
    from nextscale_lab.train.evaluator import pack_evaluator, train_evaluator
    from nextscale_lab.train.loop import RunConfig

    use_threads(threads)
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
        on_bad_data=on_bad_data,
    )
    config = EvaluatorConfig(name=name, width=width, dim=dim)
    fit(run, lambda: train_evaluator(data, run, config))
    if is_main_process():
        pack_evaluator(out / "best", out / "evaluator")
        typer.echo(f"wrote {out / 'evaluator'}; use it with --evaluator {out / 'evaluator'}")
