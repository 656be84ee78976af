"""`nextscale train`: the commands that make weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    float, typer.Option("--max-minutes", min=0, help="Time limit [min]; 0 for no limit.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the run.")]
Precision = Annotated[
    str,
    typer.Option("--precision", help="no, bf16, fp16, or auto: bf16 where the hardware has it."),
]
Rate = Annotated[float, typer.Option("--learning-rate", help="Peak learning rate.")]
EvalEvery = Annotated[int, typer.Option("--eval-every", min=1, help="Steps between validations.")]
SaveMinutes = Annotated[
    float, typer.Option("--save-minutes", min=0, help="Minutes between checkpoints.")
]
OnBadData = Annotated[
    str, typer.Option("--on-bad-data", help="refuse: stop at a broken file or line; skip: omit it.")
]
Frames = Annotated[
    int, typer.Option("--frames", "--batch-size", min=1, help="Frames in a batch, over all GPUs.")
]
Threads = Annotated[
    int, typer.Option("--threads", min=0, help="CPU threads; 0 leaves the choice to torch.")
]
Tokenizer = Annotated[Path, typer.Option(help="Folder of a trained tokenizer.")]
Generator = Annotated[Path, typer.Option(help="Folder of a trained generator.")]

app = typer.Typer(
    help="Train a tokenizer or a generator; an interrupted run resumes from its checkpoint.",
    no_args_is_help=True,
)


def _run_config(context: typer.Context, longest_warmup: int, **settings: Any) -> RunConfig:
    """Settings of a run from the options of a command that have the same names."""
    from nextscale_lab.train.loop import RunConfig

    _use_threads(context.params["threads"])
    names = {field.name for field in fields(RunConfig)}
    options = {name: value for name, value in context.params.items() if name in names}
    warmup = min(longest_warmup, options["steps"])
    return RunConfig(**options, warmup=warmup, **settings)


def _use_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


def _fit(run: RunConfig, train: Callable[[], dict[str, float]]) -> None:
    """Train, then print the metrics and the folders of the weights, or how to resume."""
    from nextscale_lab.ranks import is_main_process
    from nextscale_lab.train.distributed import TrainingStopped

    try:
        metrics = train()
    except TrainingStopped as stopped:
        if is_main_process():
            typer.echo(f"{stopped}; the same command resumes from there", err=True)
        raise typer.Exit(stopped.exit_code) from stopped
    if is_main_process():
        typer.echo(json.dumps({name: round(value, 4) for name, value in metrics.items()}))
        typer.echo(f"the best weights are in {run.out / 'best'}, the last in {run.out / 'last'}")


@app.command()
def tokenizer(
    context: typer.Context,
    data: Data,
    out: Out,
    steps: Steps = 6000,
    kind: Annotated[
        str,
        typer.Option(help="temporal (MoScale), or skeletal: tokens of body parts (ScaleMoGen)."),
    ] = "temporal",
    width: Annotated[
        int | None, typer.Option(help="Channels; 256, or 128 for each part of a skeletal one.")
    ] = None,
    code_dim: Annotated[int | None, typer.Option(help="Temporal: width of a code, 128.")] = None,
    codes: Annotated[int | None, typer.Option(help="Temporal: codes in the codebook, 512.")] = None,
    more_scales: Annotated[
        int, typer.Option(min=0, help="Temporal: scales after the five, at the finest resolution.")
    ] = 0,
    bits: Annotated[int | None, typer.Option(help="Skeletal: bits of a token, 16.")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="Skeletal: product, short (without its last scale), or published."),
    ] = None,
    frame_depth: Annotated[
        int | None,
        typer.Option(min=0, help="Blocks of the decoder at the frame rate; 0, skeletal 2."),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(help="Folder of a trained tokenizer to continue from, with its sizes."),
    ] = None,
    keep_tokens: Annotated[
        bool, typer.Option("--keep-tokens", help="Train only the decoder of --initial.")
    ] = False,
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
    """Train a motion tokenizer: MoScale's residual VQ-VAE, or ScaleMoGen's bits of body parts."""
    from nextscale_lab.train.tokenizer import tokenizer_config, train_tokenizer

    run = _run_config(context, 100, weight_decay=0.01, ema=0.995)
    if keep_tokens and initial is None:
        raise typer.BadParameter(
            "give --initial too: its tokens are kept", param_hint="--keep-tokens"
        )
    sizes = {
        "width": width,
        "code_dim": code_dim,
        "num_codes": codes,
        "frame_depth": frame_depth,
        "bits": bits,
    }
    config = tokenizer_config(kind, schedule, more_scales, **sizes)
    _fit(
        run,
        lambda: train_tokenizer(
            data, run, config, frames, initial=initial, keep_tokens=keep_tokens
        ),
    )


@app.command()
def decoder(
    context: typer.Context,
    data: Data,
    out: Out,
    tokenizer: Tokenizer,
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
    """Fine-tune a tokenizer's decoder on fast actions; its tokens do not change."""
    from nextscale_lab.train.decoder import train_decoder

    run = _run_config(context, 50, weight_decay=0.01, ema=0.995)
    _fit(run, lambda: train_decoder(data, tokenizer, run, frames))


