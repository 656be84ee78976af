from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from core.conftest import waving_clip
from core.human_clips import walking_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import ConfigError
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.profile import read_profile
from nextscale_core.robots.robot import with_profile
from nextscale_core.safety import SafetyGate
from nextscale_core.safety.dynamics import Dynamics, dynamics_of
from nextscale_core.safety.feasibility import LONGEST, feasibility_of

G = 9.81


def moving(robot: Robot, shift: np.ndarray, rate: float = 50.0) -> RobotTrajectory:
    """The nominal posture on the floor, its base shifted by (N, 3) [m]."""
    count = len(shift)
    lowest = kinematics_of(robot).lowest_sole(
        Poses(np.zeros((1, 3)), np.eye(3)[None], robot.nominal[None])
    )
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=np.tile(robot.nominal, (count, 1)),
        velocities=np.zeros((count, robot.num_joints)),
        time_from_start=np.arange(count) / rate,
        base_position=shift - [0.0, 0.0, float(lowest[0])],
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)),
        fps=rate,
    )


def standing(robot: Robot, seconds: float = 2.0) -> RobotTrajectory:
    return moving(robot, np.zeros((int(50 * seconds) + 1, 3)))


def dynamics(robot: Robot, trajectory: RobotTrajectory) -> Dynamics:
    return dynamics_of(robot, trajectory, friction=0.7)


def test_the_zero_moment_point_of_a_standing_robot_is_below_its_centre_of_mass(g1: Robot) -> None:
    found = dynamics(g1, standing(g1))
    assert np.allclose(found.zero_moment_point, found.centre[:, :2], atol=1e-9)
    assert found.contact.all()
    assert found.missing.max() < 1e-3


def test_a_push_shifts_the_zero_moment_point_by_height_times_acceleration_over_gravity(
    g1: Robot,
) -> None:
    times = np.arange(201) / 50.0
    shift = np.outer(0.1 * np.cos(np.pi * times), [1.0, 0.0, 0.0])
    found = dynamics(g1, moving(g1, shift))
    expected = 0.1 * np.pi**2 * np.cos(np.pi * found.times) * found.centre[:, 2] / G
    away = (found.zero_moment_point - found.centre[:, :2])[10:-10]
    # The smoothing takes 1 % of a swing of 2 s.
    assert np.allclose(away[:, 0], expected[10:-10], atol=2e-3)
    assert np.allclose(away[:, 1], 0.0, atol=1e-6)


def test_joint_torques_of_a_posture_are_those_of_gravity_and_the_floor(g1: Robot) -> None:
    trajectory = standing(g1)
    found = dynamics(g1, trajectory)
    q = g1.configurations(
        trajectory.base_position, trajectory.base_quaternion, trajectory.positions
    )[0]
    data = g1.model.createData()
    gravity = pin.computeGeneralizedGravity(g1.model, data, q)[6:]
    knees = [n for n, name in enumerate(g1.joint_names) if "knee" in name]
    on_feet = [n for n, name in enumerate(g1.joint_names) if "hip" in name or "knee" in name]
    above = np.setdiff1d(np.arange(29), [*on_feet, *_ankles(g1)])
    assert np.allclose(found.torque[:, above], gravity[above], atol=1e-6)
    # Each knee carries half the weight above it, at its distance from the line of that force.
    assert (np.sign(found.torque[0, knees]) != np.sign(gravity[knees])).all()
    pin.forwardKinematics(g1.model, data, q)
    for knee in knees:
        joint = knee + 2
        below = [n for n in range(g1.model.njoints) if joint in list(g1.model.supports[n])]
        mass = sum(g1.model.inertias[n].mass for n in below)
        place = sum(
            g1.model.inertias[n].mass * data.oMi[n].act(g1.model.inertias[n].lever) for n in below
        )
        total = pin.computeTotalMass(g1.model)
        at = data.oMi[joint].translation[0]
        expected = -G * (place[0] - mass * at) + G * total / 2 * (found.centre[0, 0] - at)
        assert abs(found.torque[0, knee]) == pytest.approx(abs(expected), abs=0.3)


@pytest.mark.parametrize(
    ("up", "pitch", "verdict", "note"),
    [
        (0.0, 0.0, "balanced", False),
        (0.02, 0.3, "needs a tracker", False),
        (0.5, 0.0, "flight", False),
        (-0.95, 0.0, "needs a tracker", True),
    ],
)
def test_a_frame_on_the_floor_of_the_root_link_changes_no_verdict(
    tmp_path: Path, up: float, pitch: float, verdict: str, note: bool
) -> None:
    reports = []
    for floor, low in ((None, 0.0), (0.93, 0.0), (None, 0.93)):
        urdf = toy_humanoid(tmp_path / f"{floor}{low}", floor=floor, low=low)
        robot = load_robot(str(urdf), toy_profile(tmp_path))
        # The pelvis is at the same place in both robots.
        trajectory, turn = standing(robot), _pitch(pitch)
        pelvis = np.array([0.0, 0.0, (floor or 0.0) + low])
        trajectory.base_position[:] += [0.0, 0.0, up] - (turn - np.eye(3)) @ pelvis
        trajectory.base_quaternion[:] = Rotation.from_matrix(turn).as_quat()
        reports.append(SafetyGate(robot).review(trajectory).report)
    for report in reports:
        assert any("the pelvis is" in found.message for found in report.findings) == note
        assert report.line().split("note")[0] == reports[0].line().split("note")[0]
        assert report.feasibility.verdict == verdict
        # Both ankles bear the same.
        lines = [replace(r.feasibility, torque_joint="").line() for r in (report, reports[0])]
        assert lines[0] == lines[1]


