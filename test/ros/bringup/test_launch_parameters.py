"""Which value a node parameter has: that of the command line, that of the file, or the default."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.context import Context
from rclpy.node import Node

from nextscale_core.exceptions import ConfigError
from nextscale_ros.bringup.launch_graph import (
    GENERATE,
    PACKAGE,
    LaunchGraph,
    Process,
    arrange,
    described,
    parameter_file,
)
from nextscale_ros.bringup.parameter_file import ParameterFile
from nextscale_ros.options import DESCRIPTIONS, NODE_PARAMETERS, Options
from nextscale_ros.parameters.schema import all_declarations
from ros.declaring import context_with
from ros.graph import Graph

ROBOT_IN = "  ros__parameters: {robot: %s}"
SECTIONS = [
    "/**/generate_node:\n" + ROBOT_IN % "any",
    "generate_node:\n" + ROBOT_IN % "bare",
    "/generate_node:\n" + ROBOT_IN % "root",
    "/left/generate_node:\n" + ROBOT_IN % "left",
    "/**:\n" + ROBOT_IN % "all",
    "/*/generate_node:\n" + ROBOT_IN % "one_level",
    "/left/*:\n" + ROBOT_IN % "in_left",
    "left:\n  generate_node:\n    ros__parameters: {robot: nested}",
    "/**/mock_robot:\n" + ROBOT_IN % "mock",
]
SPACES = ("", "left", "lab/left")


def file_with(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text + "\n", encoding="utf-8")
    return str(path)


def start_values(context: Context, namespace: str) -> dict[str, object]:
    """What rcl gives a generate node."""
    node = Node(
        GENERATE,
        context=context,
        namespace=namespace,
        start_parameter_services=False,
        enable_rosout=False,
    )
    try:
        return {name: one.value for name, one in node._parameter_overrides.items()}
    finally:
        node.destroy_node()


@pytest.mark.parametrize("first", range(len(SECTIONS)))
def test_a_parameter_file_is_read_as_rcl_reads_it(graph: Graph, tmp_path: Path, first: int) -> None:
    """Whatever the order of its sections."""
    for sections in (SECTIONS[first:] + SECTIONS[:first], [SECTIONS[first]]):
        path = file_with(tmp_path, "\n".join(sections))
        with context_with(graph, ["--ros-args", "--params-file", path]) as context:
            for namespace in SPACES:
                found = ParameterFile(path).said("robot", GENERATE, namespace)
                assert found == start_values(context, namespace).get("robot")


@pytest.mark.parametrize("first", range(len(SECTIONS)))
def test_what_is_asked_for_wins_over_every_section_of_a_file(
    graph: Graph, tmp_path: Path, first: int
) -> None:
    path = file_with(tmp_path, "\n".join(SECTIONS[first:] + SECTIONS[:first]))
    own = tmp_path / "own.yaml"
    of_robots = {"left": {"profile": "mine.yaml"}}
    process = Process(PACKAGE, GENERATE, GENERATE, "", {"robot": "asked"}, of_robots=of_robots)
    own.write_text(parameter_file(process))
    arguments = ["--ros-args", "--params-file", path, "--params-file", str(own)]
    with context_with(graph, arguments) as context:
        found = {space: start_values(context, space) for space in SPACES}
    assert [values["robot"] for values in found.values()] == ["asked"] * 3
    assert found["left"]["profile"] == "mine.yaml" and "profile" not in found[""]


def arranged(**options: object) -> LaunchGraph:
    return arrange(Options(**options), lambda package: False, lambda spaces: {})  # type: ignore[arg-type]


FILE = """
/**/generate_node:
  ros__parameters:
    {robot: talos, model: mine, device: cuda, autostart: false, output: walking, use_sim_time: true}
/**/mock_robot:
  ros__parameters: {robot: talos}
