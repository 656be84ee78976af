"""Reader of the caption tables in nextscale_lab/config/captions/."""

from __future__ import annotations

from functools import cache
from typing import Any

from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG

TABLES = CONFIG / "captions"


@cache
def table(name: str) -> dict[str, Any]:
    """Content of `config/captions/<name>.yaml`, read once."""
    content: dict[str, Any] = read_yaml(TABLES / f"{name}.yaml")
    return content


def texts(value: str | list[str] | None) -> tuple[str, ...]:
    """One text, a list of texts or None as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value or ())
