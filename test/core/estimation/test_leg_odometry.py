"""The pose of the base from the legs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.human_clips import walking_clip
from nextscale_core.estimation.leg_odometry import (
    BaseSource,
    LegOdometry,
    _FootDisplacements,
    _stance_foot,
    leg_odometry,
    sole_contacts,
    standing,
)
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.targets import make_targets
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.rotations import exp


def degrees_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T,) angle between the verticals of two orientations (T, 3, 3)."""
    return np.rad2deg(np.arccos(np.clip((a[:, 2] * b[:, 2]).sum(-1), -1, 1)))


def leg(robot: Robot, part: str) -> int:
    return robot.joint_names.index(part)


def crouching(robot: Robot, frames: int = 40) -> np.ndarray:
    """Both feet stay where they are and level while the G1 bends its knees and its pelvis."""
    joints = np.tile(robot.nominal, (frames, 1))
    deep = 0.5 - 0.5 * np.cos(np.linspace(0, 2 * np.pi, frames))
    for side in ("left", "right"):
        joints[:, leg(robot, f"{side}_knee_joint")] = 0.3 + 0.6 * deep
        joints[:, leg(robot, f"{side}_hip_pitch_joint")] = -0.15 - 0.6 * deep
        # The sum of the three is the pitch of the sole against the pelvis.
        joints[:, leg(robot, f"{side}_ankle_pitch_joint")] = -0.15 - 0.25 * deep
    return joints


@pytest.fixture(scope="module", params=["g1", "talos"])
def walk(request: pytest.FixtureRequest) -> tuple[Robot, Poses]:
    robot = load_robot(request.param)
    clip = walking_clip(frames=80, turn=0.3)
    return robot, Retargeter(robot).solve(make_targets(clip, kinematics_of(robot)))


def test_the_soles_give_the_tilt_of_a_crouching_robot(g1: Robot) -> None:
    joints = crouching(g1)
    found = leg_odometry(kinematics_of(g1), joints, 20.0)
    pitch = sum(
        joints[:, leg(g1, f"left_{part}_joint")] for part in ("hip_pitch", "knee", "ankle_pitch")
    )
    wanted = exp(-pitch[:, None] * np.array([0.0, 1.0, 0.0]))
    assert degrees_apart(found.poses.rotation, wanted).max() < 1.0
    assert np.ptp(pitch) > 0.2, "the pelvis did tilt"
    assert set(found.sources) == {BaseSource.ODOMETRY}


