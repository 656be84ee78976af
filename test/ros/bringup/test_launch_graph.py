"""Which processes follow from the arguments of the launch file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.resources import resource
from nextscale_core.robots import load_robot
from nextscale_ros.bringup.launch_graph import Process, arrange, installed_package
from nextscale_ros.options import DESCRIPTIONS, Options
from nextscale_ros.other_robots import Look, Present
from nextscale_ros.simulated_robot.choice import Choice


def nothing(package: str) -> bool:
    return False


def everything(package: str) -> bool:
    return True


def nowhere(namespaces: Iterable[str]) -> dict[str, Present]:
    return {}


def processes(
    installed: Callable[[str], bool] = nothing, look: Look = nowhere, **arguments: str
) -> dict[str, list[Process]]:
    """By executable."""
    found: dict[str, list[Process]] = {}
    for process in arrange(Options.from_texts(arguments), installed, look).processes:
        found.setdefault(process.executable, []).append(process)
    return found


def test_by_default_a_mock_robot_and_the_generate_node_start() -> None:
    found = processes()
    assert list(found) == ["mock_robot", "generate_node"]
    assert found["mock_robot"][0].parameters == {"give_way": True}
    assert found["mock_robot"][0].may_end
    assert found["generate_node"][0].parameters == {}


def test_every_option_is_described_and_survives_the_way_through_text() -> None:
    options = Options(robot="talos", viewer=True, mock="false", namespace="lab", log_level="debug")
    assert Options.from_texts(options.texts()) == options
    assert all(DESCRIPTIONS.values()) and set(options.texts()) == set(DESCRIPTIONS)


def test_a_real_robot_brings_its_own_descriptions_and_states() -> None:
    found = processes(everything, mock="false", rviz="true")
    assert list(found) == ["rviz2", "generate_node"]


THERE = "/driver publishes /joint_states"


def test_where_a_robot_is_there_no_mock_robot_starts_and_the_reason_is_said() -> None:
    found = arrange(Options(), everything, lambda namespaces: {"": Present(THERE, True)})
    assert [process.executable for process in found.processes] == ["generate_node"]
    assert found.notes == (f"{THERE}: the mock robot is not started",)


def test_a_mock_robot_that_is_asked_for_where_a_robot_is_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"mock is true, but {THERE}"):
        arrange(Options(mock="true"), nothing, lambda namespaces: {"": Present(THERE)})


def test_a_mock_robot_that_is_asked_for_is_not_to_end_by_itself() -> None:
    (mock,) = processes(mock="true")["mock_robot"]
    assert mock.parameters == {} and not mock.may_end


@pytest.mark.parametrize(
    ("balancer", "output"), [("tracker", "reference"), ("walking", "walking"), ("fixed", "topic")]
)
def test_the_balancer_of_a_simulated_robot_decides_on_the_output_of_the_generate_node(
    balancer: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Choice(balancer, None if balancer == "fixed" else Path("policy.onnx"))
    monkeypatch.setattr(
        "nextscale_ros.bringup.launch_graph.choose", lambda robot, balancer, policy: chosen
    )
    found = processes(sim="true", policy="policy.onnx")
    assert list(found) == ["simulated_robot", "generate_node"]
    robot, generate = found["simulated_robot"][0].parameters, found["generate_node"][0].parameters
    assert robot["balancer"] == balancer
    assert robot["policy"] == ("" if balancer == "fixed" else "policy.onnx")
    assert generate.get("output", "topic") == output
    # An output that is asked for stays.
    asked = processes(sim="true", output="follow_joint_trajectory")
    assert asked["generate_node"][0].parameters["output"] == "follow_joint_trajectory"


def test_a_simulated_robot_is_the_source_of_simulated_time() -> None:
    found = processes(sim="true", balancer="fixed", use_sim_time="true")
    robot = found["simulated_robot"][0].parameters
    assert robot["publish_clock"] is True and robot["use_sim_time"] is False
    assert found["generate_node"][0].parameters["use_sim_time"] is True


def test_where_a_robot_is_there_no_robot_is_simulated_and_the_output_stays() -> None:
    found = arrange(
        Options(sim=True, balancer="fixed"), nothing, lambda namespaces: {"": Present(THERE)}
    )
    (generate,) = found.processes
    assert "output" not in generate.parameters
    assert found.notes == (f"{THERE}: the simulated robot is not started",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"policy": "a.onnx"}, "add sim:=true"),
        ({"balancer": "tracker"}, "add sim:=true"),
        ({"sim": "true", "mock": "false"}, "mock is false"),
        ({"sim": "true", "fleet": "left=g1,right=talos"}, "leave fleet out"),
        ({"sim": "true", "robot": "robot_description", "profile": "p.yaml"}, "one robot"),
        ({"sim": "true", "balancer": "magic"}, "balancer must be one of"),
        ({"sim": "true", "balancer": "tracker"}, "policy:=PATH"),
    ],
)
def test_a_simulation_that_makes_no_sense_is_refused_with_what_would(
    arguments: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        processes(**arguments)


def test_without_a_mock_robot_no_robot_is_searched() -> None:
    def look(namespaces: Iterable[str]) -> dict[str, Present]:
        raise AssertionError("looked")

    assert list(processes(look=look, mock="false")) == ["generate_node"]


def test_of_a_fleet_those_robots_that_are_not_there_are_mocked() -> None:
    def look(namespaces: Iterable[str]) -> dict[str, Present]:
        assert set(namespaces) == {"left", "right"}
        return {"left": Present("/left/driver publishes /left/joint_states"), "right": Present()}

    found = processes(look=look, fleet="left=g1,right=talos")
    assert [process.namespace for process in found["mock_robot"]] == ["right"]


def test_a_robot_that_is_described_already_is_not_described_again() -> None:
    found = processes(everything, lambda namespaces: {"": Present(described=True)})
    assert list(found) == ["mock_robot", "generate_node"]
    assert found["mock_robot"][0].parameters["publish_description"] is False


def test_the_profile_goes_to_everybody_who_loads_the_robot() -> None:
    found = processes(robot="robot_description", profile="mine.yaml", viewer="true")
    for name in ("mock_robot", "viewer_node", "generate_node"):
        parameters = found[name][0].parameters
        assert parameters["robot"] == "robot_description"
        assert parameters["profile"] == "mine.yaml"


def test_simulated_time_reaches_every_process() -> None:
    try:
        found = processes(everything, use_sim_time="true", rviz="true", viewer="true")
    except RobotError as error:
        pytest.skip(str(error))
    assert len(found) == 5
    assert all(group[0].parameters["use_sim_time"] is True for group in found.values())


def test_in_a_namespace_every_node_has_a_tree_of_transforms_of_its_own() -> None:
    try:
        found = processes(everything, namespace="/lab/", rviz="true", viewer="true")
    except RobotError as error:
        pytest.skip(str(error))
    for group in found.values():
        assert group[0].namespace == "lab"
        assert {("/tf", "tf"), ("/tf_static", "tf_static")} <= set(group[0].remappings)
    assert all(not group[0].remappings for group in processes().values())


def test_rviz_finds_the_topics_of_its_namespace() -> None:
    """Every topic that the RViz file names is remapped, but for /tf, which always is."""
    content = yaml.safe_load(resource("config/rviz/nextscale.rviz").read_text())
    displays = content["Visualization Manager"]["Displays"]
    topics = {
        display[key]["Value"]
        for display in displays
        for key in ("Topic", "Description Topic")
        if key in display
    }
    assert topics == {"/robot_description", "/motion_markers", "/odom"}
    (rviz,) = processes(lambda name: name == "rviz2", namespace="lab", rviz="true")["rviz2"]
    assert topics <= {old for old, _ in rviz.remappings}
    assert all(not new.startswith("/") for _, new in rviz.remappings)


def test_robot_state_publisher_describes_the_robot_and_the_mock_robot_does_not() -> None:
    try:
        robot = load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))
    found = processes(everything)
    assert found["mock_robot"][0].parameters["publish_description"] is False
    text = str(found["robot_state_publisher"][0].parameters["robot_description"])
    joints = {joint.get("name") for joint in ElementTree.fromstring(text).iter("joint")}
    assert set(robot.joint_names) <= joints


def test_what_is_missing_is_said_with_what_installs_it() -> None:
    found = arrange(Options(rviz=True), nothing, nowhere)
    assert [process.executable for process in found.processes] == ["mock_robot", "generate_node"]
    publisher, rviz = found.notes
    assert "apt install ros-$ROS_DISTRO-robot-state-publisher" in publisher
    assert "apt install ros-$ROS_DISTRO-rviz2" in rviz
    assert arrange(Options(), nothing, nowhere).notes == ()
    (asked,) = arrange(Options(state_publisher="true"), nothing, nowhere).notes
    assert "robot-state-publisher" in asked


def test_a_page_without_viser_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = arrange(Options(viewer=True), nothing, nowhere)
    assert "viewer_node" not in [process.executable for process in found.processes]
    assert "pip install 'viser" in found.notes[0]


def test_a_fleet_has_a_mock_robot_each_and_one_generate_node() -> None:
    found = processes(fleet="left=g1, right=talos")
    left, right = found["mock_robot"]
    assert (left.namespace, left.parameters["robot"]) == ("left", "g1")
    assert (right.namespace, right.parameters["robot"]) == ("right", "talos")
    (generate,) = found["generate_node"]
    assert generate.arguments == ("--fleet", "left=g1,right=talos")
    assert generate.namespace == "" and "robot" not in generate.parameters


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"fleet": "left"}, "NAMESPACE=ROBOT"),
        ({"fleet": "left=g1,"}, "NAMESPACE=ROBOT"),
        ({"fleet": "left=g1,left=talos"}, "names 'left' twice"),
        ({"fleet": "1st=g1"}, "letters, digits and underscores"),
        ({"fleet": "left=robot_description"}, "robots of a fleet"),
        ({"fleet": "left=g1", "namespace": "lab"}, "leave namespace empty"),
        ({"fleet": "left=g1", "profile": "p.yaml"}, "leave profile empty"),
        ({"namespace": "my lab"}, "letters, digits and underscores"),
        ({"namespace": "my__lab"}, "no two underscores in a row"),
        ({"fleet": "a/b__=g1"}, "no two underscores in a row"),
        ({"namespace": "a//b"}, "a namespace consists of"),
        ({"namespace": "a" * 250}, "at most 245 characters"),
        ({"mock": "maybe"}, "mock must be one of auto, true, false"),
        ({"output": "mqtt"}, "output must be one of topic, follow_joint_trajectory"),
        ({"log_level": "loud"}, "log_level must be one of"),
        ({"state_publisher": "perhaps"}, "state_publisher must be one of auto"),
        ({"robots": "g1"}, "unknown argument 'robots'; known are: robot,"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Options.from_texts(arguments)


def test_what_is_installed_is_found_in_the_index_of_ament(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ament_index_python", reason="needs ROS 2")
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rviz2").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert installed_package("rviz2")
    assert not installed_package("no_such_package")
    monkeypatch.delenv("AMENT_PREFIX_PATH")
    assert not installed_package("rviz2")
