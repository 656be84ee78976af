from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from core.conftest import random_clip, standing_clip, standing_pose, waving_clip
from nextscale_core.exceptions import InvalidMotionError, NextscaleError, RetargetError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.planning import MotionPlanner
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.safety import SafetyGate
from nextscale_core.stopwatch import Stopwatch
from nextscale_core.trajectory.spline_limits import limit_use, segment_extremes


def assert_within_limits(robot: Robot, trajectory: RobotTrajectory) -> None:
    times = trajectory.time_from_start
    low, high, _ = segment_extremes(trajectory.positions, trajectory.velocities, times)
    assert (low >= robot.position_lower - 1e-6).all()
    assert (high <= robot.position_upper + 1e-6).all()
    velocity, acceleration = limit_use(robot, trajectory.positions, trajectory.velocities, times)
    assert velocity.max() <= 1.0
    assert acceleration.max() <= 1.0


def poses_of(trajectory: RobotTrajectory) -> Poses:
    rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    return Poses(trajectory.base_position, rotation, trajectory.positions)


def test_a_standing_human_becomes_a_quiet_robot_with_flat_feet(
    g1: Robot, retargeter: Retargeter
) -> None:
    trajectory = retargeter.retarget(standing_clip())
    assert np.abs(trajectory.velocities).max() < 0.05
    kinematics = kinematics_of(g1)
    soles = kinematics.points(poses_of(trajectory))[:, kinematics.soles, 2]
    assert np.abs(soles).max() < 0.005
    knees = trajectory.positions[:, [g1.joint_names.index("left_knee_joint")]]
    assert (knees > -0.09).all() and (knees < 0.6).all(), "nearly straight, bent forward"


def test_the_robots_limbs_point_where_the_humans_do(g1: Robot, retargeter: Retargeter) -> None:
    clip = waving_clip()
    kinematics = kinematics_of(g1)
    points = kinematics.points(poses_of(retargeter.retarget(clip, rate=20.0)))
    wrist, elbow = (points[30, kinematics.index[f"right_{part}"]] for part in ("wrist", "elbow"))
    robot = wrist - elbow
    played = 30 - 5  # the smooth start takes a quarter of a second
    human = (
        clip.joints[played, JOINT_INDEX["right_wrist"]]
        - clip.joints[played, JOINT_INDEX["right_elbow"]]
    )
    cosine = robot @ human / np.linalg.norm(robot) / np.linalg.norm(human)
    assert cosine > np.cos(np.deg2rad(12))


@pytest.mark.parametrize("seed", range(6))
def test_limits_are_kept_whatever_the_motion(g1: Robot, retargeter: Retargeter, seed: int) -> None:
    trajectory = retargeter.retarget(random_clip(seed, size=0.05 + 0.03 * seed))
    assert_within_limits(g1, trajectory)
    assert np.abs(trajectory.velocities[-1]).max() == 0.0


@pytest.mark.parametrize("rate", [20.0, 50.0, 100.0, 250.0])
def test_samples_come_at_the_wanted_rate(g1: Robot, retargeter: Retargeter, rate: float) -> None:
    trajectory = retargeter.retarget(waving_clip(), rate=rate)
    assert np.allclose(np.diff(trajectory.time_from_start), 1.0 / rate)
    assert trajectory.fps == rate
    assert trajectory.time_from_start[0] == 0.0
    assert_within_limits(g1, trajectory)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf, 1e5])
def test_an_impossible_rate_is_refused(retargeter: Retargeter, rate: float) -> None:
    with pytest.raises(RetargetError, match="rate must be within"):
        retargeter.retarget(standing_clip(), rate=rate)


def test_the_motion_begins_and_ends_at_rest(retargeter: Retargeter) -> None:
    trajectory = retargeter.retarget(waving_clip())
    assert np.abs(trajectory.velocities[0]).max() == 0.0
    assert np.abs(trajectory.velocities[-1]).max() == 0.0


def test_velocities_are_the_derivatives_of_the_positions(retargeter: Retargeter) -> None:
    trajectory = retargeter.retarget(waving_clip(), rate=200.0)
    slope = np.gradient(trajectory.positions, 1 / 200.0, axis=0)
    assert np.abs(slope - trajectory.velocities)[1:-1].max() < 0.02


def test_a_motion_that_is_too_fast_is_slowed_down_not_cut(
    g1: Robot, retargeter: Retargeter
) -> None:
    calm, hasty = waving_clip(speed=0.5), waving_clip(speed=5.0)
    slow, fast = retargeter.retarget(calm), retargeter.retarget(hasty)
    assert_within_limits(g1, fast)
    assert fast.seconds > 1.05 * slow.seconds


def test_a_start_state_is_met_exactly(g1: Robot, retargeter: Retargeter) -> None:
    generator = np.random.default_rng(8)
    for _ in range(5):
        state = RobotState(
            positions=np.clip(
                g1.nominal + generator.normal(size=29) * 0.2, g1.position_lower, g1.position_upper
            ),
            velocities=generator.normal(size=29) * 0.3,
            base_position=generator.normal(size=3) * [2, 2, 0.01] + [0, 0, 0.76],
            base_quaternion=Rotation.from_euler(
                "zyx", generator.normal(size=3) * [2, 0.05, 0.05]
            ).as_quat(),
        )
        trajectory = retargeter.retarget(waving_clip(), start=state)
        assert trajectory.time_from_start[0] == 0.0
        assert np.abs(trajectory.positions[0] - state.positions).max() < 1e-6
        assert np.abs(trajectory.velocities[0] - state.velocities).max() < 1e-6
        assert np.abs(trajectory.base_position[0] - state.base_position).max() < 1e-6
        dot = abs(trajectory.base_quaternion[0] @ state.base_quaternion)
        assert dot == pytest.approx(1.0, abs=1e-9)
        assert_within_limits(g1, trajectory)


