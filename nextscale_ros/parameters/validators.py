"""Rules for parameter values, named as in config/parameters.yaml.

Those ending in `<>` are the built-in validators of ROS's generate_parameter_library
(https://github.com/PickNikRobotics/generate_parameter_library), those beginning with `nextscale::`
our own. Every rule words what it allows so that it follows 'must be'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots.profile_keys import nearest


@dataclass(frozen=True)
class Rule:
    """One rule with its arguments.

    Attributes:
        allowed: Allowed values, worded to follow 'must be'.
        holds: Whether a value of the parameter's type satisfies the rule.
        bounds: Minimum and maximum where these are the whole rule, else None.
    """

    allowed: str
    holds: Callable[[Any], bool]
    bounds: tuple[float, float] | None = None


def make_rule(name: str, arguments: object, kind: type, *, array: bool) -> Rule:
    """Make the rule of a name.

    Args:
        name: For example 'bounds<>'.
        arguments: List of its arguments, or None.
        kind: bool, int, float or str: type of the parameter or its elements.
        array: Whether the parameter is an array.

    Raises:
        ConfigError: unknown rule, wrong type of parameter, or invalid arguments.
    """
    table = _FOR_ARRAYS if array else _FOR_TEXT if kind is str else _FOR_NUMBERS
    if kind is bool or name not in table:
        fitting = () if kind is bool else tuple(table)
        raise ConfigError(f"no rule {name!r} for this type; {nearest(name, fitting)}")
    arguments = [] if arguments is None else arguments
    wanted, make = table[name]
    if not isinstance(arguments, list) or len(arguments) != len(wanted):
        raise ConfigError(f"must be {_listed(wanted)}, got {arguments!r}")
    for argument, want in zip(arguments, wanted, strict=True):
        if not _fits(argument, want, kind):
            raise ConfigError(f"must be {_listed(wanted)}, got {arguments!r}")
    if wanted == _BOUNDS and not arguments[0] <= arguments[1]:
        raise ConfigError(f"must be [lower, upper], got {arguments!r}")
    return make(*arguments)


def _listed(wanted: Sequence[str]) -> str:
    return f"[{', '.join(wanted)}]" if wanted else "empty"


def _fits(argument: object, want: str, kind: type) -> bool:
    """Whether an argument is the element, count or list of elements that a rule takes."""
    if want == "list":
        return (
            isinstance(argument, list)
            and bool(argument)
            and all(type(element) is kind for element in argument)
        )
    if want == "count":
        return type(argument) is int and argument >= 0
    return type(argument) is kind


# -- the rules


def _bounds(lower: float, upper: float) -> Rule:
    return Rule(f"{lower} to {upper}", lambda v: lower <= v <= upper, (lower, upper))


def _one_of(values: list[Any]) -> Rule:
    return Rule(" or ".join(map(str, values)), lambda v: v in values)


def _subset_of(values: list[Any]) -> Rule:
    return Rule(f"of {', '.join(map(str, values))} only", lambda v: set(v) <= set(values))


def _each(lower: float, upper: float) -> Rule:
    return Rule(f"{lower} to {upper} each", lambda v: all(lower <= one <= upper for one in v))


def _zero_or_bounds(lower: float, upper: float) -> Rule:
    return Rule(f"0 or {lower} to {upper}", lambda v: v == 0 or lower <= v <= upper)


def _zero_or_each(lower: float, upper: float) -> Rule:
    return Rule(
        f"0 alone, or one number from {lower} to {upper} for each scale",
        lambda v: list(v) == [0] or (len(v) > 0 and all(lower <= one <= upper for one in v)),
    )


def _is_topic_name(value: str) -> bool:
    """Whether ROS accepts a topic name; 'a//b' is invalid only as part of a full name."""
    try:
        validate_topic_name(value)
        whole = re.sub(r"\{\w*\}", "n", value).replace("~", "/n", 1)
        return bool(validate_full_topic_name(whole if whole.startswith("/") else f"/{whole}"))
    except InvalidTopicNameException:
        return False


_NAME = "a ROS name (letters, digits, _ and /, no digit first)"

_BOUNDS = ("lower", "upper")

_Table = dict[str, tuple[tuple[str, ...], Callable[..., Rule]]]

_FOR_NUMBERS: _Table = {
    "bounds<>": (_BOUNDS, _bounds),
    "gt<>": (("value",), lambda low: Rule(f"more than {low}", lambda v: v > low)),
    "gt_eq<>": (("value",), lambda low: Rule(f"at least {low}", lambda v: v >= low)),
    "lt<>": (("value",), lambda high: Rule(f"less than {high}", lambda v: v < high)),
    "lt_eq<>": (("value",), lambda high: Rule(f"at most {high}", lambda v: v <= high)),
    "one_of<>": (("list",), _one_of),
    "nextscale::zero_or_bounds": (_BOUNDS, _zero_or_bounds),
}

_SIZES: _Table = {
    "fixed_size<>": (("count",), lambda n: Rule(f"{n} long", lambda v: len(v) == n)),
    "size_gt<>": (("count",), lambda n: Rule(f"longer than {n}", lambda v: len(v) > n)),
    "size_lt<>": (("count",), lambda n: Rule(f"shorter than {n}", lambda v: len(v) < n)),
    "not_empty<>": ((), lambda: Rule("not empty", lambda v: len(v) > 0)),
}

_FOR_TEXT: _Table = {
    **_SIZES,
    "one_of<>": (("list",), _one_of),
    "nextscale::topic_name": ((), lambda: Rule(_NAME, _is_topic_name)),
    "nextscale::topic_name_or_empty": (
        (),
        lambda: Rule(f"empty, or {_NAME}", lambda v: not v or _is_topic_name(v)),
    ),
}

_FOR_ARRAYS: _Table = {
    **_SIZES,
    "unique<>": ((), lambda: Rule("without doubles", lambda v: len(set(v)) == len(v))),
    "subset_of<>": (("list",), _subset_of),
    "element_bounds<>": (_BOUNDS, _each),
    "nextscale::zero_or_element_bounds": (_BOUNDS, _zero_or_each),
}
