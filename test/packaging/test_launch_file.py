"""The launch file, wherever ROS's launch is importable (it is not on PyPI)."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("launch.actions", reason="launch is not on PyPI; runs on a ROS installation")
pytest.importorskip("launch_ros.actions", reason="launch_ros is not on PyPI; runs on ROS")

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "generate.launch.py"


def load(**arguments: str) -> tuple[LaunchContext, list[Node]]:
    """A context with these arguments, and the nodes that would start in it."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    entities = get_launch_description_from_python_launch_file(str(LAUNCH_FILE)).entities
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
    nodes = [entity for entity in entities if isinstance(entity, Node)]
    return context, [n for n in nodes if n.condition is None or n.condition.evaluate(context)]


def executables(**arguments: str) -> list[str]:
    context, nodes = load(**arguments)
    return [
        node.node_executable
        if isinstance(node.node_executable, str)
        else perform_substitutions(context, node.node_executable)
        for node in nodes
    ]


def test_both_nodes_start() -> None:
    assert executables() == ["mock_robot", "generate_node"]


def test_without_the_mock_robot_only_the_generate_node_starts() -> None:
    assert executables(mock="false") == ["generate_node"]


def test_every_argument_has_a_description_and_a_default() -> None:
    description = get_launch_description_from_python_launch_file(str(LAUNCH_FILE))
    arguments = description.get_launch_arguments()
    assert {a.name for a in arguments} >= {
        "robot",
        "model",
        "mock",
        "device",
        "params_file",
        "log_level",
    }
    for argument in arguments:
        assert argument.default_value is not None
        assert argument.description


def test_the_default_parameter_file_exists() -> None:
    context, _ = load()
    assert Path(context.launch_configurations["params_file"]).is_file()
