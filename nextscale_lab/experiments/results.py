"""Results of rows: one JSON file per row and seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from nextscale_core.exceptions import ConfigError
from nextscale_lab.files import CLOSED, validated, write_json

FOLDER = "results"


@dataclass(frozen=True, config=CLOSED)
class RowResult:
    """A row measured with one seed.

    Attributes:
        row: Name of the row.
        seed: Seed of training and sampling.
        settings: Settings of training and measurement.
        budget: Steps, seconds and parameters of the training, and processor time per motion [s].
        guidance: Factor on the guidance, chosen on val.
        val: Metrics on val by name.
        test: Metrics on test by name.
        real: Metrics of the recorded motions on test by name.
        battery: Pass rate of the prompt suite, if measured.
        about: Data, clips and evaluator, for the note under a table.
    """

    row: str
    seed: int
    settings: Mapping[str, Any]
    budget: Mapping[str, Any]
    guidance: float
    val: Mapping[str, float]
    test: Mapping[str, float]
    real: Mapping[str, float]
    battery: float | None
    about: Mapping[str, Any]


def result_path(runs: Path, row: str, seed: int) -> Path:
    """Path of the result of a row and seed."""
    return runs / FOLDER / f"{row}-seed{seed}.json"


def write_result(runs: Path, result: RowResult) -> Path:
    """Write a result atomically."""
    path = result_path(runs, result.row, result.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(result))
    return path


def read_result(path: Path) -> RowResult:
    """Read a file of `write_result`.

    Raises:
        ConfigError: the file is cut short or not a result.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is cut short or invalid JSON: {error}") from error
    return validated(RowResult, content, f"{path} is not a result")


def finished(runs: Path, row: str, seed: int, settings: Mapping[str, Any]) -> RowResult | None:
    """The result of a row and seed with equal settings, if any."""
    path = result_path(runs, row, seed)
    if not path.is_file():
        return None
    result = read_result(path)
    # As JSON, which has lists in place of tuples.
    return result if result.settings == json.loads(json.dumps(settings)) else None


def read_results(runs: Path) -> dict[str, list[RowResult]]:
    """All results of a folder by row, seeds in order.

    Raises:
        ConfigError: a file is not a result, or the seeds of a row have different settings.
    """
    found: dict[str, list[RowResult]] = {}
    for path in sorted((runs / FOLDER).glob("*.json")):
        result = read_result(path)
        found.setdefault(result.row, []).append(result)
    for row, results in found.items():
        results.sort(key=lambda result: result.seed)
        for other in results[1:]:
            if other.settings != results[0].settings:
                raise ConfigError(
                    f"row {row!r}: seeds {results[0].seed} and {other.seed} were measured with "
                    "different settings; run the row again for all seeds"
                )
    return found
