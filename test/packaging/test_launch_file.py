"""The launch file under ROS's own launch or, as that is not on PyPI, under a stand-in.

The stand-in knows no more of launch than the file uses, and how a launch file gets its arguments:
by default values, which the command line overrides.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2")

from nextscale_core.exceptions import ConfigError
from nextscale_ros.other_robots import Present

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
LAUNCH_FILE = ROOT / "launch" / "generate.launch.py"


@dataclass
class Started:
    """What launch would start, and what it would say."""

    nodes: list[dict[str, Any]]
    said: list[str]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [node for node in self.nodes if node["executable"] == name]


def _real() -> bool:
    try:
        return all(
            importlib.util.find_spec(name) is not None
            for name in ("launch.actions", "launch_ros.actions")
        )
    except (ImportError, ValueError):
        return False


class Recorded:
    """An action, a substitution or a value, as it was written down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class Configuration(Recorded):
    def perform(self, context: Any) -> str:
        return str(context.launch_configurations[self.args[0]])


def _stand_in() -> dict[str, ModuleType]:
    names: dict[str, dict[str, type]] = {
        "launch": {"LaunchContext": SimpleNamespace, "LaunchDescription": Recorded},
        "launch.action": {"Action": Recorded},
        "launch.actions": {
            name: type(name, (Recorded,), {})
            for name in ("DeclareLaunchArgument", "LogInfo", "OpaqueFunction", "Shutdown")
        },
        "launch.substitutions": {"LaunchConfiguration": Configuration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": type("Node", (Recorded,), {})},
    }
    modules = {}
    for name, content in names.items():
        modules[name] = ModuleType(name)
        vars(modules[name]).update(content)
    return modules


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Started]]:
    """Runs the launch file with arguments, where there is no robot."""
    monkeypatch.setattr("nextscale_ros.other_robots.present_robots", lambda namespaces: {})
    if _real():
        yield _under_launch
        return
    for name, module in _stand_in().items():
        monkeypatch.setitem(sys.modules, name, module)
    yield _under_stand_in


