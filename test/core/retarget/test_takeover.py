"""Joining a motion that is under way, in the state the robot is in."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from core.human_clips import squatting_clip, walking_clip
from nextscale_core.exceptions import RetargetError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.config import RETARGET
from nextscale_core.retarget.takeover import joined
from nextscale_core.retarget.targets import Targets, make_targets
from nextscale_core.robots import Robot, RobotState, load_robot
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.safety import SafetyGate
from nextscale_core.trajectory.curves import quintic_fade

FADE = RETARGET.takeover.fade
CLIPS = {"squat": squatting_clip(), "walk": walking_clip()}


@cache
def solved(name: str) -> tuple[Targets, Poses]:
    """The whole motion as the robot would make it, and its targets."""
    robot = load_robot("g1")
    targets = make_targets(CLIPS[name], kinematics_of(robot))
    return targets, Retargeter(robot).solve(targets)


def state_at(name: str, begin: float) -> RobotState:
    """Where the robot is in the middle of a motion, with its velocities."""
    targets, poses = solved(name)
    times = np.arange(len(poses)) / targets.fps
    return RobotState(
        CubicSpline(times, poses.joints)(begin),
        CubicSpline(times, poses.joints)(begin, 1),
        CubicSpline(times, poses.base)(begin),
        Rotation.from_matrix(poses.rotation[round(begin * targets.fps)]).as_quat(),
    )


def elsewhere(state: RobotState, seed: int, size: float = 0.1) -> RobotState:
    """Near a state, as a robot is that was pushed or continues another sentence."""
    random = np.random.default_rng(seed)
    assert state.velocities is not None
    return replace(
        state,
        positions=state.positions + size * random.uniform(-1, 1, len(state.positions)),
        velocities=state.velocities + size * random.uniform(-1, 1, len(state.positions)),
    )


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return kinematics_of(load_robot("g1"))


def pose_of(state: RobotState) -> Poses:
    assert state.base_position is not None and state.base_quaternion is not None
    rotation = Rotation.from_quat(state.base_quaternion).as_matrix()
    return Poses(state.base_position[None], rotation[None], state.positions[None])


def ahead(state: RobotState, twist: np.ndarray, step: float) -> RobotState:
    """A moment [s] later, with the joints' velocities and the base's twist."""
    assert state.velocities is not None
    assert state.base_position is not None and state.base_quaternion is not None
    turn = Rotation.from_rotvec(step * twist[3:]) * Rotation.from_quat(state.base_quaternion)
    return RobotState(
        state.positions + step * state.velocities,
        None,
        state.base_position + step * twist[:3],
        turn.as_quat(),
    )


def ankle_row(targets: Targets, kinematics: Kinematics, side: str) -> int:
    first = targets.first == kinematics.index[f"{side}_ankle"]
    return int(np.flatnonzero(first & (targets.second < 0))[0])


# -- the goals


@given(st.integers(0, 2**32 - 1), st.sampled_from(["squat", "walk"]), st.floats(0.2, 1.5))
@settings(deadline=None, max_examples=20)
def test_every_goal_begins_where_the_robot_is(seed: int, name: str, begin: float) -> None:
    kinematics = kinematics_of(load_robot("g1"))
    state = elsewhere(state_at(name, begin), seed, 0.3)
    past = joined(solved(name)[0], kinematics, state, begin)
    points = kinematics.points(pose_of(past.state))[0]
    np.testing.assert_allclose(past.targets.residual(points, 0), 0.0, atol=1e-9)
    np.testing.assert_allclose(past.posture[0], state.positions, atol=1e-12)


def test_every_goal_begins_as_fast_as_the_robot(kinematics: Kinematics) -> None:
    """At a fine frame rate the slope of the goals is that of the robot's own keypoints."""
    targets, state = solved("squat")[0], state_at("squat", 0.6)
    state = replace(state, velocities=np.sin(np.arange(len(state.positions))))
    past = joined(targets, kinematics, state, 0.6)
    step = 1e-5
    there = ahead(state, past.twist, step)
    points = [kinematics.points(pose_of(one))[0] for one in (state, there)]
    hand = kinematics.index["left_wrist"]
    row = next(n for n, k in enumerate(targets.first) if k == hand and targets.second[n] >= 0)
    other = int(targets.second[row])
    moving = [p[hand] - p[other] for p in points]
    expected = (moving[1] - moving[0]) / step
    # The plan's own slope is part of the goal; what was added must make up the difference.
    _, _, slope, _ = quintic_fade(np.array([0.0, 1.0 / targets.fps]), FADE)
    first = round(0.6 * targets.fps)
    planned = (targets.goal[first + 1, row] - targets.goal[first, row]) * targets.fps
    gap = moving[0] - targets.goal[first, row]
    place = quintic_fade(np.array([1.0 / targets.fps]), FADE)[0]
    added = past.targets.goal[1, row] - targets.goal[first + 1, row] - place * gap
    np.testing.assert_allclose(added / slope[1], expected - planned, atol=1e-3)


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_when_the_plan_has_taken_over_the_goals_are_its_own(
    name: str, kinematics: Kinematics
) -> None:
    targets, begin = solved(name)[0], 0.4
    # Without a measured base the plan is not turned; it is shifted to where the feet are.
    state = elsewhere(state_at(name, begin), 1, 0.3)
    state = replace(state, base_position=None, base_quaternion=None)
    past = joined(targets, kinematics, state, begin)
    first, over = round(begin * targets.fps), int(np.ceil(FADE * targets.fps)) + 1
    feet = {ankle_row(targets, kinematics, side) for side in SIDES}
    levers = [kinematics.index[f"{side}_foot_{axis}"] for side in SIDES for axis in "xyz"]
    feet |= set(np.flatnonzero(np.isin(targets.first, levers)))
    body = np.array([row for row in range(len(targets.first)) if row not in feet])
    changed = past.targets.goal[over:, body] - targets.goal[first + over :, body]
    shift = (past.targets.base - targets.base[first:])[0]
    assert shift[2] == 0.0
    expected = np.where((targets.second[body] < 0)[:, None], shift, 0.0)
    np.testing.assert_allclose(changed, np.tile(expected, (len(changed), 1, 1)), atol=1e-12)
    np.testing.assert_array_equal(past.targets.weight, targets.weight[first:])
    still = np.tile(kinematics.robot.nominal, (len(changed), 1))
    np.testing.assert_allclose(past.posture[over:], still, atol=1e-12)


