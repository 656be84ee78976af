"""Nodes that have declared their parameters and do nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from nextscale_core.exceptions import ConfigError
from nextscale_ros.parameters.values import declare_parameters
from ros.graph import Graph

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ("generate_node", "mock_robot", "simulated_robot", "viewer_node")

RAW = yaml.safe_load((ROOT / "config" / "parameters.yaml").read_text(encoding="utf-8"))
EVERY = [(section, name) for section in RAW for name in RAW[section]]


def having(rule: str) -> list[tuple[str, str]]:
    """The parameters that this rule is declared for."""
    return [(s, n) for s, n in EVERY if rule in RAW[s][n].get("validation", {})]


def argument(section: str, name: str, rule: str) -> Any:
    return RAW[section][name]["validation"][rule]


def live(section: str, name: str) -> bool:
    return not RAW[section][name].get("read_only", False)


@contextmanager
def context_with(graph: Graph, arguments: Sequence[str] = ()) -> Iterator[Context]:
    """A context of its own, as if the process had this command line."""
    context = Context()
    rclpy.init(
        args=["test", *arguments],
        context=context,
        domain_id=int(graph.env["ROS_DOMAIN_ID"]),
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        yield context
    finally:
        context.try_shutdown()


@contextmanager
def node_of(
    context: Context, section: str, start: dict[str, object] | None = None, namespace: str = ""
) -> Iterator[Node]:
    """A node that has declared the section's parameters, with these start values."""
    overrides = [Parameter(name, value=value) for name, value in (start or {}).items()]
    node = Node(
        section,
        context=context,
        namespace=namespace,
        parameter_overrides=overrides,
        start_parameter_services=False,
        enable_rosout=False,
    )
    try:
        declare_parameters(node, section)
        yield node
    finally:
        node.destroy_node()


def put(node: Node, name: str, value: object) -> tuple[bool, str]:
    """Set a parameter: whether it was taken, and if not why."""
    (result,) = node.set_parameters([Parameter(name, value=value)])
    return result.successful, result.reason


def starts(context: Context, section: str, name: str, value: object) -> str:
    """What a node says that is started with this value; '' where it takes it."""
    try:
        with node_of(context, section, {name: value}) as node:
            assert node.get_parameter(name).value == value
    except ConfigError as error:
        return str(error)
    return ""


def just_outside(lower: float, upper: float) -> tuple[float, float]:
    if isinstance(lower, int):
        return lower - 1, upper + 1
    return math.nextafter(lower, -math.inf), math.nextafter(upper, math.inf)
