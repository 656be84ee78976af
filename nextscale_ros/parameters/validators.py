"""Rules for parameter values, named as in config/parameters.yaml.

Those ending in `<>` are the built-in validators of ROS's generate_parameter_library
(https://github.com/PickNikRobotics/generate_parameter_library), those beginning with `nextscale::`
our own. Every rule words what it allows so that it follows 'must be'.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name

from nextscale_core.exceptions import ConfigError
from nextscale_core.yaml_files import nearest


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
    given: Any = [] if arguments is None else arguments
    wanted, make = table[name]
    valid = isinstance(given, list) and len(given) == len(wanted)
    if valid and wanted == _BOUNDS:
        valid = all(type(one) is kind for one in given) and given[0] <= given[1]
    elif valid and wanted == _LIST:
        valid = isinstance(given[0], list) and bool(given[0])
        valid = valid and all(type(one) is kind for one in given[0])
    if not valid:
        listed = f"[{', '.join(wanted)}]" if wanted else "empty"
        raise ConfigError(f"must be {listed}, got {given!r}")
    return make(*given)


def _bounds(lower: float, upper: float) -> Rule:
    return Rule(f"{lower} to {upper}", lambda v: lower <= v <= upper, (lower, upper))


def _one_of(values: list[Any]) -> Rule:
    return Rule(" or ".join(map(str, values)), lambda v: v in values)


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


def _is_endpoint(value: str) -> bool:
    """Whether others can connect to a ZMQ endpoint: port 0 and ipc://* are any that is free."""
    tcp = re.fullmatch(r"tcp://[^\s/;]+:(\d{1,5})", value, re.ASCII)
    if tcp is not None:
        return 1 <= int(tcp[1]) <= 65535
    return re.fullmatch(r"ipc://(?!\*$)\S+", value) is not None


_NAME = "a ROS name (letters, digits, _ and /, no digit first)"

_BOUNDS, _LIST = ("lower", "upper"), ("list",)
"""Arguments of the rules."""

_Table = dict[str, tuple[tuple[str, ...], Callable[..., Rule]]]

_FOR_NUMBERS: _Table = {
    "bounds<>": (_BOUNDS, _bounds),
    "one_of<>": (_LIST, _one_of),
    "nextscale::zero_or_bounds": (_BOUNDS, _zero_or_bounds),
}

_NOT_EMPTY: _Table = {"not_empty<>": ((), lambda: Rule("not empty", lambda v: len(v) > 0))}

_FOR_TEXT: _Table = {
    **_NOT_EMPTY,
    "one_of<>": (_LIST, _one_of),
    "nextscale::topic_name": ((), lambda: Rule(_NAME, _is_topic_name)),
    "nextscale::topic_name_or_empty": (
        (),
        lambda: Rule(f"empty, or {_NAME}", lambda v: not v or _is_topic_name(v)),
    ),
    "nextscale::zmq_endpoint_or_empty": (
        (),
        lambda: Rule(
            "empty, tcp://HOST:PORT with a port from 1 to 65535, such as tcp://*:5556, or "
            "ipc://PATH",
            lambda v: not v or _is_endpoint(v),
        ),
    ),
}

_FOR_ARRAYS: _Table = {
    **_NOT_EMPTY,
    "nextscale::zero_or_element_bounds": (_BOUNDS, _zero_or_each),
}
