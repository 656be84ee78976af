"""A trajectory that the safety gate, or the check of the message, refuses is never published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from nextscale_core import planning
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.safety import Finding, GateResult, SafetyGate, SafetyReport
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.executor import ThreadedExecutor
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.node.generate_node import GenerateNode
from ros.fake_pipeline import FakePipeline
from ros.graph import REPLY, Graph

Review = Callable[[RobotTrajectory], GateResult]


def refuse(trajectory: RobotTrajectory) -> GateResult:
    finding = Finding("made_up", "the moon is full", 1.0, 0.0, "rejected")
    return GateResult(None, SafetyReport("rejected", (finding,)))


def let_pass_what_still_moves_at_the_end(trajectory: RobotTrajectory) -> GateResult:
    velocities = trajectory.velocities.copy()
    velocities[-1, 0] = 1.0
    return GateResult(replace(trajectory, velocities=velocities), SafetyReport("pass"))


def let_pass_a_nan(trajectory: RobotTrajectory) -> GateResult:
    positions = trajectory.positions.copy()
    positions[3, 2] = np.nan
    return GateResult(replace(trajectory, positions=positions), SafetyReport("pass"))


def break_down(trajectory: RobotTrajectory) -> GateResult:
    raise MemoryError("made to break down")


@contextmanager
def node_with_gate(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, review: Review
) -> Iterator[Recorder]:
    """The node in this process with a gate that changes its mind after the warm-up."""
    ready = threading.Event()

    class MadeUpGate:
        def __init__(self, robot: Robot) -> None:
            self._gate = SafetyGate(robot)

        def review(self, trajectory: RobotTrajectory, *, start: object = None) -> GateResult:
            return review(trajectory) if ready.is_set() else self._gate.review(trajectory)

    monkeypatch.setattr(planning, "SafetyGate", MadeUpGate)
    node = GenerateNode(
        pipeline=FakePipeline(),
        # There is no robot here that could tell its state.
        parameter_overrides=[Parameter("start_from_state", value=False)],
        context=graph.context,
    )
    executor = ThreadedExecutor(num_threads=4, context=graph.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    recorder = Recorder(graph.context)
    try:
        recorder.wait(lambda: recorder.connected(mock=False), REPLY, "the node")
        ready.set()
        yield recorder
    finally:
        executor.shutdown()
        thread.join(REPLY)
        recorder.destroy_node()
        node.destroy_node()


@pytest.mark.parametrize(
    ("review", "outcome", "reason"),
    [
        (refuse, MotionReport.REJECTED, "the moon is full"),
        (let_pass_what_still_moves_at_the_end, MotionReport.REJECTED, "the last point moves"),
        (let_pass_a_nan, MotionReport.REJECTED, "point 3: positions[2] is nan"),
        (break_down, MotionReport.FAILED, "out of memory: made to break down"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_refused_is_reported_with_the_reason_and_not_published(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, review: Review, outcome: str, reason: str
) -> None:
    with node_with_gate(graph, monkeypatch, review) as recorder:
        recorder.say("a person raises the right arm")
        recorder.wait(lambda: bool(recorder.reports), REPLY, "the report")
        report = recorder.reports[0]
        assert report.outcome == outcome
        assert reason in report.message
        assert report.points == 0 and not report.joint_names
        assert not recorder.commands and not recorder.bases


def test_a_robot_that_was_moved_meanwhile_is_left_alone(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = load_robot("g1")
    where = {"offset": 0.0}
    reviewed = threading.Event()

    class SlowGate:
        def __init__(self, robot: Robot) -> None:
            self._gate = SafetyGate(robot)

        def review(self, trajectory: RobotTrajectory, **options: object) -> GateResult:
            result = self._gate.review(trajectory, **options)
            if armed.is_set():
                # Somebody bends the elbow while the motion is reviewed.
                where["offset"] = 0.3
                reviewed.set()
                moved.wait(REPLY)
            return result

    armed, moved = threading.Event(), threading.Event()
    monkeypatch.setattr(planning, "SafetyGate", SlowGate)
    node = GenerateNode(
        pipeline=FakePipeline(),
        parameter_overrides=[Parameter("state_timeout", value=2.0)],
        context=graph.context,
    )
    executor = ThreadedExecutor(num_threads=4, context=graph.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    recorder = Recorder(graph.context)
    states = recorder.create_publisher(JointState, "/joint_states", 10)
    elbow = robot.joint_names.index("right_elbow_joint")

    def tell() -> None:
        positions = robot.nominal.copy()
        positions[elbow] += where["offset"]
        message = JointState(name=list(robot.joint_names), position=positions.tolist())
        message.header.stamp = recorder.get_clock().now().to_msg()
        states.publish(message)

    timer = recorder.create_timer(0.02, tell)
    try:
        recorder.wait(lambda: recorder.connected(mock=False), REPLY, "the node")

        def published() -> bool:
            if len(recorder.reports) < 1 or not recorder.reports[-1].published:
                recorder.say("a person raises the right arm")
                recorder.listen(0.5)
            return bool(recorder.commands)

        recorder.wait(published, REPLY, "a first trajectory")
        # Until that plan is over, and the robot is taken to stand.
        recorder.listen(recorder.reports[-1].duration + 0.5)
        reports, commands = len(recorder.reports), len(recorder.commands)
        armed.set()
        recorder.say("a person raises the right arm")
        recorder.wait(reviewed.is_set, REPLY, "the review")
        recorder.listen(0.5)
        moved.set()
        recorder.wait(lambda: len(recorder.reports) > reports, REPLY, "the report")
        report = recorder.reports[-1]
        assert report.outcome == MotionReport.REJECTED
        assert report.error.code == ErrorCode.UNSAFE_START
        assert "right_elbow_joint" in report.message and "0.300 rad" in report.message
        assert len(recorder.commands) == commands
    finally:
        moved.set()
        recorder.destroy_timer(timer)
        executor.shutdown()
        thread.join(REPLY)
        recorder.destroy_node()
        node.destroy_node()