def _under_stand_in(file: Path = LAUNCH_FILE, /, **arguments: str) -> Started:
    spec = importlib.util.spec_from_file_location("launch_file", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (entities,) = module.generate_launch_description().args
    values = {}
    actions: list[Recorded] = []
    for entity in entities:
        kind = type(entity).__name__
        if kind == "DeclareLaunchArgument":
            values[entity.args[0]] = entity.kwargs["default_value"]
            assert entity.kwargs["description"]
            assert isinstance(entity.kwargs["default_value"], str)
        else:
            assert kind == "OpaqueFunction"
            context = SimpleNamespace(launch_configurations={**values, **arguments})
            actions += entity.kwargs["function"](context)
    assert set(arguments) <= set(values), "every argument is declared"
    nodes, said = [], []
    for action in actions:
        if type(action).__name__ == "LogInfo":
            said.append(action.kwargs["msg"])
            continue
        node = dict(action.kwargs)
        node["files"], node["parameters"] = _read(node["parameters"])
        node["ends"] = bool(node["on_exit"])
        nodes.append(node)
    return Started(nodes, said)


def _under_launch(file: Path = LAUNCH_FILE, /, **arguments: str) -> Started:
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    actions: list[Any] = []
    for entity in get_launch_description_from_python_launch_file(str(file)).entities:
        if isinstance(entity, DeclareLaunchArgument):
            assert entity.default_value is not None and entity.description
            entity.execute(context)
        else:
            assert isinstance(entity, OpaqueFunction)
            actions += entity.execute(context) or []
    said = [perform_substitutions(context, a.msg) for a in actions if isinstance(a, LogInfo)]
    nodes = [_prepared(context, a) for a in actions if not isinstance(a, LogInfo)]
    return Started(nodes, said)


def _read(paths: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The files of users, and the parameters of the file that the launch file wrote after them."""
    *files, last = paths
    if not Path(last).name.startswith("nextscale_"):
        return paths, {}
    parameters: dict[str, Any] = {}
    for section in yaml.safe_load(Path(last).read_text()).values():
        parameters.update(section["ros__parameters"])
    Path(last).unlink()
    return files, parameters


def _prepared(context: Any, node: Any) -> dict[str, Any]:
    """What a `launch_ros.actions.Node` puts on its command line."""
    from launch.utilities import perform_substitutions
    from launch_ros.actions import Node

    node._perform_substitutions(context)
    # What launch fills in when the process starts, such as the node's name, is left empty here.
    namespace = node.expanded_node_namespace or ""
    if namespace == Node.UNSPECIFIED_NODE_NAMESPACE:
        namespace = ""
    blank = defaultdict(str, ns=f"__ns:={namespace}")
    context.extend_locals({"ros_specific_arguments": blank})
    words = [perform_substitutions(context, word) for word in node.cmd[1:]]
    executable = node.node_executable
    if not isinstance(executable, str):
        executable = perform_substitutions(context, executable)
    given = node._Node__expanded_parameter_arguments or []
    assert all(is_file for _, is_file in given)
    files, parameters = _read([str(path) for path, _ in given])
    return {
        "executable": executable,
        "namespace": namespace.strip("/"),
        "files": files,
        "parameters": parameters,
        "remappings": list(node.expanded_remapping_rules or []),
        "arguments": words,
        "ends": bool(node._ExecuteLocal__on_exit),
    }


def test_by_default_a_mock_robot_and_the_generate_node_start(
    launched: Callable[..., Started],
) -> None:
    started = launched()
    assert [node["executable"] for node in started.nodes if "state" not in node["executable"]] == [
        "mock_robot",
        "generate_node",
    ]
    for node in started.nodes:
        if "state" not in node["executable"]:
            (file,) = node["files"]
            assert yaml.safe_load(Path(file).read_text())


def test_without_the_mock_robot_only_the_generate_node_starts(
    launched: Callable[..., Started],
) -> None:
    (node,) = launched(mock="false").nodes
    assert node["executable"] == "generate_node"


def test_a_robot_that_is_there_is_said_and_not_mocked(
    launched: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"": Present("/driver publishes /joint_states")}
    monkeypatch.setattr("nextscale_ros.other_robots.present_robots", lambda namespaces: there)
    started = launched()
    assert [node["executable"] for node in started.nodes] == ["generate_node"]
    assert any("the mock robot is not started" in line for line in started.said)
    with pytest.raises(ConfigError, match="mock is true, but /driver publishes /joint_states"):
        launched(mock="true")


def test_only_a_mock_robot_that_is_asked_for_ends_everything_with_it(
    launched: Callable[..., Started],
) -> None:
    for mock, needed in (("auto", False), ("true", True)):
        started = launched(mock=mock, state_publisher="false")
        ends = {node["executable"]: node["ends"] for node in started.nodes}
        assert ends == {"mock_robot": needed, "generate_node": False}


def test_a_simulated_robot_takes_the_place_of_the_mock_robot(
    launched: Callable[..., Started],
) -> None:
    for mock, needed in (("auto", False), ("true", True)):
        started = launched(sim="true", balancer="fixed", mock=mock, state_publisher="false")
        ends = {node["executable"]: node["ends"] for node in started.nodes}
        assert ends == {"simulated_robot": needed, "generate_node": False}
        (robot,) = started.named("simulated_robot")
        assert robot["parameters"]["balancer"] == "fixed"
        assert any("its base is fixed" in line for line in started.said)


def test_arguments_reach_the_nodes_as_what_they_are(launched: Callable[..., Started]) -> None:
    """A model called 1 stays text, and a flag is no text."""
    (node,) = launched(
        mock="false", model="1", device="cuda:1", use_sim_time="true", autostart="false",
        output="follow_joint_trajectory", log_level="debug",
    ).nodes  # fmt: skip
    assert node["parameters"] == {
        "model": "1",
        "device": "cuda:1",
        "use_sim_time": True,
        "autostart": False,
        "output": "follow_joint_trajectory",
    }
    at = node["arguments"].index("--log-level")
    assert node["arguments"][at + 1] == "debug"


def test_what_is_not_given_is_left_to_the_parameter_file(
    launched: Callable[..., Started], tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("/**:\n  ros__parameters: {robot: talos, device: cuda, output: walking}\n")
    (node,) = launched(mock="false", params_file=str(file)).nodes
    assert node["files"] == [str(file)] and node["parameters"] == {"robot": "talos"}
    started = launched(mock="false", params_file=str(file), output="topic")
    assert started.nodes[0]["parameters"] == {"robot": "talos", "output": "topic"}
    assert started.said == [
        f"nextscale: output is topic as asked for; {file} says walking for generate_node"
    ]


def test_a_namespace_reaches_every_node(launched: Callable[..., Started]) -> None:
    started = launched(namespace="lab", viewer="true", state_publisher="false")
    assert {node["namespace"] for node in started.nodes} == {"lab"}
    assert all(("/tf", "tf") in node["remappings"] for node in started.nodes)


def test_a_fleet_starts_a_mock_robot_in_every_namespace_and_one_generate_node(
    launched: Callable[..., Started],
) -> None:
    started = launched(fleet="left=g1,right=talos", state_publisher="false")
    robots = {node["namespace"]: node["parameters"] for node in started.named("mock_robot")}
    assert {name: given["robot"] for name, given in robots.items()} == {
        "left": "g1",
        "right": "talos",
    }
    (generate,) = started.named("generate_node")
    at = generate["arguments"].index("--fleet")
    assert generate["arguments"][at + 1] == "left=g1,right=talos"
    ros = generate["arguments"].index("--ros-args")
    assert at < ros
    # The process puts its nodes into their namespaces itself; a remapping would undo that.
    assert not generate["namespace"] and "__ns" not in " ".join(generate["arguments"])


def test_what_is_missing_is_said_and_the_rest_starts(
    launched: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextscale_ros.bringup.launch_graph.installed_package", lambda name: False)
    started = launched(rviz="true")
    assert len(started.nodes) == 2
    assert any("apt install ros-$ROS_DISTRO-rviz2" in line for line in started.said)
    assert any("robot-state-publisher" in line for line in started.said)


def test_an_argument_that_makes_no_sense_ends_the_launch(
    launched: Callable[..., Started],
) -> None:
    with pytest.raises(ConfigError, match="output must be one of"):
        launched(output="mqtt")


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_launch_file_can_be_loaded(file: Path, launched: Callable[..., Started]) -> None:
    assert launched(file, mock="false").nodes
