"""A sentence while the one before is still executed: one continuous motion of the mock robot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport
from ros.graph import GOOD, REPLY, START, Graph, TooBusyError, in_one_session, served
from ros.services import set_parameters

TEXT = "a person raises the right arm"
JERKS = "a real robot would jerk"


@dataclass
class Stage:
    """A node with the hand-made source, the mock robot and somebody who talks to them."""

    recorder: Recorder
    node: Child
    mock: Child
    robot: Robot
    graph: Graph

    def set(self, **values: object) -> None:
        assert all(taken for taken, _ in set_parameters(self.recorder, **values))

    def ask(self, text: str = TEXT) -> tuple[MotionReport, JointTrajectory]:
        """Send a sentence; the report and the trajectory."""
        reports, commands = len(self.recorder.reports), len(self.recorder.commands)
        self.recorder.say(text)
        self.wait(lambda: len(self.recorder.reports) > reports, f"the report on {text!r}")
        report = served(self.recorder.reports[-1])
        self.wait(lambda: len(self.recorder.commands) > commands, "the trajectory")
        return report, self.recorder.commands[-1][1]

    def wait(self, condition: object, what: str) -> None:
        self.recorder.wait(condition, REPLY, what, self.graph.alive)  # type: ignore[arg-type]

    def until_it_moves(self, least: float = 0.3) -> None:
        """Listen until a joint is faster than this [rad/s]."""
        self.wait(
            lambda: max(abs(v) for v in self.recorder.states[-1].velocity) > least, "a movement"
        )

    def until_it_rests(self) -> None:
        """Listen until the robot has stood still for half a second."""

        def still() -> bool:
            last = self.recorder.states[-50:]
            speeds = [abs(v) for state in last for v in state.velocity]
            return len(last) == 50 and max(speeds) < 1e-6

        self.wait(still, "the robot to rest")

    def recording(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stamps (N,) [s], positions and velocities (N, J) of the mock's joint states."""
        sound = [
            state
            for state in self.recorder.states
            if list(state.name) == list(self.robot.joint_names)
            and len(state.position) == len(state.velocity) == len(state.name)
            and np.isfinite(state.position).all()
        ]
        stamps = np.array([nanoseconds(state.header.stamp) for state in sound])
        fresh = np.concatenate([[True], np.diff(stamps) > 0])
        return (
            stamps[fresh] / NANOSECONDS,
            np.array([state.position for state in sound])[fresh],
            np.array([state.velocity for state in sound])[fresh],
        )

    def state_at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Recorded positions and velocities (J,) at a time of the robot's clock [s].

        Raises:
            TooBusyError: what was recorded has a gap there, over which a spline is too far off.
        """
        times, positions, velocities = self.recording()
        after = int(np.searchsorted(times, time))
        if not 0 < after < len(times) or times[after] - times[after - 1] > 0.05:
            raise TooBusyError("no joint states were heard when the trajectory began")
        spline = CubicHermiteSpline(times, positions, velocities)
        return spline(time), spline(time, 1)

    def gap(self, command: JointTrajectory) -> tuple[float, float]:
        """How far the first point is from where the robot was then: [rad], and of the limits.

        Raises:
            TooBusyError: nobody can say.
        """
        stamp = nanoseconds(command.header.stamp)
        if not stamp:
            raise TooBusyError("it begins on arrival, since the robot has come to rest")
        self.wait(
            lambda: nanoseconds(self.recorder.states[-1].header.stamp) > stamp,
            "the time at which the trajectory begins",
        )
        state = self.state_at(stamp / NANOSECONDS)
        first = command.points[0]
        share = np.abs(np.array(first.velocities) - state[1]) / self.robot.velocity_limit
        return float(np.abs(np.array(first.positions) - state[0]).max()), float(share.max())

    def jerked(self, since: float) -> bool:
        """Whether a recorded acceleration is beyond the robot's limits."""
        times, positions, velocities = self.recording()
        later = times >= since
        times, positions, velocities = times[later], positions[later], velocities[later]
        step = np.diff(times)[:, None]
        acceleration = np.diff(velocities, axis=0) / step
        if (np.abs(acceleration) / self.robot.acceleration_limit).max() > 1.1:
            return True
        # Positions do not jump either: they change as the velocities say.
        led = 0.5 * (velocities[1:] + velocities[:-1]) * step
        slack = 0.3 * self.robot.acceleration_limit * step**2 + 1e-4
        return bool((np.abs(np.diff(positions, axis=0) - led) > slack).any())


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module", params=["jazzy", "lyrical"])
def children(graph: Graph, request: pytest.FixtureRequest) -> Iterator[tuple[Child, Child]]:
    manner = {"state_rate": 50.0, "controller_generation": str(request.param)}
    mock = graph.start("ros.patient_robot", manner)
    # A busy machine may delay joint states; how stale ones are met is tested elsewhere. It delays
    # trajectories, too, and only one of the two controllers forgives that.
    slow = {"seconds": 5.0, "state_timeout": 2.0, "takeover_margin": 0.3}
    node = graph.start("ros.fake_pipeline", slow)
    yield mock, node
    for child in (node, mock):
        graph.children.remove(child)
        child.stop()


