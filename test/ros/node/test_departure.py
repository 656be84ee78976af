"""How a trajectory begins: what a controller executes is what the gate passed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time

from nextscale_core.robots import Robot, RobotState, RobotTrajectory, load_robot
from nextscale_ros.messages.conversions import base_trajectory, joint_trajectory
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.node.departure import JERK, Departure, at_rest, under_way
from nextscale_ros.node.error_codes import MovedError, TooLateError
from nextscale_ros.node.start_state import NEAR
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.splice import Splice
from ros.controller_model import PERIOD, ControllerModel

NOW = 1000.0
MARGIN = 0.1


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


def swing(robot: Robot, seconds: float = 3.0, reach: float = 0.6) -> RobotTrajectory:
    """From rest in the nominal posture and back, the arms as fast as the limits allow or half."""
    times = np.arange(0.0, seconds + 1e-9, 0.02)
    turns = 2 * np.pi * times / seconds
    ways = np.full(robot.num_joints, reach)
    return RobotTrajectory(
        robot="g1",
        joint_names=robot.joint_names,
        positions=robot.nominal + np.outer(1 - np.cos(turns), ways) / 2,
        velocities=np.outer(np.pi / seconds * np.sin(turns) * (times < seconds), ways),
        time_from_start=times,
        base_position=np.tile([0.0, 0.0, 0.8], (len(times), 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (len(times), 1)),
        fps=50.0,
    )


def stamp_of(seconds: float | None) -> Time | None:
    if seconds is None:
        return None
    sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Time(sec=int(sec), nanosec=int(nanosec))


def execute(
    model: ControllerModel,
    trajectory: RobotTrajectory,
    departure: Departure,
    arrival: float,
    until: float,
    begin: float,
) -> None:
    """Let a controller run in real cycles, a message coming to it on the way."""
    message = joint_trajectory(trajectory)
    departure.apply(message, stamp_of(departure.begin))
    waiting = True
    for time in np.arange(begin, until, PERIOD):
        if waiting and time >= arrival:
            model.take(message, float(time))
            waiting = False
        model.cycle(float(time))


# -- a robot at rest


@pytest.mark.parametrize("generation", ["jazzy", "lyrical"])
@pytest.mark.parametrize("delay", [0.0, 0.004, 0.13, 0.6, 5.0])
def test_a_robot_at_rest_does_not_jump_however_late_the_trajectory_arrives(
    robot: Robot, generation: str, delay: float
) -> None:
    plan = swing(robot)
    departure = at_rest(robot, plan, RobotState(robot.nominal), NOW)
    assert departure.begin is None
    model = ControllerModel(robot.nominal, generation)
    execute(model, plan, departure, NOW + delay, NOW + delay + 4.0, NOW)
    assert not model.rejected
    speed, push = model.strain(robot)
    ideal = ControllerModel(robot.nominal)
    execute(ideal, plan, departure, NOW, NOW + 4.0, NOW - 0.1)
    assert (speed, push) == pytest.approx(ideal.strain(robot), rel=0.02)
    assert speed < 0.5 and push < 0.5
    np.testing.assert_allclose(model.position, plan.positions[-1], atol=1e-9)


@pytest.mark.parametrize("generation", ["jazzy", "lyrical"])
@pytest.mark.parametrize("off", [0.0, 0.0008, 0.005, 0.02, 0.049])
def test_a_robot_that_was_moved_a_little_is_led_to_the_first_point_within_its_limits(
    robot: Robot, generation: str, off: float
) -> None:
    plan = swing(robot)
    here = robot.nominal + off * np.where(np.arange(robot.num_joints) % 2, 1.0, -1.0)
    departure = at_rest(robot, plan, RobotState(here), NOW)
    assert (departure.shift > 0) == (off > 1e-3)
    np.testing.assert_allclose(
        departure.plan.trajectory.time_from_start, plan.time_from_start + departure.shift
    )
    model = ControllerModel(here, generation)
    execute(model, plan, departure, NOW + 0.05, NOW + 4.0, NOW)
    speed, push = model.strain(robot)
    assert speed < 1.0
    # A step that the gate lets pass, a millirad in a cycle, is no more than 10 rad/s^2.
    assert push < 1.1


def test_a_robot_that_was_moved_further_is_left_alone(robot: Robot) -> None:
    here = robot.nominal.copy()
    here[3] += NEAR + 0.01
    with pytest.raises(MovedError, match=r"left_knee_joint is 0\.060 rad from where"):
        at_rest(robot, swing(robot), RobotState(here), NOW)


def test_a_robot_that_moves_for_reasons_of_its_own_is_left_alone(robot: Robot) -> None:
    moving = RobotState(robot.nominal, np.full(robot.num_joints, 4.0))
    with pytest.raises(MovedError, match=r"waist_roll_joint is 4\.00 rad/s faster or slower"):
        at_rest(robot, swing(robot), moving, NOW)


def test_a_robot_whose_velocities_are_noisy_stands(robot: Robot) -> None:
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, robot.num_joints)
    assert at_rest(robot, swing(robot), RobotState(robot.nominal, noise), NOW).shift == 0.0


def test_nothing_is_asked_of_a_state_that_is_not_known(robot: Robot) -> None:
    departure = at_rest(robot, swing(robot), None, NOW)
    assert departure.begin is None and departure.shift == 0.0 and departure.first == 0
    assert departure.plan.begin == NOW and departure.plan.on_arrival


# -- a robot under way


def taking_over(robot: Robot, handover: float = 0.6) -> tuple[Splice, RobotTrajectory]:
    """A robot at `NOW` in the middle of a swing, and another swing that takes it over."""
    plan = ActiveTrajectory(swing(robot), NOW - 1.0)
    lead = Splice(plan, plan.state(NOW), NOW)
    there = lead.state(NOW + handover)
    assert there.velocities is not None
    times = np.arange(0.0, 2.01, 0.02)
    fade = 1 - times / 2.0
    slope = there.velocities
    new = replace(
        swing(robot, 2.0),
        positions=there.positions + np.outer(2.0 / 3.0 * (1 - fade**3), slope),
        velocities=np.outer(fade**2, slope),
    )
    return lead, lead.followed_by(new, NOW + handover)


@pytest.mark.parametrize("margin", [0.02, MARGIN, 0.3])
@pytest.mark.parametrize("made", np.arange(0.003, 0.3, 0.061))
def test_no_point_is_past_when_it_is_sent(robot: Robot, made: float, margin: float) -> None:
    lead, whole = taking_over(robot)
    departure = under_way(whole, lead, NOW + made, margin)
    joints, base = joint_trajectory(whole), base_trajectory(whole, "odom")
    for message in (joints, base):
        departure.apply(message, stamp_of(departure.begin))
        begin = nanoseconds(message.header.stamp) / NANOSECONDS
        first = begin + nanoseconds(message.points[0].time_from_start) / NANOSECONDS
        assert NOW + made + margin - 1e-6 <= first <= NOW + made + margin + 0.0201
    assert nanoseconds(joints.points[0].time_from_start) == 0
    assert [nanoseconds(point.time_from_start) for point in joints.points] == [
        nanoseconds(point.time_from_start) for point in base.points
    ]
    # Point by point the same as what the gate passed, at the same times.
    rest = whole.positions[departure.first :]
    np.testing.assert_array_equal([point.positions for point in joints.points], rest)
    times = [nanoseconds(point.time_from_start) / NANOSECONDS for point in joints.points]
    assert departure.begin is not None
    expected = NOW + whole.time_from_start[departure.first :] - departure.begin
    np.testing.assert_allclose(times, expected, atol=2e-9)
    # The next sentence finds the robot on the whole of it.
    assert departure.plan == ActiveTrajectory(whole, NOW)


@pytest.mark.parametrize("generation", ["jazzy", "lyrical"])
@pytest.mark.parametrize("way", [0.0, 0.013, 0.095])
def test_a_robot_under_way_goes_over_without_a_jump(
    robot: Robot, generation: str, way: float
) -> None:
    lead, whole = taking_over(robot)
    old = swing(robot)
    model = ControllerModel(robot.nominal, generation)
    execute(model, old, Departure(lead.plan, None), NOW - 1.0, NOW + 0.25, NOW - 1.0)
    sent = NOW + 0.25
    departure = under_way(whole, lead, sent, MARGIN)
    execute(model, whole, departure, sent + way, NOW + 4.0, sent)
    assert max(model.strain(robot)) < 0.5
    np.testing.assert_allclose(model.position, whole.positions[-1], atol=1e-9)


def test_a_controller_that_skips_the_past_needs_no_margin(robot: Robot) -> None:
    lead, whole = taking_over(robot)
    model = ControllerModel(robot.nominal)
    execute(model, swing(robot), Departure(lead.plan, None), NOW - 1.0, NOW + 0.25, NOW - 1.0)
    departure = under_way(whole, lead, NOW + 0.25, 0.0)
    assert departure.begin is not None and NOW + 0.229 < departure.begin <= NOW + 0.25
    execute(model, whole, departure, NOW + 0.29, NOW + 4.0, NOW + 0.25)
    assert max(model.strain(robot)) < 0.5


def test_what_comes_after_the_hand_over_is_not_sent(robot: Robot) -> None:
    lead, whole = taking_over(robot)
    for late in np.arange(0.0, 3.0, 0.05):
        try:
            departure = under_way(whole, lead, NOW + late, MARGIN)
        except TooLateError as error:
            assert late > 0.5
            assert "ready too late" in str(error) or "over before" in str(error)
            break
        assert departure.begin is not None
        assert lead.missed_by(whole, departure.begin) < JERK
    else:
        pytest.fail("a trajectory that was over was to be sent")
