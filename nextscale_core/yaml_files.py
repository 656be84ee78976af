"""YAML files from elsewhere: plain values of a bounded size, or one typed error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from nextscale_core.exceptions import ConfigError

MAX_BYTES = 1 << 20
"""Largest file that is read by default."""

MAX_VALUES = 100_000
"""Most values of a file, each alias counted as all that it stands for."""

MAX_TEXT = 20_000
"""Longest single value [characters]; a number of that length would take seconds to read."""


def read_yaml(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """What a YAML file holds: mappings, lists, texts, numbers, dates and None.

    Args:
        path: The file, in UTF-8.
        max_bytes: Larger files are refused.

    Raises:
        ConfigError: the file cannot be read, is too large or no YAML, or its aliases stand for
            more than it could hold written out.
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
        raise ConfigError(f"{path} is no text in UTF-8: {error}") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """The same for text; `where` begins the messages."""
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where} is longer than {MAX_BYTES} characters")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MAX_VALUES:
            raise ConfigError(f"it holds more than {MAX_VALUES} values")
        return loader.construct_document(node)
    except ConfigError as error:
        raise ConfigError(f"{where} is not read: {error}") from error
    # Impossible dates, empty numbers and nesting without end raise as many types.
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where} is no YAML: {told[:500]}") from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, written out.

    Raises:
        ConfigError: a value that is a part of itself, or a text too long.
    """
    before = known.get(id(node))
    if before is not None:
        if not before:
            raise ConfigError("a value is a part of itself")
        return before
    # Until it is done, it is a part of itself.
    known[id(node)] = 0
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
