"""Untrusted YAML files: plain values of bounded size, and errors of their pydantic models."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import ValidationError

from nextscale_core.exceptions import ConfigError

MAX_BYTES = 1 << 20
"""Maximum size of a file [bytes]."""

MAX_VALUES = 100_000
"""Maximum number of values of a file, aliases expanded."""

MAX_TEXT = 20_000
"""Maximum length of a value [characters]; longer numbers take seconds to parse."""


def read_yaml(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """The content of a YAML file: mappings, lists, texts, numbers, dates and None.

    Args:
        path: The file, in UTF-8.
        max_bytes: Larger files are refused.

    Raises:
        ConfigError: the file cannot be read, is too large or not valid YAML, or has too many
            values with aliases expanded.
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
    """The content of YAML text; messages begin with `where`."""
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
        raise ConfigError(f"{where} is not read: {error}") from error
    # Impossible dates, empty numbers and deep nesting raise errors of different types.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where} is not valid YAML: {reason[:500]}") from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values below a node, aliases expanded.

    Raises:
        ConfigError: a value that is a part of itself, or a text that is too long.
    """
    before = known.get(id(node))
    if before is not None:
        if not before:
            raise ConfigError("a value is a part of itself")
        return before
    # A node that is met again before it is counted contains itself.
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


def nearest(name: str, known: Collection[str]) -> str:
    """End of an error message: the valid name nearest to `name`, or all where none is near."""
    # A pattern for both sides, such as '*_kneee', is compared with '*_knee'.
    both = {f"*{one[one.index('_') :]}" for one in known if "_" in one and name.startswith("*")}
    close = difflib.get_close_matches(name, [*known, *sorted(both)], n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


@contextmanager
def config_errors(where: str, model: type) -> Iterator[None]:
    """Turn the errors of a pydantic model into one `ConfigError` that names every key.

    Args:
        where: File or object, at the start of the message.
        model: The model that is validated; an unknown key is answered with its nearest key.

    Raises:
        ConfigError: the values inside the `with` block are not valid.
    """
    try:
        yield
    except ValidationError as error:
        lines = [_line(dict(found), model) for found in error.errors(include_url=False)]
        raise ConfigError(f"{where}: {'; '.join(lines)}") from error


def _line(found: dict[str, Any], model: type) -> str:
    """One error of pydantic as 'limits.velocity.knee must be greater than 0, got -1'."""
    kind, place = found["type"], ".".join(str(key) for key in found["loc"])
    if kind in ("extra_forbidden", "unexpected_keyword_argument", "invalid_key"):
        *above, key = found["loc"]
        for parent in above:
            model = _part(model, parent)
        return f"unknown key {place}; {nearest(str(key), get_type_hints(model))}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "value_error":
        return f"{place} {found['ctx']['error']}".strip()
    message = found["msg"].replace("Input should", "must")
    if kind in ("dict_type", "mapping_type", "model_type", "dataclass_type"):
        message = "must be a mapping"
    return f"{place} {message}, got {found['input']!r:.200}".strip()


def _part(model: Any, key: str | int) -> Any:
    """The model in a field; of a list or of 'X | None', that of its items."""
    if isinstance(key, int):
        return model  # an item of the list above
    part = get_type_hints(model)[key]
    return next((one for one in get_args(part) if is_dataclass(one)), part)
