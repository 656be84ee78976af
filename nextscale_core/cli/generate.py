"""`nextscale generate`: a sentence becomes a motion file, or many become many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.console import advance, print_facts, progress_bar, working
from nextscale_core.cli.outputs import check_outputs, write_human, write_robot
from nextscale_core.cli.planning import Planner, chosen_joints
from nextscale_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline

DEFAULT_MODEL = "moscale-cmu"

# The limits of `nextscale_core.motion.skeleton`, which is not imported here: --help is to be fast.
_MIN_SECONDS, _MAX_SECONDS = 1.0, 9.8
_MAX_SEED = 2**31 - 1


def parse_steps(value: str | None) -> tuple[int, ...] | None:
    """Passes per scale from text such as '6,5,4,2,1'.

    Raises:
        typer.BadParameter: not positive whole numbers. How many are needed, the model says.
    """
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isdecimal() and 0 < int(part) < 1000 for part in parts):
        raise typer.BadParameter(
            f"{value!r} must be whole numbers from 1, one per scale, such as 6,5,4,2,1",
            param_hint="--steps",
        )
    return tuple(int(part) for part in parts)


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
            min=_MIN_SECONDS,
            max=_MAX_SECONDS,
            help="Length of the motion; the model chooses if not given.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=_MAX_SEED, help="The same seed gives the same motion.")
    ] = 0,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = DEFAULT_MODEL,
    steps: Annotated[
        str | None, typer.Option(help="Passes per scale, coarse to fine, such as 6,5,4,2,1.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(min=0.0, max=20.0, help="How closely the text is followed.")
    ] = None,
    robot: Annotated[
        str | None,
        typer.Option(help="Robot to move instead of a human: see 'nextscale robots', or a URDF."),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="YAML profile of the robot; needed with a URDF.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=1.0, max=1000.0, help="Samples per second for the robot [Hz].")
    ] = 50.0,
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
    device: Annotated[str, typer.Option(help="Torch device, such as cpu or cuda.")] = "cpu",
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
            load_planner=None if robot is None else lambda: Planner(robot, profile, rate, choice),
        )
        return

    from nextscale_core.text.validation import validate_sentence

    sentence = validate_sentence(text or "")
    files = out or []
    check_outputs(files, robot=robot is not None)
    planner = None if robot is None else Planner(robot, profile, rate, choice)
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
    if planner is None:
        with working("writing"):
            for path in files:
                write_human(clip, path)
    else:
        trajectory, report = planner.plan(clip, stopwatch)
        facts["robot"] = (
            f"{planner.robot.name}: {len(trajectory.joint_names)} joints, "
            f"{len(trajectory)} points, {trajectory.seconds:.2f} s at {trajectory.fps:g} Hz"
        )
        facts["safety"] = report.line()
        with working("writing"):
            for path in files:
                write_robot(planner.robot, trajectory, path, seed)
    facts["time"] = stopwatch.line()
    print_facts(facts, files)


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