@app.command()
def generator(
    context: typer.Context,
    data: Data,
    out: Out,
    tokenizer: Tokenizer,
    steps: Steps = 6000,
    width: Annotated[int, typer.Option(help="Channels.")] = 192,
    depth: Annotated[int, typer.Option(help="Blocks.")] = 6,
    heads: Annotated[int, typer.Option(help="Attention heads.")] = 4,
    batch_size: Annotated[int, typer.Option(min=1, help="Motions in a batch, over all GPUs.")] = 64,
    corruption: Annotated[
        float | None,
        typer.Option(
            help="Largest share of corrupted coarser tokens (HR, 0.6 if not given) or flipped bits "
            "(self-correction, 0.3); 0 for none."
        ),
    ] = None,
    finest_every: Annotated[
        float | None,
        typer.Option(
            help="Share of steps with all scales, 0.5 for codes and 0.25 for bits if not given; "
            "the others are faster."
        ),
    ] = None,
    one_pass: Annotated[
        bool,
        typer.Option("--one-pass", help="ScaleMoGen as published: no own tokens, no masks."),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the encoded data for the next run.")
    ] = None,
    initial: Annotated[
        Path | None, typer.Option(help="Folder of a trained generator to continue from.")
    ] = None,
    initial_tokenizer: Annotated[
        Path | None, typer.Option(help="Folder of the tokenizer of --initial, if it is another.")
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
    """Train a transformer on a trained tokenizer's tokens: MoScale, or ScaleMoGen on body parts."""
    from nextscale_core.model.kinds import load_tokenizer
    from nextscale_core.model.next_scale import NextScaleConfig
    from nextscale_lab.train.generator import default_objective, generator_config, train_generator

    run = _run_config(context, 200, ema=0.998)
    quantizer = load_tokenizer(tokenizer).quantizer
    sizes = NextScaleConfig(width=width, depth=depth, heads=heads, text_encoder=text_encoder)
    config = generator_config(quantizer, sizes, own_tokens=not one_pass)
    given = {"corruption": corruption, "finest_every": finest_every}
    objective = replace(
        default_objective(quantizer), **{k: v for k, v in given.items() if v is not None}
    )
    _fit(
        run,
        lambda: train_generator(
            data,
            tokenizer,
            run,
            config,
            objective,
            cache=cache,
            initial=initial,
            initial_tokenizer=initial_tokenizer,
        ),
    )


@app.command()
def duration(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder of the generator to write.")],
    generator: Generator,
    seed: Seed = 0,
    on_bad_data: OnBadData = "refuse",
    threads: Threads = 0,
) -> None:
    """Fit a generator's duration head again; its other weights do not change.

    'train generator' does the same before its own steps.
    """
    from nextscale_core.model.kinds import load_generator
    from nextscale_core.text.encoder import TextEncoder
    from nextscale_lab.train.duration import DurationConfig, teach_duration

    _use_threads(threads)
    model = load_generator(generator)
    encoder = TextEncoder(model.config.text_encoder)
    error = teach_duration(model, data, encoder, DurationConfig(seed=seed), policy=on_bad_data)
    model.save_pretrained(out)
    typer.echo(f"wrote {out}; mean error {error:.2f} s on the training captions")


@app.command()
def evaluator(
    context: typer.Context,
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

    run = _run_config(context, 100, weight_decay=0.1, ema=0.99)
    config = EvaluatorConfig(name=name, width=width, dim=dim)
    _fit(run, lambda: train_evaluator(data, run, config))
    if is_main_process():
        pack_evaluator(out / "best", out / "evaluator")
        typer.echo(f"wrote {out / 'evaluator'}; use it with --evaluator {out / 'evaluator'}")


@app.command()
def intents(
    out: Annotated[Path, typer.Option("--out", help="File to write (safetensors).")],
    paraphrases: Annotated[
        Path | None, typer.Option(help="YAML with sentences of each intent; default: ours.")
    ] = None,
    data: Annotated[
        list[Path],
        typer.Option(
            "--data", help="Folder of motion data; its training captions of other motions."
        ),
    ] = [],  # noqa: B006
    steps: Steps = 300,
    seed: Seed = 0,
    threads: Threads = 0,
) -> None:
    """Train the classifier that reads what a sentence in words of its own asks for."""
    from nextscale_core.text.encoder import TextEncoder
    from nextscale_lab.data.samples import training_captions
    from nextscale_lab.train.intents import PARAPHRASES, accuracy, load_paraphrases, train_intents

    _use_threads(threads)
    sentences, encoder = load_paraphrases(paraphrases or PARAPHRASES), TextEncoder()
    model = train_intents(sentences, encoder, training_captions(data), steps, seed)
    model.save(out)
    right = accuracy(model, sentences.val, encoder)
    typer.echo(f"wrote {out}; {100 * right:.1f} % of the validation sentences are read rightly")


@app.command()
def pack(
    tokenizer: Tokenizer,
    generator: Generator,
    out: Annotated[Path, typer.Option("--out", help="Folder of the model to write.")],
    data: Annotated[
        list[Path],
        typer.Option("--data", help="Folder of training data; its captions mark what is known."),
    ] = [],  # noqa: B006
) -> None:
    """Combine a tokenizer and a generator in one model folder, in fp16.

    Scales of a temporal tokenizer that the generator lacks are left out.
    """
    from nextscale_core.model.kinds import load_generator, load_tokenizer
    from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_lab.train.domain import write_domain
    from nextscale_lab.train.tokenizer import resized

    tokens, model = load_tokenizer(tokenizer), load_generator(generator)
    if isinstance(tokens, TemporalTokenizer):
        divisors = tokens.config.divisors[: model.config.num_scales]
        tokens = resized(tokens, replace(tokens.config, divisors=divisors))
    pipeline = MotionPipeline(tokens, model, name=out.name)
    pipeline.save_pretrained(out)
    if data:
        count = write_domain(data, out, pipeline.encoder)
        typer.echo(f"wrote the features of {count} captions")
    typer.echo(f"wrote {out}; use it with --model {out}")
