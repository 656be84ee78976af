"""The program `generate_node`: one process that serves one robot, or several with one model."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

from nextscale_core.exceptions import ConfigError
from nextscale_core.text.language import TextWarning
from nextscale_ros.node.generate_node import THREADS, GenerateNode
from nextscale_ros.node.models import ModelStore
from nextscale_ros.options import parse_fleet
from nextscale_ros.spin import serve, told_in_one_line


def makers(fleet: dict[str, str]) -> dict[str, Callable[[], Node]]:
    """Factories of the nodes of a fleet by their names in messages; without one, of the node."""
    if not fleet:
        return {"generate_node": GenerateNode}
    models = ModelStore()

    def maker(namespace: str, robot: str) -> Callable[[], Node]:
        return lambda: GenerateNode(
            models=models,
            namespace=namespace,
            parameter_overrides=[Parameter("robot", value=robot)],
        )

    return {
        f"{namespace.replace('/', '.')}.generate_node": maker(namespace, robot)
        for namespace, robot in fleet.items()
    }


def run(arguments: Sequence[str]) -> NoReturn:
    """Serve until a signal, then end the process.

    Args:
        arguments: Command line without the program's name, ROS arguments included.
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
    with told_in_one_line():
        rest = remove_ros_args(["generate_node", *arguments])[1:]
    options = parser.parse_args(rest)
    try:
        nodes = makers(parse_fleet(options.fleet) if options.fleet else {})
    except ConfigError as error:
        parser.error(str(error))
    serve(nodes, THREADS + 2 * (len(nodes) - 1))


def main() -> None:
    """Entry point of `ros2 run nextscale_ros generate_node`."""
    warnings.simplefilter("ignore", TextWarning)  # the reports say so
    run(sys.argv[1:])


if __name__ == "__main__":
    main()
