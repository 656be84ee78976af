"""`nextscale train`: the commands that make weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscale_lab.cli.train_evaluator import evaluator
from nextscale_lab.cli.training import (
    Data,
    EvalEvery,
    Frames,
    Minutes,
    OnBadData,
    Out,
    Precision,
    Rate,
    SaveMinutes,
    Seed,
    Steps,
    Threads,
    fit,
    use_threads,
)

app = typer.Typer(
    help="Train a tokenizer or a generator; an interrupted run resumes where it stopped.",
    no_args_is_help=True,
)


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
    from nextscale_core.model.temporal_tokenizer import TokenizerConfig
    from nextscale_lab.train.loop import RunConfig
    from nextscale_lab.train.tokenizer import train_tokenizer

    use_threads(threads)
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
    fit(run, lambda: train_tokenizer(data, run, config, frames))


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
    from nextscale_lab.train.decoder import train_decoder
    from nextscale_lab.train.loop import RunConfig

    use_threads(threads)
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
    fit(run, lambda: train_decoder(data, tokenizer, run, frames))


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
    from nextscale_core.model.moscale import MoScaleConfig
    from nextscale_lab.train.generator import ObjectiveConfig, train_generator
    from nextscale_lab.train.loop import RunConfig

    use_threads(threads)
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
    fit(
        run,
        lambda: train_generator(
            data, tokenizer, run, config, objective, cache=cache, initial=initial
        ),
    )


@app.command()
def duration(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder of the generator to write.")],
    generator: Annotated[Path, typer.Option(help="Folder of a trained generator.")],
    seed: Seed = 0,
    on_bad_data: OnBadData = "refuse",
    threads: Threads = 0,
) -> None:
    """Fit anew how long the motion of a sentence lasts; all else of the generator stays.

    'train generator' does the same before its own steps.
    """
    from nextscale_core.model.checkpoint import load_part
    from nextscale_core.model.moscale import MoScale
    from nextscale_core.text.encoder import TextEncoder
    from nextscale_lab.train.duration import DurationConfig, teach_duration

    use_threads(threads)
    model = load_part(MoScale, generator)
    encoder = TextEncoder(model.config.text_encoder)
    error = teach_duration(model, data, encoder, DurationConfig(seed=seed), policy=on_bad_data)
    model.save_pretrained(out)
    typer.echo(f"wrote {out}; off by {error:.2f} s on the captions it learnt from")


app.command()(evaluator)


@app.command()
def pack(
    tokenizer: Annotated[Path, typer.Option(help="Folder of a trained tokenizer.")],
    generator: Annotated[Path, typer.Option(help="Folder of a trained generator.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the model to write.")],
) -> None:
    """Put a tokenizer and a generator together into one model folder, in fp16."""
    from nextscale_core.model.checkpoint import load_part
    from nextscale_core.model.moscale import MoScale
    from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
    from nextscale_core.pipeline import MotionPipeline

    pipeline = MotionPipeline(
        load_part(TemporalTokenizer, tokenizer),
        load_part(MoScale, generator),
        name=out.name,
    )
    pipeline.save_pretrained(out)
    typer.echo(f"wrote {out}; use it with --model {out}")
