"""Between the points, a follower does what joint_trajectory_controller does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation

from nextscale_ros.follower import BaseFollower, JointFollower, JointPlan

TIMES = np.array([1.0, 1.5, 2.5])
POSITIONS = np.array([[0.0, 1.0], [0.4, 0.5], [1.0, 0.0]])
VELOCITIES = np.array([[0.0, 0.0], [1.0, -0.5], [0.0, 0.0]])


def following(velocities: np.ndarray | None = VELOCITIES, now: float = 1.0) -> JointFollower:
    follower = JointFollower(POSITIONS[0])
    follower.start(JointPlan(TIMES, POSITIONS, velocities), now)
    return follower


def test_it_stands_where_it_is_put() -> None:
    positions, velocities = JointFollower(POSITIONS[1]).sample(123.0)
    np.testing.assert_array_equal(positions, POSITIONS[1])
    np.testing.assert_array_equal(velocities, 0.0)


@pytest.mark.parametrize("now", [1.0, 1.1, 1.49, 1.5, 1.7, 2.4])
def test_it_follows_the_cubic_through_positions_and_velocities(now: float) -> None:
    spline = CubicHermiteSpline(TIMES, POSITIONS, VELOCITIES)
    positions, velocities = following().sample(now)
    np.testing.assert_allclose(positions, spline(now), atol=1e-12)
    np.testing.assert_allclose(velocities, spline(now, 1), atol=1e-12)


def test_without_velocities_it_goes_straight() -> None:
    positions, velocities = following(None).sample(1.25)
    np.testing.assert_allclose(positions, [0.2, 0.75])
    np.testing.assert_allclose(velocities, [0.8, -1.0])


def test_it_holds_the_last_point_at_rest() -> None:
    positions, velocities = following().sample(99.0)
    np.testing.assert_array_equal(positions, POSITIONS[-1])
    np.testing.assert_array_equal(velocities, 0.0)


def test_it_is_led_from_where_it_is_to_a_first_point_still_to_come() -> None:
    follower = JointFollower(np.array([-1.0, -1.0]))
    follower.start(JointPlan(TIMES, POSITIONS, VELOCITIES), 0.0)
    np.testing.assert_allclose(follower.sample(0.0)[0], -1.0)
    middle, speed = follower.sample(0.5)
    assert (middle > -1.0).all() and (middle < POSITIONS[0]).all() and (speed > 0).all()
    np.testing.assert_allclose(follower.sample(1.0)[0], POSITIONS[0])


def test_a_new_trajectory_takes_over_without_a_jump_in_position_or_velocity() -> None:
    follower = following()
    position, velocity = follower.sample(1.8)
    follower.start(JointPlan(TIMES + 1.0, POSITIONS[::-1].copy(), VELOCITIES), 1.8)
    after, speed = follower.sample(1.8)
    np.testing.assert_allclose(after, position)
    np.testing.assert_allclose(speed, velocity)
    np.testing.assert_allclose(follower.sample(3.5)[0], POSITIONS[0])


def test_the_base_turns_on_the_shortest_way() -> None:
    turns = Rotation.from_euler("z", [[0.0], [80.0]], degrees=True).as_quat()
    base = BaseFollower(np.array([0.0, 2.0]), np.array([[0.0, 0, 1], [2.0, 0, 1]]), turns)
    position, quaternion = base.sample(0.5)
    np.testing.assert_allclose(position, [0.5, 0.0, 1.0])
    assert Rotation.from_quat(quaternion).magnitude() == pytest.approx(np.radians(20.0))


def test_the_base_stays_at_both_ends() -> None:
    base = BaseFollower(np.array([1.0]), np.array([[3.0, 0, 1]]), np.array([[0.0, 0, 0, 1]]))
    np.testing.assert_allclose(base.sample(0.0)[0], base.sample(9.0)[0])
