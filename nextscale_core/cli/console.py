"""Console output and exit codes: results on stdout, progress on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nextscale_core.stopwatch import Run

FAILED, BAD_INPUT, REFUSED = 1, 2, 3


@contextmanager
def progress_bar(label: str, period: float = 30.0) -> Iterator[Progress]:
    """A progress bar with one task called `label`; it disappears at the end.

    Args:
        label: Its name.
        period: Time over which speed is measured [s].
    """
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, speed_estimate_period=period
    ) as progress:
        progress.add_task(label, total=None)
        yield progress


def advance(progress: Progress, done: float, total: float) -> None:
    """Set the bar's one task to `done` of `total`."""
    progress.update(progress.task_ids[0], completed=done, total=total)


@contextmanager
def following(label: str) -> Iterator[Run]:
    """A run of a model whose passes advance a progress bar called `label`."""
    with progress_bar(label) as bar:
        yield Run(progress=partial(advance, bar))


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner while a step such as 'loading moscale-cmu' runs."""
    with Console(stderr=True).status(what):
        yield


def notes(remarks: Iterable[object]) -> dict[str, str]:
    """Facts from remarks, one per line."""
    return {f"note {number}": str(remark) for number, remark in enumerate(remarks, 1)}


def print_facts(facts: dict[str, str], files: list[Path]) -> None:
    """Print facts about the result, one per line, and the written files last."""
    rows = [*facts.items(), *(("written", str(path)) for path in files)]
    console = Console()
    if not console.is_terminal:
        # Programs that read a pipe need whole lines.
        for name, value in rows:
            typer.echo(f"{name}: {value}")
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    console.print(table)
