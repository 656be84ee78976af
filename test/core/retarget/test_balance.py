from __future__ import annotations

import numpy as np
import pytest

from core.conftest import standing_pose, waving_clip
from core.human_clips import walking_clip
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.planning import MotionPlanner
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.safety import SafetyGate
from nextscale_core.safety.feasibility import Feasibility


def leaning_clip(frames: int = 50, angle: float = 0.25) -> MotionClip:
    """Bows forward from the ankles and stays there: the centre of mass is before the toes."""
    pose = np.repeat(standing_pose()[None], frames, axis=0)
    lean = angle * np.clip(np.arange(frames) / 20.0, 0.0, 1.0)
    ankle = standing_pose()[JOINT_INDEX["left_ankle"]]
    feet = [
        JOINT_INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "foot")
    ]
    x, z = pose[..., 0] - ankle[0], pose[..., 2] - ankle[2]
    turned = pose.copy()
    turned[..., 0] = ankle[0] + np.cos(lean)[:, None] * x + np.sin(lean)[:, None] * z
    turned[..., 2] = ankle[2] - np.sin(lean)[:, None] * x + np.cos(lean)[:, None] * z
    turned[:, feet] = pose[:, feet]
    return MotionClip(turned, text="leans")


@pytest.fixture(scope="module")
def leaning(retargeter: Retargeter) -> dict[bool, RobotTrajectory]:
    return {wanted: retargeter.retarget(leaning_clip(), balance=wanted) for wanted in (False, True)}


def judged(gate: SafetyGate, trajectory: RobotTrajectory) -> Feasibility:
    report = gate.review(trajectory).report
    assert report.outcome == "pass", report.line()
    assert report.feasibility is not None
    return report.feasibility


def ankles(robot: Robot, trajectory: RobotTrajectory) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    k = kinematics_of(robot)
    rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    points = k.points(Poses(trajectory.base_position, rotation, trajectory.positions))
    return points[:, [k.index["left_ankle"], k.index["right_ankle"]]]


def test_balance_brings_the_centre_of_mass_over_the_soles(
    gate: SafetyGate, leaning: dict[bool, RobotTrajectory]
) -> None:
    before, after = (judged(gate, leaning[wanted]) for wanted in (False, True))
    assert before.centre_depth is not None and before.centre_depth < 0
    assert before.verdict == "needs a tracker" and not before.stands_last
    assert after.centre_depth is not None and after.centre_depth > 0.01
    assert after.verdict == "balanced" and after.stands_first and after.stands_last
    assert after.missing_wrench < before.missing_wrench / 4


def test_balance_leaves_standing_feet_where_they_are(
    g1: Robot, leaning: dict[bool, RobotTrajectory]
) -> None:
    feet = ankles(g1, leaning[True])
    assert np.abs(feet - feet[0]).max() < 0.01
    assert np.abs(feet[0] - ankles(g1, leaning[False])[0]).max() < 0.01


def test_balance_hardly_changes_a_motion_that_is_balanced(retargeter: Retargeter) -> None:
    before, after = (retargeter.retarget(waving_clip(), balance=wanted) for wanted in (False, True))
    assert np.abs(before.positions - after.positions).max() < 0.1


def test_a_balanced_walk_still_goes_where_the_human_goes(
    g1: Robot, retargeter: Retargeter, gate: SafetyGate
) -> None:
    plain, walk = (retargeter.retarget(walking_clip(), balance=wanted) for wanted in (False, True))
    assert judged(gate, walk).missing_wrench < judged(gate, plain).missing_wrench
    gone = [track.base_position[-1] - track.base_position[0] for track in (plain, walk)]
    assert np.linalg.norm(gone[0] - gone[1]) < 0.1


def test_a_balanced_motion_begins_in_the_measured_state(
    g1: Robot, retargeter: Retargeter, gate: SafetyGate
) -> None:
    start = RobotState(g1.nominal)
    trajectory = retargeter.retarget(leaning_clip(), start=start, balance=True)
    result = gate.review(trajectory, start=start)
    assert result.report.outcome == "pass", result.report.line()
    assert np.array_equal(trajectory.positions[0], g1.nominal)
    found = result.report.feasibility
    assert found is not None and found.stands_first and found.stands_last


def test_a_planner_balances_only_when_asked(leaning: dict[bool, RobotTrajectory]) -> None:
    for wanted, expected in leaning.items():
        trajectory, _ = MotionPlanner("g1", balance=wanted).plan(leaning_clip())
        assert np.array_equal(trajectory.positions, expected.positions)
    assert not np.array_equal(leaning[False].positions, leaning[True].positions)
