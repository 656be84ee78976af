"""The generate node as a process, with a hand-made motion source: what must always hold."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Sequence

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import DescribeParameters
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import check_joint_trajectory, nanoseconds
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.parameters.schema import declarations
from nextscale_ros.qos import SERVICES
from nextscale_ros.robot_state.active_trajectory import LATEST
from nextscale_ros.srv import EditPlan
from ros.graph import GOOD, REPLY, START, Graph, idle_share
from ros.services import call, change, set_parameter

NOT_EXECUTED = LATEST + 0.3
"""Time after which the trajectory of the test before counts as one that is not executed [s]."""


@pytest.fixture(scope="module")
def node(graph: Graph) -> Child:
    # Nobody tells the robot's state here, until a test does and says so.
    return graph.start("ros.fake_pipeline", {"start_from_state": False, "state_timeout": 1.0})


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture
def client(graph: Graph, node: Child) -> Iterator[Recorder]:
    """Talks to the ready node; the node must still run afterwards."""
    recorder = Recorder(graph.context)
    recorder.wait(lambda: recorder.connected(mock=False), START, "the node", graph.alive)
    yield recorder
    node.check()
    recorder.destroy_node()


def ask(client: Recorder, text: str) -> MotionReport:
    """Send a sentence; the report on it."""
    count = len(client.reports)
    client.say(text)
    client.wait(lambda: len(client.reports) > count, REPLY, f"the report on {text!r}")
    return client.reports[-1]


def command_count(client: Recorder) -> int:
    """Trajectories heard, after a moment for one that should not come."""
    client.listen(0.3)
    return len(client.commands)


def test_a_late_listener_still_hears_that_the_node_is_ready(client: Recorder) -> None:
    assert client.ready


def test_a_sentence_becomes_a_trajectory_that_a_controller_accepts(
    client: Recorder, robot: Robot
) -> None:
    report = ask(client, "a person raises the right arm")
    assert report.outcome in GOOD, report.message
    client.wait(lambda: bool(client.commands and client.bases), REPLY, "the trajectory")
    (_, command), base = client.commands[0], client.bases[0]
    assert check_joint_trajectory(command, robot.joint_names) == []
    assert len(base.points) == len(command.points) == report.points
    assert list(report.joint_names) == list(command.joint_names) == list(robot.joint_names)
    # Nobody knows where the robot is: it gets time to come to the first pose.
    assert command.points[0].time_from_start.sec + command.points[0].time_from_start.nanosec > 0
    last, base_last = command.points[-1], base.points[-1]
    assert last.time_from_start == base_last.time_from_start
    assert report.duration == pytest.approx(
        last.time_from_start.sec + last.time_from_start.nanosec / 1e9, abs=1e-6
    )


def test_the_report_tells_the_stages_and_the_seed(client: Recorder) -> None:
    report = ask(client, "a person raises the right arm")
    assert {"generate", "gate", "message"} <= set(report.stage_names)
    assert len(report.stage_seconds) == len(report.stage_names)
    assert min(report.stage_seconds) >= 0.0 and report.seed >= 0
    assert (report.robot, report.model) == ("g1", "handmade")


def test_every_sentence_gets_a_new_seed_unless_one_is_set(client: Recorder) -> None:
    first, second = (ask(client, "a person raises the right arm").seed for _ in range(2))
    assert first != second
    assert set_parameter(client, "seed", 7) == (True, "")
    assert ask(client, "a person raises the right arm").seed == 7
    assert set_parameter(client, "seed", -1) == (True, "")


def test_the_length_can_be_set(client: Recorder) -> None:
    durations = []
    for seconds in (3.0, 0.0):
        assert set_parameter(client, "seconds", seconds) == (True, "")
        durations.append(ask(client, "a person raises the right arm").duration)
    assert durations[0] > durations[1] + 1.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  \n ", "empty"),
        ("walk " * 2000, "9999 characters long, at most 500"),
        ("walk\x07forward", "control character U+0007"),
        ("一个人向前走", "English"),
        ("12345 !!!", "no word"),
    ],
    ids=["empty", "blank", "10 kB", "control characters", "another script", "no word"],
)
def test_a_bad_text_is_answered_with_the_reason_and_no_trajectory(
    client: Recorder, text: str, reason: str
) -> None:
    report = ask(client, text)
    assert report.outcome == MotionReport.BAD_INPUT
    assert reason in report.message
    assert len(report.text) <= 200 and report.text.isprintable()
    assert command_count(client) == 0


def test_a_sentence_in_another_language_moves_the_robot_and_the_report_says_so(
    client: Recorder,
) -> None:
    report = ask(client, "ein Mann hebt den rechten Arm")
    assert report.outcome in GOOD
    assert "seems to be in German; the model reads English" in report.message
    assert "German" not in ask(client, "a person raises the right arm").message


def test_an_error_inside_is_reported_and_the_next_sentence_is_served(client: Recorder) -> None:
    report = ask(client, "please fail")
    assert report.outcome == MotionReport.FAILED
    assert "ZeroDivisionError: made to fail" in report.message
    assert ask(client, "a person raises the right arm").outcome in GOOD


def test_the_newest_sentence_wins(client: Recorder) -> None:
    for text in ("please wait long", "please wait longer", "a person raises the right arm"):
        client.say(text)
    client.wait(lambda: len(client.reports) == 3, REPLY, "three reports")
    outcomes = {report.text: report.outcome for report in client.reports}
    assert outcomes.pop("a person raises the right arm") in GOOD
    assert set(outcomes.values()) == {MotionReport.SUPERSEDED}
    assert command_count(client) == 1


def test_a_bad_text_does_not_stop_the_sentence_under_way(client: Recorder) -> None:
    client.say("a person raises the right arm")
    client.say("")
    client.wait(lambda: len(client.reports) == 2, REPLY, "two reports")
    outcomes = {report.text: report.outcome for report in client.reports}
    assert outcomes[""] == MotionReport.BAD_INPUT
    assert outcomes["a person raises the right arm"] in GOOD


def test_parameters_are_answered_while_a_motion_is_being_made(client: Recorder) -> None:
    client.say("please wait")
    begin = time.monotonic()
    assert set_parameter(client, "guidance", 2.0)[0]
    assert set_parameter(client, "guidance", 0.0)[0]
    assert time.monotonic() - begin < 10.0
    assert not client.reports
    assert ask(client, "a person raises the right arm").outcome == MotionReport.SUPERSEDED
    client.wait(lambda: len(client.reports) == 2, REPLY, "the report on the second sentence")


def test_calls_wait_for_a_busy_node_and_all_are_answered(client: Recorder) -> None:
    assert ask(client, "a person raises the right arm").outcome in GOOD
    edits = client.create_client(EditPlan, "/generate_node/edit_plan", qos_profile=SERVICES)
    client.wait(edits.service_is_ready, REPLY, "the service")
    busy = edits.call_async(EditPlan.Request(text="please wait", begin=0.5, end=1.0, seed=-1))
    wrong = EditPlan.Request(text="a person waves", begin=1.0, end=0.5, seed=-1)
    calls = [edits.call_async(wrong) for _ in range(30)]
    client.say("a person raises the right arm")  # supersedes what waits
    client.wait(lambda: all(call.done() for call in (busy, *calls)), REPLY, "every answer")
    assert {call.result().error.code for call in calls} == {ErrorCode.INVALID_SPAN}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("seconds", 0.5, "seconds must be 0 or 1.0 to 9.8"),
        ("seconds", 11.0, "seconds must be 0 or 1.0 to 9.8"),
        ("steps", [51], "one number from 1 to 50 for each scale"),
        ("steps", [1, 2, 5, 0], "one number from 1 to 50 for each scale"),
        ("steps", [1, 1], "the model has 3 scales"),
        ("guidance", -1.0, "range"),
        ("candidates", 0, "range"),
        ("state_timeout", 0.0, "range"),
        ("state_policy", "hope", "state_policy must be reject or assume_nominal, got 'hope'"),
        ("continuation", "on", "continuation must be from_state or from_plan or off, got 'on'"),
        ("history", 0.1, "range"),
        ("base_source", "tf", "read-only"),
        ("seed", -2, "range"),
        ("robot", "h1", "read-only"),
        ("rate", 100.0, "read-only"),
        ("text_topic", "/elsewhere", "read-only"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(
    client: Recorder, name: str, value: object, reason: str
) -> None:
    successful, why = set_parameter(client, name, value)
    assert not successful
    assert reason in why


def test_every_parameter_is_described(client: Recorder) -> None:
    names = list(declarations("generate_node"))
    request = DescribeParameters.Request(names=names)
    descriptors = call(client, DescribeParameters, "describe_parameters", request).descriptors
    assert [d.name for d in descriptors] == names
    assert all(d.description for d in descriptors)


class FakeRobot:
    """Publishes joint states as a test wants them."""

    def __init__(self, client: Recorder, names: Sequence[str]) -> None:
        self.client = client
        self.names = list(names)
        self.publisher = client.create_publisher(JointState, "/joint_states", 10)
        client.wait(lambda: self.publisher.get_subscription_count() > 1, START, "the node's ear")

    def stand(self, positions: Sequence[float], seconds: float = 0.15) -> None:
        """Repeat a state for a moment."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.publisher.publish(JointState(name=self.names, position=list(positions)))
            self.client.listen(0.01)

    def ask(self, text: str, positions: Sequence[float]) -> MotionReport:
        """Send a sentence while standing there."""
        count = len(self.client.reports)
        self.stand(positions)
        self.client.say(text)
        deadline = time.monotonic() + REPLY
        while len(self.client.reports) == count and time.monotonic() < deadline:
            self.stand(positions, 0.05)
        return self.client.reports[-1]


