"""/generate_motion: accepted, told of progress, canceled, preempted, aborted with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import check_joint_trajectory, nanoseconds
from nextscale_ros.msg import Constraint, ErrorCode, MotionReport
from nextscale_ros.parameters.values import MAX_SEED
from ros.goals import ABORTED, CANCELED, SUCCEEDED, Goals
from ros.graph import REPLY, START, Graph, idle_share
from ros.services import set_parameter

TEXT = "a person raises the right arm"


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def node(graph: Graph) -> Child:
    return graph.start(
        "ros.fake_pipeline", {"state_policy": "assume_nominal", "state_timeout": 1.0}
    )


@pytest.fixture
def client(graph: Graph, node: Child) -> Iterator[Recorder]:
    recorder = Recorder(graph.context)
    recorder.wait(lambda: recorder.connected(mock=False), START, "the node", graph.alive)
    yield recorder
    node.check()
    recorder.destroy_node()


@pytest.fixture
def goals(client: Recorder) -> Iterator[Goals]:
    goals = Goals(client)
    yield goals
    goals.destroy()


def test_a_goal_is_executed_and_brings_trajectory_base_and_report(
    goals: Goals, client: Recorder, robot: Robot
) -> None:
    status, result = goals.ask(TEXT, seed=11)
    assert status == SUCCEEDED and result.error.code == ErrorCode.NONE, result.error
    assert check_joint_trajectory(result.trajectory, robot.joint_names) == []
    assert len(result.base_trajectory.points) == len(result.trajectory.points)
    assert result.report.seed == 11 and result.report.published
    client.wait(lambda: bool(client.commands), REPLY, "the published trajectory")
    assert client.commands[-1][1] == result.trajectory
    client.wait(lambda: bool(client.reports), REPLY, "the report")
    assert client.reports[-1].request == result.report.request


def test_feedback_comes_in_order_and_counts_the_scales(goals: Goals) -> None:
    sent = goals.send(TEXT)
    status, _ = goals.result(sent)
    assert status == SUCCEEDED
    goals.wait(lambda: sent.is_in("message"), "the last feedback")
    done = [message.done for message in sent.feedback]
    assert done == sorted(done) and done[0] >= 0.0 and done[-1] <= 1.0
    stages = list(dict.fromkeys(message.stage for message in sent.feedback))
    assert stages == ["generate", "targets", "solve", "resample", "gate", "message"]
    scales = [message.scale for message in sent.feedback if message.scale]
    assert scales == sorted(scales) and set(scales) == {2, 3}
    assert {message.scales for message in sent.feedback if message.scale} == {3}


def test_a_plan_is_sent_nowhere(goals: Goals, client: Recorder, robot: Robot) -> None:
    count = len(client.commands)
    status, result = goals.ask(TEXT, plan_only=True)
    assert status == SUCCEEDED and not result.report.published
    assert check_joint_trajectory(result.trajectory, robot.joint_names) == []
    client.listen(0.3)
    assert len(client.commands) == count


def first_point(goals: Goals, **fields: Any) -> dict[str, float]:
    """Where a plan begins: positions by joint [rad]."""
    status, result = goals.ask(TEXT, plan_only=True, **fields)
    assert status == SUCCEEDED, result.error
    names, point = result.trajectory.joint_names, result.trajectory.points[0]
    return dict(zip(names, point.positions, strict=True))


def test_a_plan_begins_in_the_posture_that_was_asked_for(
    goals: Goals, client: Recorder, robot: Robot
) -> None:
    name = "right_elbow_joint"
    client.listen(4.0)  # what was sent before is over
    here = first_point(goals)
    first = first_point(goals, start_state=JointState(name=[name], position=[0.9]))
    assert first[name] == pytest.approx(0.9, abs=1e-6)
    others = [n for n in robot.joint_names if n != name]
    assert [first[n] for n in others] == pytest.approx([here[n] for n in others], abs=1e-6)


def test_a_goal_with_constraints_brings_their_residuals(goals: Goals) -> None:
    hand = Constraint(type=Constraint.TARGET, time=1.0, body="left_hand", x=0.2, y=0.2, z=0.9)
    status, result = goals.ask(TEXT, seconds=[2.0], constraints=[hand], plan_only=True)
    assert status == SUCCEEDED, result.error
    assert len(result.residuals) == 1 and result.residuals[0] < 0.02
    assert any(line.startswith("constraint: left_hand") for line in result.report.findings)
    hand.frame_id = "map"
    status, result = goals.ask(TEXT, constraints=[hand], plan_only=True)
    assert status == ABORTED and result.error.code == ErrorCode.INVALID_CONSTRAINT
    assert "constraints[0]" in result.error.message


def test_several_sentences_become_one_motion(goals: Goals) -> None:
    status, one = goals.ask(TEXT, seconds=[2.0], plan_only=True)
    assert status == SUCCEEDED
    sent = goals.send(TEXT, TEXT, TEXT, seconds=[2.0, 2.0, 2.0], plan_only=True)
    status, three = goals.result(sent)
    assert status == SUCCEEDED, three.error
    lengths = [nanoseconds(r.trajectory.points[-1].time_from_start) / 1e9 for r in (one, three)]
    assert lengths[1] - lengths[0] == pytest.approx(4.0, abs=0.5)
    assert three.report.text == "; ".join([TEXT] * 3)
    goals.wait(lambda: any(f.text == 2 for f in sent.feedback), "the last feedback")
    assert {message.text for message in sent.feedback} == {0, 1, 2}


def test_a_later_sentence_is_as_long_as_it_can_be(goals: Goals) -> None:
    status, result = goals.ask(TEXT, TEXT, seconds=[2.0, 9.8], plan_only=True)
    assert status == SUCCEEDED, result.error
    assert nanoseconds(result.trajectory.points[-1].time_from_start) / 1e9 < 2.0 + 9.5
    assert any("after the first take at most 8.8 s" in line for line in result.report.findings)


def test_the_same_seed_gives_the_same_plan(goals: Goals) -> None:
    plans = [goals.ask(TEXT, seed=5, plan_only=True)[1].trajectory for _ in range(2)]
    first, second = (np.array([point.positions for point in plan.points]) for plan in plans)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_cancel_while_the_model_generates(goals: Goals, client: Recorder) -> None:
    count = len(client.commands)
    sent = goals.send("a person waits")
    goals.wait(lambda: any(f.stage == "generate" for f in sent.feedback), "feedback")
    assert goals.cancel(sent) == 1
    status, result = goals.result(sent)
    assert status == CANCELED and result.error.code == ErrorCode.CANCELED
    assert result.report.outcome == MotionReport.CANCELED
    # Within one pass: the model had hundreds to go.
    assert max(f.done for f in sent.feedback) < 0.5
    client.listen(0.3)
    assert len(client.commands) == count
    # The node is free again.
    assert goals.ask(TEXT)[0] == SUCCEEDED


def test_a_newer_goal_preempts(goals: Goals) -> None:
    first = goals.send("a person waits")
    goals.wait(lambda: bool(first.feedback), "feedback")
    second = goals.send(TEXT)
    status, result = goals.result(first)
    assert status == ABORTED and result.error.code == ErrorCode.PREEMPTED
    assert goals.result(second)[0] == SUCCEEDED


def test_a_sentence_on_the_topic_preempts_a_goal(goals: Goals, client: Recorder) -> None:
    sent = goals.send("a person waits")
    goals.wait(lambda: bool(sent.feedback), "feedback")
    count = len(client.reports)
    client.say(TEXT)
    status, result = goals.result(sent)
    assert status == ABORTED and result.error.code == ErrorCode.PREEMPTED
    client.wait(lambda: len(client.reports) >= count + 2, REPLY, "both reports")
    assert client.reports[-1].outcome in (MotionReport.PASS, MotionReport.REPAIRED)


def test_by_policy_a_newer_goal_is_refused(goals: Goals, client: Recorder) -> None:
    assert set_parameter(client, "preemption", "refuse") == (True, "")
    try:
        first = goals.send("a person waits")
        goals.wait(lambda: bool(first.feedback), "feedback")
        status, result = goals.ask(TEXT)
        assert status == ABORTED and result.error.code == ErrorCode.BUSY
        assert first.future is not None and not first.future.done()
        assert goals.cancel(first) == 1
        assert goals.result(first)[0] == CANCELED
    finally:
        assert set_parameter(client, "preemption", "newest_wins") == (True, "")


def state(**positions: float) -> JointState:
    return JointState(name=list(positions), position=list(positions.values()))


@pytest.mark.parametrize(
    ("texts", "fields", "code", "told"),
    [
        ([], {}, ErrorCode.INVALID_TEXT, "1 to 50"),
        (["a", ""], {}, ErrorCode.INVALID_TEXT, ""),
        ([TEXT] * 51, {}, ErrorCode.INVALID_TEXT, "51"),
        (["\x00\x01"], {}, ErrorCode.INVALID_TEXT, ""),
        ([TEXT], {"seconds": [1.0, 2.0]}, ErrorCode.INVALID_SECONDS, "got 2"),
        ([TEXT], {"seconds": [float("nan")]}, ErrorCode.INVALID_SECONDS, "nan"),
        ([TEXT], {"seconds": [-3.0]}, ErrorCode.INVALID_SECONDS, "-3"),
        ([TEXT], {"seconds": [11.0]}, ErrorCode.INVALID_SECONDS, "9.8"),
        ([TEXT], {"seed": -2}, ErrorCode.INVALID_SEED, "-2"),
        ([TEXT], {"seed": MAX_SEED + 1}, ErrorCode.INVALID_SEED, str(MAX_SEED)),
        ([TEXT], {"guidance": float("inf")}, ErrorCode.INVALID_GUIDANCE, "inf"),
        ([TEXT], {"guidance": -1.0}, ErrorCode.INVALID_GUIDANCE, "-1"),
        ([TEXT], {"steps": [51]}, ErrorCode.INVALID_STEPS, "51"),
        ([TEXT], {"steps": [1, 1]}, ErrorCode.INVALID_STEPS, "3 scales"),
        ([TEXT], {"start_state": state(nose=0.1)}, ErrorCode.INVALID_START_STATE, "nose"),
        (
            [TEXT],
            {"start_state": state(right_elbow_joint=float("nan"))},
            ErrorCode.INVALID_START_STATE,
            "nan",
        ),
        (
            [TEXT],
            {"start_state": state(right_elbow_joint=50.0)},
            ErrorCode.INVALID_START_STATE,
            "limits",
        ),
        (
            [TEXT],
            {"start_state": JointState(name=["right_elbow_joint"])},
            ErrorCode.INVALID_START_STATE,
            "0 positions for 1 names",
        ),
        (["a person fails"], {}, ErrorCode.UNKNOWN, "made to fail"),
        (["a person lost the memory"], {}, ErrorCode.OUT_OF_MEMORY, "20.00 GiB"),
    ],
)
def test_what_cannot_be_done_is_aborted_with_code_and_reason(
    goals: Goals, client: Recorder, texts: list[str], fields: dict[str, Any], code: int, told: str
) -> None:
    count = len(client.commands)
    status, result = goals.ask(*texts, **fields)
    assert status == ABORTED and result.error.code == code, result.error
    assert result.error.message and told in result.error.message
    assert not result.trajectory.points and not result.report.published
    client.listen(0.1)
    assert len(client.commands) == count


def test_an_executed_motion_begins_where_the_robot_is(goals: Goals, client: Recorder) -> None:
    client.listen(4.0)  # what was sent before is over
    here = first_point(goals)["right_elbow_joint"]
    elsewhere = here - 0.4
    status, result = goals.ask(TEXT, start_state=state(right_elbow_joint=elsewhere))
    assert status == ABORTED and result.error.code == ErrorCode.INVALID_START_STATE
    assert "plan_only" in result.error.message
    status, result = goals.ask(TEXT, start_state=state(right_elbow_joint=here))
    assert status == SUCCEEDED, result.error


def test_without_a_state_a_goal_is_aborted_where_the_policy_says_so(
    goals: Goals, client: Recorder
) -> None:
    assert set_parameter(client, "state_policy", "reject") == (True, "")
    try:
        status, result = goals.ask(TEXT)
        assert status == ABORTED and result.error.code == ErrorCode.NO_ROBOT_STATE
        # To plan, nothing need be known.
        assert goals.ask(TEXT, plan_only=True)[0] == SUCCEEDED
    finally:
        assert set_parameter(client, "state_policy", "assume_nominal") == (True, "")


def test_a_burst_of_goals_leaves_the_newest(goals: Goals) -> None:
    sent = [goals.send("a person waits") for _ in range(12)]
    last = goals.send(TEXT)
    ends = [goals.result(goal) for goal in sent]
    found = [(status, result.error.code) for status, result in ends]
    # On a busy machine the first may be made before the last is sent.
    assert set(found) <= {(ABORTED, ErrorCode.PREEMPTED), (SUCCEEDED, ErrorCode.NONE)}
    assert found[-1] == (ABORTED, ErrorCode.PREEMPTED)
    assert goals.result(last)[0] == SUCCEEDED


def test_afterwards_the_node_rests(node: Child, client: Recorder) -> None:
    assert idle_share(node, client) < 0.3
