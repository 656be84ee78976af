"""`nextscale complete` and `nextscale edit`: motions of which a part is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    DEFAULT_CANDIDATES,
    DEFAULT_MODEL,
    MAX_SECONDS,
    MIN_SECONDS,
    Candidates,
    Clip,
    Device,
    Files,
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
    generation_options,
    load_planner,
    parse_span,
    read_options,
)
from nextscale_core.cli.console import following
from nextscale_core.cli.inputs import load_pipeline, read_clip
from nextscale_core.cli.outputs import check_outputs, finish

if TYPE_CHECKING:
    import numpy as np

    from nextscale_core.motion.clip import MotionClip


def complete(
    clip: Clip,
    text: Annotated[str, typer.Option(help="What the person does, in English.")],
    out: Files = None,
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
    candidates: Candidates = DEFAULT_CANDIDATES,
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

    options = generation_options(seed, steps, guidance, seconds, candidates)
    sentence = validate_sentence(text)
    inputs = (clip, robot, profile, joint_map)
    files = check_outputs(out, robot=robot is not None, inputs=inputs)
    known, places = _kept(read_clip(clip, read_options(up, unit, fps, joint_map)), keep, before)
    planner = load_planner(robot, profile, rate) if robot is not None else None
    pipeline = load_pipeline(model, device)
    with following("completing") as run:
        motion = pipeline.complete(known, places, sentence, options, run=run)
    finish(
        motion,
        files,
        {"text": sentence, "kept": f"{len(known) / known.fps:.2f} s of {clip}"},
        model=pipeline.name,
        planner=planner,
        stopwatch=run.stopwatch,
        remarks=known.notes,
    )


def _kept(
    clip: MotionClip, keep: list[str] | None, before: float
) -> tuple[MotionClip, np.ndarray | None]:
    """The frames to keep, and their places in the result; None for all, from the start."""
    if not keep and not before:
        return clip, None
    from dataclasses import replace

    import numpy as np

    spans = keep or [":"]
    mask = np.zeros(len(clip), dtype=bool)
    for span in spans:
        start, stop = parse_span(span, clip.seconds, "--keep")
        mask[round(start * clip.fps) : round(stop * clip.fps)] = True
    if not mask.any():
        raise typer.BadParameter(
            f"{', '.join(spans)} holds no frame (the clip has {clip.fps:g} a second)",
            param_hint="--keep",
        )
    contacts = None if clip.contacts is None else clip.contacts[mask]
    places = np.concatenate([np.zeros(round(before * clip.fps), dtype=bool), mask])
    return replace(clip, joints=clip.joints[mask], contacts=contacts), places


def edit(
    clip: Clip,
    text: Annotated[str, typer.Option(help="What the person does in the changed part.")],
    out: Files = None,
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
    source: Annotated[
        str | None,
        typer.Option(
            help="What the person does in the clip: what the two sentences differ in changes. "
            "For a ScaleMoGen."
        ),
    ] = None,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    steps: Steps = None,
    guidance: Guidance = None,
    candidates: Candidates = DEFAULT_CANDIDATES,
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

    nextscale edit walk.npz --source "a person walks" --text "a person walks with raised arms"
    --model scalemogen-cmu -o raised.gif
    """
    from nextscale_core.motion.body_parts import joints_of
    from nextscale_core.text.validation import validate_sentence

    options = generation_options(seed, steps, guidance, candidates=candidates)
    sentence = validate_sentence(text)
    inputs = (clip, robot, profile, joint_map)
    files = check_outputs(out, robot=robot is not None, inputs=inputs)
    if span is None and not parts and source is None:
        raise typer.BadParameter(
            "say what changes: --span, --parts or --source", param_hint="--span"
        )
    if source is not None:
        source = validate_sentence(source)
    names = [name.strip() for given in parts or [] for name in given.split(",")]
    if names:
        joints_of(names)  # refuses unknown names before the work
    old = read_clip(clip, read_options(up, unit, fps, joint_map))
    times = None if span is None else parse_span(span, old.seconds, "--span")
    planner = load_planner(robot, profile, rate) if robot is not None else None
    pipeline = load_pipeline(model, device)
    with following("editing") as run:
        motion = pipeline.edit(
            old, sentence, options, span=times, parts=names or None, source=source, run=run
        )
    where = "all of it" if times is None else f"{times[0]:g} to {times[1]:g} s"
    finish(
        motion,
        files,
        {"text": sentence, "changed": f"{where}, {', '.join(names) or 'whole body'}"},
        model=pipeline.name,
        planner=planner,
        stopwatch=run.stopwatch,
        remarks=old.notes,
    )