@pytest.fixture
def by_state(client: Recorder) -> Iterator[Recorder]:
    """The node begins in the measured state, as it does unless told otherwise."""
    assert set_parameter(client, "start_from_state", True) == (True, "")
    yield client
    assert set_parameter(client, "start_from_state", False) == (True, "")


def test_another_node_that_commands_the_same_robot_is_told(client: Recorder, graph: Graph) -> None:
    heard: list[DiagnosticArray] = []
    client.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)

    def connections() -> str:
        own = heard[-1].status[0].values if heard else []
        return " ".join(one.value for one in own if one.key.startswith("connection"))

    sender = client.create_publisher(JointTrajectory, "/motion_command", 10)
    twin = Node("generate_node", context=graph.context)
    told = f"/motion_command is also published by /{client.get_name()}"
    client.wait(lambda: told in connections(), REPLY, "the sender in the diagnostics")
    twins = "another node is named /generate_node: both answer each sentence"
    client.wait(lambda: twins in connections(), REPLY, "the twin in the diagnostics")
    client.destroy_publisher(sender)
    twin.destroy_node()
    client.wait(lambda: bool(heard) and not connections(), REPLY, "diagnostics without them")


# From here on the node has heard joint states, so the order of these tests matters.


def test_without_any_joint_state_the_sentence_is_refused(by_state: Recorder) -> None:
    report = ask(by_state, "a person raises the right arm")
    assert report.outcome == MotionReport.FAILED
    assert "29 of 29 joints have not been measured: left_hip_pitch_joint" in report.message
    assert "the robot is left alone (parameter state_policy is 'reject')" in report.message
    assert command_count(by_state) == 0 and not by_state.bases


