"""Whatever the gate lets through, joint_trajectory_controller accepts: over made-up motions."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.safety import SafetyGate
from nextscale_ros.messages.conversions import joint_trajectory
from nextscale_ros.messages.validate_trajectory import nanoseconds


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def gate(robot: Robot) -> SafetyGate:
    return SafetyGate(robot)


def swinging(robot: Robot, seed: int, size: float, seconds: float, rate: float) -> RobotTrajectory:
    """Joints wander between made-up postures and come to rest."""
    random = np.random.default_rng(seed)
    knots = np.linspace(0.0, seconds, 5)
    away = random.normal(0.0, size, (5, robot.num_joints))
    # Which joints move at all: collisions stay rare enough for some to pass.
    away *= random.random(robot.num_joints) < 0.3
    spline = CubicSpline(knots, robot.nominal + away, bc_type="clamped")
    times = np.arange(0.0, seconds, 1.0 / rate)
    times = np.append(times[times < seconds - 1e-9], seconds)
    velocities = spline(times, 1)
    velocities[-1] = 0.0
    count = len(times)
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=spline(times),
        velocities=velocities,
        time_from_start=times,
        base_position=np.tile([0.0, 0.0, 0.8], (count, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)),
        fps=rate,
    )


passed = 0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    size=st.floats(0.0, 0.25),
    seconds=st.floats(0.8, 6.0),
    rate=st.sampled_from([20.0, 50.0, 100.0]),
    stamp=st.sampled_from([None, (0, 1), (1_700_000_000, 999_999_999)]),
)
def test_rules_of_the_controller(
    robot: Robot,
    gate: SafetyGate,
    seed: int,
    size: float,
    seconds: float,
    rate: float,
    stamp: tuple[int, int] | None,
) -> None:
    global passed
    made = gate.review(swinging(robot, seed, size, seconds, rate)).trajectory
    if made is None:
        return
    passed += 1
    message = joint_trajectory(made)
    if stamp is not None:
        message.header.stamp = Time(sec=stamp[0], nanosec=stamp[1])
    # joint_trajectory_controller's validate_trajectory_msg, rule by rule, in words of our own.
    assert sorted(message.joint_names) == sorted(robot.joint_names)
    assert len(message.points) >= 1
    times = [nanoseconds(point.time_from_start) for point in message.points]
    assert times[0] >= 0 and (np.diff(times) > 0).all()
    for point in message.points:
        assert len(point.positions) == len(point.velocities) == len(message.joint_names)
        assert len(point.accelerations) in (0, len(message.joint_names))
        assert len(point.effort) == 0
        assert np.isfinite(point.positions).all() and np.isfinite(point.velocities).all()
    assert np.abs(message.points[-1].velocities).max() <= np.finfo(np.float32).eps
    at = np.array([point.positions for point in message.points])
    assert (at >= robot.position_lower - 1e-6).all() and (at <= robot.position_upper + 1e-6).all()


def test_the_property_was_tested() -> None:
    assert passed >= 5
