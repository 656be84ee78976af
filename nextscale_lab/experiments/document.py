"""Markdown tables of the results, written between the markers of a document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.npz import write_text
from nextscale_lab.evaluate.evaluation_report import markdown_table
from nextscale_lab.experiments.results import RowResult
from nextscale_lab.experiments.settings import Row, Table
from nextscale_lab.experiments.study import Study

COLUMNS: tuple[tuple[str, str, float, int], ...] = (
    ("r_precision_1", "Top-1 ↑", 1, 3),
    ("r_precision_2", "Top-2 ↑", 1, 3),
    ("r_precision_3", "Top-3 ↑", 1, 3),
    ("fid", "FID ↓", 1, 3),
    ("mm_dist", "MM-Dist ↓", 1, 3),
    ("diversity", "Diversity →", 1, 3),
    ("multimodality", "MModality", 1, 3),
    ("foot_skate_ratio", "foot skating, % ↓", 100, 1),
)
"""Name in the results, column header, factor and decimals."""

STRUCTURE: tuple[tuple[str, str, float, int], ...] = (
    ("bone_deviation_mm", "bones vary [mm]", 1, 1),
    ("angle_excess_deg", "bent beyond recorded [deg]", 1, 3),
)
"""As `COLUMNS`, of the body's structure: do generated motions stray further than reconstructed
ones?"""

NONE = "-"


def mean_and_std(values: Sequence[float], factor: float = 1.0, decimals: int = 3) -> str:
    """Mean and sample standard deviation, '0.412 ± 0.013'; a single value alone."""
    if not values:
        return NONE
    scaled = factor * np.asarray(values, dtype=np.float64)
    text = f"{scaled.mean():.{decimals}f}"
    return text if len(scaled) < 2 else f"{text} ± {scaled.std(ddof=1):.{decimals}f}"


def metrics_table(table: Table, study: Study, results: Mapping[str, list[RowResult]]) -> str:
    """Markdown of one table: metrics on test, then the cost of each row.

    Args:
        table: Rows in order.
        study: Study of the rows.
        results: Results by row; may lack rows.
    """
    rows = [study.row(name) for name in table.rows]
    measured = [results.get(row.name, []) for row in rows]
    heads = ["row", "seeds", *(head for _, head, _, _ in COLUMNS), "battery, % ↑"]
    body = []
    for row, own in zip(rows, measured, strict=True):
        battery = [result.battery for result in own if result.battery is not None]
        body.append(
            [
                row.label,
                str(len(own)) if own else "not run yet",
                *_cells([result.test for result in own]),
                mean_and_std(battery, 100, 1),
            ]
        )
    body += _recorded(rows, measured)
    parts = [
        markdown_table(heads, body),
        _costs(rows, measured),
        _structure(rows, measured),
        _notes(rows, measured),
    ]
    return "\n\n".join(part for part in parts if part)


def _recorded(rows: Sequence[Row], measured: Sequence[list[RowResult]]) -> list[list[str]]:
    """Rows of the recorded motions, one for each range of verbs of the rows."""
    groups: dict[tuple[int, int] | None, tuple[str, list[RowResult]]] = {}
    for row, own in zip(rows, measured, strict=True):
        if len(own) > len(groups.get(row.verbs, ("", []))[1]):
            groups[row.verbs] = (row.label, own)
    out = []
    for label, own in groups.values():
        name = "recorded motions" if len(groups) == 1 else f"recorded motions, {label}"
        out.append([name, NONE, *_cells([result.real for result in own]), NONE])
    return out


def _cells(values: Sequence[Mapping[str, float]]) -> list[str]:
    """Cells of `COLUMNS` over the seeds."""
    return [
        mean_and_std([own[name] for own in values if name in own], factor, decimals)
        for name, _, factor, decimals in COLUMNS
    ]


def _costs(rows: Sequence[Row], measured: Sequence[list[RowResult]]) -> str:
    heads = ["row", "parameters", "steps", "training, min", "tokenizer, mm", "passes", "guidance"]
    body = []
    for row, own in zip(rows, measured, strict=True):
        if not own:
            continue
        budgets = [result.budget for result in own]
        cells = [NONE] * (len(heads) - 1)
        if row.kind != "retrieval":
            first, strength = budgets[0], max(row.sampling.guidance)
            cells = [
                f"{first['parameters'] / 1e6:.2f} M",
                f"{first['steps']} x {first['settings']['batch_size']}",
                mean_and_std([b["train_seconds"] / 60 for b in budgets], 1, 1),
                f"{first['reconstruction_mpjpe_mm']:.1f}",
                str(first["passes"]),
                ", ".join(f"{strength * result.guidance:g}" for result in own),
            ]
        motion = mean_and_std([b["motion_seconds"] for b in budgets], 1, 2)
        body.append([row.label, *cells, motion])
    return markdown_table([*heads, "CPU s a motion"], body) if body else ""


def _structure(rows: Sequence[Row], measured: Sequence[list[RowResult]]) -> str:
    """Bones and joint angles, generated, reconstructed and recorded, where all are measured."""
    kinds = ("generated", "reconstructed", "recorded")
    heads = ["row", *(f"{head}, {kind}" for _, head, _, _ in STRUCTURE for kind in kinds)]
    body = []
    for row, own in zip(rows, measured, strict=True):
        known = [result for result in own if "reconstruction" in result.budget]
        if not known:
            continue
        cells = []
        for name, _, factor, decimals in STRUCTURE:
            generated = [result.test[name] for result in known]
            others = (known[0].budget["reconstruction"][name], known[0].real[name])
            cells += [
                mean_and_std(values, factor, decimals)
                for values in (generated, *([value] for value in others))
            ]
        body.append([row.label, *cells])
    return markdown_table(heads, body) if body else ""


def _notes(rows: Sequence[Row], measured: Sequence[list[RowResult]]) -> str:
    """Data of the metrics; one line if equal for all rows."""
    lines: dict[str, list[str]] = {}
    for row, own in zip(rows, measured, strict=True):
        if own:
            text = "; ".join(f"{name} {value}" for name, value in own[0].about.items())
            lines.setdefault(text, []).append(row.label)
    if len(lines) == 1:
        return f"Measured on: {next(iter(lines))}."
    return "\n".join(f"- {', '.join(labels)}: {text}." for text, labels in lines.items())


def write_tables(document: Path, study: Study, results: Mapping[str, list[RowResult]]) -> list[str]:
    """Replace the text between `<!-- table NAME -->` and `<!-- end NAME -->` by the tables.

    Returns:
        Names of the tables.

    Raises:
        ConfigError: the document or a marker is missing, or a marker is duplicate or unknown.
        MotionFileError: the document cannot be written.
    """
    try:
        text = document.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{document} cannot be read: {error.strerror or error}") from error
    known = {table.name for table in study.tables}
    for name in re.findall(r"<!-- (?:table|end) (\S+) -->", text):
        if name not in known:
            raise ConfigError(
                f"{document} has a marker of table {name!r}; there are: {', '.join(sorted(known))}"
            )
    for table in study.tables:
        begin, end = f"<!-- table {table.name} -->", f"<!-- end {table.name} -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.find(begin) > text.find(end):
            raise ConfigError(f"{document} must hold {begin} once and {end} once after it")
        before, rest = text.split(begin)
        _, after = rest.split(end)
        content = metrics_table(table, study, results)
        text = f"{before}{begin}\n\n{content}\n\n{end}{after}"
    write_text(document, text)
    return [table.name for table in study.tables]
