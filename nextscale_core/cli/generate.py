"""`nextscale generate`: a sentence becomes a motion file, or many become many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    DEFAULT_MODEL,
    MAX_SECONDS,
    MIN_SECONDS,
    Device,
    Guidance,
    Model,
    Profile,
    Rate,
    RobotName,
    Seed,
    Steps,
    chosen_joints,
    load_planner,
    parse_steps,
)
from nextscale_core.cli.completing import finish
from nextscale_core.cli.console import advance, progress_bar, working
from nextscale_core.cli.outputs import check_outputs
from nextscale_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline


def generate(
    text: Annotated[
        str | None, typer.Argument(help="One English sentence.", show_default=False)
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write: .npz, .bvh, .gif or .png; give it again for more. With "
            "--prompts: a folder.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=MIN_SECONDS,
            max=MAX_SECONDS,
            help="Length of the motion [s]; the model chooses if not given.",
        ),
    ] = None,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    steps: Steps = None,
    guidance: Guidance = None,
    robot: RobotName = None,
    profile: Profile = None,
    rate: Rate = 50.0,
    upper_body: Annotated[
        bool, typer.Option("--upper-body", help="Hold the robot's legs: the upper body moves.")
    ] = False,
    joints: Annotated[
        list[str] | None,
        typer.Option("--joints", help="Move only joints like '*_shoulder_*'; again for more."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Text file, one sentence a line; # begins a comment line."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Motions per sentence of --prompts.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Motions made at once with --prompts.")] = 16,
    device: Device = "cpu",
) -> None:
    """Make a motion from a sentence.

    nextscale generate "a person waves with the right hand" --out wave.npz --out wave.gif

    nextscale generate "a person squats" --robot g1 --out squat.npz

    nextscale generate "a person waves" --robot g1 --upper-body --out wave_g1.npz

    nextscale generate --prompts sentences.txt --samples 4 --out motions/
    """
    passes = parse_steps(steps)
    choice = chosen_joints(upper_body, joints)
    if choice is not None and robot is None:
        raise typer.BadParameter(
            "--upper-body and --joints say which joints of a robot move; give --robot too",
            param_hint="--robot",
        )
    if (text is None) == (prompts is None):
        raise typer.BadParameter("give either a sentence or --prompts FILE", param_hint="TEXT")
    if prompts is not None:
        from nextscale_core.cli.many import ManyOptions, generate_many

        options = ManyOptions(
            prompts=prompts,
            out=_one_folder(out),
            samples=samples,
            batch=batch,
            seconds=seconds,
            seed=seed,
            guidance=guidance,
            steps=passes,
        )
        generate_many(
            options,
            load_pipeline=lambda: load_pipeline(model, device),
            load_planner=(
                None if robot is None else lambda: load_planner(robot, profile, rate, choice)
            ),
        )
        return

    from nextscale_core.text.validation import validate_sentence

    sentence = validate_sentence(text or "")
    files = out or []
    check_outputs(files, robot=robot is not None)
    planner = None if robot is None else load_planner(robot, profile, rate, choice)
    pipeline = load_pipeline(model, device)
    stopwatch = Stopwatch()
    with progress_bar("generating") as bar:
        clip = pipeline.generate(
            sentence,
            seconds=seconds,
            seed=seed,
            guidance=guidance,
            steps=passes,
            stopwatch=stopwatch,
            progress=lambda done, total: advance(bar, done, total),
        )
    facts = {
        "text": sentence,
        "motion": f"{clip.seconds:.2f} s, {len(clip)} frames, seed {seed}, {pipeline.name}",
    }
    finish(clip, files, facts, planner, stopwatch)


def load_pipeline(model: str, device: str) -> MotionPipeline:
    """Load a model, with a sign that something happens.

    Raises:
        ModelLoadError: unknown model or device.
    """
    with working(f"loading {model}"):
        from nextscale_core.pipeline import MotionPipeline

        return MotionPipeline.from_pretrained(model, device=device)


def _one_folder(out: list[Path] | None) -> Path:
    if not out or len(out) != 1:
        raise typer.BadParameter("--prompts needs exactly one --out FOLDER", param_hint="--out")
    if out[0].exists() and not out[0].is_dir():
        raise typer.BadParameter(f"{out[0]} is a file; give a folder", param_hint="--out")
    return out[0]
