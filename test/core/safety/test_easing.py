from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.safety.test_gate import checks, crossed_arms, held, joint
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.robots.collision import CollisionModel, collision_model
from nextscale_core.safety import SafetyGate
from nextscale_core.safety.repair import eased, parted
from nextscale_core.trajectory.curves import minimum_jerk


@pytest.fixture(scope="module")
def bodies(g1: Robot) -> CollisionModel:
    return collision_model(g1, g1.profile.collision_margin)


def there_and_back(robot: Robot, posture: np.ndarray, seconds: float = 6.0) -> RobotTrajectory:
    """From the nominal posture to another one, where it stays for a while, and back."""
    samples = round(seconds * 50) + 1
    trajectory = held(robot, robot.nominal, samples)
    u = np.clip(np.minimum(np.linspace(0, 3, samples), np.linspace(3, 0, samples)), 0, 1)
    weight = minimum_jerk(u)
    positions = robot.nominal + weight[:, None] * (posture - robot.nominal)
    velocities = np.gradient(positions, trajectory.time_from_start, axis=0)
    velocities[[0, -1]] = 0.0
    return replace(trajectory, positions=positions, velocities=velocities)


@pytest.fixture(scope="module")
def through(g1: Robot) -> RobotTrajectory:
    """The left hand goes deep into the body, where no small change parts them."""
    return there_and_back(g1, crossed_arms(g1))


def test_an_arm_that_goes_through_the_body_goes_less_far(
    g1: Robot, bodies: CollisionModel, through: RobotTrajectory
) -> None:
    assert bodies.colliding(through.positions).any()
    result = eased(g1, through, bodies)
    assert result is not None
    trajectory, share = result
    assert 0.1 < share <= 1.0
    assert not bodies.colliding(trajectory.positions).any()
    left = np.array([name.startswith(("left_sh", "left_el", "left_wr")) for name in g1.joint_names])
    assert left.sum() == 7
    np.testing.assert_array_equal(trajectory.positions[:, ~left], through.positions[:, ~left])
    np.testing.assert_array_equal(trajectory.positions[[0, -1]], through.positions[[0, -1]])
    np.testing.assert_array_equal(trajectory.velocities[[0, -1]], through.velocities[[0, -1]])
    # It still goes where it was sent, as far as it can.
    way, wanted = trajectory.positions[150] - g1.nominal, through.positions[150] - g1.nominal
    assert way @ wanted / np.linalg.norm(wanted) ** 2 == pytest.approx(1.0 - share, abs=0.02)


def test_velocities_are_those_of_the_positions(
    g1: Robot, bodies: CollisionModel, through: RobotTrajectory
) -> None:
    result = eased(g1, through, bodies)
    assert result is not None
    times, positions = result[0].time_from_start, result[0].positions
    measured = (positions[2:] - positions[:-2]) / (times[2:] - times[:-2])[:, None]
    assert np.abs(result[0].velocities[1:-1] - measured).max() < 0.05


def test_the_gate_takes_it_where_bodies_cannot_be_parted(
    g1: Robot, gate: SafetyGate, bodies: CollisionModel, through: RobotTrajectory
) -> None:
    assert parted(g1, through, bodies) is None
    result = gate.review(through)
    assert result.report.outcome == "repaired", result.report.line()
    assert "self_collision" in checks(result)
    assert "% of the way to the nominal posture" in result.report.line()
    assert result.trajectory is not None
    again = gate.review(result.trajectory)
    assert again.report.outcome == "pass"
    assert again.trajectory is result.trajectory


def test_legs_are_left_alone(g1: Robot, bodies: CollisionModel) -> None:
    posture = g1.nominal.copy()
    posture[joint(g1, "left_hip_roll_joint")] = -0.4
    posture[joint(g1, "right_hip_roll_joint")] = 0.4
    crossing = there_and_back(g1, posture)
    assert bodies.colliding(crossing.positions).any()
    assert eased(g1, crossing, bodies) is None


def test_ends_that_touch_cannot_be_eased(g1: Robot, bodies: CollisionModel) -> None:
    assert eased(g1, held(g1, crossed_arms(g1)), bodies) is None
