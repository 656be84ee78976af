from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.conftest import standing_clip, waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import (
    Robot,
    RobotState,
    RobotTrajectory,
    hold_at,
    load_robot,
    read_profile,
)
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import with_profile
from nextscale_core.safety import SafetyGate


@pytest.fixture(scope="module")
def upper() -> Robot:
    return load_robot("g1", joints="upper_body")


def _turning(clip: MotionClip, turns: float) -> MotionClip:
    """The same motion on a turntable."""
    angle = np.linspace(0.0, 2 * np.pi * turns, len(clip))
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    turn = np.stack([[c, -s, o], [s, c, o], [o, o, i]]).transpose(2, 0, 1)
    return replace(clip, joints=np.einsum("tij,tkj->tki", turn, clip.joints.astype(float)))


def test_the_upper_body_is_everything_but_the_legs(upper: Robot, g1: Robot) -> None:
    assert upper.num_joints == 17
    assert set(upper.joint_names) | set(upper.held) == set(g1.joint_names)
    assert set(upper.held) == {n for n in g1.joint_names if "hip" in n or "knee" in n or "ank" in n}
    assert upper.held["left_knee_joint"] == pytest.approx(0.30)
    assert upper.base_held


def test_the_upper_body_waves_on_the_spot_past_the_gate(upper: Robot) -> None:
    trajectory = Retargeter(upper).retarget(waving_clip())
    result = SafetyGate(upper).review(trajectory)
    assert result.report.outcome == "pass"
    assert trajectory.joint_names == upper.joint_names
    assert np.ptp(trajectory.base_position, axis=0).max() == 0.0
    assert np.ptp(trajectory.base_quaternion, axis=0).max() == 0.0
    assert result.report.penetration < 1e-6
    elbow = trajectory.positions[:, upper.joint_names.index("right_elbow_joint")]
    assert np.ptp(elbow) > 0.2


def _forearm(robot: Robot, trajectory: RobotTrajectory) -> np.ndarray:
    """(N, 3) direction of the right forearm in the world."""
    kinematics = kinematics_of(robot)
    turn = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    points = kinematics.points(Poses(trajectory.base_position, turn, trajectory.positions))
    away = points[:, kinematics.index["right_wrist"]] - points[:, kinematics.index["right_elbow"]]
    return away / np.linalg.norm(away, axis=1, keepdims=True)


def test_the_arms_do_what_they_do_with_legs(upper: Robot, retargeter: Retargeter) -> None:
    whole = retargeter.robot
    one = _forearm(upper, Retargeter(upper).retarget(waving_clip()))
    two = _forearm(whole, retargeter.retarget(waving_clip()))
    n = min(len(one), len(two))
    assert np.arccos(np.clip((one[:n] * two[:n]).sum(1), -1, 1)).mean() < 0.15


def test_turning_on_the_spot_is_not_followed(upper: Robot) -> None:
    retargeter = Retargeter(upper)
    still = retargeter.retarget(waving_clip())
    turning = retargeter.retarget(_turning(waving_clip(), 1.0))
    n = min(len(still), len(turning))
    assert np.abs(turning.positions[:n] - still.positions[:n]).mean() < 0.05
    assert np.ptp(turning.base_quaternion, axis=0).max() == 0.0


def test_a_bow_is_followed_by_the_waist(upper: Robot) -> None:
    clip = standing_clip()
    joints = clip.joints.astype(float).copy()
    hips = joints[:, 0].copy()
    above = joints[0, :, 2] > 0.97
    angle = 0.4 * np.sin(np.linspace(0, np.pi, len(clip)))
    c, s = np.cos(angle), np.sin(angle)
    arm = joints[:, above] - hips[:, None]
    joints[:, above, 0] = hips[:, None, 0] + c[:, None] * arm[..., 0] + s[:, None] * arm[..., 2]
    joints[:, above, 2] = hips[:, None, 2] - s[:, None] * arm[..., 0] + c[:, None] * arm[..., 2]
    trajectory = Retargeter(upper).retarget(replace(clip, joints=joints))
    waist = trajectory.positions[:, upper.joint_names.index("waist_pitch_joint")]
    assert waist.max() - waist[0] > 0.2


