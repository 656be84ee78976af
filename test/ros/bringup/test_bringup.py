"""`nextscale-ros`: the launch file's processes without `ros2 launch`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from nextscale_ros.bringup.run import is_installed
from nextscale_ros.options import DESCRIPTIONS
from ros.graph import HERE, REPLY, START, Graph

PARAMETERS = HERE.parents[1] / "config" / "params.yaml"


def bring_up(graph: Graph, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nextscale_ros.bringup", *arguments],
        env=graph.env,
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_when_one_process_dies_the_others_are_ended_and_the_status_tells(graph: Graph) -> None:
    process = bring_up(graph, "--model", "no-such-model")
    output, _ = process.communicate(timeout=START)
    assert process.returncode == 1
    # The evaluator is no model of motions.
    assert "\ngenerate_node: no model 'no-such-model'; there is: moscale-cmu, scalemogen" in output
    assert "generate_node ended with status 1" in output


def test_it_ends_its_processes_when_it_is_interrupted(graph: Graph, trained_model: Path) -> None:
    process = bring_up(graph, "--params-file", str(PARAMETERS), "--model", str(trained_model))
    assert process.stdout is not None
    for line in process.stdout:
        if "ready: listening" in line:
            break
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() < begin + START:
        # As often as people press Ctrl-C: no process is left behind.
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    # The pipe closes only when every process that writes to it has ended.
    output, _ = process.communicate(timeout=START)
    assert process.returncode == 0 and "Traceback" not in output


@pytest.mark.parametrize("sign", [signal.SIGHUP, signal.SIGKILL])
def test_its_processes_end_with_it_also_when_the_terminal_closes_or_it_is_killed(
    graph: Graph, trained_model: Path, sign: signal.Signals
) -> None:
    process = bring_up(graph, "--mock", "true", "--model", str(trained_model))
    assert process.stdout is not None
    for line in process.stdout:
        if "ready: listening" in line:
            break
    process.send_signal(sign)
    # The pipe closes only when every process that writes to it has ended.
    output, _ = process.communicate(timeout=START)
    assert process.returncode == {signal.SIGHUP: 129, signal.SIGKILL: -9}[sign]
    assert "Traceback" not in output


class Output:
    """What a bring-up prints, read as it comes; it ends with the `with` block."""

    def __init__(self, graph: Graph, *arguments: str) -> None:
        self.process = bring_up(graph, *arguments)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(START)
        finally:
            self.process.kill()
        self._reader.join(START)

    def said(self, text: str) -> list[str]:
        return [line for line in list(self.lines) if text in line]

    def alive(self) -> None:
        assert self.process.poll() is None, "".join(self.lines[-20:])


def test_the_viewer_and_everything_else_live_in_one_namespace(
    graph: Graph, trained_model: Path
) -> None:
    pytest.importorskip("viser", reason="the page needs viser, which is not installed")
    recorder = graph.recorder()
    states: list[JointState] = []
    recorder.create_subscription(JointState, "/lab/joint_states", states.append, 10)
    arguments = ("--viewer", "--namespace", "lab", "--model", str(trained_model))
    with Output(graph, "--params-file", str(PARAMETERS), *arguments) as output:

        def up() -> bool:
            page, ready = output.said("is shown at http"), output.said("ready: listening")
            return bool(page and ready and states)

        recorder.wait(up, START, "viewer, robot and generate node", output.alive)
        (page,) = output.said("is shown at http")
        with urllib.request.urlopen(page.split()[-1], timeout=20) as answer:
            assert b"<html" in answer.read().lower()
        names = set(recorder.get_node_names_and_namespaces())
        for name in ("mock_robot", "viewer_node", "generate_node"):
            assert (name, "/lab") in names
        topics = {topic for topic, _ in recorder.get_topic_names_and_types()}
        assert {"/lab/text_command", "/lab/motion_command", "/lab/robot_description"} <= topics
        assert "/tf" not in topics
    assert output.process.returncode == 0


def robot_of(process: subprocess.Popen[str], namespace: str) -> int:
    """Process id of the mock robot of a namespace."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = path.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            words = path.joinpath("cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        wanted = {b"mock_robot", f"__ns:=/{namespace}".encode()}
        if parent == str(process.pid) and wanted <= set(words):
            return int(path.name)
    raise AssertionError(f"no mock robot in {namespace}")