def test_a_robot_known_to_stand_needs_no_joint_states(
    by_state: Recorder, node: Child, robot: Robot
) -> None:
    """It stands in its nominal posture, and later where the last trajectory took it."""
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        assert change(by_state, transition)  # what was sent before is forgotten
    assert set_parameter(by_state, "state_policy", "assume_nominal") == (True, "")
    for number in (1, 2):
        assert ask(by_state, "a person raises the right arm").outcome in GOOD
        by_state.wait(lambda n=number: len(by_state.commands) == n, REPLY, "the trajectory")
        by_state.listen(nanoseconds(by_state.commands[-1][1].points[-1].time_from_start) * 1e-9)
    assert set_parameter(by_state, "state_policy", "reject") == (True, "")
    first, second = (command for _, command in by_state.commands)
    assert list(first.points[0].positions) == pytest.approx(list(robot.nominal), abs=1e-6)
    assert second.points[0].positions == pytest.approx(first.points[-1].positions, abs=1e-6)
    assert nanoseconds(first.header.stamp) == nanoseconds(second.header.stamp) == 0
    assert node.log is not None
    assert node.log.read_text().count("assumed to stand in its nominal posture") == 1


def test_the_trajectory_begins_in_the_measured_state(by_state: Recorder, robot: Robot) -> None:
    client = by_state
    here = [float(q) for q in robot.nominal + 0.05]
    fake = FakeRobot(client, robot.joint_names)
    fake.stand(here, NOT_EXECUTED)
    report = fake.ask("a person raises the right arm", here)
    assert report.outcome in GOOD, report.message
    client.wait(lambda: bool(client.commands), REPLY, "the trajectory")
    first = client.commands[0][1].points[0]
    assert list(first.positions) == pytest.approx(here, abs=1e-6)


