"""`nextscale generate`: motion files from one sentence, or from a file of sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscale_core.cli.choices import (
    DEFAULT_CANDIDATES,
    DEFAULT_MODEL,
    MAX_SECONDS,
    MIN_SECONDS,
    Balance,
    Candidates,
    ComeToRest,
    Device,
    Guidance,
    Joints,
    Model,
    Profile,
    Rate,
    RobotName,
    Seed,
    Steps,
    UpperBody,
    chosen_joints,
    generation_options,
    load_planner,
    sized_for,
)
from nextscale_core.cli.console import following
from nextscale_core.cli.inputs import load_pipeline
from nextscale_core.cli.outputs import check_files, check_outputs, finish


def generate(
    text: Annotated[
        str | None, typer.Argument(help="One English sentence.", show_default=False)
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write: .npz, .bvh, .glb, .usd, .gif or .png; give it again for more. "
            "With --prompts: a folder.",
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
    candidates: Candidates = DEFAULT_CANDIDATES,
    come_to_rest: ComeToRest = True,
    robot: RobotName = None,
    profile: Profile = None,
    rate: Rate = 50.0,
    upper_body: UpperBody = False,
    joints: Joints = None,
    balance: Balance = False,
    constraints: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with keyframes, waypoints and targets of hands and feet: see "
            "docs/constraints.md."
        ),
    ] = None,
    residuals: Annotated[
        Path | None,
        typer.Option(help="JSON file to write: how well each of --constraints is met."),
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

    nextscale generate "a person walks forward" --constraints path.json --out walk.npz

    nextscale generate --prompts sentences.txt --samples 4 --out motions/
    """
    from nextscale_core.editing.constraints.json_file import (
        motion_files,
        read_constraints,
        write_residuals,
    )
    from nextscale_core.text.validation import validate_sentence

    options = generation_options(seed, steps, guidance, seconds, candidates)
    stops = come_to_rest and seconds is None
    choice = chosen_joints(upper_body, joints)
    if (choice is not None or balance) and robot is None:
        raise typer.BadParameter(
            "--upper-body, --joints and --balance are about a robot; give --robot too",
            param_hint="--robot",
        )
    if (text is None) == (prompts is None):
        raise typer.BadParameter("give either a sentence or --prompts FILE", param_hint="TEXT")
    if residuals is not None and constraints is None:
        raise typer.BadParameter("needs --constraints", param_hint="--residuals")
    if prompts is not None:
        if constraints is not None:
            raise typer.BadParameter("needs a sentence, not --prompts", param_hint="--constraints")
        from nextscale_core.cli.prompts import generate_many

        generate_many(
            prompts,
            _one_folder(out),
            options,
            samples=samples,
            batch=batch,
            come_to_rest=stops,
            load_pipeline=lambda: load_pipeline(model, device),
            load_planner=(
                None
                if robot is None
                else lambda: load_planner(robot, profile, rate, choice, balance)
            ),
        )
        return
    sentence = validate_sentence(text or "")
    inputs = (constraints, robot, profile)
    files = check_outputs(out, robot=robot is not None, inputs=inputs, beside=[residuals])
    wanted = () if constraints is None else read_constraints(constraints)
    if constraints is not None:
        check_files([*files, residuals], motion_files(constraints))
    planner = load_planner(robot, profile, rate, choice, balance) if robot is not None else None
    options = sized_for(options, planner)
    pipeline = load_pipeline(model, device)
    with following("generating") as run:
        clip = pipeline.generate(sentence, options, constraints=wanted, run=run)
        if stops:
            clip = pipeline.come_to_rest(clip, options, run=run)
    if residuals is not None:
        write_residuals(clip.residuals, residuals)
    met = {f"constraint {n}": str(one) for n, one in enumerate(clip.residuals, start=1)}
    finish(
        clip,
        files,
        {"text": sentence, **met},
        model=pipeline.name,
        planner=planner,
        stopwatch=run.stopwatch,
    )


def _one_folder(out: list[Path] | None) -> Path:
    if not out or len(out) != 1:
        raise typer.BadParameter("--prompts needs exactly one --out FOLDER", param_hint="--out")
    if out[0].exists() and not out[0].is_dir():
        raise typer.BadParameter(f"{out[0]} is a file; give a folder", param_hint="--out")
    return out[0]