@pytest.fixture
def stage(graph: Graph, children: tuple[Child, Child], robot: Robot) -> Iterator[Stage]:
    mock, node = children
    recorder = Recorder(graph.context)
    recorder.wait(recorder.connected, START, "the nodes", graph.alive)
    stage = Stage(recorder, node, mock, robot, graph)
    # The node must have heard the robot, too.
    recorder.listen(1.0)
    yield stage
    stage.until_it_rests()
    stage.set(continuation="from_state")
    graph.alive()
    recorder.destroy_node()


def jerks(stage: Stage) -> int:
    assert stage.mock.log is not None
    return stage.mock.log.read_text().count(JERKS)


@pytest.mark.parametrize("continuation", ["from_state", "from_plan", "off"])
def test_a_sentence_during_another_makes_one_continuous_motion(
    stage: Stage, continuation: str
) -> None:
    stage.set(continuation=continuation)

    def session() -> object:
        # On a machine so busy that the mock robot hears a trajectory half a second late, it jerks.
        before, since = jerks(stage), float(stage.recording()[0][-1])
        stage.ask()
        gaps, under_way = [], True
        for _ in range(2):
            stage.until_it_moves()
            report, command = stage.ask()
            assert len(command.points) == report.points
            gaps.append(stage.gap(command))
            under_way &= max(abs(v) for v in command.points[0].velocities) > 0.01
        stage.until_it_rests()
        trouble = (jerks(stage) - before, stage.jerked(since), under_way, gaps)
        good = trouble[:3] == (0, False, True) and max(np.ravel(gaps)) < 1e-3
        return None if good else f"warnings, jerked, under way, first points: {trouble}"

    in_one_session(session, stage.until_it_rests)


def test_after_the_last_sentence_the_robot_ends_where_it_was_told(stage: Stage) -> None:
    def session() -> None:
        stage.ask()
        stage.until_it_moves()
        _, command = stage.ask()
        last = command.points[-1].positions
        stage.wait(
            lambda: np.allclose(stage.recorder.states[-1].position, last, rtol=0.0, atol=1e-6),
            "the robot to end there",
        )
        stage.until_it_rests()
        np.testing.assert_allclose(stage.recorder.states[-1].position, last, atol=1e-6)

    in_one_session(session, stage.until_it_rests)


def test_a_standing_robot_begins_at_once_and_where_it_stands(stage: Stage) -> None:
    stage.until_it_rests()
    here = list(stage.recorder.states[-1].position)
    _, command = stage.ask()
    assert nanoseconds(command.header.stamp) == 0
    assert list(command.points[0].positions) == pytest.approx(here, abs=1e-4)
    assert list(command.points[0].velocities) == pytest.approx([0.0] * len(here), abs=1e-3)