def test_nan_and_unknown_joints_in_the_joint_states_do_no_harm(
    by_state: Recorder, node: Child, robot: Robot
) -> None:
    client = by_state
    here = [float(q) for q in robot.nominal]
    fake = FakeRobot(client, [*robot.joint_names, "tail"])
    fake.stand([*[math.nan] * len(here), 0.0])
    fake.stand([*here, 0.0], NOT_EXECUTED)
    report = fake.ask("a person raises the right arm", [*here, 0.0])
    assert report.outcome in GOOD, report.message
    assert node.log is not None
    log = node.log.read_text()
    assert log.count("joint states name joints unknown to the robot: ['tail']") == 1
    assert log.count("joint states are not finite") == 1


def test_with_joint_states_that_have_stopped_the_sentence_is_refused(by_state: Recorder) -> None:
    client = by_state
    client.listen(1.5)
    report = ask(client, "a person raises the right arm")
    assert report.outcome == MotionReport.FAILED
    assert "s old, the limit is 1.00 s" in report.message
    assert command_count(client) == 0


def test_a_node_told_to_ignore_the_state_begins_in_its_own_pose(
    client: Recorder, robot: Robot
) -> None:
    fake = FakeRobot(client, robot.joint_names)
    report = fake.ask("a person raises the right arm", [float(q) for q in robot.nominal + 0.3])
    assert report.outcome in GOOD
    client.wait(lambda: bool(client.commands), REPLY, "the trajectory")
    first = client.commands[0][1].points[0]
    assert list(first.positions) != pytest.approx(list(robot.nominal + 0.3), abs=0.1)
    assert nanoseconds(first.time_from_start) > 0


def test_afterwards_the_node_rests(node: Child, client: Recorder) -> None:
    assert idle_share(node, client) < 0.3


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_node_ends_cleanly_in_the_middle_of_its_work(
    graph: Graph, sign: signal.Signals
) -> None:
    topic = f"/ending_{sign.name}"
    child = graph.start("ros.fake_pipeline", {"text_topic": topic})
    graph.children.remove(child)
    recorder = graph.recorder()
    text = recorder.create_publisher(String, topic, 10)
    recorder.wait(lambda: text.get_subscription_count() > 0, START, "the node", child.check)
    assert child.log is not None
    log = child.log

    def asked() -> bool:
        # Again and again: we may see the node before it sees us.
        text.publish(String(data="please wait"))
        return "'please wait'" in log.read_text()

    recorder.wait(asked, REPLY, "the request", child.check)
    child.process.send_signal(sign)
    assert child.process.wait(10.0) == 0, child.tail()
    assert "Traceback" not in log.read_text()


def test_an_unknown_robot_ends_the_node_with_a_clear_line(graph: Graph) -> None:
    child = graph.start("ros.fake_pipeline", {"robot": "r2d2"})
    graph.children.remove(child)
    assert child.process.wait(START) == 1
    assert "r2d2" in child.tail() and "Traceback" not in child.tail()
