"""Validation of files with pydantic, with messages that name place and nearest key; JSON files."""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from nextscale_core.exceptions import ConfigError
from nextscale_core.npz import write_text

T = TypeVar("T")

CLOSED = ConfigDict(extra="forbid")
"""Configuration of a record that refuses unknown keys."""

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_MUST_BE = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    **dict.fromkeys(("dict_type", "dataclass_type", "model_type"), "must be a mapping"),
}


def validated(kind: type[T], content: object, where: str) -> T:
    """The content of a file as a value of a type.

    Args:
        kind: A pydantic dataclass or model, or a container of these.
        content: Mappings, lists and scalars of the file.
        where: Start of the message: the file, or a place in it.

    Raises:
        ConfigError: an unknown or missing key, or a value of another type or range.
    """
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(kind, error)}") from error


def explain(kind: Any, error: ValidationError) -> str:
    """The first fault of a pydantic error in one line, unknown keys before all others."""
    faults = error.errors(include_url=False)
    fault = next((f for f in faults if f["type"] in _UNKNOWN), faults[0])
    type_, place = fault["type"], [part for part in fault["loc"] if part != "[key]"]
    if type_ in _UNKNOWN:
        text = unknown_key(str(place.pop()), _known_keys(kind, place))
    elif type_ == "missing":
        text = f"{place.pop()!r} is missing"
    elif type_ == "value_error":
        text = fault["msg"].removeprefix("Value error, ")
    else:
        text = _MUST_BE.get(type_) or re.sub(r"^\w+ should", "must", fault["msg"])
        key = place.pop() if place and isinstance(place[-1], str) else ""
        text = f"{key} {text}, got {fault['input']!r}".strip()
    names = [f"entry {part + 1}" if isinstance(part, int) else part for part in place]
    return f"{', '.join(names)}: {text}" if names else text


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Message for a key that a mapping may not have."""
    close = difflib.get_close_matches(key, known, n=1)
    nearest = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown key {key!r}; {nearest}there are: {', '.join(known)}"


def _known_keys(kind: Any, place: Sequence[int | str]) -> list[str]:
    """Keys of the record at a place in content of some type."""
    for part in place:
        fields = getattr(kind := _required(kind), "__pydantic_fields__", None)
        if fields:
            kind = fields[part].annotation
        else:
            kind = [member for member in get_args(kind) if member is not Ellipsis][-1]
    return list(_required(kind).__pydantic_fields__)


def _required(kind: Any) -> Any:
    """The type X of 'X | None', any other type as it is."""
    return get_args(kind)[0] if get_origin(kind) in (Union, types.UnionType) else kind


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write indented JSON atomically.

    Raises:
        MotionFileError: the file cannot be written.
    """
    write_text(path, json.dumps(values, indent=2) + "\n")
