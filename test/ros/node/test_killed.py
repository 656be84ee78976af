"""kill -9 of the node: the robot ends at rest, and a new node goes on from where the robot is."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import check_joint_trajectory, nanoseconds
from nextscale_ros.msg import ErrorCode
from ros.goals import Goals
from ros.graph import GOOD, REPLY, START, Graph

TEXT = "a person raises the right arm"
TOLERANCE = 0.02
"""How far a first point may be from the measured state [rad]: what a robot at rest is off."""
TRIES = 50
SLOWER = 3.0
"""A start on a busy machine may take so much longer than another one, and ten seconds more."""


class Stage:
    """A mock robot, a node that is killed and started again, and somebody who talks to both."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.robot: Robot = load_robot("g1")
        self.mock = graph.start("mock_robot")
        self.client = graph.recorder()
        self.starts: list[float] = []
        self.start()

    def start(self) -> None:
        """Start the node and wait until it is ready; a client of its own hears it."""
        # Those of a node that was killed are in the graph for a while.
        known = self.ears()
        begin = time.monotonic()
        self.node: Child = self.graph.start("ros.fake_pipeline")
        self.client: Recorder = self.graph.recorder()
        self.client.wait(
            lambda: self.client.connected() and bool(self.ears() - known),
            START,
            "the node",
            self.graph.alive,
        )
        self.starts.append(time.monotonic() - begin)

    def ears(self) -> set[bytes]:
        """Who takes sentences."""
        found = self.client.get_subscriptions_info_by_topic("/text_command")
        return {bytes(one.endpoint_gid) for one in found}

    def kill(self) -> None:
        self.node.process.send_signal(signal.SIGKILL)
        assert self.node.process.wait(10.0) == -signal.SIGKILL
        self.graph.children.remove(self.node)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self.client.wait(condition, REPLY, what, self.graph.alive)

    def ask(self) -> JointTrajectory:
        """Send a good sentence; its trajectory, which obeys the rules."""
        commands = len(self.client.commands)
        for _ in range(TRIES):
            reports = len(self.client.reports)
            self.client.say(TEXT)
            self.wait(lambda count=reports: len(self.client.reports) > count, "a report")
            report = self.client.reports[-1]
            if report.outcome in GOOD:
                break
            # A node that has just begun may not have heard the robot yet, and says so.
            assert report.error.code == ErrorCode.NO_ROBOT_STATE, report.message
            self.client.listen(0.2)
        assert report.outcome in GOOD, report.message
        self.wait(lambda: len(self.client.commands) > commands, "a trajectory")
        command = self.client.commands[-1][1]
        assert check_joint_trajectory(command, self.robot.joint_names) == []
        return command

    def speed(self) -> float:
        return float(np.abs(self.client.states[-1].velocity).max())

    def until_it_rests(self) -> None:
        def still() -> bool:
            last = self.client.states[-50:]
            return len(last) == 50 and max(abs(v) for s in last for v in s.velocity) < 1e-6

        self.client.states.clear()
        self.wait(still, "the robot to rest")

    def positions(self) -> np.ndarray:
        """Measured now, in the order of the robot's joints."""
        state = self.client.states[-1]
        place = {name: index for index, name in enumerate(state.name)}
        return np.array([state.position[place[name]] for name in self.robot.joint_names])

    def first_point(self, command: JointTrajectory) -> np.ndarray:
        place = {name: index for index, name in enumerate(command.joint_names)}
        first = np.array(command.points[0].positions)
        return first[[place[name] for name in self.robot.joint_names]]

    def relaunched_as_fast_and_goes_on(self) -> None:
        """A new node is ready in about the time of the first, and begins where the robot is."""
        self.start()
        assert self.starts[-1] < SLOWER * self.starts[0] + 10.0
        self.until_it_rests()
        here = self.positions()
        command = self.ask()
        np.testing.assert_allclose(self.first_point(command), here, atol=TOLERANCE)
        # Numbers begin anew with the process, and so does the account of them.
        assert self.client.reports[0].request == 1
        self.until_it_rests()


@pytest.fixture(scope="module")
def stage(graph: Graph) -> Iterator[Stage]:
    yield Stage(graph)


def test_killed_while_it_generates(stage: Stage) -> None:
    stage.ask()
    stage.until_it_rests()
    goals = Goals(stage.client)
    sent = goals.send("a person waits")
    goals.wait(lambda: any(f.stage == "generate" for f in sent.feedback), "a pass of the generator")
    before = stage.positions()
    commands = len(stage.client.commands)
    stage.kill()
    stage.client.listen(0.5)
    goals.destroy()
    # Nothing was under way, and nothing half made came out.
    assert len(stage.client.commands) == commands
    np.testing.assert_allclose(stage.positions(), before, atol=1e-6)
    stage.relaunched_as_fast_and_goes_on()


def test_killed_while_the_robot_moves(stage: Stage) -> None:
    command = stage.ask()
    stage.wait(lambda: stage.speed() > 0.3, "a movement")
    stage.kill()
    assert stage.speed() > 0.0, "it was to be killed in the middle of a movement"
    stage.until_it_rests()
    # The robot has done the whole of what it was told before.
    place = {name: index for index, name in enumerate(command.joint_names)}
    last = np.array(command.points[-1].positions)
    end = last[[place[name] for name in stage.robot.joint_names]]
    np.testing.assert_allclose(stage.positions(), end, atol=1e-3)
    assert not np.any(command.points[-1].velocities)
    stage.relaunched_as_fast_and_goes_on()


def test_killed_and_relaunched_while_the_robot_moves(stage: Stage) -> None:
    """The new node knows nothing of the plan under way, but hears the robot."""
    command = stage.ask()
    stage.wait(lambda: stage.speed() > 0.3, "a movement")
    stage.kill()
    stage.start()
    again = stage.ask()
    if nanoseconds(again.header.stamp):
        # It begins where the robot was at the time that it names.
        begin = nanoseconds(again.header.stamp)
        stamps = np.array([nanoseconds(s.header.stamp) for s in stage.client.states])
        nearest = stage.client.states[int(np.abs(stamps - begin).argmin())]
        place = {name: index for index, name in enumerate(nearest.name)}
        there = np.array([nearest.position[place[name]] for name in stage.robot.joint_names])
        if np.abs(stamps - begin).min() < 15_000_000:
            np.testing.assert_allclose(stage.first_point(again), there, atol=0.05)
    assert not np.any(again.points[-1].velocities)
    stage.until_it_rests()
    assert command.joint_names == again.joint_names
