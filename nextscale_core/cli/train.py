"""`nextscale train`: the commands that make weights."""

from __future__ import annotations

import typer

app = typer.Typer(help="Train a tokenizer or a generator.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    """Train a tokenizer or a generator."""
