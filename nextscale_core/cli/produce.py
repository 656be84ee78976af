"""`nextscale produce`: motion in bulk, from a specification."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.console import advance, print_facts, progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from nextscale_core.production import Production

_PERIOD = 600.0
"""Time over which speed is measured for the remaining time [s]."""

_LOG_INTERVAL = 30.0
"""Time between lines of progress where the output is not a terminal [s]."""


def produce(
    spec: Annotated[Path, typer.Argument(help="YAML file: see docs/factory.md.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, or to go on with.")],
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, one thread each; one per core if not given."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(help="Address of a Ray cluster that does the work, such as auto."),
    ] = None,
) -> None:
    """Make many motions: sentences or captures to files of robots' motion, with a manifest.

    The same command goes on where an interrupted one ended.

    nextscale produce examples/produce.yaml --out motions

    nextscale produce spec.yaml --out motions --ray auto
    """
    from nextscale_core.production import produce as run

    with progress_bar("producing", _PERIOD) as bar:
        result = run(spec, out, workers=workers, ray=ray, progress=_Follower(bar))
    refused = ", ".join(f"{count} at {stage}" for stage, count in result.refused.items())
    facts = {
        "sources": f"{result.done} of {result.total}",
        "kept": str(result.kept),
        "refused": refused or "0",
    }
    print_facts(facts, [out / "manifest.jsonl"])
    if result.stopped is not None:
        typer.echo(
            f"stopped: nothing is lost; the same command goes on: nextscale produce {spec} "
            f"--out {out}",
            err=True,
        )
        raise typer.Exit(128 + result.stopped)


class _Follower:
    """Shows progress: a bar in a terminal, now and then a line elsewhere."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._begin = self._shown = time.monotonic()
        self._before: int | None = None

    def __call__(self, state: Production) -> None:
        """Show the state of a production."""
        if self._before is None:
            self._before = state.done
        advance(self._bar, state.done, state.total)
        now = time.monotonic()
        if self._bar.console.is_terminal or now < self._shown + _LOG_INTERVAL:
            return
        self._shown = now
        left = (state.total - state.done) * (now - self._begin) / max(state.done - self._before, 1)
        typer.echo(
            f"{state.done} of {state.total} sources, {state.kept} kept, "
            f"{sum(state.refused.values())} refused, {left / 60:.0f} min left",
            err=True,
        )
