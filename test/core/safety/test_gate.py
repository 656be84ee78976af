from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.conftest import waving_clip
from nextscale_core.exceptions import RobotError
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_core.safety import GateResult, SafetyGate
from nextscale_core.trajectory.curves import minimum_jerk


def checks(result: GateResult) -> set[str]:
    return {f.check for f in result.report.findings if f.severity != "note"}


def assert_rejected(result: GateResult, check: str) -> None:
    assert result.trajectory is None
    assert result.report.outcome == "rejected"
    assert check in checks(result)
    assert result.report.line().startswith("rejected: ")


def joint(robot: Robot, name: str) -> int:
    return robot.joint_names.index(name)


def held(robot: Robot, posture: np.ndarray, samples: int = 50) -> RobotTrajectory:
    """A trajectory that stands still in one posture."""
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=np.tile(posture, (samples, 1)),
        velocities=np.zeros((samples, robot.num_joints)),
        time_from_start=np.arange(samples) / 50.0,
        base_position=np.tile([0.0, 0.0, 0.77], (samples, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (samples, 1)),
        fps=50.0,
    )


def test_a_good_trajectory_passes_unchanged(gate: SafetyGate, wave: RobotTrajectory) -> None:
    result = gate.review(wave)
    assert result.report.outcome == "pass"
    assert result.trajectory is wave
    assert result.report.line().startswith("pass: 29 joints, ")


def test_a_trajectory_from_the_measured_state_passes(
    g1: Robot, retargeter: Retargeter, gate: SafetyGate
) -> None:
    start = RobotState(g1.nominal)
    result = gate.review(retargeter.retarget(waving_clip(), start=start), start=start)
    assert result.report.outcome == "pass"
    assert result.report.start_jump == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "array",
    ["positions", "velocities", "time_from_start", "base_position", "base_quaternion"],
)
def test_nan_and_infinity_are_rejected(
    gate: SafetyGate, wave: RobotTrajectory, array: str, value: float
) -> None:
    broken = getattr(wave, array).copy()
    broken[7] = value
    assert_rejected(gate.review(replace(wave, **{array: broken})), "finite")


def test_joints_of_another_robot_are_rejected(gate: SafetyGate, wave: RobotTrajectory) -> None:
    names = ("elbow", *wave.joint_names[1:])
    assert_rejected(gate.review(replace(wave, joint_names=names)), "joints")
    swapped = (wave.joint_names[1], wave.joint_names[0], *wave.joint_names[2:])
    assert_rejected(gate.review(replace(wave, joint_names=swapped)), "joints")


def test_an_empty_trajectory_is_rejected(gate: SafetyGate, wave: RobotTrajectory) -> None:
    empty = {
        name: getattr(wave, name)[:0]
        for name in (
            "positions",
            "velocities",
            "time_from_start",
            "base_position",
            "base_quaternion",
        )
    }
    assert_rejected(gate.review(replace(wave, **empty)), "samples")


@pytest.mark.parametrize("shift", [0.0, -0.1])
def test_time_that_does_not_increase_is_rejected(
    gate: SafetyGate, wave: RobotTrajectory, shift: float
) -> None:
    times = wave.time_from_start.copy()
    times[20] = times[19] + shift
    assert_rejected(gate.review(replace(wave, time_from_start=times)), "time")


def test_time_before_zero_is_rejected(gate: SafetyGate, wave: RobotTrajectory) -> None:
    early = replace(wave, time_from_start=wave.time_from_start - 1.0)
    assert_rejected(gate.review(early), "time")


def test_a_position_far_outside_its_limits_is_rejected(g1: Robot, gate: SafetyGate) -> None:
    posture = g1.nominal.copy()
    posture[joint(g1, "left_elbow_joint")] = g1.position_upper[joint(g1, "left_elbow_joint")] + 0.1
    result = gate.review(held(g1, posture))
    assert_rejected(result, "position")
    assert "left_elbow_joint" in result.report.line()


