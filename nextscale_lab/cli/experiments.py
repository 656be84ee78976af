"""`nextscale experiment`: runs the rows of docs/experiments.md and writes their tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Train and measure the rows of a study; finished ones are kept.", no_args_is_help=True
)

Rows = Annotated[
    Path | None, typer.Option("--config", help="YAML with the rows; default: the package's own.")
]
Runs = Annotated[Path, typer.Option("--out", help="Folder of trained models and results.")]


@app.command()
def run(
    rows: Annotated[list[str], typer.Argument(help="Names of rows; 'all' for all of them.")],
    data: Annotated[Path, typer.Option("--data", help="CMU folder or HumanML3D folder.")],
    tokenizer: Annotated[Path, typer.Option(help="Folder of the trained tokenizer.")],
    out: Runs,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of training: 0, 1, ...")] = 3,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of every training; default: those of the file.")
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="CPU threads; 0 leaves the choice to torch.")
    ] = 1,
    evaluator: Annotated[
        str,
        typer.Option(help="Name or folder of an evaluator, or FILE.py:FUNCTION that makes one."),
    ] = "evaluator-cmu",
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of encoded training libraries, as of 'train generator'."),
    ] = None,
    train_only: Annotated[
        bool, typer.Option("--train-only", help="Train without measuring.")
    ] = False,
    config: Rows = None,
) -> None:
    """Train and measure rows: one JSON file per row and seed.

    nextscale experiment run base both --data DATA --tokenizer runs/tokenizer/best --out RUNS
    """
    from nextscale_lab.experiments.study import load_study

    study = load_study(config)
    study.choose(rows)
    if steps is not None:
        study = study.with_steps(steps)

    # Loading torch takes seconds; misspelt rows are reported before.
    import torch

    from nextscale_lab.evaluate.evaluator import load_evaluator
    from nextscale_lab.experiments.run import run_rows

    if threads:
        torch.set_num_threads(threads)
    run_rows(
        study,
        rows,
        data=data,
        tokenizer=tokenizer,
        runs=out,
        seeds=seeds,
        evaluator=None if train_only else load_evaluator(evaluator),
        cache=cache,
        say=typer.echo,
    )


@app.command()
def table(
    out: Runs,
    docs: Annotated[
        Path, typer.Option(help="Document whose tables are replaced.", dir_okay=False)
    ] = Path("docs/experiments.md"),
    config: Rows = None,
) -> None:
    """Write mean and standard deviation over the seeds into the document, between its markers."""
    from nextscale_lab.experiments.document import write_tables
    from nextscale_lab.experiments.results import read_results
    from nextscale_lab.experiments.study import load_study

    results = read_results(out)
    written = write_tables(docs, load_study(config), results)
    seeds = sum(map(len, results.values()))
    typer.echo(f"{docs}: {', '.join(written)} from {len(results)} rows, {seeds} results")


@app.command("list")
def list_rows(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of results: adds finished seeds.")
    ] = None,
    config: Rows = None,
) -> None:
    """List the rows of a study."""
    from rich.console import Console
    from rich.table import Table

    from nextscale_lab.experiments.results import read_results
    from nextscale_lab.experiments.study import load_study

    study = load_study(config)
    results = read_results(out) if out else {}
    heads = ["row", "kind", "depth", "steps", "corruption", "passes", "verbs", "tables"]
    shown = Table()
    for head in [*heads, *(["seeds done"] if out else [])]:
        shown.add_column(head, no_wrap=head in ("row", "kind"))
    for row in study.rows:
        trained = row.kind != "retrieval"
        cells = [
            row.name,
            row.kind,
            str(row.training.depth) if trained else "",
            str(row.training.steps) if trained else "",
            f"{row.training.corruption:g}" if trained else "",
            " ".join(map(str, row.sampling.passes))
            if row.kind in ("moscale", "scalemogen")
            else "",
            f"{row.verbs[0]} to {row.verbs[1]}" if row.verbs else "",
            ", ".join(table.name for table in study.tables if row.name in table.rows),
        ]
        shown.add_row(*cells, *([str(len(results.get(row.name, [])))] if out else []))
    Console().print(shown)
