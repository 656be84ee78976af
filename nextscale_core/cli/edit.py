"""`nextscale edit`: a span of a motion, or some parts of the body, under another sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscale_core.cli.choices import (
    DEFAULT_MODEL,
    Device,
    Fps,
    Guidance,
    JointMap,
    Model,
    Profile,
    Rate,
    RobotName,
    Seed,
    Steps,
    Unit,
    Up,
    parse_steps,
    read_options,
)
from nextscale_core.cli.completing import finish, parse_span, read_clip
from nextscale_core.cli.console import advance, notes, progress_bar
from nextscale_core.cli.generate import load_pipeline
from nextscale_core.cli.outputs import check_outputs
from nextscale_core.cli.planning import Planner
from nextscale_core.stopwatch import Stopwatch


def edit(
    clip: Annotated[Path, typer.Argument(help="Motion file: .npz, .bvh, or .npy of HumanML3D.")],
    text: Annotated[str, typer.Option(help="What the person does in the changed part.")],
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out", "-o", help="File to write: .npz, .bvh, .gif or .png; give it again for more."
        ),
    ] = None,
    span: Annotated[
        str | None, typer.Option(help="What changes, START:STOP in seconds; all if not given.")
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option(
            help="Part of the body that changes: left_arm, right_arm, arms, head, torso, "
            "upper_body, left_leg, right_leg or legs; again or with commas for more."
        ),
    ] = None,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    steps: Steps = None,
    guidance: Guidance = None,
    robot: RobotName = None,
    profile: Profile = None,
    rate: Rate = 50.0,
    device: Device = "cpu",
    up: Up = "auto",
    unit: Unit = "auto",
    fps: Fps = None,
    joint_map: JointMap = None,
) -> None:
    """Change a part of a motion and keep the rest as it is.

    nextscale edit walk.npz --span 2:4 --text "a person jumps" --out jump.npz

    nextscale edit walk.npz --parts left_arm --text "a person waves with the left hand" -o w.gif
    """
    from nextscale_core.motion.body_parts import joints_of
    from nextscale_core.text.validation import validate_sentence

    passes = parse_steps(steps)
    sentence = validate_sentence(text)
    files = out or []
    check_outputs(files, robot=robot is not None)
    if span is None and not parts:
        raise typer.BadParameter("say what changes: --span, --parts or both", param_hint="--span")
    names = [name.strip() for given in parts or [] for name in given.split(",")]
    if names:
        joints_of(names)
    old = read_clip(clip, read_options(up, unit, fps, joint_map))
    times = None if span is None else parse_span(span, old.seconds, "--span")
    planner = None if robot is None else Planner(robot, profile, rate)
    pipeline = load_pipeline(model, device)
    stopwatch = Stopwatch()
    with progress_bar("editing") as bar:
        motion = pipeline.edit(
            old,
            sentence,
            span=times,
            parts=names or None,
            seed=seed,
            guidance=guidance,
            steps=passes,
            stopwatch=stopwatch,
            progress=lambda done, total: advance(bar, done, total),
        )
    where = "all of it" if times is None else f"{times[0]:g} to {times[1]:g} s"
    facts = {
        "text": sentence,
        "changed": f"{where}, {', '.join(names) or 'whole body'}",
        "motion": f"{motion.seconds:.2f} s, {len(motion)} frames, seed {seed}, {pipeline.name}",
        **notes(old.notes),
    }
    finish(motion, files, facts, planner, stopwatch)
