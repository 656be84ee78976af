"""Between the points, a follower does what joint_trajectory_controller does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation

from nextscale_ros.robot_state.spline_interpolation import BaseFollower, JointFollower, JointPlan

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


# -- spliced in, as the controller of 2026 does

BOTH = np.array([True, True])
NEW = JointPlan(np.array([0.1, 1.0]), np.array([[0.5, 0.5], [0.0, 2.0]]), np.zeros((2, 2)))


def test_until_a_spliced_plan_begins_the_old_one_is_followed() -> None:
    follower, old = following(), following()
    follower.splice(NEW, 2.2, BOTH, 1.3)
    for now in (1.3, 1.45, 1.6, 2.0, 2.2):
        np.testing.assert_allclose(follower.sample(now), old.sample(now), atol=1e-9)
    np.testing.assert_allclose(follower.sample(2.3)[0], NEW.positions[0], atol=1e-9)
    np.testing.assert_allclose(follower.sample(3.2)[0], NEW.positions[-1])
    assert follower.end == pytest.approx(3.2)


def test_a_spliced_plan_that_begins_now_begins_with_its_first_point() -> None:
    follower, old = following(), following()
    follower.splice(NEW, 1.8, BOTH, 1.8)
    np.testing.assert_allclose(follower.sample(1.8), old.sample(1.8))
    np.testing.assert_allclose(follower.sample(1.9)[0], NEW.positions[0])
    np.testing.assert_allclose(follower.sample(2.8)[0], NEW.positions[-1])
    at_once = JointPlan(NEW.times - NEW.times[0], NEW.positions, NEW.velocities)
    follower.splice(at_once, 2.0, BOTH, 2.0)
    np.testing.assert_allclose(follower.sample(2.0)[0], NEW.positions[0])


def test_joints_that_a_spliced_plan_leaves_out_finish_their_old_motion() -> None:
    follower, old = following(), following()
    short = JointPlan(np.array([0.1, 0.2]), np.array([[9.0, 0.8], [9.0, 0.9]]), np.zeros((2, 2)))
    follower.splice(short, 1.4, np.array([False, True]), 1.3)
    for now in (1.3, 1.5, 1.6, 2.5, 3.0):
        assert follower.sample(now)[0][0] == pytest.approx(old.sample(now)[0][0], abs=1e-9)
    assert follower.sample(1.5)[0][1] == pytest.approx(0.8)
    assert follower.sample(2.5)[0][1] == follower.sample(1.7)[0][1] == pytest.approx(0.9)
    assert follower.end == 2.5


def test_a_plan_without_velocities_is_spliced_in_along_straight_lines() -> None:
    follower = following()
    follower.splice(JointPlan(NEW.times, NEW.positions, None), 1.8, BOTH, 1.8)
    np.testing.assert_allclose(follower.sample(2.35)[0], NEW.positions.mean(axis=0))


def test_the_base_turns_on_the_shortest_way() -> None:
    turns = Rotation.from_euler("z", [[0.0], [80.0]], degrees=True).as_quat()
    base = BaseFollower(np.array([0.0, 2.0]), np.array([[0.0, 0, 1], [2.0, 0, 1]]), turns)
    position, quaternion = base.sample(0.5)
    np.testing.assert_allclose(position, [0.5, 0.0, 1.0])
    assert Rotation.from_quat(quaternion).magnitude() == pytest.approx(np.radians(20.0))


def test_the_base_may_begin_later() -> None:
    base = BaseFollower(np.array([0.0, 1.0]), np.eye(3)[:2], np.tile([0.0, 0, 0, 1], (2, 1)), 5.0)
    np.testing.assert_allclose(base.sample(5.5)[0], [0.5, 0.5, 0.0])
    base.begin = 5.25
    np.testing.assert_allclose(base.sample(5.5)[0], [0.75, 0.25, 0.0])


def test_the_base_stays_at_both_ends() -> None:
    base = BaseFollower(np.array([1.0]), np.array([[3.0, 0, 1]]), np.array([[0.0, 0, 0, 1]]))
    np.testing.assert_allclose(base.sample(0.0)[0], base.sample(9.0)[0])
