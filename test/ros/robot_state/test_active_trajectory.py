"""Sampling of the active trajectory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.robots import RobotTrajectory
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.spline_interpolation import BaseFollower, JointFollower, JointPlan

BEGIN = 100.0


@pytest.fixture
def plan(make_trajectory: Callable[..., RobotTrajectory]) -> ActiveTrajectory:
    return ActiveTrajectory(make_trajectory(), BEGIN)


def test_joints_are_where_a_controller_would_have_them(plan: ActiveTrajectory) -> None:
    made = plan.trajectory
    follower = JointFollower(made.positions[0])
    follower.start(JointPlan(BEGIN + made.time_from_start, made.positions, made.velocities), BEGIN)
    times = BEGIN + np.linspace(-0.2, 1.3, 61)
    positions, velocities = plan.joints(times)
    commanded = [follower.sample(float(time)) for time in times]
    np.testing.assert_allclose(positions, [c[0] for c in commanded], atol=1e-12)
    np.testing.assert_allclose(velocities, [c[1] for c in commanded], atol=1e-9)


def test_the_base_goes_straight_between_the_points(plan: ActiveTrajectory) -> None:
    made = plan.trajectory
    follower = BaseFollower(BEGIN + made.time_from_start, made.base_position, made.base_quaternion)
    times = BEGIN + np.linspace(-0.2, 1.3, 31)
    place, turn = plan.base(times)
    for time, at, how in zip(times, place, turn, strict=True):
        expected = follower.sample(float(time))
        np.testing.assert_allclose(at, expected[0], atol=1e-12)
        difference = Rotation.from_quat(how) * Rotation.from_quat(expected[1]).inv()
        assert difference.magnitude() < 1e-9


@pytest.mark.parametrize(("time", "row"), [(BEGIN - 5.0, 0), (BEGIN + 50.0, -1)])
def test_it_is_held_at_the_ends(plan: ActiveTrajectory, time: float, row: int) -> None:
    state = plan.state(time)
    np.testing.assert_allclose(state.positions, plan.trajectory.positions[row], atol=1e-12)
    np.testing.assert_array_equal(state.velocities, 0.0)
    assert state.base_position is not None
    np.testing.assert_allclose(state.base_position, plan.trajectory.base_position[row])


def test_a_state_is_joints_and_base_at_one_time(plan: ActiveTrajectory) -> None:
    state, at = plan.state(BEGIN + 0.37), np.array([BEGIN + 0.37])
    np.testing.assert_array_equal(state.positions, plan.joints(at)[0][0])
    np.testing.assert_array_equal(state.velocities, plan.joints(at)[1][0])
    np.testing.assert_array_equal(state.base_position, plan.base(at)[0][0])


def test_it_ends_with_its_last_point(plan: ActiveTrajectory) -> None:
    assert plan.end == BEGIN + plan.trajectory.seconds
