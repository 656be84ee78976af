"""Several robots in as many namespaces, served by one process with one model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from std_msgs.msg import Bool, String
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.msg import MotionReport
from nextscale_ros.node.fleet import makers, parse_fleet
from nextscale_ros.qos import LATCHED
from ros.graph import REPLY, START, Graph

FLEET = {"left": "g1", "right": "talos"}


@pytest.fixture(scope="module")
def node(graph: Graph) -> Child:
    return graph.start("ros.fake_fleet")


@pytest.fixture
def client(graph: Graph, node: Child) -> Iterator[Recorder]:
    recorder = Recorder(graph.context)
    yield recorder
    node.check()
    recorder.destroy_node()


def test_each_robot_answers_in_its_namespace_and_only_there(client: Recorder) -> None:
    ready: dict[str, bool] = {}
    reports: dict[str, list[MotionReport]] = {name: [] for name in FLEET}
    commands: dict[str, list[JointTrajectory]] = {name: [] for name in FLEET}
    texts = {}
    for name in FLEET:

        def on_ready(message: Bool, name: str = name) -> None:
            ready[name] = message.data

        client.create_subscription(Bool, f"/{name}/nextscale/ready", on_ready, LATCHED)
        client.create_subscription(MotionReport, f"/{name}/motion_report", reports[name].append, 10)
        client.create_subscription(
            JointTrajectory, f"/{name}/motion_command", commands[name].append, 10
        )
        texts[name] = client.create_publisher(String, f"/{name}/text_command", 10)
    client.wait(lambda: ready == dict.fromkeys(FLEET, True), START, "both robots")

    def asked(name: str) -> bool:
        # Again and again: we may see the node before it sees us.
        if not reports[name]:
            texts[name].publish(String(data="a person raises the right arm"))
        return bool(commands[name]) and bool(reports[name])

    for name, robot in FLEET.items():
        client.wait(lambda name=name: asked(name), REPLY, f"a trajectory for {name}")
        assert tuple(commands[name][-1].joint_names) == load_robot(robot).joint_names
        assert reports[name][-1].robot == robot
        others = [other for other in FLEET if other != name and not reports[other]]
        client.listen(0.2)
        assert not any(commands[other] for other in others)


def test_robots_of_one_process_are_served_at_the_same_time(client: Recorder) -> None:
    texts = {name: client.create_publisher(String, f"/{name}/text_command", 10) for name in FLEET}
    done: dict[str, list[MotionReport]] = {name: [] for name in FLEET}
    for name in FLEET:
        client.create_subscription(MotionReport, f"/{name}/motion_report", done[name].append, 10)

    # The one is kept busy with motions that take long: each newer one supersedes the last.
    def both() -> bool:
        texts["left"].publish(String(data="a person waits"))
        texts["right"].publish(String(data="a person raises the right arm"))
        client.listen(1.0)
        return any(report.published for report in done["right"]) and bool(done["left"])

    client.wait(both, REPLY, "the other robot")
    assert {report.outcome for report in done["left"]} == {MotionReport.SUPERSEDED}


@pytest.mark.parametrize(
    "text", ["left", "left=", "=g1", "left=g1,left=talos", "1left=g1", "a b=g1", "l√=g1"]
)
def test_a_fleet_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_fleet(text)


def test_an_error_of_one_robot_names_its_node(graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("/right/generate_node:\n  ros__parameters: {zmq_endpoint: 'tcp://*:0'}\n")
    arguments = ["--params-file", str(file), "--", "--fleet", "left=g1,right=g1"]
    child = graph.start("generate_node", {}, arguments)
    graph.children.remove(child)
    assert child.process.wait(START) == 1
    assert child.tail().startswith("right.generate_node: parameter zmq_endpoint must be a string")
    assert "got 'tcp://*:0'" in child.tail()


def test_without_a_fleet_there_is_one_node() -> None:
    assert len(makers({})) == 1 and len(makers(FLEET)) == 2
