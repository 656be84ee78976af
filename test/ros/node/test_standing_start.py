"""A robot at rest never jumps when a motion starts, whatever is slow between the node and it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.executor import ThreadedExecutor
from nextscale_ros.messages.conversions import joint_trajectory
from nextscale_ros.messages.validate_trajectory import nanoseconds
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.node import motion_server
from nextscale_ros.node.generate_node import GenerateNode
from nextscale_ros.srv import EditPlan
from ros.controller_model import ModelRobot
from ros.fake_pipeline import FakePipeline
from ros.goals import SUCCEEDED, Goals
from ros.graph import BUSY, GOOD, REPLY, START, TRIES, Graph
from ros.services import call

TEXT = "a person raises the right arm"
SLOW = 0.4
"""How long a slow sender takes from the checked trajectory to the message [s]."""
STANDING = 0.5
"""Time after the last movement in which the node knows that the plan is over [s]."""
STRAIN = 1.1
"""Share of the limits that the controller may ask for, cycle by cycle."""


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@contextmanager
def generate_node(graph: Graph, **parameters: object) -> Iterator[Recorder]:
    """The node in this process, and somebody who talks to it."""
    node = GenerateNode(
        pipeline=FakePipeline(),
        parameter_overrides=[
            Parameter(name, value=value)
            for name, value in {"state_timeout": 2.0, **parameters}.items()
        ],
        context=graph.context,
    )
    executor = ThreadedExecutor(num_threads=4, context=graph.context)
    executor.add_node(node)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    recorder = Recorder(graph.context)
    try:
        recorder.wait(lambda: recorder.ready and bool(recorder.states), START, "node and robot")
        recorder.listen(0.5)
        yield recorder
    finally:
        ended.set()
        thread.join(REPLY)
        executor.shutdown()
        recorder.destroy_node()
        node.destroy_node()


@pytest.fixture
def body(graph: Graph, robot: Robot) -> Iterator[Callable[..., ModelRobot]]:
    with ExitStack() as stack:

        def make(**manner: object) -> ModelRobot:
            made = ModelRobot(graph.context, robot, **manner)  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        yield make


def slow_sender(monkeypatch: pytest.MonkeyPatch, seconds: float = SLOW) -> None:
    def slowly(*arguments: object) -> JointTrajectory:
        time.sleep(seconds)
        return joint_trajectory(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(motion_server, "joint_trajectory", slowly)


def ask(recorder: Recorder) -> JointTrajectory:
    recorder.wait(recorder.connected, START, "the node's topics")
    for _ in range(TRIES):
        reports, commands = len(recorder.reports), len(recorder.commands)
        recorder.say(TEXT)
        recorder.wait(lambda seen=reports: len(recorder.reports) > seen, REPLY, "the report")
        # A robot at rest whose states come too late on a busy machine.
        if recorder.reports[-1].error.code != ErrorCode.NO_ROBOT_STATE:
            break
    assert recorder.reports[-1].outcome in GOOD, recorder.reports[-1].message
    recorder.wait(lambda: len(recorder.commands) > commands, REPLY, "the trajectory")
    return recorder.commands[-1][1]


def executed(recorder: Recorder, body: ModelRobot, command: JointTrajectory) -> None:
    """Wait until the robot stands where the trajectory ends, for the node too.

    The last points of a trajectory hardly move: the robot is there before its plan is over.
    """
    last = np.array(command.points[-1].positions)
    recorder.wait(
        lambda: bool(np.abs(body.model.position - last).max() < 1e-6 and body.speed < 1e-6),
        REPLY,
        "the end of the trajectory",
    )
    recorder.listen(STANDING)


def asked_under_way(
    recorder: Recorder, body: ModelRobot, before: Callable[[], object] = lambda: None
) -> tuple[MotionReport, JointTrajectory]:
    """The report of a second sentence, said while the robot moves, and the trajectory that the
    robot has executed since; `before` is called just before it is said."""
    body.model.late = 0.0
    body.model.commands.clear()
    command = ask(recorder)
    recorder.wait(lambda: body.speed > 0.3, REPLY, "a movement")
    recorder.reports.clear()
    recorder.commands.clear()
    before()
    recorder.say(TEXT)
    recorder.wait(lambda: bool(recorder.reports), REPLY, "the report")
    report = recorder.reports[-1]
    if report.outcome in GOOD:
        recorder.wait(lambda: bool(recorder.commands), REPLY, "the trajectory")
        command = recorder.commands[-1][1]
    else:
        assert report.error.code in BUSY, report
        assert not recorder.commands
    executed(recorder, body, command)
    return report, command


@pytest.mark.parametrize("generation", ["jazzy", "lyrical"])
@pytest.mark.parametrize("way", [0.0, 0.3], ids=["quick network", "slow network"])
def test_what_the_controller_executes_is_what_the_gate_passed_though_the_sender_is_slow(
    graph: Graph,
    robot: Robot,
    body: Callable[..., ModelRobot],
    monkeypatch: pytest.MonkeyPatch,
    generation: str,
    way: float,
) -> None:
    slow_sender(monkeypatch)
    hands = body(generation=generation, way=way)
    with generate_node(graph) as recorder:
        for _ in range(2):
            command = ask(recorder)
            assert nanoseconds(command.header.stamp) == 0
            assert nanoseconds(recorder.bases[-1].header.stamp) == 0
            executed(recorder, hands, command)
    speed, push = hands.model.strain(robot)
    assert 0.05 < speed < STRAIN and push < STRAIN
    assert not hands.model.rejected


def test_the_robot_may_live_by_a_clock_of_its_own(
    graph: Graph, robot: Robot, body: Callable[..., ModelRobot], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_sender(monkeypatch, 0.1)
    hands = body(ahead=-3600.0)
    with generate_node(graph) as recorder:
        executed(recorder, hands, ask(recorder))
    assert max(hands.model.strain(robot)) < STRAIN


def test_simulated_time_may_stand_still_when_a_motion_is_sent(
    graph: Graph, robot: Robot, body: Callable[..., ModelRobot], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_sender(monkeypatch, 0.1)
    hands = body(simulated=True)
    hands.run = True
    with generate_node(graph, use_sim_time=True) as recorder:
        hands.run = False
        command = ask(recorder)
        recorder.listen(0.5)
        assert not hands.model.velocity.any()
        hands.run = True
        executed(recorder, hands, command)
    assert max(hands.model.strain(robot)) < STRAIN


def test_simulated_time_may_begin_after_the_first_joint_states(
    graph: Graph, robot: Robot, body: Callable[..., ModelRobot]
) -> None:
    hands = body(simulated=True)
    hands.run, hands.tells_time = True, False
    with generate_node(graph, use_sim_time=True) as recorder:
        recorder.say(TEXT)
        recorder.wait(lambda: bool(recorder.reports), REPLY, "the report")
        report = recorder.reports.pop()
        assert report.error.code == ErrorCode.NO_ROBOT_STATE
        assert "/clock" in report.message and not recorder.commands
        # Time begins, and a sentence comes before the next joint state does.
        hands.tells_time, hands.tells_state = True, False
        recorder.listen(0.5)
        later = threading.Timer(0.3, lambda: setattr(hands, "tells_state", True))
        later.start()
        executed(recorder, hands, ask(recorder))
        later.join()
    assert max(hands.model.strain(robot)) < STRAIN


def test_edits_and_goals_with_a_start_state_begin_on_arrival_too(
    graph: Graph, robot: Robot, body: Callable[..., ModelRobot], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_sender(monkeypatch)
    hands = body()
    with generate_node(graph) as recorder:
        goals = Goals(recorder)
        here = JointState(name=list(robot.joint_names), position=robot.nominal.tolist())
        assert goals.ask(TEXT, start_state=here)[0] == SUCCEEDED
        recorder.wait(lambda: bool(recorder.commands), REPLY, "the trajectory")
        executed(recorder, hands, recorder.commands[-1][1])
        request = EditPlan.Request(text=TEXT, begin=0.5, end=1.0, seed=-1)
        answer = call(recorder, EditPlan, "edit_plan", request, again=False)
        assert answer.report.outcome in GOOD, answer.report.message
        recorder.wait(lambda: len(recorder.commands) > 1, REPLY, "the trajectory")
        executed(recorder, hands, recorder.commands[-1][1])
        # What is only planned may be sent by somebody, some time.
        for start in (JointState(), here):
            status, result = goals.ask(TEXT, start_state=start, plan_only=True)
            assert status == SUCCEEDED and result.trajectory.points
            assert nanoseconds(result.trajectory.header.stamp) == 0
            assert nanoseconds(result.base_trajectory.header.stamp) == 0
        goals.destroy()
        assert len(recorder.commands) == 2
    assert all(not nanoseconds(command.header.stamp) for _, command in recorder.commands)
    assert max(hands.model.strain(robot)) < STRAIN


@pytest.mark.parametrize(
    ("generation", "ahead", "way"),
    [
        ("jazzy", 0.0, 0.15),
        ("lyrical", 3600.0, 0.15),
        ("jazzy", 3600.0, 0.6),
        ("lyrical", 0.0, 0.6),
    ],
)
def test_the_next_sentence_takes_over_though_nobody_said_when_the_first_began(
    graph: Graph,
    robot: Robot,
    body: Callable[..., ModelRobot],
    generation: str,
    ahead: float,
    way: float,
) -> None:
    """The first trajectory begins on arrival; the second must find the robot there, in time even
    where its way is longer than the margin."""
    hands = body(generation=generation, way=way, ahead=ahead)
    with generate_node(graph, seconds=4.0, takeover_margin=0.4) as recorder:
        for _ in range(TRIES):
            report, command = asked_under_way(recorder, hands)
            if report.outcome not in GOOD:
                # So busy a machine that nobody knows where the robot will be: it is left alone.
                continue
            assert nanoseconds(command.header.stamp) > 0
            # A message may take longer than ever before on a busy machine.
            if not hands.model.late:
                break
        else:
            pytest.fail(f"{TRIES} times refused, or {hands.model.late:.2f} s late: {report}")
    assert max(hands.model.strain(robot)) < STRAIN


def test_a_trajectory_that_is_late_for_a_robot_under_way_is_made_again_or_refused(
    graph: Graph, robot: Robot, body: Callable[..., ModelRobot], monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = body()
    with generate_node(graph, seconds=6.0) as recorder:
        for _ in range(TRIES):
            with monkeypatch.context() as patch:
                report, _ = asked_under_way(recorder, hands, partial(slow_sender, patch, 1.5))
            # It was refused, or made again, or the robot had come to rest by then.
            fits = report.outcome in GOOD or report.error.code == ErrorCode.TOO_LATE
            if fits and not hands.model.late:
                break
        else:
            pytest.fail(f"{TRIES} times {hands.model.late:.2f} s late or too busy: {report}")
    assert max(hands.model.strain(robot)) < STRAIN


@pytest.mark.parametrize("generation", ["jazzy", "lyrical"])
def test_by_action_it_begins_when_the_controller_has_accepted_though_the_sender_is_slow(
    graph: Graph, robot: Robot, monkeypatch: pytest.MonkeyPatch, generation: str
) -> None:
    pytest.importorskip("control_msgs", reason="control_msgs is neither installed nor built")
    slow_sender(monkeypatch)
    mock = graph.start("mock_robot", {"controller_generation": generation})
    with generate_node(graph, output="follow_joint_trajectory") as recorder:
        goals = Goals(recorder)
        for _ in range(TRIES):
            status, result = goals.ask(TEXT)
            assert status == SUCCEEDED, result.error
            assert nanoseconds(result.trajectory.header.stamp) == 0
            recorder.wait(lambda: bool(recorder.bases), REPLY, "the base")
            moved = recorder.executed(robot, TEXT)
            steps = np.diff(moved.time_from_start)[:, None]
            speeds = np.abs(np.diff(moved.positions, axis=0)) / steps
            fastest = (speeds / robot.velocity_limit).max()
            # A busy machine loses the states of most of the motion.
            if fastest > 0.05:
                break
        goals.destroy()
    assert 0.05 < fastest < STRAIN
    pushes = np.abs(np.diff(moved.velocities, axis=0)) / steps
    assert (pushes / robot.acceleration_limit).max() < STRAIN
    assert mock.log is not None and "would jerk" not in mock.log.read_text()
    graph.children.remove(mock)
    mock.stop()