def test_a_foot_that_stands_keeps_its_place_until_it_swings_and_then_finds_the_plans(
    kinematics: Kinematics,
) -> None:
    targets, begin = solved("walk")[0], 0.3
    state = state_at("walk", begin)
    # A wider stance than planned: each foot has its own way to go.
    wide = state.positions.copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        wide[kinematics.robot.joint_names.index(f"{side}_hip_roll_joint")] += 0.05 * sign
    # Without a measured heading the plan is not turned.
    state = replace(state, positions=wide, base_quaternion=None)
    past = joined(targets, kinematics, state, begin)
    first = round(begin * targets.fps)
    stance = targets.feet.stance[first:] > 0.5
    assert stance[0].all()
    for n, side in enumerate(SIDES):
        row = ankle_row(targets, kinematics, side)
        added = past.targets.goal[:, row] - targets.goal[first:, row]
        lift = int(np.argmin(stance[:, n]))
        landing = lift + int(np.argmax(stance[lift:, n]))
        assert 0 < lift < landing, "the walk has a swing of each foot"
        np.testing.assert_allclose(added[:lift], added[:1].repeat(lift, 0), atol=1e-12)
        end = added[max(landing, lift + int(FADE * targets.fps) + 1) :]
        assert np.abs(end - end[:1]).max() < 1e-12
        np.testing.assert_allclose(
            past.targets.feet.ankle[:, n], past.targets.goal[:, row], atol=1e-12
        )


def test_a_foot_that_never_lifts_stays_where_it_stands(kinematics: Kinematics) -> None:
    targets, begin = solved("squat")[0], 0.5
    state = elsewhere(state_at("squat", begin), 3, 0.03)
    past = joined(targets, kinematics, state, begin)
    for side in SIDES:
        row = ankle_row(targets, kinematics, side)
        goal = past.targets.goal[:, row]
        plan = targets.goal[round(begin * targets.fps) :, row]
        np.testing.assert_allclose(goal - plan, np.tile(goal[0] - plan[0], (len(goal), 1)))


@pytest.mark.parametrize("begin", [-0.1, 2.45, 100.0])
def test_a_motion_that_is_over_cannot_be_joined(begin: float, kinematics: Kinematics) -> None:
    with pytest.raises(RetargetError, match="cannot be joined"):
        joined(solved("squat")[0], kinematics, state_at("squat", 1.0), begin)


# -- the trajectory


def sole_speed(robot: Robot, positions: np.ndarray, base: np.ndarray, turn: np.ndarray) -> float:
    """Fastest horizontal movement of a sole that is on the floor, at 50 Hz [m/s]."""
    kinematics = kinematics_of(robot)
    poses = Poses(base, Rotation.from_quat(turn).as_matrix(), positions)
    soles = kinematics.points(poses)[:, kinematics.soles]
    low = (soles[1:, :, 2] < 0.005) & (soles[:-1, :, 2] < 0.005)
    speed = np.linalg.norm(np.diff(soles[..., :2], axis=0), axis=-1) * 50.0
    return float(speed[low].max())


