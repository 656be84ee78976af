"""Safe reading of YAML files: plain values of bounded size, and one typed error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from nextscale_core.exceptions import ConfigError

MAX_BYTES = 1 << 20
"""Maximum size of a file by default [bytes]."""

MAX_VALUES = 100_000
"""Maximum number of values of a file, aliases expanded."""

MAX_TEXT = 20_000
"""Maximum length of a value [characters]; longer numbers take seconds to parse."""


def read_yaml(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """Content of a YAML file in UTF-8: mappings, lists, texts, numbers, dates and None.

    Raises:
        ConfigError: the file cannot be read, is larger than `max_bytes`, is not valid YAML, or
            holds too many values with its aliases expanded.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read: {reason}") from error
    if len(data) > max_bytes:
        raise ConfigError(f"{path} is larger than {max_bytes} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Content of YAML text, see `read_yaml`; error messages begin with `where`."""
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where} is longer than {MAX_BYTES} characters")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MAX_VALUES:
            raise ConfigError(f"more than {MAX_VALUES} values")
        return loader.construct_document(node)
    except ConfigError as error:
        raise ConfigError(f"{where} is refused: {error}") from error
    # Invalid dates, empty numbers and endless nesting each raise another type.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where} is not valid YAML: {reason[:500]}") from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values of a node, aliases expanded.

    Raises:
        ConfigError: a value contains itself, or a text is too long.
    """
    before = known.get(id(node))
    if before is not None:
        if not before:
            raise ConfigError("a value is a part of itself")
        return before
    known[id(node)] = 0  # in progress: meeting it again below means a cycle
    total = 1
    if isinstance(node, yaml.ScalarNode):
        if len(node.value) > MAX_TEXT:
            raise ConfigError(f"a value is longer than {MAX_TEXT} characters")
    elif isinstance(node, yaml.MappingNode):
        total += sum(_size(key, known) + _size(value, known) for key, value in node.value)
    else:
        total += sum(_size(value, known) for value in node.value)
    known[id(node)] = total
    return total