def test_a_measured_state_is_where_it_begins(upper: Robot) -> None:
    rng = np.random.default_rng(0)
    base, turn = np.array([1.0, 2.0, 0.7]), np.array([0.0, 0.0, np.sin(0.5), np.cos(0.5)])
    posture = upper.nominal + 0.1 * rng.normal(size=upper.num_joints)
    state = RobotState(posture, base_position=base, base_quaternion=turn)
    trajectory = Retargeter(upper).retarget(waving_clip(), start=state)
    assert np.allclose(trajectory.positions[0], state.positions)
    assert np.allclose(trajectory.base_position, base)
    assert np.allclose(trajectory.base_quaternion, turn)
    assert SafetyGate(upper).review(trajectory, start=state).trajectory is not None


def test_held_joints_stand_where_they_were_measured(upper: Robot) -> None:
    measured = {name: value + 0.1 for name, value in upper.held.items()}
    robot = hold_at(upper, measured)
    assert robot.joint_names == upper.joint_names
    assert robot.held == pytest.approx(measured)
    assert hold_at(robot, measured) is robot
    # The legs of the model stand so: the ankle is where the whole robot has it.
    whole = load_robot("g1")
    joints = np.array([measured.get(name, 0.0) for name in whole.joint_names])
    at = []
    for each, q in ((robot, np.zeros(robot.num_joints)), (whole, joints)):
        kinematics = kinematics_of(each)
        points = kinematics.points(Poses(np.zeros((1, 3)), np.eye(3)[None], q[None]))[0]
        at.append([points[kinematics.index[n]] for n in ("left_ankle", "left_toe", "right_heel")])
    assert np.allclose(at[0], at[1], atol=1e-9)
    with pytest.raises(RobotError, match="no measured position of left_knee_joint"):
        hold_at(upper, {n: v for n, v in measured.items() if n != "left_knee_joint"})


def test_patterns_choose_joints(g1: Robot) -> None:
    arm = load_robot("g1", joints=["right_shoulder_*", "right_elbow_*"])
    assert arm.num_joints == 4 and arm.base_held
    trajectory = Retargeter(arm).retarget(waving_clip())
    assert SafetyGate(arm).review(trajectory).report.outcome in ("pass", "repaired")
    with pytest.raises(RobotError, match=r"joints: no joint matches 'rihgt_\*'"):
        load_robot("g1", joints=["rihgt_*"])


def test_legs_walk_while_arms_are_held(g1: Robot) -> None:
    legs = load_robot("g1", joints=["*_hip_*", "*_knee_*", "*_ankle_*", "waist_*"])
    assert not legs.base_held and legs.num_joints == 15
    trajectory = Retargeter(legs).retarget(_turning(standing_clip(), 0.25))
    assert SafetyGate(legs).review(trajectory).report.outcome in ("pass", "repaired")
    heading = 2 * np.arctan2(trajectory.base_quaternion[:, 2], trajectory.base_quaternion[:, 3])
    assert np.ptp(np.unwrap(heading)) > 0.5


def test_a_profile_may_choose_its_joints(tmp_path: Path) -> None:
    profile = toy_profile(tmp_path, ("locked:", "joints: upper_body\nlocked:"))
    robot = load_robot(str(toy_humanoid(tmp_path)), profile)
    assert robot.base_held and not any("knee" in name for name in robot.joint_names)
    assert load_robot(str(robot.urdf_path), profile, joints="all").num_joints == 23
    wrong = toy_profile(tmp_path, ("locked:", "joints: upperbody\nlocked:"))
    with pytest.raises(ConfigError, match="did you mean 'upper_body'"):
        read_profile(wrong)


def test_a_robot_needs_a_joint_that_moves(g1: Robot) -> None:
    with pytest.raises(RobotError, match="no joint is left"):
        with_profile(g1, locked={"waist_yaw_joint": 0.0}, joints=("waist_yaw_joint",))
