"""Many sentences in one process: one file each, and an index beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nextscale_core.cli.console import advance, print_facts, progress_bar
from nextscale_core.cli.outputs import make_folder, write_human, write_robot
from nextscale_core.exceptions import (
    InvalidTextError,
    MotionFileError,
    RetargetError,
    UnsafeTrajectoryError,
)
from nextscale_core.text.validation import validate_sentence

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_core.planning import MotionPlanner

INDEX = "index.json"
_BAD_INPUT, _REFUSED = 2, 3


@dataclass(frozen=True)
class ManyOptions:
    """What to make.

    Attributes:
        prompts: Text file, one sentence a line.
        out: Folder for the results.
        samples: Motions per sentence, with seeds `seed`, `seed + 1`, ...
        batch: Motions made at once.
        seconds: Length of each [s], or None to let the model choose.
        seed: First seed of every sentence.
        guidance: How closely the text is followed, or None for the model's own.
        steps: Passes per scale, or None for the model's own.
    """

    prompts: Path
    out: Path
    samples: int
    batch: int
    seconds: float | None
    seed: int
    guidance: float | None
    steps: tuple[int, ...] | None


@dataclass(frozen=True)
class _Job:
    line: int
    text: str
    sample: int
    seed: int

    @property
    def file(self) -> str:
        words = re.sub(r"[^a-z0-9]+", "-", self.text.lower()).strip("-")[:48].rstrip("-")
        return f"{self.line:04d}-{words or 'motion'}-seed{self.seed}.npz"


def read_prompts(path: Path) -> tuple[list[tuple[int, str]], list[str]]:
    """Read sentences, one a line; blank lines and lines that begin with # are passed over.

    Args:
        path: UTF-8 text file.

    Returns:
        (line number, sentence) pairs, and one complaint per line that cannot be used.

    Raises:
        MotionFileError: the file is missing, no UTF-8 text, or holds no line to use or complain of.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise MotionFileError(f"{path} is no UTF-8 text: {error}") from error
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error
    sentences, complaints = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            sentences.append((number, validate_sentence(line)))
        except InvalidTextError as error:
            complaints.append(f"{path} line {number}: {error}")
    if not sentences and not complaints:
        raise MotionFileError(f"{path} holds no sentence; write one a line")
    return sentences, complaints


def generate_many(
    options: ManyOptions,
    *,
    load_pipeline: Callable[[], MotionPipeline],
    load_planner: Callable[[], MotionPlanner] | None,
) -> None:
    """Make all motions, write them and their index, and report the lines that were bad.

    Args:
        options: What to make.
        load_pipeline: Loads the model.
        load_planner: Loads the robot, or None for human motion.

    Raises:
        MotionFileError: the prompts cannot be read or the folder cannot be written.
        typer.Exit: code 2 when a line was bad, 3 when the safety gate refused a motion; all the
            others are done.
    """
    sentences, complaints = read_prompts(options.prompts)
    for complaint in complaints:
        typer.echo(f"error: {complaint}", err=True)
    if not sentences:
        raise typer.Exit(_BAD_INPUT)
    make_folder(options.out)
    jobs = [
        _Job(line, text, sample, options.seed + sample)
        for line, text in sentences
        for sample in range(options.samples)
    ]
    planner = load_planner() if load_planner else None
    pipeline = load_pipeline()
    index: list[dict[str, Any]] = []
    refusals = 0
    with progress_bar("generating") as bar:
        advance(bar, 0, len(jobs))
        for first in range(0, len(jobs), options.batch):
            some = jobs[first : first + options.batch]

            def show(done: int, total: int, *, behind: int = first, now: int = len(some)) -> None:
                advance(bar, round(behind + now * done / max(total, 1), 2), len(jobs))

            clips = pipeline.generate_batch(
                [job.text for job in some],
                seeds=[job.seed for job in some],
                seconds=options.seconds,
                guidance=options.guidance,
                steps=options.steps,
                progress=show,
            )
            for job, clip in zip(some, clips, strict=True):
                entry, reason = _write(job, clip, planner, options.out)
                index.append({**entry, "model": pipeline.name})
                if reason:
                    refusals += 1
                    bar.console.print(f"error: {job.file}: {reason}", markup=False, soft_wrap=True)
            # After every batch, so that an interrupted run leaves an index of what is there.
            _write_index(index, options.out)
            advance(bar, first + len(some), len(jobs))
    written = sum(1 for entry in index if entry["file"])
    facts = {"sentences": f"{len(sentences)}, {options.samples} each", "motions": str(written)}
    if refusals:
        facts["refused"] = str(refusals)
    print_facts(facts, [options.out / INDEX])
    if complaints or refusals:
        raise typer.Exit(_BAD_INPUT if complaints else _REFUSED)


def _write(
    job: _Job, clip: MotionClip, planner: MotionPlanner | None, folder: Path
) -> tuple[dict[str, Any], str]:
    """Write one motion; returns its entry in the index, and why it was refused or ''."""
    entry: dict[str, Any] = {
        "file": job.file,
        "text": job.text,
        "seed": job.seed,
        "seconds": round(clip.seconds, 3),
        "frames": len(clip),
        "fps": clip.fps,
        "line": job.line,
        "sample": job.sample,
    }
    if planner is None:
        write_human(clip, folder / job.file)
        return entry, ""
    entry["robot"] = planner.robot.name
    try:
        trajectory, report = planner.plan(clip)
    except (UnsafeTrajectoryError, RetargetError) as error:
        return {
            **entry,
            "file": None,
            "safety": {"outcome": "rejected", "reason": str(error)},
        }, str(error)
    write_robot(planner.robot, trajectory, folder / job.file, job.seed)
    entry.update(
        seconds=round(trajectory.seconds, 3),
        frames=len(trajectory),
        fps=trajectory.fps,
        safety=report.to_dict(),
    )
    return entry, ""


def _write_index(index: list[dict[str, Any]], folder: Path) -> None:
    path = folder / INDEX
    part = folder / f"{INDEX}.part"
    try:
        part.write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise MotionFileError(f"cannot write {path}: {error.strerror or error}") from error