"""


def test_what_nobody_asks_for_is_as_the_file_says(tmp_path: Path) -> None:
    """It is passed on only to nodes that share it, for which the file says nothing."""
    found = arranged(params_file=file_with(tmp_path, FILE))
    mock, generate = (process.parameters for process in found.processes)
    assert generate == {"robot": "talos", "use_sim_time": True}
    assert mock == {"robot": "talos", "use_sim_time": True, "give_way": True}
    assert found.notes == ()


def test_what_is_asked_for_is_passed_on_and_said_where_the_file_says_otherwise(
    tmp_path: Path,
) -> None:
    """Also where it is the default."""
    asked = {
        "robot": "g1", "model": "moscale-cmu", "device": "cpu", "autostart": True,
        "output": "topic", "use_sim_time": False,
    }  # fmt: skip
    path = file_with(tmp_path, FILE)
    found = arranged(params_file=path, **asked)
    mock, generate = (process.parameters for process in found.processes)
    assert generate == asked
    assert mock == {"robot": "g1", "use_sim_time": False, "give_way": True}
    assert set(found.notes) == {
        f"robot is g1 as asked for; {path} says talos for generate_node and talos for mock_robot",
        f"use_sim_time is false as asked for; {path} says true for generate_node",
        f"model is moscale-cmu as asked for; {path} says mine for generate_node",
        f"device is cpu as asked for; {path} says cuda for generate_node",
        f"autostart is true as asked for; {path} says false for generate_node",
        f"output is topic as asked for; {path} says walking for generate_node",
    }
    same = {**asked, "robot": "talos", "model": "mine", "device": "cuda", "autostart": False}
    assert not arranged(
        params_file=path, **{**same, "output": "walking", "use_sim_time": True}
    ).notes


def test_nodes_of_one_robot_for_which_the_file_names_two_are_refused(tmp_path: Path) -> None:
    path = file_with(tmp_path, FILE.replace("{robot: talos}", "{robot: h1}"))
    with pytest.raises(ConfigError, match="robot is talos for generate_node and h1 for mock_robot"):
        arranged(params_file=path)
    assert arranged(params_file=path, mock="false").processes[0].parameters["robot"] == "talos"


def test_each_robot_of_a_fleet_has_the_parameters_of_its_section(tmp_path: Path) -> None:
    path = file_with(
        tmp_path,
        "/left/mock_robot:\n  ros__parameters: {profile: left.yaml}\n"
        "/right/generate_node:\n  ros__parameters: {robot: h1, device: cuda}\n",
    )
    found = arranged(params_file=path, fleet="left=g1,right=talos")
    left, right, generate = found.processes
    assert (left.parameters["robot"], left.parameters["profile"]) == ("g1", "left.yaml")
    assert right.parameters == {"robot": "talos", "give_way": True}
    assert generate.parameters == {}
    assert generate.of_robots == {"left": {"profile": "left.yaml"}, "right": {}}
    assert found.notes == (
        f"robot in right is talos as asked for; {path} says h1 for generate_node",
    )


SIMULATED = "/**/simulated_robot:\n  ros__parameters: {balancer: fixed, robot: talos}\n"


def test_the_simulated_robot_is_that_of_the_file_and_decides_on_the_output(tmp_path: Path) -> None:
    pytest.importorskip("mujoco", reason="needs MuJoCo")
    found = arranged(params_file=file_with(tmp_path, SIMULATED), sim=True)
    robot, generate = (process.parameters for process in found.processes)
    assert (robot["robot"], robot["balancer"]) == ("talos", "fixed")
    assert generate == {"robot": "talos", "output": "topic"}


def test_an_output_of_the_file_stays_and_what_the_balancer_takes_is_said(tmp_path: Path) -> None:
    pytest.importorskip("mujoco", reason="needs MuJoCo")
    text = SIMULATED + "/**/generate_node:\n  ros__parameters: {output: reference}\n"
    path = file_with(tmp_path, text)
    found = arranged(params_file=path, sim=True)
    assert "output" not in found.processes[1].parameters
    assert f"output is reference by {path}, but the balancer fixed takes topic" in found.notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [b", "is not valid YAML"),
        (
            "/**:\n  ros__parameters: {robot: 1}",
            "robot of generate_node must be a string, in quotes",
        ),
        (
            "/**:\n  ros__parameters: {autostart: 0}",
            "autostart of generate_node must be true or fal",
        ),
        ("/**:\n  ros__parameters: {use_sim_time: yep}", "must be true or false, got 'yep'"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    path = file_with(tmp_path, text)
    with pytest.raises(ConfigError, match=words) as error:
        arranged(params_file=path)
    assert path in str(error.value)


def test_every_option_that_is_a_parameter_may_be_left_to_the_file() -> None:
    known = {"use_sim_time"}.union(*all_declarations().values())
    assert set(NODE_PARAMETERS) == set(DESCRIPTIONS) & known
    for name in NODE_PARAMETERS:
        assert getattr(Options(), name) is None and "parameter file" in described(name)
