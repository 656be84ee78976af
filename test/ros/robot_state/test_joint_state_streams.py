"""Interrupting a robot whose joint states come fast, slow, late, with pauses, or stop."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import nanoseconds
from nextscale_ros.msg import ErrorCode, MotionReport
from ros.fake_robot import FakeRobot
from ros.graph import GOOD, REPLY, SESSIONS, START, Graph, TooBusyError, in_one_session, served
from ros.services import set_parameter

TEXT = "a person raises the right arm"


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def node(graph: Graph) -> Child:
    slow = {"seconds": 5.0, "state_timeout": 1.0, "takeover_margin": 0.3}
    return graph.start("ros.fake_pipeline", slow)


@pytest.fixture
def client(graph: Graph, node: Child) -> Iterator[Recorder]:
    recorder = Recorder(graph.context)
    recorder.wait(lambda: recorder.connected(mock=False), START, "the node", graph.alive)
    yield recorder
    node.check()
    recorder.destroy_node()


@contextmanager
def puppet(client: Recorder, graph: Graph, robot: Robot, **manner: object) -> Iterator[FakeRobot]:
    """A robot whose states the node has received for a while."""
    made = FakeRobot(graph.context, robot, **manner)  # type: ignore[arg-type]
    try:
        client.wait(lambda: made.publisher.get_subscription_count() > 1, REPLY, "the node's ear")
        client.listen(1.0)
        yield made
    finally:
        made.close()


def ask(client: Recorder) -> MotionReport:
    reports, commands = len(client.reports), len(client.commands)
    client.say(TEXT)
    client.wait(lambda: len(client.reports) > reports, REPLY, "the report")
    report = client.reports[-1]
    if report.outcome in GOOD:
        client.wait(lambda: len(client.commands) > commands, REPLY, "the trajectory")
    return report


def ask_until_heard(client: Recorder) -> MotionReport:
    """The first report that does not say that states came too late: the machine may be busy."""
    for _ in range(SESSIONS):
        report = ask(client)
        if report.error.code != ErrorCode.NO_ROBOT_STATE:
            return report
        client.listen(0.5)
    pytest.fail(f"the node hears no states: {report.message}")


def rest(client: Recorder, body: FakeRobot) -> None:
    client.wait(lambda: body.speed() < 1e-6, REPLY, "the robot to rest")


def due(client: Recorder, body: FakeRobot) -> int:
    """When the last trajectory takes over [ns], once that is past."""
    stamp = nanoseconds(client.commands[-1][1].header.stamp)
    if not stamp:
        raise TooBusyError("the robot stood again when the trajectory was ready")
    client.wait(lambda: body.past(stamp), REPLY, "the begin of the trajectory")
    return stamp


def late(mean: float) -> Callable[[], float]:
    return lambda: random.expovariate(1.0 / mean)


@pytest.mark.parametrize(
    ("rate", "manner"),
    [
        (1000.0, {}),
        (50.0, {}),
        (50.0, {"delay": late(0.01)}),
        (100.0, {"delay": late(0.005), "silent": lambda time: time % 1.0 < 0.12}),
    ],
    ids=["1000 Hz", "50 Hz", "50 Hz with jitter", "100 Hz with jitter and pauses"],
)
def test_the_first_point_is_where_the_robot_is_when_it_is_due(
    client: Recorder, graph: Graph, robot: Robot, rate: float, manner: dict[str, object]
) -> None:
    with puppet(client, graph, robot, rate=rate, **manner) as body:

        def session() -> object:
            begin, fits = body.samples, True
            served(ask(client))
            for _ in range(2):
                client.wait(lambda: body.speed() > 0.3, REPLY, "a movement")
                served(ask(client))
                positions, velocities = body.at(due(client, body))
                first = client.commands[-1][1].points[0]
                fits &= np.abs(np.array(first.positions) - positions).max() < 1e-3
                share = np.abs(np.array(first.velocities) - velocities) / robot.velocity_limit
                fits &= share.max() < 0.05
            rest(client, body)
            jerk = body.largest_step(begin)
            return None if fits and jerk < 0.02 else f"fits: {fits}, largest step {jerk}"

        in_one_session(session, lambda: rest(client, body))


@pytest.mark.parametrize("rate", [50.0, 100.0, 500.0])
@pytest.mark.parametrize(
    "said",
    [lambda velocities: [], lambda velocities: [math.nan] * len(velocities)],
    ids=["none", "NaN"],
)
def test_without_velocities_a_robot_that_moves_is_taken_over_as_smoothly(
    client: Recorder,
    graph: Graph,
    robot: Robot,
    rate: float,
    said: Callable[[np.ndarray], list[float]],
) -> None:
    with puppet(client, graph, robot, rate=rate, said=said) as body:

        def session() -> object:
            begin, close = body.samples, True
            served(ask(client))
            for _ in range(2):
                client.wait(lambda: body.speed() > 0.3, REPLY, "a movement")
                served(ask(client))
                _, velocities = body.at(due(client, body))
                first = client.commands[-1][1].points[0]
                off = np.abs(np.array(first.velocities) - velocities)
                close &= off.max() < (0.1 if rate < 100.0 else 0.03)
            rest(client, body)
            jerk = body.largest_step(begin)
            return None if close and jerk < 0.005 else f"close: {close}, largest step {jerk}"

        in_one_session(session, lambda: rest(client, body))


def test_joint_states_without_stamps_will_do(client: Recorder, graph: Graph, robot: Robot) -> None:
    with puppet(client, graph, robot, rate=100.0, stamped=False) as body:

        def session() -> object:
            begin = body.samples
            served(ask(client))
            client.wait(lambda: body.speed() > 0.3, REPLY, "a movement")
            served(ask(client))
            rest(client, body)
            jerk = body.largest_step(begin)
            return None if jerk < 0.05 else f"largest step {jerk}"

        in_one_session(session, lambda: rest(client, body))


def test_when_joint_states_stop_nothing_is_published_until_they_come_again(
    client: Recorder, graph: Graph, robot: Robot
) -> None:
    with puppet(client, graph, robot, rate=100.0) as body:
        body.quiet = True
        client.listen(1.5)
        report = ask(client)
        assert report.outcome == MotionReport.FAILED
        assert "s old, the limit is 1.00 s" in report.message
        assert "the robot is left alone" in report.message
        client.listen(0.5)
        assert not client.commands and not client.bases
        body.quiet = False
        client.listen(0.5)
        assert ask_until_heard(client).outcome in GOOD


def test_a_robot_whose_joint_states_stop_is_not_assumed_to_be_anywhere(
    client: Recorder, graph: Graph, robot: Robot
) -> None:
    assert set_parameter(client, "state_policy", "assume_nominal")[0]
    with puppet(client, graph, robot, rate=100.0) as body:
        body.quiet = True
        client.listen(1.5)
        report = ask(client)
        assert report.outcome == MotionReport.FAILED
        assert "assume_nominal', for a robot that never tells it" in report.message
        assert not client.commands
    assert set_parameter(client, "state_policy", "reject")[0]


@pytest.mark.parametrize("outside", [0.05, 0.3])
def test_a_robot_a_little_outside_its_limits_is_led_back_and_the_report_says_so(
    client: Recorder, graph: Graph, robot: Robot, outside: float
) -> None:
    knee = robot.joint_names.index("left_knee_joint")
    place = robot.nominal.copy()
    place[knee] = robot.position_lower[knee] - outside
    with puppet(client, graph, robot, rate=100.0, place=place) as body:
        client.listen(3.0)  # the robot was elsewhere before
        commands = len(client.commands)
        report = ask_until_heard(client)
        if outside < 0.1:
            assert report.outcome in GOOD, report.message
            assert any("knee_joint is measured 0.050 rad outside" in f for f in report.findings)
            rest(client, body)
        else:
            assert report.error.code == ErrorCode.UNSAFE_START
            assert "left_knee_joint was measured" in report.message
            assert len(client.commands) == commands


def test_joint_states_that_stop_while_a_motion_is_made_keep_it_from_the_robot(
    client: Recorder, graph: Graph, robot: Robot
) -> None:
    with puppet(client, graph, robot, rate=100.0) as body:
        client.say("please wait")
        client.listen(1.0)
        body.quiet = True
        client.wait(lambda: bool(client.reports), REPLY, "the report")
        assert client.reports[-1].outcome == MotionReport.FAILED
        assert "left alone" in client.reports[-1].message
        client.listen(0.3)
        assert not client.commands
