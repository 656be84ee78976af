"""`Study`: rows and tables of nextscale_lab/config/experiments.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator
from pydantic.dataclasses import dataclass

from nextscale_core.exceptions import ConfigError
from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG
from nextscale_lab.experiments.settings import (
    Measuring,
    Row,
    Sampling,
    SingleScale,
    Skeletal,
    Table,
    Training,
)
from nextscale_lab.files import CLOSED, validated

DEFAULT_STUDY = CONFIG / "experiments.yaml"


@dataclass(frozen=True)
class Study:
    """Rows and shared settings.

    Attributes:
        rows: Rows in the order of the file.
        tables: Tables of the document.
        single_scale: Tokenizer of the next-token rows.
        measuring: Measurement of rows.
    """

    rows: tuple[Row, ...]
    tables: tuple[Table, ...]
    single_scale: SingleScale
    measuring: Measuring

    def row(self, name: str) -> Row:
        """The row of a name.

        Raises:
            ConfigError: an unknown name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self.rows)
        raise ConfigError(f"no row {name!r}; there are: {known}")

    def choose(self, names: Sequence[str]) -> tuple[Row, ...]:
        """The named rows, or all rows for 'all', in the order of the file."""
        wanted = {row.name for row in self.rows} if "all" in names else set(names)
        for name in wanted:
            self.row(name)
        return tuple(row for row in self.rows if row.name in wanted)

    def with_steps(self, steps: int) -> Study:
        """The study with another number of training steps."""
        if steps < 1:
            raise ConfigError(f"steps must be at least 1, got {steps}")

        def shorter(training: Training) -> Training:
            return replace(
                training,
                steps=steps,
                warmup=min(training.warmup, max(steps // 10, 1)),
                eval_every=min(training.eval_every, steps),
            )

        def with_less(row: Row) -> Row:
            skeletal = replace(row.skeletal, steps=min(row.skeletal.steps, steps))
            return replace(row, training=shorter(row.training), skeletal=skeletal)

        single = self.single_scale
        return replace(
            self,
            rows=tuple(map(with_less, self.rows)),
            single_scale=replace(
                single,
                steps=min(single.steps, steps),
                decoder_steps=min(single.decoder_steps, steps),
            ),
        )


_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, config=CLOSED)
class _StudyFile:
    """Content of a study file.

    `training`, `sampling` and `skeletal` hold what rows do not set themselves.
    """

    rows: Annotated[dict[_Name, Row], Field(min_length=1)]
    tables: Annotated[dict[_Name, tuple[str, ...]], Field(min_length=1)]
    training: Training = Training()
    sampling: Sampling = Sampling()
    skeletal: Skeletal = Skeletal()
    single_scale: SingleScale = SingleScale()
    measuring: Measuring = Measuring()

    @model_validator(mode="before")
    @classmethod
    def _complete_rows(cls, content: Any) -> Any:
        """Give every row its name and the shared settings."""
        if not isinstance(content, dict) or not isinstance(content.get("rows"), dict):
            return content
        rows = {}
        for name, row in content["rows"].items():
            if isinstance(row, dict):
                if "name" in row:
                    raise ConfigError(
                        f"rows, {name}: unknown key 'name'; the row's key is its name"
                    )
                row = {"name": name, **row}
                for key in ("training", "sampling", "skeletal"):
                    shared, own = content.get(key) or {}, row.get(key) or {}
                    if isinstance(shared, dict) and isinstance(own, dict):
                        row[key] = {**shared, **own}
            rows[name] = row
        return {**content, "rows": rows}


def load_study(path: str | Path | None = None) -> Study:
    """Read and validate a study.

    Args:
        path: A YAML file; None for the one of the package.

    Raises:
        ConfigError: the file is missing or invalid YAML, or has an unknown key, a value of another
            type, or a table that names an unknown row.
    """
    path = Path(path) if path is not None else DEFAULT_STUDY
    try:
        content = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"study {error}") from error
    file = validated(_StudyFile, content, f"study {path}")
    tables = tuple(Table(name, rows) for name, rows in file.tables.items())
    study = Study(tuple(file.rows.values()), tables, file.single_scale, file.measuring)
    for table in tables:
        for name in table.rows:
            try:
                study.row(name)
            except ConfigError as error:
                raise ConfigError(f"study {path}: table {table.name!r}: {error}") from error
    return study
