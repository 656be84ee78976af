"""One JSON per row and seed: what was measured, on what, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from nextscale_core.exceptions import ConfigError
from nextscale_lab.schema import CLOSED, validated

FOLDER = "results"


@dataclass(frozen=True, config=CLOSED)
class Result:
    """A row measured with one seed.

    Attributes:
        row: Name of the row.
        seed: Seed of training and sampling.
        settings: All that decided the figures; results are compared only where these agree.
        budget: Steps, seconds and parameters of the training, and processor
            seconds per motion.
        guidance: Factor on the guidance that val chose.
        val: Figures on val, by name.
        test: Figures on test, by name.
        real: Figures of the recorded motions on test, by name.
        battery: Share of the battery's samples that pass; None when it was left out.
        about: What to say under the table: data, clips, evaluator.
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
    """Where the result of a row and seed is kept."""
    return runs / FOLDER / f"{row}-seed{seed}.json"


def write_result(runs: Path, result: Result) -> Path:
    """Write a result; a reader never sees half a file."""
    path = result_path(runs, result.row, result.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def read_result(path: Path) -> Result:
    """Read what `write_result` wrote.

    Raises:
        ConfigError: the file is cut short or not a result.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is cut short or invalid JSON: {error}") from error
    return validated(Result, content, f"{path} is not a result")


def finished(runs: Path, row: str, seed: int, settings: Mapping[str, Any]) -> Result | None:
    """The result of a row and seed, if it was measured with these settings."""
    path = result_path(runs, row, seed)
    if not path.is_file():
        return None
    result = read_result(path)
    # As JSON, since tuples come back as lists.
    return result if result.settings == json.loads(json.dumps(settings)) else None


def read_results(runs: Path) -> dict[str, list[Result]]:
    """All results of a folder by row, seeds in order.

    Raises:
        ConfigError: a file is no result, or the seeds of a row were measured differently.
    """
    found: dict[str, list[Result]] = {}
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