def test_feet_of_a_crouching_robot_stay_where_they_are(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    found = leg_odometry(kinematics, crouching(g1), 20.0)
    points = kinematics.points(found.poses)
    for side in ("left", "right"):
        ankle = points[:, kinematics.index[f"{side}_ankle"]]
        assert np.abs(ankle - ankle[0]).max() < 0.004
    assert np.abs(points[:, kinematics.soles, 2].min(1)).max() < 1e-9
    assert sole_contacts(kinematics, points, 20.0).all()


def test_a_walk_is_found_from_orientation_and_joints(walk: tuple[Robot, Poses]) -> None:
    robot, poses = walk
    found = leg_odometry(kinematics_of(robot), poses.joints, 20.0, poses.rotation).poses
    assert np.allclose(found.rotation, poses.rotation, atol=1e-9), "the IMU is believed"
    moved, true = found.base - found.base[0], poses.base - poses.base[0]
    assert np.linalg.norm(true[-1, :2]) > 1.0
    assert np.linalg.norm(moved[-1, :2] - true[-1, :2]) < 0.05 * np.linalg.norm(true[-1, :2])
    assert np.abs(found.base[:, 2] - poses.base[:, 2]).max() < 0.005


def test_a_walk_is_found_from_joints_alone(walk: tuple[Robot, Poses]) -> None:
    robot, poses = walk
    found = leg_odometry(kinematics_of(robot), poses.joints, 20.0)
    moved, true = found.poses.base - found.poses.base[0], poses.base - poses.base[0]
    assert degrees_apart(found.poses.rotation, poses.rotation).mean() < 1.5
    assert np.linalg.norm(moved[-1, :2] - true[-1, :2]) < 0.12 * np.linalg.norm(true[-1, :2])
    assert np.abs(found.poses.base[:, 2] - poses.base[:, 2]).max() < 0.01
    yaw = np.unwrap(np.arctan2(found.poses.rotation[:, 1, 0], found.poses.rotation[:, 0, 0]))
    truth = np.unwrap(np.arctan2(poses.rotation[:, 1, 0], poses.rotation[:, 0, 0]))
    assert abs((yaw[-1] - yaw[0]) - (truth[-1] - truth[0])) < np.deg2rad(12)
    assert BaseSource.STANDING not in found.sources


def test_both_feet_carry_a_walk_in_turn(walk: tuple[Robot, Poses]) -> None:
    robot, poses = walk
    stance = leg_odometry(kinematics_of(robot), poses.joints, 20.0).stance
    assert stance is not None and len(stance) == len(poses)
    assert set(stance) == {0, 1}
    steps = np.abs(np.diff(stance)).sum()
    assert 2 <= steps <= 8, "no flicker"


def test_a_turned_imu_turns_the_path(walk: tuple[Robot, Poses]) -> None:
    robot, poses = walk
    turn = exp(np.array([0.0, 0.0, -2.0]))
    kinematics = kinematics_of(robot)
    plain = leg_odometry(kinematics, poses.joints, 20.0, poses.rotation).poses
    other = leg_odometry(kinematics, poses.joints, 20.0, turn @ poses.rotation).poses
    assert np.allclose(other.base, plain.base @ turn.T, atol=1e-9)


def test_a_change_of_the_standing_foot_must_pay() -> None:
    generator = np.random.default_rng(0)
    excess = np.abs(generator.normal(size=(40, 2))) * 0.003
    excess -= excess.min(1, keepdims=True)
    still = _FootDisplacements(excess, np.zeros((40, 2)), np.zeros((40, 2, 2)))
    assert np.ptp(_stance_foot(still, 20.0, turning=True)) == 0, "millimetres are no steps"
    excess = np.zeros((40, 2))
    excess[:20, 1], excess[20:, 0] = 0.05, 0.05
    step = _FootDisplacements(excess, np.zeros((40, 2)), np.zeros((40, 2, 2)))
    assert list(_stance_foot(step, 20.0, turning=True)) == [0] * 20 + [1] * 20


def test_the_calmer_story_wins_where_both_feet_are_low() -> None:
    shift = np.zeros((30, 2, 2))
    shift[:, 0, 0] = 0.03  # 0.6 m/s, steady
    shift[10:20, 1, 0] = np.linspace(0.03, -0.09, 10)  # the right foot swings close to the floor
    excess = np.zeros((30, 2))
    excess[:10, 0] = 0.002
    steps = _FootDisplacements(excess, np.zeros((30, 2)), shift)
    assert (_stance_foot(steps, 20.0, turning=False)[12:20] == 0).all()


def test_soles_that_are_never_level_have_no_effect(g1: Robot) -> None:
    frames = 40
    joints = np.tile(g1.nominal, (frames, 1))
    generator = np.random.default_rng(1)
    for side in ("left", "right"):
        wobble = generator.uniform(-0.5, 0.4, frames)
        joints[:, leg(g1, f"{side}_ankle_pitch_joint")] = wobble
        joints[:, leg(g1, f"{side}_ankle_roll_joint")] = generator.uniform(-0.25, 0.25, frames)
    found = leg_odometry(kinematics_of(g1), joints, 20.0)
    assert degrees_apart(found.poses.rotation, np.tile(np.eye(3), (frames, 1, 1))).max() < 25


def test_the_last_resort_is_an_upright_robot_on_the_floor(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    found = standing(kinematics, crouching(g1))
    assert set(found.sources) == {BaseSource.STANDING}
    assert np.allclose(found.poses.rotation, np.eye(3))
    assert np.allclose(found.poses.base[:, :2], 0.0)
    assert np.allclose(kinematics.lowest_sole(found.poses), 0.0, atol=1e-9)
    tilted = exp(np.tile([0.0, 0.2, 0.0], (40, 1)))
    told = standing(kinematics, crouching(g1), tilted).poses
    assert np.allclose(told.rotation, tilted)
    assert np.allclose(kinematics.lowest_sole(told), 0.0, atol=1e-9)


# -- one measurement after the other


@pytest.fixture(scope="module")
def made(g1: Robot) -> RobotTrajectory:
    return Retargeter(g1).retarget(walking_clip(turn=0.4))


def path(g1: Robot, made: RobotTrajectory, every: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Base poses of the walk by leg odometry, at 25 Hz."""
    walked = LegOdometry(g1)
    rows = range(0, len(made), every)
    poses = [walked.update(made.positions[row], float(made.time_from_start[row])) for row in rows]
    return np.array([place for place, _ in poses]), np.array([turn for _, turn in poses])


def test_a_walk_is_estimated_row_by_row(g1: Robot, made: RobotTrajectory) -> None:
    places, turns = path(g1, made)
    truth = made.base_position[::2]
    truth = truth - [*truth[0, :2], 0.0]
    length = np.linalg.norm(truth[-1, :2])
    assert length > 1.0
    assert np.linalg.norm(places - truth, axis=1).max() < 0.08 * length
    apart = Rotation.from_quat(turns) * Rotation.from_quat(made.base_quaternion[::2]).inv()
    assert apart.magnitude().max() < 0.15


def test_the_lowest_sole_is_always_on_the_floor(g1: Robot, made: RobotTrajectory) -> None:
    places, turns = path(g1, made)
    kinematics = kinematics_of(g1)
    poses = Poses(places, Rotation.from_quat(turns).as_matrix(), made.positions[::2])
    np.testing.assert_allclose(kinematics.lowest_sole(poses), 0.0, atol=1e-6)


def test_a_robot_that_stands_stays_and_so_does_one_that_is_measured_twice(g1: Robot) -> None:
    walked = LegOdometry(g1)
    first = walked.update(g1.nominal, 0.0)
    for time in (0.03, 0.06, 0.06, 0.05):
        place, turn = walked.update(g1.nominal, time)
        np.testing.assert_allclose(place, first[0], atol=1e-6)
        np.testing.assert_allclose(Rotation.from_quat(turn).magnitude(), 0.0, atol=1e-6)


def test_the_first_measurement_stands_above_the_origin_facing_x(
    g1: Robot, made: RobotTrajectory
) -> None:
    place, turn = LegOdometry(g1).update(made.positions[len(made) // 2], 3.0)
    np.testing.assert_allclose(place[:2], 0.0)
    facing = Rotation.from_quat(turn).apply([1.0, 0.0, 0.0])
    assert np.arctan2(facing[1], facing[0]) == pytest.approx(0.0, abs=1e-9)


def test_after_a_pause_the_robot_is_where_it_was(g1: Robot, made: RobotTrajectory) -> None:
    walked = LegOdometry(g1)
    for row in range(0, 150, 2):
        before, turned = walked.update(made.positions[row], float(made.time_from_start[row]))
    after, turn = walked.update(made.positions[148], 100.0)
    np.testing.assert_allclose(after[:2], before[:2])
    apart = Rotation.from_quat(turned).inv() * Rotation.from_quat(turn)
    assert apart.magnitude() < 0.05