@pytest.mark.parametrize(("name", "begin"), [("squat", 0.7), ("walk", 1.7)])
@pytest.mark.parametrize("size", [0.0, 0.08])
def test_the_trajectory_begins_in_the_measured_state_with_its_velocities(
    name: str, begin: float, size: float, retargeter: Retargeter, gate: SafetyGate
) -> None:
    state = elsewhere(state_at(name, begin), 5, size)
    made = retargeter.retarget(CLIPS[name], start=state, begin=begin)
    np.testing.assert_allclose(made.positions[0], state.positions, atol=1e-9)
    assert state.velocities is not None
    np.testing.assert_allclose(made.velocities[0], state.velocities, atol=1e-9)
    np.testing.assert_array_equal(made.velocities[-1], 0.0)
    result = gate.review(made, start=state)
    assert result.trajectory is not None, result.report.line()


def test_a_robot_that_does_what_the_plan_says_goes_on_with_it(retargeter: Retargeter) -> None:
    begin = 0.7
    targets, poses = solved("squat")
    made = retargeter.retarget(CLIPS["squat"], start=state_at("squat", begin), begin=begin)
    times = np.arange(len(poses)) / targets.fps - begin
    # Until the motion is slowed down to its end.
    during = made.time_from_start < times[-1] - 0.7
    whole = CubicSpline(times, poses.joints)(made.time_from_start[during])
    assert np.abs(made.positions[during] - whole).max() < 0.06


def test_feet_that_stand_do_not_slide_where_the_motion_is_joined(
    retargeter: Retargeter, g1: Robot
) -> None:
    state = elsewhere(state_at("squat", 0.7), 8, 0.0)
    assert state.velocities is not None
    arms = np.array(["shoulder" in n or "elbow" in n for n in g1.joint_names])
    state = replace(
        state,
        positions=state.positions + 0.2 * arms,
        velocities=state.velocities + 0.5 * arms,
    )
    made = retargeter.retarget(CLIPS["squat"], start=state, begin=0.7)
    second = made.time_from_start <= 1.0
    speed = sole_speed(
        g1, made.positions[second], made.base_position[second], made.base_quaternion[second]
    )
    assert speed < 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_turning_and_shifting_the_robot_turns_and_shifts_the_trajectory(
    seed: int, retargeter: Retargeter
) -> None:
    state = elsewhere(state_at("walk", 1.2), seed, 0.05)
    assert state.base_position is not None and state.base_quaternion is not None
    turn, shift = Rotation.from_euler("z", 1.0 + 2.0 * seed), np.array([3.0, -2.0, 0.0])
    moved = replace(
        state,
        base_position=turn.apply(state.base_position) + shift,
        base_quaternion=(turn * Rotation.from_quat(state.base_quaternion)).as_quat(),
    )
    here = retargeter.retarget(CLIPS["walk"], start=state, begin=1.2)
    there = retargeter.retarget(CLIPS["walk"], start=moved, begin=1.2)
    # Rounding decides now and then whether a frame is solved once more.
    np.testing.assert_allclose(there.positions, here.positions, atol=2e-3)
    np.testing.assert_allclose(
        there.base_position, turn.apply(here.base_position) + shift, atol=1e-3
    )
    between = (
        Rotation.from_quat(there.base_quaternion)
        * (turn * Rotation.from_quat(here.base_quaternion)).inv()
    )
    assert between.magnitude().max() < 1e-3


def test_without_a_state_nothing_can_be_joined(retargeter: Retargeter) -> None:
    with pytest.raises(RetargetError, match="begin needs start"):
        retargeter.retarget(CLIPS["squat"], begin=0.5)


def test_a_robot_of_unknown_base_joins_upright_on_the_floor(
    retargeter: Retargeter, g1: Robot
) -> None:
    clip = MotionClip(CLIPS["squat"].joints, text="bends down")
    state = RobotState(g1.nominal)
    made = retargeter.retarget(clip, start=state, begin=0.0)
    np.testing.assert_allclose(made.positions[0], g1.nominal, atol=1e-9)
    rotation = Rotation.from_quat(made.base_quaternion[:1]).as_matrix()
    lowest = kinematics_of(g1).lowest_sole(
        Poses(made.base_position[:1], rotation, made.positions[:1])
    )
    assert abs(float(lowest[0])) < 0.01


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_the_base_begins_as_the_standing_feet_and_the_joints_ask_for(
    name: str, kinematics: Kinematics
) -> None:
    begin = 0.7
    state = state_at(name, begin)
    past = joined(solved(name)[0], kinematics, state, begin)
    step = 1e-5
    after = ahead(state, past.twist, step)
    moved = kinematics.points(pose_of(after))[0] - kinematics.points(pose_of(state))[0]
    soles = moved[kinematics.soles].reshape(2, -1, 3) / step
    standing = solved(name)[0].feet.stance[round(begin * 20.0)] > 0.5
    assert standing.any()
    assert np.abs(soles[standing]).max() < 0.02
