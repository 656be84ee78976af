"""Past, present and predicted state, on a clock that the tests advance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.base_pose import BasePoseBuffer, ImuBuffer
from nextscale_core.estimation.history import covering
from nextscale_core.estimation.joint_states import (
    JointStateBuffer,
    RobotStateError,
    SenderConflictError,
)
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.state_monitor import NOT_EXECUTED, StateMonitor

BEGIN = 100.0
AHEAD = 0.5


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


class Inputs:
    """The buffers of `RobotInputs`, without a node."""

    def __init__(self, robot: Robot) -> None:
        self.joints = JointStateBuffer.of_robot(robot)
        self.base = BasePoseBuffer(robot)
        self.imu = ImuBuffer()
        self.imu_link = ""


@dataclass
class World:
    """A robot whose joints a test moves while time goes by."""

    robot: Robot
    time: float = BEGIN
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inputs = Inputs(self.robot)
        self.monitor = StateMonitor(
            self.robot,
            self.inputs,  # type: ignore[arg-type]
            self.warnings.append,
            lambda: self.time,
        )

    def receive(
        self, positions: np.ndarray, velocities: np.ndarray | None = None, walked: float = 0.0
    ) -> None:
        """One joint state and one pose of the base."""
        speeds = [] if velocities is None else velocities.tolist()
        self.inputs.joints.update(self.robot.joint_names, positions.tolist(), speeds, self.time)
        self.inputs.base.update(
            np.array([walked, 0.0, 0.75]), np.array([0.0, 0.0, 0.0, 1.0]), "", self.time, 0.0
        )

    def follow(self, plan: ActiveTrajectory, until: float, off: float = 0.0) -> None:
        """Execute a plan at 100 Hz."""
        for time in np.arange(self.time, until + 1e-6, 0.01):
            self.time = float(time)
            positions, velocities = plan.joints(np.array([time]))
            self.receive(
                positions[0] + off, velocities[0], float(plan.base(np.array([time]))[0][0, 0])
            )

    def stand(self, until: float) -> None:
        """Stand in the nominal posture."""
        for time in np.arange(self.time, until + 1e-6, 0.01):
            self.time = float(time)
            self.receive(self.robot.nominal, np.zeros(self.robot.num_joints))


@pytest.fixture
def world(robot: Robot) -> World:
    return World(robot)


@pytest.fixture
def plan(robot: Robot) -> ActiveTrajectory:
    """Three seconds in which every joint moves and the base walks 0.5 m/s ahead."""
    times = np.arange(0.0, 3.001, 0.02)
    turns = 2 * np.pi * times / 3.0
    sway = 0.2 * np.ones(robot.num_joints)
    return ActiveTrajectory(
        RobotTrajectory(
            robot="g1",
            joint_names=robot.joint_names,
            positions=robot.nominal + np.outer(1 - np.cos(turns), sway),
            velocities=np.outer(2 * np.pi / 3.0 * np.sin(turns), sway),
            time_from_start=times,
            base_position=np.stack([0.5 * times, 0 * times, 0.75 + 0 * times], 1),
            base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (len(times), 1)),
            fps=50.0,
        ),
        BEGIN,
    )


# -- joint states that are absent or stale


@pytest.mark.parametrize("heard", [False, True], ids=["absent", "stale"])
def test_by_default_a_robot_of_unknown_state_is_left_alone(world: World, heard: bool) -> None:
    if heard:
        world.stand(BEGIN + 1.0)
        world.time += 0.3
    with pytest.raises(RobotStateError, match=r"left alone \(parameter state_policy is 'reject'\)"):
        world.monitor.now(Settings())
    assert world.monitor.past(Settings(), AHEAD) is None


def test_a_request_waits_for_the_first_joint_states(world: World) -> None:
    """A node that has just become active may receive a request before them."""
    waits: list[int] = []

    def arriving() -> None:
        waits.append(1)
        if len(waits) == 3:
            world.receive(world.robot.nominal)

    world.monitor.wait_for_first(Settings(), arriving)
    assert len(waits) == 3
    assert world.monitor.now(Settings()) is not None
    world.monitor.wait_for_first(Settings(), arriving)
    assert len(waits) == 3


def test_a_request_that_needs_no_joint_states_does_not_wait_for_them(world: World) -> None:
    waits: list[int] = []
    for settings in (Settings(start_from_state=False), Settings(state_policy="assume_nominal")):
        world.monitor.wait_for_first(settings, lambda: waits.append(1))
    assert not waits


def test_a_robot_known_to_stand_may_be_taken_to_stand_in_its_nominal_posture(
    world: World, robot: Robot
) -> None:
    settings = Settings(state_policy="assume_nominal")
    for _ in range(3):
        now = world.monitor.now(settings)
        assert now is not None
        np.testing.assert_array_equal(now.state.positions, robot.nominal)
        assert now.state.velocities is None and len(now.past) == 0
    assert len(world.warnings) == 1 and "nominal posture" in world.warnings[0]
    assert world.monitor.past(settings, AHEAD) is None


def test_a_robot_that_tells_nothing_is_taken_to_follow_what_it_was_sent(
    world: World, plan: ActiveTrajectory
) -> None:
    settings = Settings(state_policy="assume_nominal")
    world.monitor.published(plan)
    world.time = BEGIN + 0.5
    now = world.monitor.now(settings, AHEAD)
    assert now is not None and now.lead is not None
    ahead = plan.state(world.time + AHEAD)
    np.testing.assert_allclose(now.state.positions, ahead.positions, atol=1e-9)
    world.time = plan.end + 5.0
    now = world.monitor.now(settings)
    assert now is not None
    np.testing.assert_allclose(now.state.positions, plan.trajectory.positions[-1], atol=1e-9)


@pytest.mark.parametrize("joints", [1, None])
def test_a_robot_that_fell_silent_is_nowhere(world: World, joints: int | None) -> None:
    """Also where only some of its joints ever told where they are."""
    names, positions = world.robot.joint_names[:joints], world.robot.nominal[:joints]
    world.inputs.joints.update(names, positions.tolist(), [], world.time)
    world.time += 10.0
    with pytest.raises(RobotStateError, match="'assume_nominal', for a robot that never tells it"):
        world.monitor.now(Settings(state_policy="assume_nominal"))
    # What is only planned needs no robot.
    now = world.monitor.now(Settings(state_policy=NOT_EXECUTED))
    assert now is not None and not now.real


@pytest.mark.parametrize("continuation", ["from_state", "from_plan", "off"])
@pytest.mark.parametrize("policy", ["reject", "assume_nominal"])
def test_while_two_senders_contradict_each_other_no_policy_lets_a_motion_begin(
    world: World, plan: ActiveTrajectory, robot: Robot, policy: str, continuation: str
) -> None:
    settings = Settings(state_policy=policy, continuation=continuation)
    world.follow(plan, BEGIN + 0.5)
    world.monitor.published(plan)
    assert world.monitor.now(settings) is not None
    for _ in range(20):
        world.time += 0.01
        world.receive(robot.nominal)
        world.receive(np.zeros(robot.num_joints))
    with pytest.raises(SenderConflictError, match="alternates between"):
        world.monitor.now(settings)
    with pytest.raises(SenderConflictError, match="left alone until they agree"):
        world.inputs.joints.check_senders(world.time)
    ignored = replace(settings, start_from_state=False)
    assert world.monitor.now(ignored) is None


def test_settings_that_ignore_the_state_give_none(world: World, plan: ActiveTrajectory) -> None:
    world.follow(plan, BEGIN + 1.0)
    settings = Settings(start_from_state=False)
    assert world.monitor.now(settings) is None
    assert world.monitor.past(settings, AHEAD) is None


# -- where it is


def test_now_is_the_last_measured_state(world: World, plan: ActiveTrajectory) -> None:
    world.follow(plan, BEGIN + 1.0)
    now = world.monitor.now(Settings())
    assert now is not None
    positions, velocities = plan.joints(np.array([BEGIN + 1.0]))
    np.testing.assert_allclose(now.state.positions, positions[0])
    assert now.state.velocities is not None
    np.testing.assert_allclose(now.state.velocities, velocities[0])
    assert now.time == world.time
    np.testing.assert_allclose(now.past.positions[-1], positions[0])


def test_velocities_that_are_not_measured_follow_from_the_positions(
    world: World, plan: ActiveTrajectory
) -> None:
    for time in np.arange(BEGIN, BEGIN + 1.0, 0.005):
        world.time = float(time)
        world.receive(plan.joints(np.array([time]))[0][0])
    now = world.monitor.now(Settings())
    assert now is not None and now.state.velocities is not None
    true = plan.joints(np.array([world.time]))[1][0]
    assert np.abs(now.state.velocities - true).max() < 0.005 * np.abs(true).max()


def test_held_joints_are_separate_from_those_that_move() -> None:
    robot = load_robot("g1", joints="upper_body")
    world = World(robot)
    names = (*robot.joint_names, *robot.held)
    world.inputs.joints.update(names, np.arange(len(names)).tolist(), [], world.time)
    now = world.monitor.now(Settings())
    assert now is not None
    np.testing.assert_array_equal(now.state.positions, np.arange(robot.num_joints))
    assert list(now.held) == list(robot.held)
    assert list(now.held.values()) == list(range(robot.num_joints, len(names)))


# -- what is continued


def test_without_continuation_there_is_no_past_but_a_state(
    world: World, plan: ActiveTrajectory
) -> None:
    world.follow(plan, BEGIN + 1.0)
    settings = Settings(continuation="off")
    assert world.monitor.past(settings, AHEAD) is None
    now = world.monitor.now(settings)
    assert now is not None
    np.testing.assert_allclose(now.state.positions, plan.joints(np.array([world.time]))[0][0])


@pytest.mark.parametrize("history", [0.5, 1.0, 2.0])
def test_the_measured_past_reaches_back_as_far_as_it_is_asked_for(
    world: World, plan: ActiveTrajectory, history: float
) -> None:
    world.follow(plan, BEGIN + 2.5)
    past = world.monitor.past(Settings(history=history), AHEAD)
    assert past is not None
    assert past.times[0] == pytest.approx(world.time - history, abs=0.011)
    assert past.times[-1] == pytest.approx(world.time)
    np.testing.assert_allclose(past.positions, plan.joints(past.times)[0], atol=1e-9)
    assert past.base is not None and past.base.times[0] <= past.times[0]


def test_the_active_trajectory_continues_the_past(world: World, plan: ActiveTrajectory) -> None:
    world.monitor.published(plan)
    world.follow(plan, BEGIN + 1.0)
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None
    assert past.times[-1] == pytest.approx(world.time + AHEAD, abs=0.021)
    np.testing.assert_allclose(past.positions, plan.joints(past.times)[0], atol=1e-6)
    assert past.base is not None
    assert past.base.times[-1] == pytest.approx(past.times[-1])
    np.testing.assert_allclose(
        past.base.positions[:, 0], 0.5 * (past.base.times - BEGIN), atol=1e-6
    )


def test_a_robot_that_is_a_little_off_its_plan_is_expected_to_come_back(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(plan)
    world.follow(plan, BEGIN + 1.0, off=0.1)
    past = world.monitor.past(Settings(), 1.4)
    assert past is not None
    off = (past.positions - plan.joints(past.times)[0]).mean(1)
    later = past.times > world.time
    assert off[~later] == pytest.approx(0.1)
    assert off[later][0] == pytest.approx(0.1, abs=0.01)
    assert (np.diff(off[later]) <= 0).all() and off[-1] == 0.0


def test_the_planned_base_is_seen_from_the_measured_one(
    world: World, plan: ActiveTrajectory
) -> None:
    """Odometry and plan may have different worlds."""
    world.monitor.published(plan)
    turn, shift = Rotation.from_euler("z", 2.0), np.array([5.0, 6.0, 0.0])
    for time in np.arange(BEGIN, BEGIN + 1.0, 0.01):
        world.time = float(time)
        positions, velocities = plan.joints(np.array([time]))
        world.inputs.joints.update(
            world.robot.joint_names, positions[0].tolist(), velocities[0].tolist(), time
        )
        place = plan.base(np.array([time]))[0][0]
        world.inputs.base.update(turn.apply(place) + shift, turn.as_quat(), "", time, 0.0)
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None and past.base is not None
    expected = turn.apply(plan.base(past.base.times)[0]) + shift
    np.testing.assert_allclose(past.base.positions, expected, atol=1e-6)
    assert past.base.times[-1] > world.time + AHEAD - 0.03


def test_a_plan_that_the_robot_does_not_follow_is_not_believed(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(plan)
    world.follow(plan, BEGIN + 1.0, off=0.6)
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None
    assert past.times[-1] == pytest.approx(world.time)


def test_a_plan_that_is_over_predicts_nothing(world: World, plan: ActiveTrajectory) -> None:
    world.monitor.published(replace(plan, begin=BEGIN - 10.0))
    world.stand(BEGIN + 1.0)
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None
    assert past.times[-1] == pytest.approx(world.time)


def test_a_plan_may_be_continued_without_looking_at_the_robot(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(plan)
    world.time = BEGIN + 1.5
    settings = Settings(continuation="from_plan")
    past, now = world.monitor.past(settings, AHEAD), world.monitor.now(settings)
    assert past is not None and now is not None
    np.testing.assert_allclose(past.positions, plan.joints(past.times)[0])
    assert past.times[0] == pytest.approx(BEGIN + 0.5)
    assert past.times[-1] == pytest.approx(world.time + AHEAD, abs=0.021)
    np.testing.assert_allclose(now.state.positions, plan.state(now.time).positions)
    there = plan.joints(np.array([now.time]))[1][0]
    assert now.state.velocities is not None
    np.testing.assert_allclose(now.state.velocities, there)


def test_before_the_first_plan_the_measured_states_are_continued(world: World) -> None:
    world.stand(BEGIN + 1.2)
    past = world.monitor.past(Settings(continuation="from_plan"), AHEAD)
    assert past is not None and past.seconds == pytest.approx(1.0, abs=0.02)


def test_a_short_history_of_a_robot_at_rest_is_extended_back(world: World, robot: Robot) -> None:
    world.stand(BEGIN + 0.1)
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None
    assert past.seconds == pytest.approx(1.0, abs=0.03)
    assert (np.diff(past.times) > 0).all() and np.diff(past.times).max() < 0.05
    np.testing.assert_allclose(past.positions, np.tile(robot.nominal, (len(past), 1)))


@pytest.mark.parametrize("silence", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("late", [0.0, 0.05, 0.15])
def test_a_busy_machine_shortens_no_history_of_a_robot_at_rest(
    world: World, silence: float, late: float
) -> None:
    """States that come late, or a gap in them, changed what was continued."""
    world.stand(BEGIN + 2.0)
    world.time += silence
    world.stand(world.time + (0.45 if silence else 0.0))
    last = world.time
    world.time += late
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None
    used = past.last(1.0)
    assert used.times[-1] == pytest.approx(last)
    assert used.seconds == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_array_equal(np.unique(used.positions, axis=0), [world.robot.nominal])
    base, _ = covering(used.times, past.base, None)
    assert base is not None and np.ptp(base.positions, axis=0).max() == 0.0


def test_a_short_history_of_a_moving_robot_is_not_extended(
    world: World, plan: ActiveTrajectory
) -> None:
    world.time = BEGIN + 0.6
    world.follow(plan, BEGIN + 0.8)
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None
    assert past.seconds < 0.25


# -- when the new motion takes over


@pytest.mark.parametrize("continuation", ["from_state", "from_plan", "off"])
def test_a_robot_that_follows_a_plan_is_met_further_along(
    world: World, plan: ActiveTrajectory, continuation: str
) -> None:
    world.monitor.published(plan)
    world.follow(plan, BEGIN + 1.0)
    now = world.monitor.now(Settings(continuation=continuation), AHEAD)
    assert now is not None and now.lead is not None
    assert now.since == pytest.approx(world.time)
    assert now.time == pytest.approx(world.time + AHEAD)
    there = plan.state(now.time)
    np.testing.assert_allclose(now.state.positions, there.positions, atol=1e-9)
    assert now.state.velocities is not None and there.velocities is not None
    np.testing.assert_allclose(now.state.velocities, there.velocities, atol=1e-9)
    here = plan.joints(np.array([world.time]))[0][0]
    np.testing.assert_allclose(now.measured.positions, here, atol=1e-9)
    if continuation != "from_plan":
        assert now.past.times[-1] == pytest.approx(now.time)
        assert now.past.base is not None
        assert now.past.base.positions[-1, 0] == pytest.approx(0.5 * (now.time - BEGIN), abs=1e-6)


@pytest.mark.parametrize("why", ["no plan", "not followed", "over", "not begun"])
def test_a_robot_whose_future_is_not_known_is_met_where_it_is(
    world: World, plan: ActiveTrajectory, why: str
) -> None:
    begin = {"over": BEGIN - 10.0, "not begun": BEGIN + 5.0}.get(why, BEGIN)
    if why != "no plan":
        world.monitor.published(replace(plan, begin=begin))
    world.follow(plan, BEGIN + 1.0, off=0.6 if why == "not followed" else 0.0)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is None
    assert now.time == now.since == pytest.approx(world.time)
    here = plan.joints(np.array([world.time]))[0][0] + (0.6 if why == "not followed" else 0.0)
    np.testing.assert_allclose(now.state.positions, here)


# -- when a plan that begins on arrival has begun


@pytest.mark.parametrize("late", [0.0, 0.007, 0.06, 0.13, 0.4, 1.3])
@pytest.mark.parametrize("off", [0.0, 0.08])
def test_the_joints_show_when_a_controller_began(
    world: World, plan: ActiveTrajectory, late: float, off: float
) -> None:
    world.monitor.published(replace(plan, on_arrival=True))
    true = replace(plan, begin=BEGIN + late)
    world.follow(true, BEGIN + late + 0.8, off)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert now.lead.plan.begin == pytest.approx(true.begin, abs=0.002)
    if not off:
        there = true.state(now.time)
        np.testing.assert_allclose(now.state.positions, there.positions, atol=1e-3)
        assert now.state.velocities is not None and there.velocities is not None
        np.testing.assert_allclose(now.state.velocities, there.velocities, atol=3e-3)
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None
    if not off:
        np.testing.assert_allclose(past.positions, true.joints(past.times)[0], atol=2e-3)


def test_noise_of_the_joints_does_not_hide_when_a_controller_began(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(replace(plan, on_arrival=True))
    noise = np.random.default_rng(0)
    true = replace(plan, begin=BEGIN + 0.05)
    for time in np.arange(BEGIN, BEGIN + 0.8, 0.01):
        world.time = float(time)
        positions, velocities = true.joints(np.array([time]))
        world.receive(positions[0] + noise.normal(0.0, 2e-3, world.robot.num_joints), velocities[0])
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert now.lead.plan.begin == pytest.approx(true.begin, abs=0.01)


def test_while_the_plan_stands_still_it_is_taken_to_have_begun_as_usual(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(replace(plan, on_arrival=True))
    world.stand(BEGIN + 0.02)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert now.lead.plan.begin == pytest.approx(BEGIN, abs=0.02)


def test_what_was_found_is_not_forgotten_when_the_plan_stands_still(
    world: World, plan: ActiveTrajectory, robot: Robot
) -> None:
    """The buffer is three seconds long, a plan may be longer."""
    times = np.array([0.0, 1.0, 8.0, 9.0])
    rows = robot.nominal + np.array([[0.0], [0.3], [0.3], [0.0]])
    made = replace(
        plan.trajectory,
        positions=rows,
        velocities=np.zeros_like(rows),
        time_from_start=times,
        base_position=np.zeros((4, 3)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (4, 1)),
    )
    world.monitor.published(ActiveTrajectory(made, BEGIN, on_arrival=True))
    true = ActiveTrajectory(made, BEGIN + 0.1)
    for until in (1.0, 6.0):
        world.follow(true, BEGIN + until)
        now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert now.lead.plan.begin == pytest.approx(true.begin, abs=0.002)


def test_a_plan_that_the_robot_never_began_is_not_under_way(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(replace(plan, on_arrival=True))
    for late in (0.1, 1.2, 1.9):
        # Its message may be on the way still.
        world.stand(BEGIN + late)
        now = world.monitor.now(Settings(), AHEAD)
        assert now is not None and now.lead is not None
        assert now.lead.plan.begin > BEGIN + late - 0.25
    world.stand(BEGIN + 2.3)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is None
    past = world.monitor.past(Settings(), AHEAD)
    assert past is not None and past.times[-1] == pytest.approx(world.time)


def test_the_margin_is_as_long_as_the_way_of_a_trajectory_was(
    world: World, plan: ActiveTrajectory
) -> None:
    settings = Settings(takeover_margin=0.1)
    assert world.monitor.margin(settings) == 0.1
    world.monitor.published(replace(plan, on_arrival=True))
    world.follow(replace(plan, begin=BEGIN + 0.4), BEGIN + 1.0)
    world.monitor.now(settings)
    assert world.monitor.margin(settings) == pytest.approx(0.45, abs=0.02)
    assert world.monitor.margin(Settings(takeover_margin=0.0)) == 0.0
    world.monitor.published(replace(plan, begin=BEGIN + 10.0, on_arrival=True))
    world.stand(BEGIN + 13.0)
    world.monitor.now(settings)
    assert world.monitor.margin(settings) == 0.1


def test_a_robot_that_has_only_just_begun_late_is_under_way(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(replace(plan, on_arrival=True))
    true = replace(plan, begin=BEGIN + 0.9)
    # The joints have gone 0.02 rad.
    world.follow(true, BEGIN + 0.9 + 0.22)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert now.lead.plan.begin == pytest.approx(true.begin, abs=0.01)


def test_a_robot_that_was_stopped_does_not_follow_its_plan(
    world: World, plan: ActiveTrajectory
) -> None:
    """After an emergency stop the robot stands near its plan, which continues."""
    world.monitor.published(plan)
    world.follow(plan, BEGIN + 1.0)
    stopped = plan.joints(np.array([world.time]))[0][0]
    for time in np.arange(BEGIN + 1.0, BEGIN + 1.35, 0.01):
        world.time = float(time)
        world.receive(stopped, np.zeros_like(stopped))
    assert np.abs(plan.joints(np.array([world.time]))[0][0] - stopped).max() < 0.5
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is None


def test_a_controller_that_took_long_to_accept_began_when_it_did(
    world: World, plan: ActiveTrajectory
) -> None:
    sent = replace(plan, on_arrival=True)
    world.stand(BEGIN + 2.0)
    world.monitor.published(sent)
    true = replace(plan, begin=world.time + 0.01)
    world.follow(true, world.time + 1.0)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert now.lead.plan.begin == pytest.approx(true.begin, abs=0.002)


def test_only_the_plan_that_is_meant_is_forgotten(world: World, plan: ActiveTrajectory) -> None:
    world.monitor.published(plan)
    world.follow(plan, BEGIN + 1.0)
    world.monitor.forget(replace(plan.trajectory))
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    assert world.monitor.confirmed(now.lead, Settings()) is not None
    world.monitor.forget(plan.trajectory)
    assert world.monitor.confirmed(now.lead, Settings()) is None
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is None


def test_a_lead_is_confirmed_with_what_was_learnt_meanwhile(
    world: World, plan: ActiveTrajectory
) -> None:
    world.monitor.published(replace(plan, on_arrival=True))
    true = replace(plan, begin=BEGIN + 0.12)
    world.follow(true, BEGIN + 0.13)
    now = world.monitor.now(Settings(), AHEAD)
    assert now is not None and now.lead is not None
    world.follow(true, BEGIN + 0.7)
    lead = world.monitor.confirmed(now.lead, Settings())
    assert lead is not None
    assert lead.plan.begin == pytest.approx(true.begin, abs=0.002)
    assert (lead.time, lead.measured) == (now.lead.time, now.lead.measured)


def test_an_assumed_state_differs_from_a_measured_one(world: World) -> None:
    assumed = world.monitor.now(Settings(state_policy="assume_nominal"))
    world.stand(BEGIN + 0.5)
    measured = world.monitor.now(Settings())
    assert assumed is not None and not assumed.real
    assert measured is not None and measured.real