def test_a_position_a_hair_outside_is_cut_to_its_limit(g1: Robot, gate: SafetyGate) -> None:
    posture = g1.nominal.copy()
    elbow = joint(g1, "left_elbow_joint")
    posture[elbow] = g1.position_upper[elbow] + 5e-4
    result = gate.review(held(g1, posture))
    assert result.report.outcome == "repaired"
    assert result.trajectory is not None
    assert (result.trajectory.positions <= g1.position_upper).all()


def test_a_velocity_above_its_limit_is_slowed_down(g1: Robot, gate: SafetyGate) -> None:
    fast = replace(g1.profile, velocity={"*": 2.0})
    tight = SafetyGate(replace_profile(g1, fast))
    trajectory = swing(g1, "left_shoulder_pitch_joint", reach=0.6, seconds=0.5)
    assert gate.review(trajectory).report.outcome == "pass"
    result = tight.review(trajectory)
    assert result.report.outcome == "repaired"
    assert "velocity" in checks(result)
    assert result.trajectory is not None
    assert result.report.velocity_use <= 1.0 + 1e-6
    assert result.trajectory.seconds > trajectory.seconds
    assert np.allclose(result.trajectory.positions[-1], trajectory.positions[-1])


def test_an_acceleration_above_its_limit_is_slowed_down(g1: Robot, gate: SafetyGate) -> None:
    trajectory = swing(g1, "left_shoulder_pitch_joint", reach=0.8, seconds=0.18)
    result = gate.review(trajectory)
    assert result.report.outcome == "repaired"
    assert "acceleration" in checks(result)
    assert result.report.acceleration_use <= 1.0 + 1e-6


def test_a_hidden_swing_between_two_samples_is_seen(g1: Robot, gate: SafetyGate) -> None:
    # Positions stand still, so do their differences; the velocities make the cubic swing.
    trajectory = held(g1, g1.nominal)
    trajectory.velocities[20, 3] = 8.0
    result = gate.review(trajectory)
    assert "acceleration" in checks(result)


def test_a_teleporting_joint_is_rejected(g1: Robot, gate: SafetyGate) -> None:
    trajectory = held(g1, g1.nominal)
    trajectory.positions[25:, joint(g1, "right_shoulder_pitch_joint")] -= 1.5
    result = gate.review(trajectory)
    assert_rejected(result, "velocity")
    assert "acceleration" in checks(result)


def test_a_jump_from_the_measured_state_is_rejected(g1: Robot, gate: SafetyGate) -> None:
    measured = g1.nominal.copy()
    measured[joint(g1, "left_knee_joint")] += 0.1
    result = gate.review(held(g1, g1.nominal), start=RobotState(measured))
    assert_rejected(result, "start")
    assert "left_knee_joint" in result.report.line()


def test_a_jump_in_velocity_from_the_measured_state_is_rejected(
    g1: Robot, gate: SafetyGate
) -> None:
    measured = RobotState(g1.nominal, velocities=np.full(29, 5.0))
    assert_rejected(gate.review(held(g1, g1.nominal), start=measured), "start")


def test_a_measured_state_outside_the_limits_may_only_come_back(
    g1: Robot, gate: SafetyGate
) -> None:
    elbow = joint(g1, "left_elbow_joint")
    measured = g1.nominal.copy()
    measured[elbow] = g1.position_upper[elbow] + 0.02
    back = swing(g1, "left_elbow_joint", reach=-0.3, seconds=1.0, begin=measured)
    assert gate.review(back, start=RobotState(measured)).report.outcome == "pass"
    out = swing(g1, "left_elbow_joint", reach=0.1, seconds=1.0, begin=measured)
    assert_rejected(gate.review(out, start=RobotState(measured)), "position")


def test_a_trajectory_that_does_not_stop_is_rejected(g1: Robot, gate: SafetyGate) -> None:
    trajectory = swing(g1, "left_shoulder_pitch_joint", reach=0.8, seconds=1.0)
    half = len(trajectory) // 2
    cut = replace(
        trajectory,
        **{
            name: getattr(trajectory, name)[:half]
            for name in (
                "positions",
                "velocities",
                "time_from_start",
                "base_position",
                "base_quaternion",
            )
        },
    )
    assert_rejected(gate.review(cut), "end")


