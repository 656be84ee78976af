"""`generate_node`: one process that serves one robot, or several with one model."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

from nextscale_core.exceptions import ConfigError
from nextscale_ros.generate_node import THREADS, GenerateNode
from nextscale_ros.models import ModelStore
from nextscale_ros.serving import serve

_NAMESPACE = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def parse_fleet(text: str) -> dict[str, str]:
    """Robots by namespace.

    Args:
        text: Such as 'left=g1,right=talos'.

    Raises:
        ConfigError: not of this form, or a namespace that ROS does not allow or that comes twice.
    """
    fleet: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        namespace, equals, robot = (piece.strip() for piece in part.partition("="))
        if not equals or not robot or not _NAMESPACE.fullmatch(namespace):
            raise ConfigError(f"a fleet is NAMESPACE=ROBOT,NAMESPACE=ROBOT..., got {part!r}")
        if namespace in fleet:
            raise ConfigError(f"the fleet has two robots in namespace {namespace!r}")
        fleet[namespace] = robot
    return fleet


def makers(fleet: dict[str, str]) -> list[Callable[[], Node]]:
    """What makes the nodes of a fleet; without one, the one node of the command line."""
    if not fleet:
        return [GenerateNode]
    models = ModelStore()

    def maker(namespace: str, robot: str) -> Callable[[], Node]:
        return lambda: GenerateNode(
            models=models,
            namespace=namespace,
            parameter_overrides=[Parameter("robot", value=robot)],
        )

    return [maker(namespace, robot) for namespace, robot in fleet.items()]


def run(arguments: Sequence[str]) -> int:
    """Serve until a signal.

    Args:
        arguments: Command line without the program's name, ROS arguments included.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(
        prog="generate_node", description="A sentence becomes a trajectory."
    )
    parser.add_argument(
        "--fleet",
        default="",
        metavar="NAMESPACE=ROBOT,...",
        help="several robots in this one process, which share the model",
    )
    options = parser.parse_args(remove_ros_args(["generate_node", *arguments])[1:])
    try:
        nodes = makers(parse_fleet(options.fleet))
    except ConfigError as error:
        parser.error(str(error))
    return serve(nodes, THREADS + 2 * (len(nodes) - 1))
