"""Motion along the active trajectory until a new one takes over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation

from nextscale_core.robots import RobotState, RobotTrajectory
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.splice import CORRECTION, Splice

BEGIN, NOW, HANDOVER = 100.0, 100.2, 100.6
NAMES = ("a", "b", "c")


@pytest.fixture
def plan(make_trajectory: Callable[..., RobotTrajectory]) -> ActiveTrajectory:
    return ActiveTrajectory(make_trajectory(NAMES), BEGIN)


def lead(plan: ActiveTrajectory, off: float = 0.0, drift: float = 0.0) -> Splice:
    on = plan.state(NOW)
    assert on.velocities is not None
    return Splice(plan, RobotState(on.positions + off, on.velocities + drift), NOW)


def new_motion(begin: RobotState, turn: float = 0.0) -> RobotTrajectory:
    """From a state to rest half a second later, at 10 Hz, with a base of its own."""
    times = np.arange(6) / 10.0
    assert begin.velocities is not None
    end = begin.positions + 0.3
    still = np.zeros_like(end)
    spline = CubicHermiteSpline([0.0, 0.5], [begin.positions, end], [begin.velocities, still])
    return RobotTrajectory(
        robot="made-up",
        joint_names=NAMES,
        positions=spline(times),
        velocities=spline(times, 1),
        time_from_start=times,
        base_position=np.column_stack([7 + times, 3 + 0 * times, 0.7 + 0 * times]),
        base_quaternion=np.tile(Rotation.from_euler("z", turn).as_quat(), (6, 1)),
        fps=10.0,
    )


@pytest.mark.parametrize(("off", "drift"), [(0.0, 0.0), (0.2, 0.0), (-0.1, 0.5)])
def test_it_begins_in_the_measured_state(plan: ActiveTrajectory, off: float, drift: float) -> None:
    way = lead(plan, off, drift)
    positions, velocities = way.joints(np.array([NOW]))
    assert way.measured.velocities is not None
    np.testing.assert_allclose(positions[0], way.measured.positions, atol=1e-12)
    np.testing.assert_allclose(velocities[0], way.measured.velocities, atol=1e-12)


def test_what_the_robot_is_off_its_plan_fades_away(plan: ActiveTrajectory) -> None:
    times = NOW + np.linspace(0.0, 0.79, 80)
    positions, velocities = lead(plan, 0.2, 0.1).joints(times)
    over = times >= NOW + CORRECTION
    planned = plan.joints(times)
    np.testing.assert_allclose(positions[over], planned[0][over], atol=1e-12)
    np.testing.assert_allclose(velocities[over], planned[1][over], atol=1e-12)


def test_velocities_are_those_of_the_positions(plan: ActiveTrajectory) -> None:
    times = NOW + np.linspace(0.01, 0.7, 50)
    way, step = lead(plan, 0.2, -0.3), 1e-6
    rate = (way.joints(times + step)[0] - way.joints(times - step)[0]) / (2 * step)
    np.testing.assert_allclose(way.joints(times)[1], rate, atol=1e-4)


def test_a_robot_of_unknown_velocities_moves_as_its_plan(plan: ActiveTrajectory) -> None:
    way = Splice(plan, RobotState(plan.state(NOW).positions + 0.1), NOW)
    velocities = way.joints(np.array([NOW]))[1]
    np.testing.assert_allclose(velocities[0], plan.state(NOW).velocities)


def test_the_new_motion_follows_without_a_step(plan: ActiveTrajectory) -> None:
    way = lead(plan, 0.1)
    new = new_motion(way.state(HANDOVER))
    whole = way.followed_by(new, HANDOVER)
    np.testing.assert_allclose(np.diff(whole.time_from_start), 0.1)
    assert len(whole) == len(new) + 4
    np.testing.assert_allclose(whole.positions[4:], new.positions)
    np.testing.assert_allclose(whole.velocities[4:], new.velocities)
    np.testing.assert_allclose(whole.positions[0], way.measured.positions)
    assert whole.time_from_start[4] == pytest.approx(HANDOVER - NOW)
    assert whole.fps == new.fps and whole.text == new.text


def test_before_the_hand_over_no_moment_of_the_human_is_played(plan: ActiveTrajectory) -> None:
    way = lead(plan)
    new = new_motion(way.state(HANDOVER))
    assert way.followed_by(new, HANDOVER).source_time is None
    moments = np.linspace(1.0, 1.5, len(new))
    source = way.followed_by(replace(new, source_time=moments), HANDOVER).source_time
    assert source is not None and np.isnan(source[:4]).all()
    np.testing.assert_array_equal(source[4:], moments)


def test_a_controller_may_take_it_over_at_any_time_before_the_hand_over(
    plan: ActiveTrajectory,
) -> None:
    way = lead(plan)
    whole = way.followed_by(new_motion(way.state(HANDOVER)), HANDOVER)
    for time in np.linspace(NOW, HANDOVER, 21):
        assert way.missed_by(whole, float(time)) < 2e-3
    assert way.missed_by(whole, HANDOVER + 0.3) > 0.05


def test_the_base_arrives_where_the_new_motion_has_it(plan: ActiveTrajectory) -> None:
    way = lead(plan)
    new = new_motion(way.state(HANDOVER), turn=2.0)
    whole = way.followed_by(new, HANDOVER)
    # The same way as planned, seen from the base at the hand-over.
    place, turn = plan.base(np.array([*(NOW + np.arange(4) / 10), HANDOVER]))
    for row in range(4):
        planned = Rotation.from_quat(turn[-1]).inv().apply(place[row] - place[-1])
        made = (
            Rotation.from_quat(new.base_quaternion[0])
            .inv()
            .apply(whole.base_position[row] - new.base_position[0])
        )
        np.testing.assert_allclose(made, planned, atol=1e-9)
    assert (np.sum(whole.base_quaternion[1:] * whole.base_quaternion[:-1], axis=1) > 0).all()


def test_without_time_until_the_hand_over_there_is_nothing_to_lead(plan: ActiveTrajectory) -> None:
    way = lead(plan)
    new = new_motion(way.state(NOW))
    assert way.followed_by(new, NOW) is new


def test_a_plan_that_ends_on_the_way_is_held(plan: ActiveTrajectory) -> None:
    way = lead(plan)
    state = way.state(BEGIN + 5.0)
    np.testing.assert_allclose(state.positions, plan.trajectory.positions[-1], atol=1e-12)
    np.testing.assert_array_equal(state.velocities, 0.0)
    late = replace(plan, begin=BEGIN - 10.0)
    assert Splice(late, RobotState(np.zeros(3)), NOW).state(NOW + 1.0).velocities is not None