def _ankles(robot: Robot) -> list[int]:
    return [n for n, name in enumerate(robot.joint_names) if "ankle" in name]


def test_a_standing_robot_is_balanced(g1: Robot, gate: SafetyGate) -> None:
    found = gate.review(standing(g1)).report.feasibility
    assert found is not None and found.verdict == "balanced"
    assert found.stands_first and found.stands_last
    assert found.centre_depth is not None and found.centre_depth > 0.05
    assert found.line().startswith("balanced: the feet lack 0.0% of the body weight")


def test_a_wave_in_place_is_balanced(gate: SafetyGate, retargeter: Retargeter) -> None:
    found = gate.review(retargeter.retarget(waving_clip())).report.feasibility
    assert found is not None and found.verdict == "balanced", found


def test_a_lifted_robot_and_a_jump_are_flight(g1: Robot, gate: SafetyGate) -> None:
    up = np.zeros((101, 3))
    up[:, 2] = 0.3
    lifted = gate.review(moving(g1, up)).report
    assert lifted.outcome == "pass"
    assert lifted.feasibility is not None and lifted.feasibility.verdict == "flight"
    assert lifted.feasibility.missing_wrench == pytest.approx(1.0, abs=0.01)
    times = np.arange(151) / 50.0 - 1.0
    jump = np.zeros((151, 3))
    jump[:, 2] = np.maximum(0.0, 0.3 - 0.5 * G * (times - np.sqrt(0.6 / G)) ** 2)
    found = gate.review(moving(g1, jump)).report.feasibility
    assert found is not None and found.verdict == "flight"
    assert found.flight_seconds == pytest.approx(2 * np.sqrt(0.6 / G), abs=0.08)
    assert found.stands_first and found.stands_last


def test_a_robot_that_leans_over_its_toes_needs_a_tracker_and_is_not_rejected(
    g1: Robot, gate: SafetyGate
) -> None:
    trajectory = standing(g1)
    positions = trajectory.positions.copy()
    positions[:, [n for n in _ankles(g1) if "pitch" in g1.joint_names[n]]] -= 0.2
    # The base turns with the ankles, so that the soles stay flat.
    half = 0.1
    quaternion = np.tile([0.0, np.sin(half), 0.0, np.cos(half)], (len(positions), 1))
    lowest = kinematics_of(g1).lowest_sole(
        Poses(np.zeros((1, 3)), _pitch(0.2)[None], positions[:1])
    )
    base = np.tile([0.0, 0.0, -float(lowest[0])], (len(positions), 1))
    leaning = replace(
        trajectory, positions=positions, base_quaternion=quaternion, base_position=base
    )
    report = gate.review(leaning).report
    assert report.outcome == "pass"
    found = report.feasibility
    assert found is not None and found.verdict == "needs a tracker"
    assert found.centre_depth is not None and found.centre_depth < 0
    assert not found.stands_first and not found.stands_last
    assert found.zmp_outside == 1.0 and found.missing_wrench > 0.02
    assert "outside of the soles" in found.line() and "begins without standing" in found.line()


def _pitch(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def test_the_thresholds_are_those_of_the_profile(g1: Robot, retargeter: Retargeter) -> None:
    walk = retargeter.retarget(walking_clip())
    found = feasibility_of(g1, walk)
    strict = {"missing_wrench": 1e-6, "torque_use": 1e-3, "flight_seconds": 1e-3}
    for name, value in strict.items():
        limits = replace(g1.profile.feasibility, **{name: value})
        changed = feasibility_of(with_profile(g1, feasibility=limits), walk)
        assert changed.verdict != "balanced"
        assert replace(changed, verdict=found.verdict) == found
    slippery = replace(g1.profile.feasibility, friction=0.01)
    lacking = feasibility_of(with_profile(g1, feasibility=slippery), walk).missing_wrench
    assert lacking > found.missing_wrench


def test_a_profile_with_a_wrong_threshold_is_refused(g1: Robot, tmp_path: Path) -> None:
    lines = Path("config/robots/g1.yaml").read_text()
    for key in ("friction: 0", "gravity: 9.81"):
        path = tmp_path / "robot.yaml"
        path.write_text(f"{lines}\nfeasibility:\n  {key}\n")
        with pytest.raises(ConfigError, match=key.split(":")[0]):
            read_profile(path)
    path.write_text(f"{lines}\nfeasibility:\n  friction: 0.5\n")
    assert read_profile(path).feasibility.friction == 0.5


def test_a_rejected_or_a_very_long_trajectory_has_no_feasibility(
    g1: Robot, gate: SafetyGate
) -> None:
    trajectory = standing(g1)
    outside = replace(trajectory, positions=trajectory.positions + 3.0)
    assert gate.review(outside).report.feasibility is None
    times = trajectory.time_from_start * 2 * LONGEST / trajectory.seconds
    assert gate.review(replace(trajectory, time_from_start=times)).report.feasibility is None


def test_the_shortest_trajectories_are_judged(g1: Robot) -> None:
    for samples in (1, 2, 3):
        trajectory = moving(g1, np.zeros((samples, 3)))
        assert feasibility_of(g1, trajectory).verdict == "balanced"


def test_the_report_with_its_feasibility_is_json(g1: Robot, gate: SafetyGate) -> None:
    report = gate.review(standing(g1)).report
    assert json.loads(json.dumps(report.to_dict()))["feasibility"]["verdict"] == "balanced"


@pytest.mark.parametrize("name", ["romeo", "icub", "talos_full"])
def test_other_robots_stand_balanced_in_their_nominal_posture(name: str) -> None:
    from nextscale_core.robots import load_robot

    robot = load_robot(name)
    found = feasibility_of(robot, standing(robot))
    assert found.missing_wrench < 0.01 and found.flight_seconds == 0.0
