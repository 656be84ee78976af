"""Motions of a robot that follows a reference, with an error of degrees and a base that drifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.base_pose import BasePoseBuffer, ImuBuffer
from nextscale_core.estimation.joint_states import JointStateBuffer, RobotStateError
from nextscale_core.robots import Robot, load_robot
from nextscale_core.rotations import heading_of
from nextscale_core.trajectory.standing import standing_pose, transition
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.live_reference import FarFromReferenceError, LiveReference
from nextscale_ros.robot_state.state_monitor import StateMonitor

BEGIN = 100.0
AHEAD = 0.5
ERROR = 0.08
"""Error of the joints [rad]."""


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


class World:
    """A robot whose joint states and odometry a test gives, on a clock that it advances."""

    def __init__(self, robot: Robot, **arguments) -> None:
        self.robot, self.time = robot, BEGIN
        self.joints = JointStateBuffer.of_robot(robot)
        self.base = BasePoseBuffer(robot)
        self.imu, self.imu_link = ImuBuffer(), ""
        self.reference = LiveReference(
            robot, lambda time: self.base.last(time, 0.5), lambda: self.time, **arguments
        )
        self.monitor = StateMonitor(
            robot,
            self,  # type: ignore[arg-type]
            lambda text: None,
            lambda: self.time,
            self.reference,
        )

    def follow(
        self, until: float, off: float = ERROR, drift: float = 0.0, pitch: float = 0.0
    ) -> None:
        """Follow the reference from now on, with an error of each joint and of the base."""
        for time in np.arange(self.time, until + 1e-6, 0.01):
            self.time = float(time)
            turn = np.array([0.0, np.sin(pitch / 2), 0.0, np.cos(pitch / 2)])
            self.base.update(np.array([drift, 0.0, 0.78]), turn, "", self.time, 0.0)
            here = self.reference.state(self.time)
            positions = (here.positions + off).tolist()
            names, speeds = self.robot.joint_names, (0.9 * here.velocities).tolist()
            self.joints.update(names, positions, speeds, self.time)

    def move(self) -> None:
        """Begin a motion in which all joints move."""
        stand = standing_pose(self.robot)
        bent = replace(stand, positions=stand.positions + 0.3)
        way = transition(self.robot, stand, bent, seconds=3.0)
        self.reference.replace(way, self.time, self.time)


@pytest.fixture
def world(robot: Robot) -> World:
    return World(robot)


def test_a_motion_begins_in_the_reference_and_continues_what_was_measured(world: World) -> None:
    world.follow(BEGIN + 1.0)
    world.move()
    world.follow(BEGIN + 2.5)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None and now.based
    expected = world.reference.state(world.time + AHEAD)
    np.testing.assert_allclose(now.state.positions, expected.positions, atol=1e-6)
    np.testing.assert_allclose(now.state.base_position, expected.base_position, atol=1e-6)
    here = world.reference.state(world.time)
    np.testing.assert_allclose(now.measured.positions, here.positions, atol=1e-6)
    # The history is the measured one, and leads on along the reference.
    measured = now.past.times <= world.time
    last = now.past.positions[measured][-1]
    np.testing.assert_allclose(last, here.positions + ERROR, atol=1e-6)
    assert now.past.times[-1] == pytest.approx(world.time + AHEAD)


def test_a_robot_at_rest_begins_in_the_reference_that_stands(world: World, robot: Robot) -> None:
    world.follow(BEGIN + 1.0)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is None and now.based
    np.testing.assert_allclose(now.state.positions, robot.nominal)


def test_a_lag_that_would_count_as_not_following_a_trajectory_is_continued(world: World) -> None:
    world.follow(BEGIN + 1.0)
    world.move()
    world.follow(BEGIN + 2.5, off=0.7)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert world.monitor.confirmed(now.lead, Settings()) is not None


def test_a_robot_beyond_the_bound_is_refused_and_its_reference_stops(world: World) -> None:
    world.follow(BEGIN + 1.0)
    world.move()
    world.follow(BEGIN + 2.0)
    end = world.reference.plan(world.time).end
    world.follow(BEGIN + 2.2, off=0.7)
    with pytest.raises(FarFromReferenceError, match=r"is 0\.70 rad from its reference, the limit"):
        world.monitor.now(Settings(reference_bound=0.5), AHEAD)
    assert world.reference.plan(world.time).end < end
    later = world.reference.state(world.time + 10.0)
    assert not later.velocities.any()


def test_a_robot_that_has_fallen_is_refused_and_its_reference_stops(world: World) -> None:
    world.follow(BEGIN + 1.0)
    world.move()
    world.follow(BEGIN + 2.0, pitch=0.8)
    assert world.monitor.now(Settings(), AHEAD) is not None, "it leans"
    end = world.reference.plan(world.time).end
    world.follow(BEGIN + 2.2, pitch=-1.3)
    with pytest.raises(FarFromReferenceError, match=r"fallen: its base tilts by 1\.30 rad"):
        world.monitor.now(Settings(), AHEAD)
    assert world.reference.plan(world.time).end < end
    world.follow(BEGIN + 10.0)
    assert world.monitor.now(Settings(), AHEAD) is not None, "it was helped up"


def test_a_reference_stops_from_now_on_though_the_robot_was_measured_earlier(world: World) -> None:
    world.follow(BEGIN + 1.0)
    world.move()
    world.follow(BEGIN + 2.0)
    stream = world.reference.stream(world.time)
    assert stream is not None
    played = stream.at(world.time)
    assert np.abs(played.velocities).max() > 0.05
    with pytest.raises(FarFromReferenceError):
        world.reference.check(played.positions + 1.0, world.time - 0.3, bound=0.5)
    now = stream.at(world.time)
    np.testing.assert_allclose(now.positions, played.positions, atol=1e-9)
    np.testing.assert_allclose(now.velocities, played.velocities, atol=1e-9)


def test_only_the_joints_that_are_commanded_are_compared(robot: Robot) -> None:
    world = World(robot, compared=[robot.joint_names.index("left_elbow_joint")])
    world.follow(BEGIN + 1.0)
    world.move()
    off = np.where([name == "left_elbow_joint" for name in robot.joint_names], 0.1, 2.0)
    world.follow(BEGIN + 2.0, off=off)
    assert world.monitor.now(Settings(reference_bound=0.5), AHEAD) is not None


def test_a_plan_that_was_stopped_is_not_continued(world: World) -> None:
    world.follow(BEGIN + 1.0)
    world.move()
    world.follow(BEGIN + 2.0)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    world.reference.stop(world.time)
    assert world.monitor.confirmed(now.lead, Settings()) is None


def test_without_a_base_nothing_moves_unless_none_is_to_be_expected(robot: Robot) -> None:
    world = World(robot)
    assert world.reference.stream(BEGIN) is None
    with pytest.raises(RobotStateError, match="publish odometry"):
        world.reference.state(BEGIN)
    world = World(robot, needs_base=False)
    assert world.reference.state(BEGIN).base_position[:2].tolist() == [0.0, 0.0]


def test_the_reference_begins_over_the_robot_and_comes_after_it(world: World) -> None:
    world.base.update(np.array([3.0, 1.0, 0.78]), np.array([0.0, 0.0, 0.0, 1.0]), "", BEGIN, 0.0)
    assert world.reference.state(BEGIN).base_position[:2].tolist() == [3.0, 1.0]
    world.base.update(
        np.array([3.2, 1.0, 0.78]), np.array([0.0, 0.0, 0.0, 1.0]), "", BEGIN + 0.1, 0.0
    )
    world.reference.anchor(BEGIN + 0.1)
    steps = [world.reference.state(BEGIN + 0.1 + k).base_position[0] for k in range(5)]
    assert steps[0] == pytest.approx(3.0) and steps[-1] == pytest.approx(3.2)
    assert (np.diff(steps) >= 0).all()


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("gap", [0.01, 2.0])
def test_in_a_new_world_the_reference_is_moved_with_the_robot_at_once(
    world: World, moving: bool, gap: float
) -> None:
    world.follow(BEGIN + 1.0)
    if moving:
        world.move()
        world.follow(BEGIN + 1.5, drift=0.1)
    times = world.time + np.array([-0.2, 0.0, 0.3])
    stream = world.reference.stream(world.time)
    assert stream is not None
    earlier = stream.sample(times)
    turn, place = Rotation.from_euler("z", 1.5), np.array([2.0, -1.0, 0.78])
    old = np.array([0.1 if moving else 0.0, 0.0, 0.78])
    world.time += gap
    world.base.update(place, turn.as_quat(), "", world.time, 0.0)
    here = world.reference.state(world.time)
    # All of the path is moved, what is past included: its velocity has no step.
    later = stream.sample(times)
    np.testing.assert_array_equal(later.linear_velocity, earlier.linear_velocity)
    was, found = (np.diff(one.base_position, axis=0) for one in (earlier, later))
    heading = heading_of(here.base_quaternion)
    np.testing.assert_allclose(found, turn.apply(was), atol=0.02)
    if gap < 0.1:
        # How far the robot was from its reference stays.
        expected = turn.apply(earlier.base_position - old) + place
        np.testing.assert_allclose(later.base_position[:, :2], expected[:, :2], atol=1e-9)
    else:
        np.testing.assert_allclose(here.base_position[:2], place[:2], atol=1e-9)
        assert heading == pytest.approx(1.5)
    # Once: what the robot does from now on is its own.
    world.base.update(place + np.array([0.1, 0, 0]), turn.as_quat(), "", world.time + 0.1, 0.0)
    stays = world.reference.state(world.time)
    np.testing.assert_array_equal(stays.base_position, here.base_position)


def test_what_is_continued_in_a_new_world_began_there(world: World) -> None:
    world.follow(BEGIN + 2.0)
    world.follow(BEGIN + 2.2, drift=3.0)
    past = world.monitor.past(replace(Settings(), start_from_state=True), 0.0)
    assert past is not None and past.base is not None
    assert (past.base.positions[:, 0] == 3.0).all()
    assert ["jumped by 3.00 m and 0 degrees" in one for one in world.monitor.new_remarks()] == [
        True
    ]
    assert world.monitor.new_remarks() == []


def test_where_nothing_follows_a_standing_reference_the_arms_begin_where_they_are(
    robot: Robot,
) -> None:
    arms = [i for i, name in enumerate(robot.joint_names) if "elbow" in name or "wrist" in name]
    world = World(robot, compared=arms, silent=True)
    world.follow(BEGIN + 1.0, off=0.0)
    measured = world.reference.state(world.time).positions + 0.3
    world.reference.check(measured, world.time, bound=1.0)
    begins = world.reference.state(world.time)
    assert np.allclose(begins.positions[arms], measured[arms])
    others = np.setdiff1d(np.arange(robot.num_joints), arms)
    assert np.allclose(begins.positions[others], robot.nominal[others])
    assert not begins.velocities.any()


@pytest.mark.parametrize("silent", [False, True])
def test_a_reference_that_is_followed_does_not_jump_to_the_robot(
    robot: Robot, silent: bool
) -> None:
    world = World(robot, silent=silent)
    world.follow(BEGIN + 1.0, off=0.0)
    if silent:
        world.move()
        world.follow(world.time + 1.0, off=0.0)
    before = world.reference.state(world.time).positions
    world.reference.check(before + 0.3, world.time, bound=1.0)
    assert np.array_equal(world.reference.state(world.time).positions, before)