FLEET = ("--fleet", "left=g1,right=g1", "--no-autostart")


def test_when_a_robot_of_a_fleet_fails_the_others_go_on_until_the_last_one(graph: Graph) -> None:
    recorder = graph.recorder()
    states: list[JointState] = []
    recorder.create_subscription(JointState, "/right/joint_states", states.append, 10)
    with Output(graph, *FLEET) as output:
        recorder.wait(lambda: len(output.said("subscribed to")) == 2, START, "both", output.alive)
        os.kill(robot_of(output.process, "left"), signal.SIGKILL)
        said = "of left: mock_robot ended with status -9; the other robots go on"
        recorder.wait(lambda: bool(output.said(said)), START, "the message", output.alive)
        states.clear()
        recorder.wait(lambda: bool(states), START, "states of the other robot", output.alive)
        os.kill(robot_of(output.process, "right"), signal.SIGKILL)
        assert output.process.wait(START) == 1
    assert output.said("of right: mock_robot ended with status -9; all others are ended too")


def test_a_fleet_of_which_a_robot_failed_ends_on_ctrl_c_with_a_status_that_tells(
    graph: Graph,
) -> None:
    recorder = graph.recorder()
    with Output(graph, *FLEET) as output:
        recorder.wait(lambda: len(output.said("subscribed to")) == 2, START, "both", output.alive)
        os.kill(robot_of(output.process, "left"), signal.SIGKILL)
        recorder.wait(lambda: bool(output.said("go on")), START, "the message", output.alive)
    assert output.process.returncode == 1


def test_with_mock_true_no_generate_node_outlives_a_robot(graph: Graph) -> None:
    """Its sentences might reach a real one."""
    recorder = graph.recorder()
    with Output(graph, *FLEET, "--mock", "true") as output:
        recorder.wait(lambda: len(output.said("subscribed to")) == 2, START, "both", output.alive)
        os.kill(robot_of(output.process, "left"), signal.SIGKILL)
        assert output.process.wait(START) == 1
    assert output.said("of left: mock_robot ended with status -9; all others are ended too")


def test_two_robots_in_two_namespaces_are_served_by_one_generate_node(
    graph: Graph, trained_model: Path
) -> None:
    recorder = graph.recorder()
    received: dict[str, list[JointTrajectory]] = {"left": [], "right": []}
    texts = {}
    for name, messages in received.items():
        recorder.create_subscription(
            JointTrajectory, f"/{name}/motion_command", messages.append, 10
        )
        texts[name] = recorder.create_publisher(String, f"/{name}/text_command", 10)
    with Output(graph, "--fleet", "left=g1,right=g1", "--model", str(trained_model)) as output:
        recorder.wait(
            lambda: (
                len(output.said("ready: listening")) == 2
                and all(text.get_subscription_count() for text in texts.values())
            ),
            START,
            "both robots",
            output.alive,
        )
        for name in ("right", "left"):
            texts[name].publish(String(data="a person waves"))
            recorder.wait(lambda name=name: bool(received[name]), REPLY, name, output.alive)
            assert len(received["left"]) == (name == "left"), "a sentence moves one robot only"
        # A robot of an earlier test that was killed may still be listed, in a namespace of its own.
        assert {("mock_robot", "/left"), ("mock_robot", "/right")} <= set(
            recorder.get_node_names_and_namespaces()
        )
    assert output.process.returncode == 0


def test_what_is_not_installed_is_said(graph: Graph) -> None:
    """It ends by itself, as the model does not exist."""
    if is_installed("rviz2"):
        pytest.skip("RViz is installed here")
    output, _ = bring_up(graph, "--rviz", "--model", "no-such-model").communicate(timeout=START)
    assert "rviz2 is not installed" in output and "apt install" in output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--fleet", "left"), "fleet must be NAMESPACE=ROBOT"),
        (("--output", "mqtt"), "output must be one of topic, follow_joint_trajectory"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    graph: Graph, arguments: tuple[str, ...], reason: str
) -> None:
    process = bring_up(graph, *arguments)
    output, _ = process.communicate(timeout=START)
    assert process.returncode == 1 and reason in output and "Traceback" not in output


def test_it_takes_the_arguments_of_the_launch_file(graph: Graph) -> None:
    output, _ = bring_up(graph, "--help").communicate(timeout=START)
    for option in DESCRIPTIONS:
        assert f"--{option.replace('_', '-')}" in output
