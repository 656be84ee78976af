"""References and trajectories that a simulated robot follows, without a running graph."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped

from nextscale_core.robots import Robot, load_robot
from nextscale_core.simulation.simulator import SimulatedState
from nextscale_core.trajectory.reference import Reference
from nextscale_core.trajectory.standing import standing_pose
from nextscale_ros.messages.conversions import duration, motion_reference
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.simulated_robot.commands import (
    BUFFER,
    TAKE_UP,
    TIMEOUT,
    ReferenceCommands,
    TrajectoryCommands,
)

STEP = 0.02


class FakeNode:
    """Takes subscriptions and messages to the log; its clock is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.callbacks: list[Callable[[Any], None]] = []
        self.said: list[str] = []

    def create_subscription(
        self, kind: type, topic: str, callback: Callable[[Any], None], qos: object
    ) -> None:
        self.callbacks.append(callback)

    def get_logger(self) -> SimpleNamespace:
        def say(text: str, **throttle: float) -> None:
            self.said.append(text)

        return SimpleNamespace(error=say, warning=say, info=say)


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def stand(robot: Robot) -> Reference:
    return standing_pose(robot)


def state_of(robot: Robot) -> SimulatedState:
    zero, still = np.zeros(3), np.zeros(robot.num_joints)
    upright = np.array([0.0, 0.0, 0.0, 1.0])
    place = standing_pose(robot).base_position
    return SimulatedState(0.0, robot.nominal, still, still, place, upright, zero, zero, zero)


def references(robot: Robot, node: FakeNode) -> ReferenceCommands:
    commands: Any = ReferenceCommands(
        node,  # type: ignore[arg-type]
        "motion_reference",
        robot,
        robot.nominal,
        lambda: node.now,
        lambda stamp: stamp / NANOSECONDS,
    )
    commands.reset(state_of(robot))
    return commands


def message(robot: Robot, stand: Reference, swing: float, stamp: float) -> Any:
    moved = Reference(**{**vars(stand), "positions": stand.positions + swing})
    found = motion_reference(robot, moved, "odom", True)
    time = duration(stamp)
    found.header.stamp.sec, found.header.stamp.nanosec = time.sec, time.nanosec
    return found


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_references_that_come_irregularly_are_followed_regularly(
    robot: Robot, stand: Reference, offset: float
) -> None:
    """Whatever the offset of the sender's clock."""
    node = FakeNode()
    commands = references(robot, node)
    random = np.random.default_rng(0)
    times = np.arange(0.0, 4.0, STEP)
    arrivals = np.maximum.accumulate(times + random.uniform(0.002, 0.05, len(times)))
    waiting = list(zip(arrivals, times, strict=True))
    found = []
    for now in times:
        while waiting and waiting[0][0] <= now:
            node.now, sent = waiting.pop(0)
            swing = 0.2 * np.sin(4 * sent)
            node.callbacks[0](message(robot, stand, swing, offset + sent))
        node.now = now
        found.append(commands.reference(now, state_of(robot)).positions[0] - stand.positions[0])
    taken_up = times > TAKE_UP + 0.1
    late = BUFFER + 0.005
    expected = 0.2 * np.sin(4 * (times - late))
    np.testing.assert_allclose(np.array(found)[taken_up], expected[taken_up], atol=0.01)
    # No step is larger than the motion's own, not even when the first reference is taken up.
    assert np.abs(np.diff(found)).max() < 1.5 * 0.8 * STEP


def test_a_robot_whose_references_end_comes_to_stand_without_a_jump(
    robot: Robot, stand: Reference
) -> None:
    node = FakeNode()
    commands = references(robot, node)
    found = []
    for now in np.arange(0.0, 6.0, STEP):
        node.now = now
        if now < 2.0:
            node.callbacks[0](message(robot, stand, 0.1 * min(now, 1.0), now))
        found.append(commands.reference(now, state_of(robot)).positions[0])
    assert found[99] == pytest.approx(stand.positions[0] + 0.1, abs=1e-6)
    assert found[-1] == pytest.approx(stand.positions[0], abs=1e-3)
    assert np.abs(np.diff(found)).max() < 0.01
    assert any("no reference" in text for text in node.said)


