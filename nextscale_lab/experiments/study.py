"""`Study`: the declared rows and tables, read from nextscale_lab/config/experiments.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nextscale_core.exceptions import ConfigError
from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG
from nextscale_lab.experiments.settings import (
    Measuring,
    Row,
    Sampling,
    SingleScale,
    Table,
    Training,
    fill,
)

DEFAULT_STUDY = CONFIG / "experiments.yaml"


@dataclass(frozen=True)
class Study:
    """All rows, and what they share.

    Attributes:
        rows: In the order of the file.
        tables: Which rows stand together in the document.
        single_scale: Tokenizer of the next-token rows.
        measuring: How rows are measured.
    """

    rows: tuple[Row, ...]
    tables: tuple[Table, ...]
    single_scale: SingleScale
    measuring: Measuring

    def row(self, name: str) -> Row:
        """The row of that name.

        Raises:
            ConfigError: there is none; the message lists those there are.
        """
        for row in self.rows:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self.rows)
        raise ConfigError(f"no row {name!r}; there are: {known}")

    def choose(self, names: Sequence[str]) -> tuple[Row, ...]:
        """The named rows, in the order of the file, each once; 'all' stands for every row."""
        wanted = {row.name for row in self.rows} if "all" in names else set(names)
        for name in wanted:
            self.row(name)
        return tuple(row for row in self.rows if row.name in wanted)

    def with_steps(self, steps: int) -> Study:
        """The same study with another number of training steps everywhere."""
        if steps < 1:
            raise ConfigError(f"steps must be from 1 up, got {steps}")

        def shorter(training: Training) -> Training:
            return replace(
                training,
                steps=steps,
                warmup=min(training.warmup, max(steps // 10, 1)),
                eval_every=min(training.eval_every, steps),
            )

        single = self.single_scale
        return replace(
            self,
            rows=tuple(replace(row, training=shorter(row.training)) for row in self.rows),
            single_scale=replace(
                single,
                steps=min(single.steps, steps),
                decoder_steps=min(single.decoder_steps, steps),
            ),
        )


def load_study(path: str | Path | None = None) -> Study:
    """Read and validate a study.

    Args:
        path: A YAML file; None for the one that comes with the package.

    Raises:
        ConfigError: the file is missing or no YAML, or has an unknown key, a value of another
            type, a row twice, or a table that names an unknown row.
    """
    path = Path(path) if path is not None else DEFAULT_STUDY
    try:
        content = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"study {error}") from error
    try:
        return _study(content)
    except ConfigError as error:
        raise ConfigError(f"study {path}: {error}") from error


_KEYS = ("training", "sampling", "single_scale", "measuring", "rows", "tables")


def _study(content: object) -> Study:
    if not isinstance(content, dict):
        raise ConfigError(f"must be a mapping with {', '.join(_KEYS)}")
    for key in content:
        if key not in _KEYS:
            raise ConfigError(f"unknown key {key!r}; there are: {', '.join(_KEYS)}")
    training = fill(Training, content.get("training"), "training")
    sampling = fill(Sampling, content.get("sampling"), "sampling")
    rows = tuple(
        _row(name, values, training, sampling)
        for name, values in _mapping(content.get("rows"), "rows").items()
    )
    tables = tuple(
        Table(name, fill(Table, {"name": name, "rows": own}, f"table {name!r}").rows)
        for name, own in _mapping(content.get("tables"), "tables").items()
    )
    study = Study(
        rows,
        tables,
        fill(SingleScale, content.get("single_scale"), "single_scale"),
        fill(Measuring, content.get("measuring"), "measuring"),
    )
    for table in tables:
        for name in table.rows:
            try:
                study.row(name)
            except ConfigError as error:
                raise ConfigError(f"table {table.name!r}: {error}") from error
    return study


def _mapping(values: object, where: str) -> dict[str, object]:
    if not isinstance(values, dict) or not values:
        raise ConfigError(f"{where} must be a mapping of names, got {values!r}")
    for name in values:
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"{where}: a name is letters, numbers and dashes, got {name!r}")
    return values


def _row(name: str, values: object, training: Training, sampling: Sampling) -> Row:
    where = f"row {name!r}"
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a mapping, got {values!r}")
    if "name" in values:
        raise ConfigError(f"{where}: unknown key 'name'; the row's key is its name")
    own = dict(values)
    own["training"] = fill(Training, own.get("training"), f"{where}, training", training)
    own["sampling"] = fill(Sampling, own.get("sampling"), f"{where}, sampling", sampling)
    return fill(Row, {"name": name, **own}, where)
