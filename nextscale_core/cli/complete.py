"""`nextscale complete`: a motion goes on, is led up to, or has its gaps filled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    DEFAULT_MODEL,
    MAX_SECONDS,
    MIN_SECONDS,
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

if TYPE_CHECKING:
    import numpy as np

    from nextscale_core.motion.clip import MotionClip


def complete(
    clip: Annotated[Path, typer.Argument(help="Motion file: .npz, .bvh, or .npy of HumanML3D.")],
    text: Annotated[str, typer.Option(help="What the person does, in English.")],
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out", "-o", help="File to write: .npz, .bvh, .gif or .png; give it again for more."
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Part of the clip to keep, START:STOP in seconds; again for more. All."),
    ] = None,
    before: Annotated[
        float, typer.Option(min=0.0, max=MAX_SECONDS, help="New motion before the clip [s].")
    ] = 0.0,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=MIN_SECONDS,
            max=MAX_SECONDS,
            help="Length of the result [s], with the kept parts; as long as the clip if not given "
            "with --keep or --before, else the model chooses.",
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
    """Make the parts of a motion that are not kept, and those before and after it.

    nextscale complete walk.npz --text "a person jumps" --seconds 5 --out on.npz

    nextscale complete walk.npz --keep 0:1.0 --keep 4: --text "a person waves" --out wave.gif

    nextscale complete wave.npz --before 2 --text "a person walks forward" --out lead_in.npz
    """
    from nextscale_core.text.validation import validate_sentence

    passes = parse_steps(steps)
    sentence = validate_sentence(text)
    files = out or []
    check_outputs(files, robot=robot is not None)
    known = read_clip(clip, read_options(up, unit, fps, joint_map))
    known, places = _kept(known, keep or [], before)
    planner = None if robot is None else Planner(robot, profile, rate)
    pipeline = load_pipeline(model, device)
    stopwatch = Stopwatch()
    with progress_bar("completing") as bar:
        motion = pipeline.complete(
            known,
            places,
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
        "kept": f"{len(known) / known.fps:.2f} s of {clip}",
        "motion": f"{motion.seconds:.2f} s, {len(motion)} frames, seed {seed}, {pipeline.name}",
        **notes(known.notes),
    }
    finish(motion, files, facts, planner, stopwatch)


def _kept(clip: MotionClip, keep: list[str], before: float) -> tuple[MotionClip, np.ndarray | None]:
    """The frames to keep, and their places in the result; None for all, from the start."""
    if not keep and not before:
        return clip, None
    from dataclasses import replace

    import numpy as np

    mask = np.zeros(len(clip), dtype=bool)
    for span in keep or [":"]:
        start, stop = parse_span(span, clip.seconds, "--keep")
        mask[round(start * clip.fps) : round(stop * clip.fps)] = True
    if not mask.any():
        raise typer.BadParameter(
            f"{', '.join(keep)} holds no frame (the clip has {clip.fps:g} a second)",
            param_hint="--keep",
        )
    contacts = None if clip.contacts is None else clip.contacts[mask]
    places = np.concatenate([np.zeros(round(before * clip.fps), dtype=bool), mask])
    return replace(clip, joints=clip.joints[mask], contacts=contacts), places
