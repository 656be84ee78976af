"""The parameters of the nodes in ROS: as config/parameters.yaml declares them.

A parameter that is not read-only is live: what is set counts from the next request on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from nextscale_core.exceptions import ConfigError
from nextscale_ros.parameters.schema import Declaration, declarations

MAX_SEED = 2**31 - 1
"""Largest seed that the parameter takes."""


@dataclass(frozen=True)
class Settings:
    """The parameters that may change while the node runs, as one request sees them.

    Attributes:
        seconds: Length of the motion [s], or None: the model chooses.
        seed: Seed, or None: a new one each time.
        guidance: Strength of the guidance, or None: the model's own.
        steps: Passes per scale, coarse to fine, or None: the model's own.
        preemption: What a request does to the one that is being served: 'newest_wins' or 'refuse'.
        start_from_state: Begin in the measured state where it is known.
        state_policy: What to do where joint states are absent or stale.
        continuation: What a sentence continues.
        history: How much of the past a motion continues [s].
        state_timeout: Age up to which a joint state is current [s].
        takeover_margin: How far ahead of sending a trajectory for a robot under way begins [s].
        execution_timeout: So much longer than its trajectory an execution may take [s].
        publish_markers: Whether markers are published.
    """

    seconds: float | None = None
    seed: int | None = None
    guidance: float | None = None
    steps: tuple[int, ...] | None = None
    preemption: str = "newest_wins"
    start_from_state: bool = True
    state_policy: str = "reject"
    continuation: str = "from_state"
    history: float = 1.0
    state_timeout: float = 0.2
    takeover_margin: float = 0.1
    execution_timeout: float = 5.0
    publish_markers: bool = True


def declare_parameters(node: Node, section: str = "generate_node") -> None:
    """Declare a node's parameters and refuse values that are not allowed from then on.

    Args:
        node: Takes the parameters; a lifecycle node does, too.
        section: Section of config/parameters.yaml, named as the node.

    Raises:
        ConfigError: a start value has another type or is not allowed; the message names the
            parameter and says what would be right. Or config/parameters.yaml itself is malformed.
    """
    declared = declarations(section)
    node.add_on_set_parameters_callback(partial(_check, declared))
    for one in declared.values():
        try:
            node.declare_parameter(one.name, one.default, descriptor(one))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ConfigError(f"parameter {one.name} must be {wanted(one)}; {error}") from error


def descriptor(declared: Declaration) -> ParameterDescriptor:
    """A declaration as ROS wants it; `ros2 param describe` shows it.

    Bounds become a range, other rules a sentence in `additional_constraints`.
    """
    result = ParameterDescriptor(
        name=declared.name, description=declared.description, read_only=declared.read_only
    )
    bounds = declared.bounds
    if bounds is None:
        result.additional_constraints = f"must be {declared.allowed}" if declared.rules else ""
    elif declared.type == "double":
        lower, upper = bounds
        result.floating_point_range = [FloatingPointRange(from_value=lower, to_value=upper)]
    else:
        lower, upper = bounds
        result.integer_range = [IntegerRange(from_value=int(lower), to_value=int(upper), step=1)]
    return result


def wanted(declared: Declaration) -> str:
    """Type and range in words, such as 'a double (1.0, not 1), 5.0 to 500.0 [Hz]'."""
    kind = declared.type.replace("_array", " array").replace("double", "double (1.0, not 1)")
    article = "an" if kind.startswith("int") else "a"
    return f"{article} {kind}" + (f", {declared.allowed}" if declared.rules else "")


def _check(
    declared: Mapping[str, Declaration], parameters: Sequence[Parameter]
) -> SetParametersResult:
    """Whether values are allowed. Type, range and read-only rclpy has looked at before."""
    for parameter in parameters:
        one = declared.get(parameter.name)
        if one is not None and (reason := one.problem(parameter.value)):
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def read_settings(node: Node) -> Settings:
    """The live parameters of the generate node as they are now."""

    def value(name: str) -> Any:
        return node.get_parameter(name).value

    return Settings(
        seconds=value("seconds") or None,
        seed=None if value("seed") < 0 else int(value("seed")),
        guidance=value("guidance") or None,
        steps=tuple(int(step) for step in value("steps") if step) or None,
        preemption=str(value("preemption")),
        start_from_state=bool(value("start_from_state")),
        state_policy=str(value("state_policy")),
        continuation=str(value("continuation")),
        history=float(value("history")),
        state_timeout=float(value("state_timeout")),
        takeover_margin=float(value("takeover_margin")),
        execution_timeout=float(value("execution_timeout")),
        publish_markers=bool(value("publish_markers")),
    )