def test_the_report_tells_that_the_past_was_looked_at(stage: Stage) -> None:
    def session(continuation: str) -> None:
        stage.set(continuation=continuation)
        report, _ = stage.ask()
        assert ("history" in report.stage_names) == (continuation != "off")

    stage.until_it_rests()
    for continuation in ("from_state", "off"):
        in_one_session(partial(session, continuation), stage.until_it_rests)


def test_the_newest_sentence_wins_while_the_robot_moves(stage: Stage) -> None:
    def session() -> None:
        stage.ask()
        stage.until_it_moves()
        reports, commands = len(stage.recorder.reports), len(stage.recorder.commands)
        for text in ("please wait long", "please wait longer", TEXT):
            stage.recorder.say(text)
            stage.recorder.listen(0.3)
        stage.wait(lambda: len(stage.recorder.reports) == reports + 3, "three reports")
        by_text = {report.text: report for report in stage.recorder.reports[reports:]}
        last = by_text.pop(TEXT)
        assert {report.outcome for report in by_text.values()} == {MotionReport.SUPERSEDED}
        served(last)
        # A late result of an older sentence would come in this time.
        stage.until_it_rests()
        stage.recorder.listen(1.0)
        assert len(stage.recorder.commands) == commands + 1

    in_one_session(session, stage.until_it_rests)


def test_a_newer_sentence_stops_one_that_is_being_retargeted(stage: Stage) -> None:
    """Whatever moment it comes at: the last trajectory published is that of the last sentence."""

    def session() -> None:
        for wait in (0.05, 0.2, 0.35, 0.5):
            reports, commands = len(stage.recorder.reports), len(stage.recorder.commands)
            stage.recorder.say(TEXT)
            stage.recorder.listen(wait)
            stage.recorder.say(TEXT + " again")
            stage.wait(lambda n=reports: len(stage.recorder.reports) == n + 2, "two reports")
            stage.recorder.listen(0.3)
            by_text = {r.text: r for r in stage.recorder.reports[reports:]}
            served(by_text[TEXT + " again"])
            published = len(stage.recorder.commands) - commands
            assert published == 1 + (by_text[TEXT].outcome in GOOD)
            assert stage.recorder.reports[-1].text == TEXT + " again"

    in_one_session(session, stage.until_it_rests)


def test_joint_states_that_make_no_sense_do_not_disturb_it(stage: Stage) -> None:
    spoiler = stage.recorder.create_publisher(JointState, "/joint_states", 10)
    stage.wait(lambda: spoiler.get_subscription_count() > 1, "the node's ear")
    names = list(stage.robot.joint_names)
    nonsense = [
        JointState(name=names, position=[math.nan] * len(names)),
        JointState(name=["tail", "trunk"], position=[1.0, 2.0]),
        JointState(name=names, position=[0.0]),
        JointState(),
    ]

    def session() -> None:
        stage.ask()
        stage.until_it_moves()
        reports, commands = len(stage.recorder.reports), len(stage.recorder.commands)
        stage.recorder.say(TEXT)
        while len(stage.recorder.reports) == reports:
            for message in nonsense:
                spoiler.publish(message)
            # An endless supply of names that nobody has.
            spoiler.publish(JointState(name=[f"x{len(stage.recorder.states)}"], position=[0.0]))
            stage.recorder.listen(0.01)
        served(stage.recorder.reports[-1])
        stage.wait(lambda: len(stage.recorder.commands) > commands, "the trajectory")
        far, _ = stage.gap(stage.recorder.commands[-1][1])
        assert far < 1e-3

    def rest() -> None:
        stage.recorder.states[:] = [s for s in stage.recorder.states if len(s.position) > 1]
        stage.until_it_rests()

    in_one_session(session, rest)
    stage.recorder.destroy_publisher(spoiler)
    assert stage.node.log is not None
    log = stage.node.log.read_text()
    assert log.count("joint states are not finite") == 1
    assert log.count("has 1 positions for") == 1
    assert log.count("unknown to the robot") <= 100