def test_a_last_velocity_of_almost_zero_is_set_to_zero(g1: Robot, gate: SafetyGate) -> None:
    trajectory = held(g1, g1.nominal)
    trajectory.velocities[-1] = 5e-4
    result = gate.review(trajectory)
    assert result.report.outcome == "repaired"
    assert result.trajectory is not None
    assert (result.trajectory.velocities[-1] == 0).all()


def crossed_arms(robot: Robot) -> np.ndarray:
    """A posture with the left hand inside the body."""
    posture = robot.nominal.copy()
    posture[joint(robot, "left_shoulder_pitch_joint")] = 0.4
    posture[joint(robot, "left_shoulder_yaw_joint")] = -1.2
    posture[joint(robot, "left_shoulder_roll_joint")] = -0.3
    posture[joint(robot, "left_elbow_joint")] = 0.9
    return posture


def test_a_robot_that_stays_inside_itself_is_rejected(g1: Robot, gate: SafetyGate) -> None:
    result = gate.review(held(g1, crossed_arms(g1)))
    assert_rejected(result, "self_collision")
    assert "inside each other" in result.report.line()
    assert result.report.touching_samples == 50


def test_bodies_that_graze_on_the_way_are_moved_apart(g1: Robot, gate: SafetyGate) -> None:
    far = held(g1, g1.nominal, samples=201)
    time = np.arange(201) / 200.0
    weight = (16 * time**2 * (1 - time) ** 2)[:, None]
    slope = (32 * time * (1 - time) * (1 - 2 * time))[:, None] / 4.0
    # How far towards the body the arm may go before it touches:
    way = crossed_arms(g1) - g1.nominal
    share = next(
        s
        for s in np.arange(0.05, 1.0, 0.01)
        if gate._collisions.colliding((g1.nominal + s * way)[None])[0]
    )
    way = (share + 0.02) * way
    trajectory = replace(far, positions=far.positions + weight * way, velocities=slope * way)
    result = gate.review(trajectory)
    assert result.report.outcome == "repaired", result.report.line()
    assert checks(result) == {"self_collision"}
    assert result.trajectory is not None
    assert not gate._collisions.colliding(result.trajectory.positions).any()
    assert np.abs(result.trajectory.positions - trajectory.positions).max() < 0.4


def test_a_sunken_robot_is_reported_but_not_rejected(g1: Robot, gate: SafetyGate) -> None:
    sunken = replace(held(g1, g1.nominal), base_position=np.tile([0, 0, 0.5], (50, 1)))
    result = gate.review(sunken)
    assert result.report.outcome == "pass"
    assert result.report.penetration > 0.2
    assert "note: a sole is" in result.report.line()


def test_a_state_of_another_robot_raises(gate: SafetyGate, wave: RobotTrajectory) -> None:
    with pytest.raises(RobotError, match="3 joints"):
        gate.review(wave, start=RobotState(np.zeros(3)))


def test_a_report_becomes_json(g1: Robot, gate: SafetyGate, wave: RobotTrajectory) -> None:
    for trajectory in (wave, held(g1, g1.position_upper + 1.0)):
        report = gate.review(trajectory).report
        tree = json.loads(json.dumps(report.to_dict()))
        assert tree["outcome"] == report.outcome
        assert len(tree["findings"]) == len(report.findings)


def swing(
    robot: Robot, name: str, reach: float, seconds: float, begin: np.ndarray | None = None
) -> RobotTrajectory:
    """One joint moves by `reach` along a minimum-jerk step, then everything rests."""
    samples = round(seconds * 50) + 1
    u = np.linspace(0, 1, samples)
    trajectory = held(robot, robot.nominal if begin is None else begin, samples)
    j = joint(robot, name)
    trajectory.positions[:, j] += reach * minimum_jerk(u)
    trajectory.velocities[:, j] = reach * 30 * u * u * (1 - u) ** 2 / seconds
    return trajectory


def replace_profile(robot: Robot, profile: object) -> Robot:
    from nextscale_core.robots.robot import build_robot

    return build_robot(robot.urdf_path, profile, robot.mesh_dirs)  # type: ignore[arg-type]
