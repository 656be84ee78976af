"""Parameters of the nodes in ROS, as config/parameters.yaml declares them.

A parameter that is not read-only is live: a new value applies from the next request on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from nextscale_core.exceptions import ConfigError
from nextscale_core.yaml_files import nearest
from nextscale_ros.parameters.schema import Declaration, all_declarations, declarations

MAX_SEED = 2**31 - 1
"""Maximum seed."""


@dataclass(frozen=True)
class Settings:
    """Snapshot of the live parameters for one request.

    Attributes:
        seconds: Duration of the motion [s]; None lets the model choose.
        seed: Seed; None for a new one each time.
        guidance: Strength of the guidance; None for the model's own.
        steps: Passes per scale, coarse to fine; None for the model's own.
        candidates: Motions made at once for a sentence, of which the best is taken.
        come_to_rest: Whether a motion whose length the model chooses goes on to a standstill where
            it ends in movement.
        preemption: Effect of a request on the one being served: 'newest_wins' or 'refuse'.
        start_from_state: Whether to begin in the measured state where it is known.
        state_policy: Reaction to absent or stale joint states.
        continuation: What a sentence continues.
        history: Duration of the past that a motion continues [s].
        state_timeout: Maximum age of a joint state [s].
        takeover_margin: Time from sending to the first point, for a robot in motion [s].
        reference_bound: Maximum distance of a joint from the reference of a balancing robot [rad].
        execution_timeout: Time that an execution may take beyond its trajectory [s].
        publish_markers: Whether markers are published.
        base_frame: Frame in which the base is measured.
    """

    seconds: float | None = None
    seed: int | None = None
    guidance: float | None = None
    steps: tuple[int, ...] | None = None
    candidates: int = 2
    come_to_rest: bool = True
    preemption: str = "newest_wins"
    start_from_state: bool = True
    state_policy: str = "reject"
    continuation: str = "from_state"
    history: float = 1.0
    state_timeout: float = 0.2
    takeover_margin: float = 0.1
    reference_bound: float = 1.0
    execution_timeout: float = 5.0
    publish_markers: bool = True
    base_frame: str = "odom"


def declare_parameters(node: Node, section: str = "generate_node") -> None:
    """Declare a node's parameters and refuse invalid values from then on.

    Args:
        node: A node or lifecycle node.
        section: Section of config/parameters.yaml, named as the node.

    Raises:
        ConfigError: an invalid start value; the message names the parameter and the valid values.
            An unknown name is only a warning, since a file may be for several nodes.
            Or config/parameters.yaml is malformed.
    """
    declared = declarations(section)
    node.add_on_set_parameters_callback(partial(_check, declared))
    for one in declared.values():
        try:
            node.declare_parameter(one.name, one.default, descriptor(one))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ConfigError(
                f"parameter {one.name} must be {wanted(one)}; {error}{_hint(node, one)}"
            ) from error
        try:
            node.get_parameter(one.name)
        except ParameterUninitializedException as error:
            raise ConfigError(
                f"parameter {one.name} must be {wanted(one)}; got nothing, which an empty list is "
                "to ROS: leave the parameter out"
            ) from error
    known = {"use_sim_time", "start_type_description_service"}.union(*all_declarations().values())
    for name in sorted(set(node._parameter_overrides) - known):
        if not name.startswith("qos_overrides."):
            node.get_logger().warning(f"unknown parameter {name!r}; {nearest(name, known)}")


def _hint(node: Node, declared: Declaration) -> str:
    """How to write text that YAML took for something else; '' where it did not."""
    value = node._parameter_overrides[declared.name].value
    if declared.type != "string" or isinstance(value, str):
        return ""
    if isinstance(value, bool):
        return "; YAML takes a bare on, off, yes or no for a truth value: put it in quotes, 'off'"
    return "; text that looks like something else needs quotes in YAML"


def descriptor(declared: Declaration) -> ParameterDescriptor:
    """The descriptor that `ros2 param describe` shows.

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
    """Check values against their rules; rclpy has checked type, range and read-only before."""
    for parameter in parameters:
        one = declared.get(parameter.name)
        if one is not None and (reason := one.problem(parameter.value)):
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def read_settings(node: Node) -> Settings:
    """The current values of the generate node's live parameters."""
    values = {name: node.get_parameter(name).value for name in Settings.__dataclass_fields__}
    values["steps"] = tuple(int(step) for step in values["steps"] if step)
    for name in ("seconds", "guidance", "steps"):
        values[name] = values[name] or None
    if values["seed"] < 0:
        values["seed"] = None
    return Settings(**values)
