"""Fewer lines for the same table: patterns that say several joint names at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase


def grouped(table: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The same table with patterns in the place of names that say the same."""
    result: dict[str, float] = {}
    done: set[str] = set()
    for joint, value in table.items():
        if joint in done:
            continue
        best, said = joint, {joint}
        for pattern in _patterns(joint):
            matched = {name for name in names if fnmatchcase(name, pattern)}
            if len(matched) > len(said) and all(table.get(name) == value for name in matched):
                best, said = pattern, matched
        result[best] = value
        done |= said
    return result


def _patterns(joint: str) -> list[str]:
    """Patterns that might say this joint and its like, the widest last."""
    sides = re.sub(r"left|right", "*", joint)
    if sides == joint:
        sides = re.sub(r"^[lrLR](?=[A-Z_])", "?", joint)
    if sides == joint:
        sides = re.sub(r"(?<=_)[lrLR](?=_|$)", "?", joint)
    wide = re.sub(r"\d+", "*", sides)
    stem = re.match(r"[*?]?_?[A-Za-z]+", sides)
    return [sides, wide, *([stem.group() + "*"] if stem and len(stem.group()) > 3 else [])]