@pytest.mark.parametrize("gap", [TIMEOUT + 0.2, TIMEOUT + 1.0])
@pytest.mark.parametrize("begin", [0.3, 0.6, TAKE_UP + 0.5])
def test_a_gap_in_references_is_no_jump(
    robot: Robot, stand: Reference, begin: float, gap: float
) -> None:
    """Not even while the first of them are taken up."""
    node = FakeNode()
    commands = references(robot, node)
    found = []
    for now in np.arange(0.0, 5.0, STEP):
        node.now = now
        if not begin <= now < begin + gap:
            node.callbacks[0](message(robot, stand, 0.2, now))
        found.append(commands.reference(now, state_of(robot)).positions[0] - stand.positions[0])
    assert found[-1] == pytest.approx(0.2, abs=1e-6)
    assert np.abs(np.diff(found)).max() < 2.5 * 0.2 * STEP
    assert any("no reference" in text for text in node.said)


@pytest.mark.parametrize("begin", [0.4, TAKE_UP + 0.5])
def test_another_sender_is_taken_up_without_a_jump(
    robot: Robot, stand: Reference, begin: float
) -> None:
    node = FakeNode()
    commands = references(robot, node)
    found = []
    for now in np.arange(0.0, 4.0, STEP):
        node.now = now
        other = now >= begin
        sent = message(robot, stand, -0.2 if other else 0.2, now if other else 100.0 + now)
        node.callbacks[0](sent)
        found.append(commands.reference(now, state_of(robot)).positions[0] - stand.positions[0])
    assert found[-1] == pytest.approx(-0.2, abs=1e-6)
    assert np.abs(np.diff(found)).max() < 2.5 * 0.4 * STEP


@pytest.mark.parametrize("fault", ["names", "count", "nan", "limits", "quaternion"])
def test_a_reference_that_cannot_be_followed_is_refused_with_the_reason(
    robot: Robot, stand: Reference, fault: str
) -> None:
    node = FakeNode()
    commands = references(robot, node)
    bad = message(robot, stand, 0.1, 0.0)
    if fault == "names":
        bad.joint_names = ["tail", *bad.joint_names[1:]]
    elif fault == "count":
        bad.positions = bad.positions[1:]
    elif fault == "limits":
        bad.positions[0] = 4.0
    elif fault == "nan":
        bad.base_pose.position.x = float("nan")
    else:
        bad.base_pose.orientation.w = 2.0
    node.callbacks[0](bad)
    assert len(node.said) == 1 and node.said[0].startswith("reference refused: it")
    np.testing.assert_allclose(commands.reference(0.0, state_of(robot)).positions, stand.positions)


def test_a_stale_velocity_stops_the_feet(robot: Robot) -> None:
    node = FakeNode()
    commands = TrajectoryCommands(
        node,  # type: ignore[arg-type]
        "motion_command",
        "cmd_vel",
        robot,
        robot.nominal,
        lambda: node.now,
        lambda stamp: stamp / NANOSECONDS,
    )
    velocity = TwistStamped()
    velocity.twist.linear.x, velocity.twist.angular.z = 0.5, 0.3
    node.callbacks[1](velocity)
    moving = commands.reference(0.5 * TIMEOUT, state_of(robot))
    assert moving.linear_velocity[0] == 0.5 and moving.angular_velocity[2] == 0.3
    stopped = commands.reference(1.5 * TIMEOUT, state_of(robot))
    assert not stopped.linear_velocity.any() and not stopped.angular_velocity.any()
    velocity.twist.linear.x = float("inf")
    node.callbacks[1](velocity)
    assert any("velocity refused" in text for text in node.said)
    assert not commands.reference(1.5 * TIMEOUT, state_of(robot)).linear_velocity.any()
