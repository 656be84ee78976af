"""Parameters on the command line and in files; topics in namespaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nextscale_core.exceptions import ConfigError
from nextscale_ros.parameters.values import read_settings
from ros.declaring import RAW, ROOT, SECTIONS, context_with, node_of
from ros.graph import START, Graph

# -- names of topics


def test_topics_are_where_they_were_and_move_with_a_namespace(graph: Graph) -> None:
    topics = {
        "text_topic": "/text_command",
        "detailed_text_topic": "/text_command/detailed",
        "command_topic": "/motion_command",
        "base_topic": "/motion_command/base",
        "joint_states_topic": "/joint_states",
        "odometry_topic": "/odom",
        "report_topic": "/motion_report",
        "ready_topic": "/nextscale/ready",
        "markers_topic": "/motion_markers",
        "description_topic": "/robot_description",
    }
    for namespace in ("", "/left"):
        with node_of(graph.context, "generate_node", namespace=namespace) as node:
            found = {
                name: node.resolve_topic_name(node.get_parameter(name).value) for name in topics
            }
        assert found == {name: namespace + topic for name, topic in topics.items()}


@pytest.mark.parametrize("section", ["mock_robot", "viewer_node"])
def test_the_nodes_speak_on_the_same_topics(section: str) -> None:
    for name, fields in RAW[section].items():
        if name.endswith("_topic"):
            assert fields["default_value"] == RAW["generate_node"][name]["default_value"]


# -- the parameter file


@pytest.mark.parametrize("namespace", ["", "/left"])
@pytest.mark.parametrize("section", SECTIONS)
def test_the_parameter_file_gives_each_node_its_defaults(
    graph: Graph, section: str, namespace: str
) -> None:
    file = ROOT / "config" / "params.yaml"
    with (
        context_with(graph, ["--ros-args", "--params-file", str(file)]) as context,
        node_of(context, section, namespace=namespace) as node,
    ):
        for name, fields in RAW[section].items():
            assert node.get_parameter(name).value == fields["default_value"]


def test_what_a_copy_of_the_parameter_file_says_arrives(graph: Graph, tmp_path: Path) -> None:
    text = (ROOT / "config" / "params.yaml").read_text(encoding="utf-8")
    for before, after in (
        ("    seed: -1", "    seed: 7"),
        ("    steps: [0]", "    steps: [6, 5, 4]"),
        ("    # robot: g1", "    robot: talos"),
        ("    history: 1.0", "    history: 2.0"),
        ("    state_rate: 100.0", "    state_rate: 500.0"),
    ):
        assert before in text
        text = text.replace(before, after)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with context_with(graph, ["--ros-args", "--params-file", str(file)]) as context:
        with node_of(context, "generate_node") as node:
            heard = read_settings(node)
            assert (heard.seed, heard.steps, heard.history) == (7, (6, 5, 4), 2.0)
            assert node.get_parameter("robot").value == "talos"
        with node_of(context, "mock_robot") as node:
            assert node.get_parameter("state_rate").value == 500.0


def test_a_word_that_yaml_takes_for_a_truth_value_needs_its_quotes(graph: Graph) -> None:
    for said, outcome in (("'off'", ""), ("off", "put it in quotes"), ("1", "needs quotes")):
        with context_with(graph, ["--ros-args", "-p", f"continuation:={said}"]) as context:
            try:
                with node_of(context, "generate_node") as node:
                    assert read_settings(node).continuation == "off"
                    told = ""
            except ConfigError as error:
                told = str(error)
            assert outcome in told and bool(outcome) == bool(told)


@pytest.mark.parametrize("node", ["generate_node", "mock_robot"])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["--params-file", "/nowhere/params.yaml"], "/nowhere/params.yaml"),
        (["-r", "__ns:=left-robot"], "__ns:=left-robot"),
    ],
)
def test_ros_arguments_that_cannot_be_used_end_a_node_with_one_line(
    graph: Graph, node: str, said: list[str], reason: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nextscale_ros", node, "--ros-args", *said],
        env=graph.env,
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )
    assert done.returncode == 2
    *log, line = done.stderr.splitlines()  # rcl logs on its own
    assert line.startswith("error: ") and reason in line
    assert all(" [rcl]: " in one for one in log)
