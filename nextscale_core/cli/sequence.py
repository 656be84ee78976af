"""`nextscale sequence`: one long motion of many sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    DEFAULT_CANDIDATES,
    DEFAULT_MODEL,
    Balance,
    Candidates,
    ComeToRest,
    Device,
    Files,
    Guidance,
    Model,
    Profile,
    Rate,
    RobotName,
    Seed,
    Steps,
    generation_options,
    load_planner,
    sized_for,
)
from nextscale_core.cli.console import advance, progress_bar
from nextscale_core.cli.inputs import load_pipeline, read_text, sentence_lines
from nextscale_core.cli.outputs import check_outputs, finish
from nextscale_core.exceptions import ConfigError, InvalidTextError
from nextscale_core.stopwatch import Run
from nextscale_core.text.validation import validate_sentence

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip


def sequence(
    script: Annotated[
        Path,
        typer.Option(
            help="Text file with a line 'SECONDS | SENTENCE' or 'SENTENCE' for each part (# begins "
            "a comment line), or YAML or JSON with a list of sentences or of {text, seconds}."
        ),
    ],
    out: Files = None,
    overlap: Annotated[
        float, typer.Option(min=0.2, max=4.0, help="Motion that each part goes on from [s].")
    ] = 1.0,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    steps: Steps = None,
    guidance: Guidance = None,
    candidates: Candidates = DEFAULT_CANDIDATES,
    come_to_rest: ComeToRest = True,
    robot: RobotName = None,
    profile: Profile = None,
    rate: Rate = 50.0,
    balance: Balance = False,
    device: Device = "cpu",
) -> None:
    """Make one motion of many sentences, each going on from the end of the one before.

    nextscale sequence --script story.txt --out story.npz --out story.gif
    """
    options = generation_options(seed, steps, guidance, candidates=candidates)
    files = check_outputs(out, robot=robot is not None, inputs=(script, robot, profile))
    lines = read_script(script)
    planner = load_planner(robot, profile, rate, balance=balance) if robot is not None else None
    options = sized_for(options, planner)
    pipeline = load_pipeline(model, device)

    from nextscale_core.editing.sequence import joined

    pieces: list[MotionClip] = []
    with progress_bar("sentences") as bar:

        def show(done: int, total: int) -> None:
            advance(bar, round(len(pieces) + done / max(total, 1), 2), len(lines))

        show(0, 1)
        run = Run(progress=show)
        for piece in pipeline.stream(lines, options, overlap=overlap, run=run):
            pieces.append(piece)
            show(0, 1)
        clip = joined(pieces, seed)
        if come_to_rest and lines[-1][1] is None:
            clip = pipeline.come_to_rest(clip, options, run=run)
    finish(
        clip,
        files,
        {"sentences": str(len(pieces))},
        model=pipeline.name,
        planner=planner,
        stopwatch=run.stopwatch,
    )


def read_script(path: Path) -> list[tuple[str, float | None]]:
    """Read sentences and their lengths.

    Args:
        path: `.yaml`, `.yml` or `.json` with a list, each entry a sentence or a mapping of
            `text` and `seconds`; any other file is text with a line 'SECONDS | SENTENCE'
            or 'SENTENCE' each.

    Returns:
        (sentence, seconds or None) in their order.

    Raises:
        MotionFileError: the file is missing or not UTF-8.
        ConfigError: malformed YAML, an unknown key, or a length that is not a number.
        InvalidTextError: a sentence cannot be used.
    """
    is_yaml = path.suffix.lower() in (".yaml", ".yml", ".json")
    lines = (_yaml_lines if is_yaml else _text_lines)(path, read_text(path))
    if not lines:
        raise ConfigError(f"{path} holds no sentence; write one a line: SECONDS | SENTENCE")
    return lines


def _text_lines(path: Path, text: str) -> list[tuple[str, float | None]]:
    lines = []
    for number, line in sentence_lines(text):
        before, bar, sentence = line.partition("|")
        where = f"{path} line {number}"
        lines.append(_entry(where, sentence, before.strip()) if bar else _entry(where, line, None))
    return lines


def _yaml_lines(path: Path, text: str) -> list[tuple[str, float | None]]:
    from nextscale_core.yaml_files import parse_yaml

    content = parse_yaml(text, str(path))
    if not isinstance(content, list):
        raise ConfigError(f"{path} must be a list of sentences or of mappings of text and seconds")
    lines = []
    for number, row in enumerate(content, start=1):
        where = f"{path} entry {number}"
        row = {"text": row} if isinstance(row, str) else row
        if not isinstance(row, dict) or "text" not in row or set(row) - {"text", "seconds"}:
            raise ConfigError(f"{where} must be a sentence or have text and seconds, got {row!r}")
        lines.append(_entry(where, row["text"], row.get("seconds")))
    return lines


def _entry(where: str, sentence: object, seconds: object) -> tuple[str, float | None]:
    try:
        if not isinstance(sentence, str):
            raise ConfigError(f"text must be a sentence, got {sentence!r}")
        clean = validate_sentence(sentence)
        if seconds is None:
            return clean, None
        if isinstance(seconds, bool):
            raise ValueError
        return clean, float(seconds)  # type: ignore[arg-type]
    except (InvalidTextError, ConfigError) as error:
        raise type(error)(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: seconds must be a number, got {seconds!r}") from error
