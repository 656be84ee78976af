"""Whatever comes in: typed errors only, and nothing unsafe leaves the gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation

from bench.audit import audit, nearest
from core.conftest import standing_pose, waving_clip
from core.human_clips import squatting_clip, walking_clip
from nextscale_core.exceptions import InvalidMotionError, NextscaleError, RetargetError, RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_core.robots.robot import with_profile
from nextscale_core.robots.trajectory import MAX_SAMPLES
from nextscale_core.safety import SafetyGate
from nextscale_core.trajectory import with_approach
from nextscale_core.trajectory.config import MAX_OUTSIDE
from nextscale_core.trajectory.spline_limits import STEP, with_places_between

ARRAYS = ("positions", "velocities", "time_from_start", "base_position", "base_quaternion")

few = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


# ---------------------------------------------------------------------------- human motion


def _spoil(joints: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    value = generator.choice([np.nan, np.inf, -np.inf])
    joints.flat[generator.integers(joints.size, size=3)] = value
    return joints


def _teleport(joints: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    at, size = int(generator.integers(len(joints))), 10 ** generator.uniform(-1, 3)
    rows = slice(None) if generator.random() < 0.5 else generator.choice(22, 4, replace=False)
    joints[at : at + generator.integers(1, 20), rows] += generator.normal(size=3) * size
    return joints


def _shape(joints: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    shapes = [joints[:, :21], joints[..., :2], joints[0], joints[None], joints.reshape(-1, 3)]
    return shapes[generator.integers(len(shapes))]


def _upside_down(joints: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return joints * np.array([1.0, generator.choice([1.0, -1.0]), -1.0])


def _turn(joints: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    count = generator.choice([1, len(joints)])
    turn = Rotation.random(count, rng=generator).as_matrix()
    return joints @ np.broadcast_to(turn, (len(joints), 3, 3)).transpose(0, 2, 1)


def _scale(joints: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    rows = slice(None) if generator.random() < 0.5 else generator.random(len(joints)) < 0.3
    joints[rows] *= 100.0
    return joints


CORRUPTIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "NaN or infinity": _spoil,
    "teleports": _teleport,
    "wrong shape": _shape,
    "no frames": lambda joints, _: joints[:0],
    "one frame": lambda joints, _: joints[:1],
    "scaled": _scale,
    "upside down": _upside_down,
    "turned": _turn,
}


@few
@given(
    kind=st.sampled_from(sorted(CORRUPTIONS)),
    seed=st.integers(0, 2**32 - 1),
    rate=st.sampled_from([10.0, 50.0, 200.0]),
    measured=st.booleans(),
)
def test_corrupted_motion_raises_typed_errors_or_is_safe(
    g1: Robot,
    retargeter: Retargeter,
    gate: SafetyGate,
    kind: str,
    seed: int,
    rate: float,
    measured: bool,
) -> None:
    generator = np.random.default_rng(seed)
    whole = [waving_clip(24), walking_clip(30), squatting_clip(24)][seed % 3]
    start = RobotState(g1.nominal) if measured else None
    try:
        clip = MotionClip(CORRUPTIONS[kind](whole.joints.astype(np.float64), generator))
        trajectory = retargeter.retarget(clip, rate=rate, start=start)
    except NextscaleError as error:
        assert str(error)
        return
    result = gate.review(trajectory, start=start)
    if result.trajectory is None:
        assert result.report.outcome == "rejected" and result.report.findings
    else:
        assert audit(g1, result.trajectory, start) == []


@pytest.mark.parametrize(
    "joints",
    [None, "motion", [[1.0], [1.0, 2.0]], np.ones((3, 22, 3), complex), np.full((3, 22, 3), 1e300)],
)
def test_what_are_no_joint_positions_is_refused(joints: Any) -> None:
    with pytest.raises(InvalidMotionError, match="joints"):
        MotionClip(joints)


@pytest.mark.parametrize("fps", [0.0, -1.0, np.nan, np.inf, None, "fast", np.ones(2), 10**400])
def test_what_is_no_rate_is_refused(fps: Any) -> None:
    with pytest.raises(InvalidMotionError, match="fps"):
        MotionClip(standing_pose()[None], fps=fps)


def test_a_clip_that_was_written_to_is_looked_at_again(retargeter: Retargeter) -> None:
    clip = waving_clip()
    clip.joints[7, JOINT_INDEX["spine1"]] = np.nan
    with pytest.raises(InvalidMotionError, match="NaN or infinity, first in frame 7"):
        retargeter.retarget(clip)


@pytest.mark.parametrize("joint", ["left_hip", "right_ankle"])
def test_hips_and_feet_that_jump_are_refused(retargeter: Retargeter, joint: str) -> None:
    joints = waving_clip().joints.copy()
    joints[30:, JOINT_INDEX[joint]] += [0.0, 40.0, 0.0]
    with pytest.raises(InvalidMotionError, match=r"jump .* from frame 29 to the next"):
        retargeter.retarget(MotionClip(joints))


def test_a_wrist_that_jumps_only_tells_a_direction(
    g1: Robot, retargeter: Retargeter, gate: SafetyGate
) -> None:
    joints = waving_clip().joints.copy()
    joints[30, JOINT_INDEX["left_wrist"]] += [0.0, 1e3, 0.0]
    result = gate.review(retargeter.retarget(MotionClip(joints)))
    assert result.trajectory is not None
    assert audit(g1, result.trajectory) == []


def test_a_motion_far_from_the_origin_is_refused(retargeter: Retargeter) -> None:
    with pytest.raises(InvalidMotionError, match="from the origin"):
        retargeter.retarget(MotionClip(waving_clip().joints + np.float32(1e7)))


# ------------------------------------------------------------------------- measured states


@few
@given(
    seed=st.integers(0, 2**32 - 1),
    reach=st.sampled_from([0.0, 0.3, 1.05, 3.0, 1e3, 1e300]),
    speed=st.sampled_from([0.0, 0.2, 1.0, 1e3, 1e300]),
    tilt=st.floats(0.0, np.pi),
)
def test_any_measured_state_is_left_safely_or_refused(
    g1: Robot,
    retargeter: Retargeter,
    gate: SafetyGate,
    seed: int,
    reach: float,
    speed: float,
    tilt: float,
) -> None:
    generator = np.random.default_rng(seed)
    way = generator.uniform(g1.position_lower, g1.position_upper) - g1.nominal
    velocities = generator.uniform(-1, 1, g1.num_joints) * g1.velocity_limit * speed
    turn = Rotation.from_rotvec([tilt, 0.0, 0.0]).as_quat()
    start = RobotState(g1.nominal + reach * way, velocities, np.array([1e3, 0.0, 0.7]), turn)
    try:
        trajectory = retargeter.retarget(waving_clip(20), start=start)
    except RetargetError as error:
        assert "measured" in str(error) or "stops at" in str(error) or "limits" in str(error)
        return
    assert len(trajectory) < 20_000
    result = gate.review(trajectory, start=start)
    if result.trajectory is not None:
        assert audit(g1, result.trajectory, start) == []


@pytest.mark.parametrize("values", ["x", [[1.0], [1.0, 2.0]], None, np.ones((2, 2)), [np.nan]])
def test_what_is_no_state_is_refused(values: Any) -> None:
    with pytest.raises(RobotError, match="positions"):
        RobotState(values)


def test_a_state_is_a_copy() -> None:
    measured = np.zeros(3)
    state = RobotState(measured)
    measured[:] = np.nan
    assert (state.positions == 0).all()


def test_a_joint_faster_than_its_limit_is_named(g1: Robot, retargeter: Retargeter) -> None:
    velocities = np.zeros(g1.num_joints)
    velocities[3] = 1.1 * g1.velocity_limit[3]
    state = RobotState(g1.nominal, velocities)
    with pytest.raises(RetargetError, match=r"left_knee_joint was measured at .* rad/s; a plan"):
        retargeter.retarget(waving_clip(), start=state)


def test_a_joint_that_cannot_stop_before_its_limit_is_named(
    g1: Robot, retargeter: Retargeter
) -> None:
    positions, velocities = g1.nominal.copy(), np.zeros(g1.num_joints)
    positions[3], velocities[3] = g1.position_upper[3] - 0.05, 0.9 * g1.velocity_limit[3]
    with pytest.raises(RetargetError, match=r"left_knee_joint moves .* it stops at"):
        retargeter.retarget(waving_clip(), start=RobotState(positions, velocities))


def test_a_slow_robot_that_moves_is_slowed_down_not_held_up_for_an_hour(g1: Robot) -> None:
    slow = with_profile(g1, velocity={"*": 1.5})
    velocities = np.random.default_rng(0).normal(size=slow.num_joints) * 0.1
    start = RobotState(slow.nominal, velocities)
    trajectory = Retargeter(slow).retarget(waving_clip(), start=start)
    assert trajectory.seconds < 20.0
    result = SafetyGate(slow).review(trajectory, start=start)
    assert result.trajectory is not None
    assert audit(slow, result.trajectory, start) == []


def test_degrees_are_not_taken_for_radians(g1: Robot, retargeter: Retargeter) -> None:
    state = RobotState(np.rad2deg(g1.nominal))
    with pytest.raises(RetargetError, match="zero point and its unit"):
        retargeter.retarget(waving_clip(), start=state)


# ---------------------------------------------------------------------- straight to the gate


@settings(few, max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_no_trajectory_leaves_the_gate_that_may_not(
    g1: Robot, gate: SafetyGate, wave: RobotTrajectory, data: st.DataObject, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    changes: dict[str, Any] = {name: getattr(wave, name).copy() for name in ARRAYS}
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(ARRAYS))
        array = changes[name]
        kind = data.draw(st.sampled_from(["one", "all", "scale", "order", "noise"]))
        size = data.draw(st.sampled_from([np.nan, np.inf, -1e308, 1e200, 1e5, 3.0, -0.1, 1e-4]))
        with np.errstate(over="ignore", invalid="ignore"):
            if kind == "one":
                array.flat[generator.integers(array.size)] = size
            elif kind == "all":
                array += size
            elif kind == "scale":
                array *= size
            elif kind == "order":
                changes[name] = array[generator.permutation(len(array))]
            else:
                array += generator.normal(size=array.shape) * size
    keep = data.draw(
        st.sampled_from([slice(None), slice(0), slice(1), slice(2), slice(0, None, 9)])
    )
    changes = {name: array[keep] for name, array in changes.items()}
    fps = data.draw(st.sampled_from([50.0, 1e-300, 1e-3, 1e300, np.nan, 0.0]))
    with np.errstate(all="ignore"):
        result = gate.review(replace(wave, **changes, fps=fps))
        assert (result.trajectory is None) == (result.report.outcome == "rejected")
        if result.trajectory is not None:
            assert audit(g1, result.trajectory) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"positions": "x"},
        {"positions": [[1.0], [1.0, 2.0]]},
        {"velocities": np.zeros((3, 3))},
        {"time_from_start": 1.0},
        {"fps": "fast"},
        {"fps": np.ones(2)},
    ],
)
def test_what_is_no_trajectory_is_refused(wave: RobotTrajectory, changes: dict[str, Any]) -> None:
    with pytest.raises(RetargetError):
        replace(wave, **changes)


def test_a_trajectory_without_samples_has_no_approach(g1: Robot, wave: RobotTrajectory) -> None:
    empty = replace(wave, **{name: getattr(wave, name)[:0] for name in ARRAYS})
    with pytest.raises(RetargetError, match="without samples"):
        with_approach(g1, empty)


def test_playing_slower_does_not_fill_the_memory(gate: SafetyGate, wave: RobotTrajectory) -> None:
    fast = replace(
        wave, time_from_start=wave.time_from_start / 3, velocities=3 * wave.velocities, fps=1e9
    )
    result = gate.review(fast)
    assert result.trajectory is None or len(result.trajectory) <= MAX_SAMPLES


def test_playing_slower_keeps_the_samples_whatever_the_rate_says(
    gate: SafetyGate, wave: RobotTrajectory
) -> None:
    fast = replace(
        wave, time_from_start=wave.time_from_start / 3, velocities=3 * wave.velocities, fps=1e-3
    )
    result = gate.review(fast)
    assert result.report.outcome == "repaired"
    assert result.trajectory is not None and len(result.trajectory) > len(wave)


def test_a_quick_way_to_a_late_first_sample_is_rejected(
    g1: Robot, gate: SafetyGate, wave: RobotTrajectory
) -> None:
    away = RobotState(wave.positions[0] + 0.05)
    late = [replace(wave, time_from_start=wave.time_from_start + lead) for lead in (0.02, 0.5)]
    hurried, calm = (gate.review(one, start=away) for one in late)
    assert hurried.trajectory is None
    assert "rad/s^2 to come from the measured state" in hurried.report.line()
    assert calm.trajectory is not None
    assert audit(g1, late[0], away) and audit(g1, late[1], away) == []


def test_a_rate_that_lies_allows_no_kick(gate: SafetyGate, wave: RobotTrajectory) -> None:
    moving = RobotState(wave.positions[0], np.full(wave.positions.shape[1], 5.0))
    assert gate.review(replace(wave, fps=1e-3), start=moving).trajectory is None


def test_a_state_far_outside_the_limits_excuses_nothing(
    g1: Robot, gate: SafetyGate, wave: RobotTrajectory
) -> None:
    far = np.tile(g1.position_upper + MAX_OUTSIDE + 0.1, (len(wave), 1))
    outside = replace(wave, positions=far, velocities=np.zeros_like(far))
    result = gate.review(outside, start=RobotState(far[0]))
    assert result.trajectory is None
    assert "position" in {finding.check for finding in result.report.findings}


def test_an_arm_that_goes_through_the_body_between_two_samples_is_rejected(
    g1: Robot, gate: SafetyGate
) -> None:
    row = {name: j for j, name in enumerate(g1.joint_names)}
    before, behind = g1.nominal.copy(), g1.nominal.copy()
    for posture, pitch in ((before, -0.6), (behind, 0.9)):
        posture[row["right_shoulder_pitch_joint"]] = pitch
        posture[row["right_shoulder_roll_joint"]] = 0.0
    assert nearest(g1, np.stack([before, behind])).min() > 0.0
    assert nearest(g1, np.linspace(before, behind, 50)).min() < -0.01
    sparse = RobotTrajectory(
        robot=g1.name,
        joint_names=g1.joint_names,
        positions=np.stack([before, behind]),
        velocities=np.zeros((2, g1.num_joints)),
        time_from_start=np.array([0.0, 2.0]),
        base_position=np.tile([0.0, 0.0, 0.77], (2, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (2, 1)),
        fps=0.5,
    )
    result = gate.review(sparse)
    assert result.trajectory is None
    assert {finding.check for finding in result.report.findings} == {"self_collision"}


def test_places_between_samples_are_on_the_controllers_cubics(wave: RobotTrajectory) -> None:
    generator = np.random.default_rng(0)
    rows = np.sort(generator.choice(len(wave), 12, replace=False))
    sparse = replace(wave, **{name: getattr(wave, name)[rows] for name in ARRAYS})
    places, after = with_places_between(sparse)
    assert np.abs(np.diff(places, axis=0)).max() < 2 * STEP
    times = sparse.time_from_start
    count = np.bincount(after)
    at = [
        np.linspace(times[n], times[n + 1], count[n], endpoint=False) for n in range(len(times) - 1)
    ]
    curve = CubicHermiteSpline(times, sparse.positions, sparse.velocities)
    np.testing.assert_allclose(places, curve(np.append(np.concatenate(at), times[-1])), atol=1e-9)


def test_the_audit_sees_what_is_wrong(g1: Robot, wave: RobotTrajectory) -> None:
    assert audit(g1, wave) == []
    bent = replace(wave, positions=wave.positions.copy())
    bent.positions[40] += 0.2
    jump = RobotState(wave.positions[0] + 0.1)
    for broken, word in (
        (replace(wave, positions=wave.positions * np.nan), "finite"),
        (replace(wave, time_from_start=wave.time_from_start[::-1]), "time"),
        (replace(wave, positions=wave.positions + 2.0), "position"),
        (bent, "acceleration"),
        (replace(wave, velocities=wave.velocities + 30.0), "velocity"),
        (replace(wave, velocities=wave.velocities + 1e-3), "end"),
    ):
        assert word in {line.split(":")[0] for line in audit(g1, broken)}
    assert audit(g1, wave, jump)[0].startswith("start: jump")
