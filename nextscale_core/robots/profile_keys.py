"""Reading keys of a YAML mapping and remembering everything that is wrong, not only the first."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

_LARGEST = 1e300
"""Whole numbers may be larger than any float."""


def nearest(name: str, known: Collection[str]) -> str:
    """End of an error message: the nearest right name, or all of them where none is near.

    Args:
        name: What was given.
        known: What would have been right.
    """
    # Patterns for both sides are meant like '*_knee', so they are compared with such.
    both = {f"*{one[one.index('_') :]}" for one in known if "_" in one and name.startswith("*")}
    close = difflib.get_close_matches(name, [*known, *sorted(both)], n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


class Keys:
    """One mapping of a YAML file.

    What is wrong goes into `problems`, which branches share, and a harmless value is returned in
    its place: the caller looks at `problems` before it uses any.

    Args:
        tree: The mapping.
        allowed: The keys it may have.
        prefix: Where it stands in the file, for messages: 'parts.left.'.
        problems: The list to add to.
    """

    def __init__(
        self,
        tree: Mapping[str, Any],
        allowed: Collection[str],
        prefix: str = "",
        problems: list[str] | None = None,
    ):
        self._tree, self._prefix = tree, prefix
        self.problems: list[str] = [] if problems is None else problems
        for key in tree:
            if key not in allowed:
                self._wrong(f"unknown key {prefix}{key}; {nearest(str(key), allowed)}")

    def __contains__(self, key: str) -> bool:
        return key in self._tree

    def _wrong(self, message: str) -> None:
        self.problems.append(message)

    def branch(self, key: str, allowed: Collection[str], *, required: bool = False) -> Keys:
        """A mapping below this one; an empty one where it is missing."""
        tree = self._mapping(key)
        if required and self._tree.get(key) is None:
            self._wrong(f"{self._prefix}{key} is missing")
        # That a whole mapping is missing is said once, not for every key in it.
        problems = self.problems if tree else []
        return Keys(tree, allowed, f"{self._prefix}{key}.", problems)

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self._tree.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(f"{self._prefix}{key} must be a mapping, got {value!r}")
            return {}
        return value

    def text(self, key: str) -> str:
        """Free text, '' where it is missing."""
        return str(self._tree.get(key, ""))

    def name(self, key: str) -> str:
        """A name that must be there."""
        value = self._tree.get(key)
        if isinstance(value, str) and value:
            return value
        problem = "is missing" if value is None else f"must be a name, got {value!r}"
        self._wrong(f"{self._prefix}{key} {problem}")
        return "?"

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number; it must be there where there is no default."""
        return self._number(key, self._tree.get(key, default))

    def _number(self, key: str, value: object) -> float:
        if value is None:
            self._wrong(f"{self._prefix}{key} is missing")
        elif (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not -_LARGEST < value < _LARGEST
        ):
            self._wrong(f"{self._prefix}{key} must be a number, got {value!r}")
        else:
            return float(value)
        return 1.0

    def numbers(self, key: str, default: Mapping[str, float] | None = None) -> dict[str, float]:
        """A table of numbers."""
        values = self._mapping(key)
        if not values:
            return dict(default or {})
        return {str(name): self._number(f"{key}.{name}", value) for name, value in values.items()}

    def intervals(self, key: str) -> dict[str, tuple[float, float]]:
        """A table of [lower, upper]."""
        result = {}
        for name, value in self._mapping(key).items():
            if not isinstance(value, list) or len(value) != 2:
                self._wrong(f"{self._prefix}{key}.{name} must be [lower, upper], got {value!r}")
                continue
            lower, upper = (self._number(f"{key}.{name}", number) for number in value)
            result[str(name)] = (lower, upper)
        return result

    def point(self, key: str) -> tuple[float, float, float]:
        """[x, y, z] that must be there."""
        value = self._tree.get(key)
        if not isinstance(value, list) or len(value) != 3:
            self._wrong(f"{self._prefix}{key} must be [x, y, z] in metres, got {value!r}")
            return 0.0, 0.0, 0.0
        x, y, z = (self._number(key, number) for number in value)
        return x, y, z

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A list of [name, name]."""
        value = self._tree.get(key) or []
        if not isinstance(value, list) or any(
            not isinstance(pair, list) or len(pair) != 2 for pair in value
        ):
            self._wrong(f"{self._prefix}{key} must be a list of [link, link], got {value!r}")
            return ()
        return tuple((str(a), str(b)) for a, b in value)

    def words(self, key: str, default: str) -> str | tuple[str, ...]:
        """One word, or a list of them."""
        value = self._tree.get(key, default)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            return tuple(value)
        self._wrong(f"{self._prefix}{key} must be a word or a list of words, got {value!r}")
        return default
