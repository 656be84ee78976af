"""How a seam between two trajectories is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nextscale_core.robots import RobotTrajectory
from nextscale_ros.demo.session import Answer, seams
from nextscale_ros.messages.conversions import joint_trajectory
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReport
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory

BEGIN = 1000.0


def answer(trajectory: RobotTrajectory, begin: float, received: float = BEGIN + 0.6) -> Answer:
    command = joint_trajectory(trajectory)
    command.header.stamp.sec = int(begin)
    command.header.stamp.nanosec = round((begin % 1.0) * NANOSECONDS)
    return Answer("raises an arm", MotionReport(), command, BEGIN + 0.1, received)


def new_motion(executed: RobotTrajectory, at: float, off: float, drift: float) -> RobotTrajectory:
    """Two points, the first of them near what was executed at a time [s]."""
    state = ActiveTrajectory(executed, 0.0).state(at)
    assert state.velocities is not None
    return replace(
        executed,
        positions=np.stack([state.positions + off, state.positions]),
        velocities=np.stack([state.velocities + drift, 0 * state.velocities]),
        time_from_start=np.array([0.0, 1.0]),
        base_position=executed.base_position[:2],
        base_quaternion=executed.base_quaternion[:2],
    )


@pytest.mark.parametrize(("off", "drift"), [(0.0, 0.0), (0.01, 0.0), (-0.02, 0.3)])
def test_a_seam_is_how_far_the_first_point_is_from_what_was_done_then(
    make_trajectory: Callable[..., RobotTrajectory], off: float, drift: float
) -> None:
    executed = make_trajectory()
    made = new_motion(executed, 0.53, off, drift)
    (seam,) = seams([answer(made, BEGIN + 0.53)], executed, BEGIN)
    assert seam.position_jump == pytest.approx(abs(off), abs=1e-6)
    assert seam.velocity_jump == pytest.approx(abs(drift), abs=1e-4)


def test_a_robot_that_begins_on_arrival_is_looked_at_before_it_moves(
    make_trajectory: Callable[..., RobotTrajectory],
) -> None:
    executed = make_trajectory()
    # Sent 0.1 s after the recording began; it came half a second later.
    made = new_motion(executed, 0.1, 0.01, 0.0)
    (seam,) = seams([answer(made, 0.0)], executed, BEGIN)
    assert seam.position_jump == pytest.approx(0.01, abs=1e-6)


def test_a_robot_may_tell_its_joints_in_another_order(
    make_trajectory: Callable[..., RobotTrajectory],
) -> None:
    executed = make_trajectory(("a", "b", "c"))
    made = new_motion(executed, 0.4, 0.0, 0.0)
    turned = replace(
        executed,
        joint_names=("c", "b", "a"),
        positions=executed.positions[:, ::-1],
        velocities=executed.velocities[:, ::-1],
    )
    (seam,) = seams([answer(made, BEGIN + 0.4)], turned, BEGIN)
    assert seam.position_jump < 1e-6 and seam.velocity_jump < 1e-4


def test_times_of_an_answer(make_trajectory: Callable[..., RobotTrajectory]) -> None:
    came = answer(make_trajectory(), BEGIN + 0.53)
    assert came.latency == pytest.approx(0.5)
    assert came.begin == pytest.approx(BEGIN + 0.53)
    assert came.end == pytest.approx(BEGIN + 1.53)
    at_once = answer(make_trajectory(), 0.0)
    assert at_once.begin == at_once.received
