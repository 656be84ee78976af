"""The generate node with output: follow_joint_trajectory, and the mock robot as the controller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from std_msgs.msg import String

from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.qos import EVENTS
from ros.goals import ABORTED, CANCELED, SUCCEEDED, Goals, Sent
from ros.graph import REPLY, START, TRIES, Graph, measured_now

pytest.importorskip("control_msgs", reason="control_msgs is neither installed nor built")

TEXT = "a person raises the right arm"


@pytest.fixture(scope="module")
def node(graph: Graph) -> Child:
    parameters = {"output": "follow_joint_trajectory", "state_timeout": 2.0}
    return graph.start("ros.fake_pipeline", parameters)


@pytest.fixture
def client(graph: Graph, node: Child) -> Iterator[Recorder]:
    recorder = Recorder(graph.context)
    recorder.wait(lambda: recorder.ready, START, "the node", graph.alive)
    yield recorder
    node.check()
    recorder.destroy_node()


@pytest.fixture
def goals(client: Recorder) -> Iterator[Goals]:
    goals = Goals(client)
    yield goals
    goals.destroy()


def ask_until_found(goals: Goals, client: Recorder, *codes: int) -> tuple[Sent, int, Any]:
    """Nodes find each other at their own pace: ask until the codes are no longer these."""
    for _ in range(100):
        sent = goals.send(TEXT)
        status, result = goals.result(sent)
        if result.error.code not in codes:
            return sent, status, result
        client.listen(0.2)
    raise AssertionError(f"still {result.error.code}: {result.error.message}")


def test_without_a_controller_nothing_is_made(graph: Graph, goals: Goals, client: Recorder) -> None:
    # A robot that tells its joints and takes no goals.
    robot = graph.start("mock_robot", {"follow_joint_trajectory": False})
    _, status, result = ask_until_found(goals, client, ErrorCode.NO_ROBOT_STATE)
    assert status == ABORTED and result.error.code == ErrorCode.NO_CONTROLLER
    assert "joint_trajectory_controller/follow_joint_trajectory" in result.error.message
    assert not result.trajectory.points
    graph.children.remove(robot)
    robot.stop()


def test_a_goal_succeeds_when_the_controller_has_executed_it(
    graph: Graph, goals: Goals, client: Recorder
) -> None:
    graph.start("ros.faulty_robot")
    missing = (ErrorCode.NO_CONTROLLER, ErrorCode.NO_ROBOT_STATE)
    sent, status, result = ask_until_found(goals, client, *missing)
    assert status == SUCCEEDED, result.error
    goals.wait(lambda: sent.is_in("execute"), "the last feedback")
    stages = [message.stage for message in sent.feedback]
    assert stages[-1] == "execute" and stages.index("gate") < stages.index("execute")
    # The robot is where the trajectory ends.
    state = measured_now(client, graph.alive)
    at = dict(zip(state.name, state.position, strict=True))
    last = dict(
        zip(result.trajectory.joint_names, result.trajectory.points[-1].positions, strict=True)
    )
    assert max(abs(at[name] - goal) for name, goal in last.items()) < 0.01


def test_cancel_stops_the_robot(goals: Goals, client: Recorder) -> None:
    sent = goals.send(TEXT, seconds=[6.0])
    goals.wait(lambda: any(f.stage == "execute" for f in sent.feedback), "the execution")
    assert goals.cancel(sent) == 1
    status, result = goals.result(sent)
    assert status == CANCELED and result.error.code == ErrorCode.CANCELED
    assert result.trajectory.points

    def rests() -> bool:
        return max(map(abs, client.states[-1].velocity)) < 1e-3

    measured_now(client)
    client.wait(rests, REPLY, "the robot to rest")


def test_after_a_cancel_the_next_sentence_begins_where_the_robot_stopped(
    graph: Graph, goals: Goals, client: Recorder
) -> None:
    sent = goals.send(TEXT, seconds=[6.0])
    client.wait(
        lambda: max(map(abs, measured_now(client).velocity)) > 0.3, REPLY, "a movement", graph.alive
    )
    # Its plan would go on; the robot does not.
    assert goals.cancel(sent) == 1
    status, result = goals.ask(TEXT)
    assert status == SUCCEEDED, result.error
    log = graph.children[-1].log
    assert log is not None and "goal ended: canceled" in log.read_text()
    assert "would jerk" not in log.read_text()


def test_a_newer_sentence_preempts_the_execution(goals: Goals, client: Recorder) -> None:
    for _ in range(TRIES):
        first = goals.send(TEXT, seconds=[6.0])
        heard = first.feedback
        goals.wait(lambda of=heard: any(f.stage == "execute" for f in of), "the execution")
        client.say(TEXT)
        status, result = goals.result(first)
        # On a busy machine the newer one may be ready after the end of the first.
        if status != SUCCEEDED:
            break
    assert status == ABORTED and result.error.code == ErrorCode.PREEMPTED
    assert result.report.outcome in (MotionReport.PASS, MotionReport.REPAIRED)


def test_what_a_slow_controller_holds_up_still_begins_where_the_robot_is(
    graph: Graph, goals: Goals, client: Recorder
) -> None:
    """It is decided when the controller has answered, and not before."""
    log = graph.children[-1].log
    assert log is not None
    sabotage = client.create_publisher(String, "sabotage", EVENTS)
    goals.wait(lambda: sabotage.get_subscription_count() > 0, "the robot")

    def told(sentence: str) -> None:
        goals.wait(lambda: sentence in log.read_text(), sentence)

    moving = goals.send(TEXT, seconds=[9.0])
    goals.wait(lambda: moving.is_in("execute"), "the execution")
    sabotage.publish(String(data="slow"))
    told("sabotage: 'slow'")
    refused = goals.send(TEXT)
    told("slow to answer")
    sabotage.publish(String(data=""))
    told("sabotage: ''")
    held_up = goals.send(TEXT)
    assert goals.result(refused)[1].error.code == ErrorCode.CONTROLLER_REFUSED
    status, result = goals.result(held_up)
    assert status == SUCCEEDED, result.error
    assert "would jerk" not in log.read_text()
