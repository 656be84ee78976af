"""Motions of many sentences in one process: one file each, and an index beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nextscale_core.cli.choices import sized_for
from nextscale_core.cli.console import BAD_INPUT, REFUSED, advance, print_facts, progress_bar
from nextscale_core.cli.inputs import read_text, sentence_lines
from nextscale_core.cli.outputs import check_files, write_human, write_robot
from nextscale_core.exceptions import (
    InvalidTextError,
    MotionFileError,
    RetargetError,
    UnsafeTrajectoryError,
)
from nextscale_core.stopwatch import Run
from nextscale_core.text.validation import validate_sentence

if TYPE_CHECKING:
    from nextscale_core.model.options import GenerationOptions
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_core.planning import MotionPlanner

INDEX = "index.json"


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


def _read_prompts(path: Path) -> tuple[list[tuple[int, str]], list[str]]:
    """(line number, sentence) pairs, and one message per invalid line."""
    sentences, complaints = [], []
    for number, line in sentence_lines(read_text(path)):
        try:
            sentences.append((number, validate_sentence(line)))
        except InvalidTextError as error:
            complaints.append(f"{path} line {number}: {error}")
    if not sentences and not complaints:
        raise MotionFileError(f"{path} holds no sentence; write one a line")
    return sentences, complaints


def generate_many(
    prompts: Path,
    out: Path,
    options: GenerationOptions,
    *,
    samples: int,
    batch: int,
    come_to_rest: bool,
    load_pipeline: Callable[[], MotionPipeline],
    load_planner: Callable[[], MotionPlanner] | None,
) -> None:
    """Generate all motions, write them and their index, and report invalid lines.

    Args:
        prompts: Text file in UTF-8, one sentence a line.
        out: Folder of the results.
        options: Options of each motion; its seed is that of a sentence's first sample.
        samples: Motions per sentence, their seeds count up.
        batch: Motions generated at once.
        come_to_rest: Whether a motion that ends in movement goes on to a standstill.
        load_pipeline: Loads the model.
        load_planner: Loads the robot; None for human motion.

    Raises:
        MotionFileError: the prompts cannot be read or the folder cannot be written.
        typer.Exit: code 2 after an invalid line, 3 after a motion that the safety gate refused;
            all others are written.
    """
    sentences, complaints = _read_prompts(prompts)
    for complaint in complaints:
        typer.echo(f"error: {complaint}", err=True)
    if not sentences:
        raise typer.Exit(BAD_INPUT)
    check_files([out / INDEX], [prompts])
    jobs = [
        _Job(line, text, sample, options.seed + sample)
        for line, text in sentences
        for sample in range(samples)
    ]
    planner = None if load_planner is None else load_planner()
    options = sized_for(options, planner)
    pipeline = load_pipeline()
    index: list[dict[str, Any]] = []
    refusals = 0
    with progress_bar("generating") as bar:
        advance(bar, 0, len(jobs))
        for first in range(0, len(jobs), batch):
            some = jobs[first : first + batch]

            def show(done: int, total: int, *, behind: int = first, now: int = len(some)) -> None:
                advance(bar, round(behind + now * done / max(total, 1), 2), len(jobs))

            seeds = [job.seed for job in some]
            texts = [job.text for job in some]
            clips = pipeline.generate_batch(texts, options, seeds=seeds, run=Run(progress=show))
            for job, clip in zip(some, clips, strict=True):
                if come_to_rest:
                    clip = pipeline.come_to_rest(clip, options, seed=job.seed)
                entry, reason = _write(job, clip, planner, out)
                index.append({**entry, "model": pipeline.name})
                if reason:
                    refusals += 1
                    bar.console.print(f"error: {job.file}: {reason}", markup=False, soft_wrap=True)
            # After every batch, so that an interrupted run leaves an index of its files.
            _write_index(index, out)
            advance(bar, first + len(some), len(jobs))
    written = sum(1 for entry in index if entry["file"])
    facts = {"sentences": f"{len(sentences)}, {samples} each", "motions": str(written)}
    if refusals:
        facts["refused"] = str(refusals)
    print_facts(facts, [out / INDEX])
    if complaints or refusals:
        raise typer.Exit(BAD_INPUT if complaints else REFUSED)


def _write(
    job: _Job, clip: MotionClip, planner: MotionPlanner | None, folder: Path
) -> tuple[dict[str, Any], str]:
    """Write one motion; returns its index entry, and the reason for a refusal or ''."""
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
        entry.update(file=None, safety={"outcome": "rejected", "reason": str(error)})
        return entry, str(error)
    write_robot(planner.robot, trajectory, folder / job.file, job.seed)
    entry.update(
        seconds=round(trajectory.seconds, 3),
        frames=len(trajectory),
        fps=trajectory.fps,
        safety=report.to_dict(),
    )
    return entry, ""


def _write_index(index: list[dict[str, Any]], folder: Path) -> None:
    from nextscale_core.npz import write_text

    write_text(folder / INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")