def test_the_motion_continues_from_the_measured_base(g1: Robot, retargeter: Retargeter) -> None:
    clip = standing_clip()
    walking = MotionClip(clip.joints + np.linspace(0, 1, 40)[:, None, None] * [1.0, 0, 0])
    state = RobotState(
        g1.nominal,
        base_position=np.array([5.0, -3.0, 0.76]),
        base_quaternion=Rotation.from_euler("z", 90, degrees=True).as_quat(),
    )
    trajectory = retargeter.retarget(walking, start=state)
    way = trajectory.base_position[-1] - trajectory.base_position[0]
    assert abs(way[0]) < 0.1, "forward is +y for a robot that faces +y"
    assert way[1] > 0.4


def test_an_unknown_base_is_taken_to_stand_on_the_floor(g1: Robot, retargeter: Retargeter) -> None:
    trajectory = retargeter.retarget(standing_clip(), start=RobotState(g1.nominal))
    lowest = kinematics_of(g1).lowest_sole(poses_of(trajectory))
    assert abs(lowest[0]) < 1e-6
    assert lowest.min() > -0.005 and lowest.max() < 0.01


def test_a_joint_that_moves_towards_its_limit_stops_before_it(
    g1: Robot, retargeter: Retargeter, gate: SafetyGate
) -> None:
    elbow = g1.joint_names.index("left_elbow_joint")
    positions, velocities = g1.nominal.copy(), np.zeros(29)
    positions[elbow] = g1.position_upper[elbow] - 0.05
    velocities[elbow] = 1.5
    start = RobotState(positions, velocities)
    trajectory = retargeter.retarget(waving_clip(), start=start)
    assert trajectory.velocities[0, elbow] == pytest.approx(1.5)
    assert_within_limits(g1, trajectory)
    assert gate.review(trajectory, start=start).trajectory is not None


def test_a_state_of_another_robot_is_refused(retargeter: Retargeter) -> None:
    with pytest.raises(RetargetError, match="has 12 joints"):
        retargeter.retarget(standing_clip(), start=RobotState(np.zeros(12)))


def test_the_stopwatch_learns_the_stages(retargeter: Retargeter) -> None:
    stopwatch = Stopwatch()
    retargeter.retarget(standing_clip(), stopwatch=stopwatch)
    assert list(stopwatch.seconds) == ["targets", "solve", "resample"]


def test_the_same_motion_gives_the_same_trajectory(retargeter: Retargeter) -> None:
    first, second = (retargeter.retarget(waving_clip()) for _ in range(2))
    assert (first.positions == second.positions).all()


def test_a_single_frame_becomes_a_held_posture(g1: Robot, retargeter: Retargeter) -> None:
    trajectory = retargeter.retarget(MotionClip(standing_pose()[None]))
    assert_within_limits(g1, trajectory)
    assert np.ptp(trajectory.positions, axis=0).max() < 0.05


@pytest.mark.parametrize("scale", [100.0, 0.001])
def test_a_giant_and_a_dwarf_are_refused(retargeter: Retargeter, scale: float) -> None:
    with pytest.raises(InvalidMotionError, match="metres"):
        retargeter.retarget(MotionClip(standing_clip().joints * scale))


CORRUPTIONS = (
    "nan",
    "infinite",
    "teleport",
    "shaken",
    "scaled",
    "turned",
    "short",
    "shapeless",
    "upside-down",
)


def corrupted(kind: str, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    joints = random_clip(seed).joints.copy()
    if kind == "nan":
        joints[generator.integers(len(joints)), generator.integers(22)] = np.nan
    elif kind == "infinite":
        joints[generator.integers(len(joints)), generator.integers(22)] = np.inf
    elif kind == "teleport":
        joints[generator.integers(len(joints)) :] += generator.normal(size=3) * 10
    elif kind == "upside-down":
        joints[..., 1:] *= -1
    elif kind == "shaken":
        joints += generator.normal(size=joints.shape) * 0.3
    elif kind == "scaled":
        joints *= 10 ** generator.uniform(-3, 3)
    elif kind == "turned":
        joints = joints @ Rotation.random(rng=generator).as_matrix()
    elif kind == "short":
        joints = joints[: generator.integers(1, 4)]
    elif kind == "shapeless":
        joints = joints[:, : generator.integers(1, 22)]
    return joints


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(CORRUPTIONS),
    seed=st.integers(0, 10_000),
)
def test_absurd_motions_raise_typed_errors_or_pass_the_gate_within_all_limits(
    g1: Robot, retargeter: Retargeter, gate: SafetyGate, kind: str, seed: int
) -> None:
    try:
        trajectory = retargeter.retarget(MotionClip(corrupted(kind, seed)))
    except NextscaleError:
        return
    result = gate.review(trajectory)
    if result.trajectory is None:
        assert result.report.outcome == "rejected" and result.report.findings
    else:
        assert_within_limits(g1, result.trajectory)
        assert np.isfinite(result.trajectory.positions).all()


@pytest.mark.parametrize("sentence", ["a person steps sideways to the right", "step to the left"])
def test_side_steps_pass_the_gate_of_a_g1(trained_model: Path, g1: Robot, sentence: str) -> None:
    """A quarter of them ended with one foot in the other."""
    model, planner = MotionPipeline.from_pretrained(trained_model), MotionPlanner(g1)
    for clip in model.generate_batch([sentence] * 6, seeds=range(6)):
        _, report = planner.plan(model.come_to_rest(clip))
        assert report.outcome == "pass"
