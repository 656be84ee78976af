"""A controller's rules, one broken message each."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from builtin_interfaces.msg import Time
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_ros.messages.conversions import duration, joint_trajectory
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, check_joint_trajectory

NAMES = ("a", "b", "c")
MakeTrajectory = Callable[..., RobotTrajectory]


@pytest.fixture
def message(make_trajectory: MakeTrajectory) -> JointTrajectory:
    return joint_trajectory(make_trajectory(NAMES))


def no_names(m: JointTrajectory) -> None:
    m.joint_names = []


def unknown_joint(m: JointTrajectory) -> None:
    m.joint_names = ["a", "b", "tail"]


def one_joint_too_few(m: JointTrajectory) -> None:
    m.joint_names = ["a", "b"]


def joint_named_twice(m: JointTrajectory) -> None:
    m.joint_names = ["a", "b", "b"]


def no_points(m: JointTrajectory) -> None:
    m.points = []


def time_stands_still(m: JointTrajectory) -> None:
    m.points[3].time_from_start = m.points[2].time_from_start


def time_runs_backwards(m: JointTrajectory) -> None:
    m.points[3].time_from_start = duration(0.05)


def time_begins_before_the_start(m: JointTrajectory) -> None:
    m.points[0].time_from_start = duration(-0.5)


def positions_missing(m: JointTrajectory) -> None:
    m.points[4].positions = []


def one_position_too_many(m: JointTrajectory) -> None:
    m.points[4].positions = [0.0] * 4


def one_velocity_too_few(m: JointTrajectory) -> None:
    m.points[4].velocities = [0.0] * 2


def effort_given(m: JointTrajectory) -> None:
    m.points[4].effort = [0.0] * 3


def moving_at_the_end(m: JointTrajectory) -> None:
    m.points[-1].velocities = [0.0, 0.1, 0.0]


def nan_position(m: JointTrajectory) -> None:
    m.points[5].positions = [0.0, math.nan, 0.0]


def infinite_velocity(m: JointTrajectory) -> None:
    m.points[5].velocities = [math.inf, 0.0, 0.0]


BROKEN = {
    no_names: "joint_names is empty",
    unknown_joint: "unknown joints: tail",
    one_joint_too_few: "missing joints: c",
    joint_named_twice: "more than once: b",
    no_points: "no points",
    time_stands_still: "does not increase from point 2",
    time_runs_backwards: "does not increase from point 2",
    time_begins_before_the_start: "negative",
    positions_missing: "point 4: positions has 0 values for 3",
    one_position_too_many: "point 4: positions has 4 values for 3",
    one_velocity_too_few: "point 4: velocities has 2 values for 3",
    effort_given: "effort must be empty",
    moving_at_the_end: "b at 0.1 rad/s",
    nan_position: "point 5: positions[1] is nan",
    infinite_velocity: "point 5: velocities[0] is inf",
}


def test_a_good_trajectory_is_accepted(message: JointTrajectory) -> None:
    assert check_joint_trajectory(message, NAMES) == []


def test_joints_may_come_in_another_order(message: JointTrajectory) -> None:
    assert check_joint_trajectory(message, ("c", "a", "b")) == []


def test_positions_alone_are_enough(message: JointTrajectory) -> None:
    for point in message.points:
        point.velocities = []
    assert check_joint_trajectory(message, NAMES) == []


@pytest.mark.parametrize("spoil", BROKEN, ids=lambda spoil: spoil.__name__)
def test_a_broken_trajectory_is_refused_with_the_reason(
    message: JointTrajectory, spoil: Callable[[JointTrajectory], None]
) -> None:
    spoil(message)
    assert BROKEN[spoil] in "; ".join(check_joint_trajectory(message, NAMES))


def test_a_trajectory_that_has_ended_is_refused(message: JointTrajectory) -> None:
    message.header.stamp = Time(sec=100)
    (problem,) = check_joint_trajectory(message, NAMES, now=102 * NANOSECONDS)
    assert "ended 1.000 s ago" in problem


def test_a_trajectory_that_is_under_way_is_accepted(message: JointTrajectory) -> None:
    message.header.stamp = Time(sec=100)
    assert check_joint_trajectory(message, NAMES, now=100 * NANOSECONDS + 1) == []


def test_a_stamp_of_zero_means_now(message: JointTrajectory) -> None:
    assert check_joint_trajectory(message, NAMES, now=10**18) == []
