"""The generate node as a lifecycle node: transitions in every order, and what each state does."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

from nextscale_core.robots import list_robots
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.srv import EditPlan, ListModels, ListRobots
from ros.goals import SUCCEEDED, Goals
from ros.graph import REPLY, START, Graph, idle_share
from ros.services import call, change, set_parameter, state_of

TEXT = "a person raises the right arm"
CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = (
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
)
ALLOWED = {
    (State.PRIMARY_STATE_UNCONFIGURED, CONFIGURE): State.PRIMARY_STATE_INACTIVE,
    (State.PRIMARY_STATE_INACTIVE, CLEANUP): State.PRIMARY_STATE_UNCONFIGURED,
    (State.PRIMARY_STATE_INACTIVE, ACTIVATE): State.PRIMARY_STATE_ACTIVE,
    (State.PRIMARY_STATE_ACTIVE, DEACTIVATE): State.PRIMARY_STATE_INACTIVE,
}


@pytest.fixture(scope="module")
def node(graph: Graph) -> Child:
    return graph.start("ros.fake_pipeline", {"autostart": False, "start_from_state": False})


@pytest.fixture
def client(graph: Graph, node: Child) -> Iterator[Recorder]:
    recorder = Recorder(graph.context)
    yield recorder
    node.check()
    recorder.destroy_node()


def bring_to(client: Recorder, wanted: int) -> None:
    """Active, inactive or unconfigured, from wherever the node is."""
    order = [
        State.PRIMARY_STATE_UNCONFIGURED,
        State.PRIMARY_STATE_INACTIVE,
        State.PRIMARY_STATE_ACTIVE,
    ]
    while (now := state_of(client)) != wanted:
        up = order.index(now) < order.index(wanted)
        for (state, transition), after in ALLOWED.items():
            if state == now and (order.index(after) > order.index(now)) == up:
                assert change(client, transition)


def test_it_waits_to_be_configured(client: Recorder) -> None:
    assert state_of(client) == State.PRIMARY_STATE_UNCONFIGURED
    client.listen(0.2)
    assert not client.ready


def test_every_transition_in_every_state_and_any_order(client: Recorder) -> None:
    bring_to(client, State.PRIMARY_STATE_UNCONFIGURED)
    # Numbers that exist in other states, that nobody may ask for, and that do not exist at all.
    transitions = [CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE] * 3 + [0, 8, 20, 41, 60, 99, 200]
    walk = random.Random(4)
    now = State.PRIMARY_STATE_UNCONFIGURED
    seen = set()
    for _ in range(60):
        transition = walk.choice(transitions)
        expected = ALLOWED.get((now, transition))
        assert change(client, transition) == (expected is not None), (now, transition)
        seen.add((now, transition))
        now = expected or now
        assert state_of(client) == now
    assert set(ALLOWED) <= seen
    bring_to(client, State.PRIMARY_STATE_ACTIVE)
    client.wait(lambda: client.connected(mock=False), START, "the node")
    client.say(TEXT)
    client.wait(lambda: bool(client.commands), REPLY, "the trajectory")


def test_its_topics_are_there_before_anything_is_loaded(client: Recorder) -> None:
    """So that `ros2 topic echo` learns their types while the node loads."""
    bring_to(client, State.PRIMARY_STATE_UNCONFIGURED)
    wanted = {
        ("/motion_command", "trajectory_msgs/msg/JointTrajectory"),
        ("/motion_command/base", "trajectory_msgs/msg/MultiDOFJointTrajectory"),
        ("/motion_report", "nextscale_ros/msg/MotionReport"),
        ("/nextscale/ready", "std_msgs/msg/Bool"),
    }

    def published() -> set[tuple[str, str]]:
        found = client.get_publisher_names_and_types_by_node("generate_node", "/")
        return {(topic, kind) for topic, kinds in found for kind in kinds}

    client.wait(lambda: wanted <= published(), REPLY, "the topics")


def test_an_active_node_shows_its_subscriptions_as_its_own(client: Recorder) -> None:
    bring_to(client, State.PRIMARY_STATE_ACTIVE)

    def heard() -> set[str]:
        found = client.get_subscriber_names_and_types_by_node("generate_node", "/")
        return {topic for topic, _ in found}

    client.wait(
        lambda: {"/joint_states", "/odom", "/text_command"} <= heard(), REPLY, "the subscriptions"
    )
    assert not [name for name in client.get_node_names() if name.startswith("_")]
    bring_to(client, State.PRIMARY_STATE_INACTIVE)
    client.wait(lambda: "/joint_states" not in heard(), REPLY, "their end")


def test_only_an_active_node_takes_sentences_goals_and_edits(
    graph: Graph, client: Recorder
) -> None:
    bring_to(client, State.PRIMARY_STATE_INACTIVE)
    client.wait(lambda: not client.ready, REPLY, "the node to say that it is not ready")
    goals = Goals(client)
    try:
        assert not goals.send(TEXT).handle.accepted
        answer = call(client, EditPlan, "edit_plan", EditPlan.Request(text=TEXT))
        assert answer.error.code == ErrorCode.NOT_ACTIVE
        assert "activate" in answer.error.message
        client.say(TEXT)
        client.listen(0.5)
        assert not client.commands and not client.reports
        bring_to(client, State.PRIMARY_STATE_ACTIVE)
        status, _ = goals.ask(TEXT)
        assert status == SUCCEEDED
    finally:
        goals.destroy()


def test_deactivating_gives_up_the_work_at_hand(client: Recorder) -> None:
    bring_to(client, State.PRIMARY_STATE_ACTIVE)
    goals = Goals(client)
    try:
        sent = goals.send("a person waits")
        goals.wait(lambda: bool(sent.feedback), "feedback")
        assert change(client, DEACTIVATE)
        _, result = goals.result(sent)
        assert result.error.code == ErrorCode.NOT_ACTIVE
        assert result.report.outcome == MotionReport.CANCELED
        assert not client.commands
        bring_to(client, State.PRIMARY_STATE_ACTIVE)
        assert goals.ask(TEXT)[0] == SUCCEEDED
    finally:
        goals.destroy()


def test_what_there_is_can_be_asked_for_in_any_state(client: Recorder) -> None:
    bring_to(client, State.PRIMARY_STATE_UNCONFIGURED)
    robots = call(client, ListRobots, "list_robots", ListRobots.Request())
    assert robots.current == "" and list(robots.names) == list_robots()
    there = [n for n, yes in zip(robots.names, robots.available, strict=True) if yes]
    assert there == list_robots(installed=True)
    for available, remedy in zip(robots.available, robots.remedies, strict=True):
        assert not remedy if available else "pip install" in remedy
    bring_to(client, State.PRIMARY_STATE_INACTIVE)
    robots = call(client, ListRobots, "list_robots", ListRobots.Request())
    assert robots.current == "g1"
    models = call(client, ListModels, "list_models", ListModels.Request())
    assert models.current == "handmade" and "moscale-cmu" in models.names


def test_the_last_plan_can_be_edited(client: Recorder) -> None:
    bring_to(client, State.PRIMARY_STATE_INACTIVE)
    bring_to(client, State.PRIMARY_STATE_ACTIVE)

    def edit(**fields: object) -> EditPlan.Response:
        return call(client, EditPlan, "edit_plan", EditPlan.Request(text=TEXT, **fields))

    assert edit().error.code == ErrorCode.NOTHING_TO_EDIT
    goals = Goals(client)
    try:
        status, whole = goals.ask(TEXT, seconds=[3.0], plan_only=True)
    finally:
        goals.destroy()
    assert status == SUCCEEDED
    part = edit(begin=1.0, end=2.0, plan_only=True)
    assert part.error.code == ErrorCode.NONE, part.error.message
    elbow = list(part.trajectory.joint_names).index("right_shoulder_pitch_joint")
    ways = [
        max(p.positions[elbow] for p in plan.points) - min(p.positions[elbow] for p in plan.points)
        for plan in (whole.trajectory, part.trajectory)
    ]
    # In the middle, where the arm was highest, the person now stands.
    assert ways[1] < ways[0] - 0.1
    assert edit(begin=2.0, end=1.0).error.code == ErrorCode.INVALID_SPAN
    assert edit(begin=2.0, end=50.0).error.code == ErrorCode.INVALID_SPAN
    assert edit(begin=1.0, end=1.01).error.code == ErrorCode.INVALID_SPAN
    assert edit(begin=float("nan")).error.code == ErrorCode.INVALID_SPAN
    answer = edit(body_parts=["tail"])
    assert answer.error.code == ErrorCode.UNKNOWN_BODY_PART and "left_arm" in answer.error.message


def diagnosed(client: Recorder, heard: list[DiagnosticArray]) -> DiagnosticStatus:
    count = len(heard)
    client.wait(lambda: len(heard) > count, REPLY, "diagnostics")
    return heard[-1].status[0]


def test_diagnostics_tell_state_counts_and_times(client: Recorder) -> None:
    heard: list[DiagnosticArray] = []
    client.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    bring_to(client, State.PRIMARY_STATE_INACTIVE)
    status = diagnosed(client, heard)
    assert status.level == DiagnosticStatus.WARN and "inactive" in status.message
    bring_to(client, State.PRIMARY_STATE_ACTIVE)
    client.wait(lambda: client.connected(mock=False), START, "the node")
    before = {value.key: value.value for value in diagnosed(client, heard).values}
    for text in (TEXT, "", "a person fails"):
        reports = len(client.reports)
        client.say(text)
        client.wait(lambda count=reports: len(client.reports) > count, REPLY, "a report")
    status = diagnosed(client, heard)
    after = {value.key: value.value for value in status.values}

    def more(key: str) -> int:
        return int(after.get(key, 0)) - int(before.get(key, 0))

    assert more("requests received") == 3 and int(after["requests open"]) == 0
    assert more("requests pass") + more("requests repaired") == 1
    assert more("error INVALID_TEXT") == 1 and more("error UNKNOWN") == 1
    assert 0.0 < float(after["total p50 [s]"]) <= float(after["total p95 [s]"])
    assert after["robot"] == "g1" and after["model"] == "handmade"
    assert 20.0 < float(after["memory [MB]"]) < 20_000.0
    assert "made to fail" in after["last error"]


def test_a_transition_that_fails_says_why_and_can_be_tried_again(
    graph: Graph, client: Recorder
) -> None:
    bring_to(client, State.PRIMARY_STATE_UNCONFIGURED)
    # The URDF of a robot that is to come from a topic which nobody publishes.
    other = graph.start(
        "ros.fake_pipeline",
        {
            "autostart": False,
            "start_from_state": False,
            "robot": "robot_description",
            "profile": str(graph.folder / "missing.yaml"),
            "description_timeout": 0.5,
        },
        ["-r", "__ns:=/other"],
    )
    try:
        heard: list[DiagnosticArray] = []
        client.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
        for _ in range(2):
            request = ChangeState.Request(transition=Transition(id=CONFIGURE))
            assert not call(
                client, ChangeState, "/other/generate_node/change_state", request
            ).success
            answer = call(client, GetState, "/other/generate_node/get_state", GetState.Request())
            assert answer.current_state.id == State.PRIMARY_STATE_UNCONFIGURED
        client.wait(
            lambda: any(
                entry.name.startswith("/other")
                and entry.level == DiagnosticStatus.ERROR
                and "robot_description" in entry.message
                for array in heard
                for entry in array.status
            ),
            REPLY,
            "diagnostics that say why",
        )
    finally:
        other.stop()
        graph.children.remove(other)


def test_its_state_can_be_asked_for_while_it_configures(graph: Graph, client: Recorder) -> None:
    # It waits for a URDF that nobody publishes, as it would for a large model.
    slow = graph.start(
        "ros.fake_pipeline",
        {"robot": "robot_description", "profile": "none.yaml", "description_timeout": 600.0},
        ["-r", "__ns:=/slow"],
    )
    try:
        assert slow.log is not None
        log = slow.log
        client.wait(
            lambda: "loading robot robot_description" in log.read_text(), START, "it to load"
        )
        for _ in range(3):
            answer = call(client, GetState, "/slow/generate_node/get_state", GetState.Request())
            assert answer.current_state.label == "configuring"
    finally:
        graph.children.remove(slow)
        slow.stop()


def test_it_says_what_it_loads_and_how_long_that_takes(node: Child, client: Recorder) -> None:
    bring_to(client, State.PRIMARY_STATE_UNCONFIGURED)
    bring_to(client, State.PRIMARY_STATE_INACTIVE)
    assert node.log is not None
    text = node.log.read_text()
    for what in ("robot g1", "g1's 29 joints and collision model"):
        assert text.index(f"loading {what} ...") < text.index(f"loaded {what} in ")
    assert text.index("warming up") < text.index("warm-up: ")


def test_passes_that_the_model_cannot_take_are_told_when_it_is_loaded(
    client: Recorder, node: Child
) -> None:
    bring_to(client, State.PRIMARY_STATE_UNCONFIGURED)
    assert set_parameter(client, "steps", [1, 1]) == (True, ""), "no model is known yet"
    assert not change(client, CONFIGURE)
    assert state_of(client) == State.PRIMARY_STATE_UNCONFIGURED
    assert node.log is not None
    assert "parameter steps: the model has 3 scales" in node.log.read_text()
    assert set_parameter(client, "steps", [0]) == (True, "")
    assert change(client, CONFIGURE)


def test_shut_down_it_answers_still_and_does_nothing(node: Child, client: Recorder) -> None:
    bring_to(client, State.PRIMARY_STATE_ACTIVE)
    assert change(client, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state_of(client) == State.PRIMARY_STATE_FINALIZED
    for transition in (CONFIGURE, ACTIVATE, CLEANUP):
        assert not change(client, transition)
    client.say(TEXT)
    client.listen(0.3)
    assert not client.commands
    assert set_parameter(client, "seed", 1) == (True, "")
    assert idle_share(node, client) < 0.3
