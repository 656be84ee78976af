"""`nextscale train`: the commands that make weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.train_evaluator import evaluator

if TYPE_CHECKING:
    from nextscale_core.training.loop import RunConfig

app = typer.Typer(
    help="Train a tokenizer or a generator; an interrupted run resumes where it stopped.",
    no_args_is_help=True,
)

Data = Annotated[Path, typer.Option("--data", help="CMU folder (clips.jsonl) or HumanML3D folder.")]
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


@app.command()
def tokenizer(
    data: Data,
    out: Out,
    steps: Steps = 6000,
    width: Annotated[int, typer.Option(help="Channels of encoder and decoder.")] = 256,
    code_dim: Annotated[int, typer.Option(help="Width of a code.")] = 128,
    codes: Annotated[int, typer.Option(help="Codes in the codebook.")] = 512,
    frames: Frames = 3072,
    learning_rate: Rate = 4e-4,
    eval_every: EvalEvery = 200,
    save_minutes: SaveMinutes = 3.0,
    max_minutes: Minutes = 0.0,
    seed: Seed = 0,
    precision: Precision = "auto",
    on_bad_data: OnBadData = "refuse",
    threads: Threads = 0,
) -> None:
    """Train the motion tokenizer (MoScale's residual VQ-VAE, with a fifth scale)."""
    from nextscale_core.tokenizers.temporal import TokenizerConfig
    from nextscale_core.training.loop import RunConfig
    from nextscale_core.training.tokenizer import train_tokenizer

    _use_threads(threads)
    run = RunConfig(
        out=out,
        steps=steps,
        learning_rate=learning_rate,
        warmup=min(100, steps),
        weight_decay=0.01,
        ema=0.995,
        eval_every=eval_every,
        save_minutes=save_minutes,
        max_minutes=max_minutes,
        seed=seed,
        precision=precision,
        on_bad_data=on_bad_data,
    )
    config = TokenizerConfig(width=width, code_dim=code_dim, num_codes=codes)
    _fit(run, lambda: train_tokenizer(data, run, config, frames))


@app.command()
def decoder(
    data: Data,
    out: Out,
    tokenizer: Annotated[Path, typer.Option(help="Folder of a trained tokenizer.")],
    steps: Steps = 1000,
    frames: Frames = 3072,
    learning_rate: Rate = 4e-4,
    eval_every: EvalEvery = 250,
    save_minutes: SaveMinutes = 3.0,
    max_minutes: Minutes = 0.0,
    seed: Seed = 0,
    precision: Precision = "auto",
    on_bad_data: OnBadData = "refuse",
    threads: Threads = 0,
) -> None:
    """Fine-tune a tokenizer's decoder on fast actions; its tokens stay as they are."""
    from nextscale_core.training.decoder import train_decoder
    from nextscale_core.training.loop import RunConfig

    _use_threads(threads)
    run = RunConfig(
        out=out,
        steps=steps,
        learning_rate=learning_rate,
        warmup=min(50, steps),
        weight_decay=0.01,
        ema=0.995,
        eval_every=eval_every,
        save_minutes=save_minutes,
        max_minutes=max_minutes,
        seed=seed,
        precision=precision,
        on_bad_data=on_bad_data,
    )
    _fit(run, lambda: train_decoder(data, tokenizer, run, frames))


@app.command()
def generator(
    data: Data,
    out: Out,
    tokenizer: Annotated[Path, typer.Option(help="Folder of a trained tokenizer.")],
    steps: Steps = 6000,
    width: Annotated[int, typer.Option(help="Channels.")] = 192,
    depth: Annotated[int, typer.Option(help="Blocks.")] = 6,
    heads: Annotated[int, typer.Option(help="Attention heads.")] = 4,
    batch_size: Annotated[int, typer.Option(min=1, help="Motions in a batch, over all GPUs.")] = 64,
    corruption: Annotated[
        float, typer.Option(help="Largest share of corrupted coarser tokens (HR); 0 for none.")
    ] = 0.6,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the encoded data for the next run.")
    ] = None,
    initial: Annotated[
        Path | None, typer.Option(help="Folder of a trained generator to go on from.")
    ] = None,
    text_encoder: Annotated[
        str, typer.Option(help="all-MiniLM-L6-v2, a local folder or a cached hub name.")
    ] = "all-MiniLM-L6-v2",
    learning_rate: Rate = 6e-4,
    eval_every: EvalEvery = 250,
    save_minutes: SaveMinutes = 3.0,
    max_minutes: Minutes = 0.0,
    seed: Seed = 0,
    precision: Precision = "auto",
    on_bad_data: OnBadData = "refuse",
    threads: Threads = 0,
) -> None:
    """Train the MoScale transformer on a trained tokenizer's tokens."""
    from nextscale_core.generators.moscale import MoScaleConfig
    from nextscale_core.training.generator import ObjectiveConfig, train_generator
    from nextscale_core.training.loop import RunConfig

    _use_threads(threads)
    run = RunConfig(
        out=out,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=min(200, steps),
        ema=0.998,
        eval_every=eval_every,
        save_minutes=save_minutes,
        max_minutes=max_minutes,
        seed=seed,
        precision=precision,
        on_bad_data=on_bad_data,
    )
    config = MoScaleConfig(width=width, depth=depth, heads=heads, text_encoder=text_encoder)
    objective = ObjectiveConfig(corruption=corruption)
    _fit(
        run,
        lambda: train_generator(
            data, tokenizer, run, config, objective, cache=cache, initial=initial
        ),
    )


app.command()(evaluator)


@app.command()
def pack(
    tokenizer: Annotated[Path, typer.Option(help="Folder of a trained tokenizer.")],
    generator: Annotated[Path, typer.Option(help="Folder of a trained generator.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the model to write.")],
) -> None:
    """Put a tokenizer and a generator together into one model folder, in fp16."""
    from nextscale_core.generators.moscale import MoScale
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_core.tokenizers.temporal import TemporalTokenizer

    pipeline = MotionPipeline(
        TemporalTokenizer.from_pretrained(str(tokenizer)),
        MoScale.from_pretrained(str(generator)),
        name=out.name,
    )
    pipeline.save_pretrained(out)
    typer.echo(f"wrote {out}; use it with --model {out}")


def _use_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


def _fit(run: RunConfig, train: Callable[[], dict[str, float]]) -> None:
    """Train, and say where the weights are or how to go on."""
    from nextscale_core.training.processes import TrainingStopped
    from nextscale_core.training.ranks import is_main_process

    try:
        figures = train()
    except TrainingStopped as stopped:
        if is_main_process():
            typer.echo(f"{stopped}; the same command goes on from there", err=True)
        raise typer.Exit(stopped.exit_code) from stopped
    if is_main_process():
        typer.echo(json.dumps({name: round(value, 4) for name, value in figures.items()}))
        typer.echo(f"the best weights are in {run.out / 'best'}, the last in {run.out / 'last'}")
