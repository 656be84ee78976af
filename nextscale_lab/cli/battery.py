"""`nextscale battery`: pass rates of a model on the prompt suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_DEFAULT_MODEL = "moscale-cmu"
# `nextscale_core.model.options.DEFAULT_CANDIDATES`, which `--help` need not import.
_CANDIDATES = 4


def battery(
    json_path: Annotated[
        Path, typer.Option("--json", help="File for the whole report.", dir_okay=False)
    ],
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = _DEFAULT_MODEL,
    prompts: Annotated[
        Path | None,
        typer.Option(help="YAML with sentences and checks; default: the package's own."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Samples per sentence: seeds 0, 1, ...")] = 8,
    candidates: Annotated[
        int, typer.Option(min=1, max=64, help="Motions made for each sample, the best is checked.")
    ] = _CANDIDATES,
    data: Annotated[
        Path | None,
        typer.Option(help="CMU folder; adds the pass rate of recorded clips to the table."),
    ] = None,
    core: Annotated[bool, typer.Option("--core", help="Only the sentences marked core.")] = False,
    other_words: Annotated[
        bool, typer.Option("--other-words", help="The same sentences in other words.")
    ] = False,
    unseen_words: Annotated[
        bool, typer.Option("--unseen-words", help="In words with which nothing was chosen.")
    ] = False,
    device: Annotated[str, typer.Option(help="Torch device of the model.")] = "cpu",
    markdown: Annotated[
        Path | None, typer.Option(help="File for the table in Markdown.", dir_okay=False)
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Picture with a strip of each sentence's first motion.", dir_okay=False),
    ] = None,
) -> None:
    """Generate motions for plain sentences and check them geometrically."""
    # `nextscale_core.cli` loads this module as an entry point, so that it cannot be imported above.
    from nextscale_core.cli.outputs import check_files

    check_files((json_path, markdown, sheet), (prompts,))
    # Loading torch takes seconds, which `nextscale --help` does not need.
    from rich.console import Console
    from rich.table import Table
    from tqdm import tqdm

    from nextscale_core.npz import write_text
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_lab.evaluate.best_of import BestOf
    from nextscale_lab.evaluate.prompt_suite import (
        load_prompt_suite,
        real_rates,
        recorded_clips,
        run_prompt_suite,
    )
    from nextscale_lab.evaluate.sheet import picture_format, save_sheet
    from nextscale_lab.files import write_json

    if sheet:
        picture_format(sheet)
    items = load_prompt_suite(
        prompts, core=core, other_words=other_words, unseen_words=unseen_words
    )
    real = real_rates(recorded_clips(data), items) if data else {}
    pipeline = MotionPipeline.from_pretrained(model, device=device)
    chosen = BestOf(pipeline, candidates)
    with tqdm(total=len(items) * seeds, desc="samples") as bar:
        report = run_prompt_suite(
            chosen,
            items,
            range(seeds),
            lambda done, _: bar.update(done - bar.n),
            name=model,
        )
    report = report.with_real(real)
    write_json(json_path, report.to_dict())
    if markdown:
        write_text(markdown, report.markdown() + "\n")
    if sheet:
        save_sheet(chosen.first, sheet)
    header, *rows = report.rows()
    table = Table(title=f"{report.model}: {100 * report.rate:.0f} % of all samples pass")
    for name in header:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(f"report: {json_path}")
