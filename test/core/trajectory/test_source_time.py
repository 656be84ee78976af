"""Times in the human clip that the samples were made from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.conftest import waving_clip
from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_core.safety import SafetyGate
from nextscale_core.safety.repair import slowed
from nextscale_core.trajectory import with_approach

JOINT = "right_elbow_joint"
END = 59 / 20
"""Time of the last of 60 frames [s]."""


def source_of(trajectory: RobotTrajectory) -> np.ndarray:
    assert trajectory.source_time is not None
    return trajectory.source_time


def test_it_goes_from_end_to_end_of_the_clip(retargeter: Retargeter) -> None:
    clip = waving_clip()
    trajectory = retargeter.retarget(clip)
    source = source_of(trajectory)
    assert source[0] == pytest.approx(0.0, abs=1e-9)
    assert source[-1] == pytest.approx(END, abs=1e-9)
    assert (np.diff(source) >= 0.0).all()
    # In the middle this clip is played as it is.
    middle = slice(len(source) // 2 - 20, len(source) // 2 + 20)
    np.testing.assert_allclose(np.diff(source[middle]), 1.0 / trajectory.fps, rtol=0.3)


def test_a_sample_is_the_solved_pose_of_that_moment(retargeter: Retargeter, g1: Robot) -> None:
    """The elbow bends as much at a sample as in a trajectory in which time runs differently."""
    clip = waving_clip()
    usual = retargeter.retarget(clip)
    slow = slowed(replace(g1, acceleration_limit=0.2 * g1.acceleration_limit), usual)
    assert slow is not None and slow[1] > 1.05
    column = usual.joint_names.index(JOINT)
    at = np.linspace(0.2, END - 0.2, 50)
    angles = [np.interp(at, source_of(t), t.positions[:, column]) for t in (usual, slow[0])]
    assert np.ptp(angles[0]) > 0.5
    np.testing.assert_allclose(angles[0], angles[1], atol=0.02)


def test_while_the_robot_only_leaves_its_state_no_moment_is_played(
    retargeter: Retargeter, g1: Robot
) -> None:
    clip = waving_clip()
    source = source_of(retargeter.retarget(clip, start=RobotState(g1.nominal)))
    unknown = np.isnan(source)
    count = int(unknown.sum())
    assert 0 < count < len(source) // 2 and unknown[:count].all()
    assert source[-1] == pytest.approx(END, abs=1e-9)


def test_a_motion_that_is_joined_goes_on_from_that_moment(
    retargeter: Retargeter, g1: Robot
) -> None:
    clip = waving_clip()
    usual = retargeter.retarget(clip)
    sample = int(np.searchsorted(source_of(usual), 1.0))
    state = RobotState(usual.positions[sample], usual.velocities[sample])
    source = source_of(retargeter.retarget(clip, start=state, begin=1.0))
    assert source[0] == pytest.approx(1.0, abs=0.051)
    assert source[-1] == pytest.approx(END, abs=1e-9)
    assert np.isfinite(source).all()


def test_a_motion_that_goes_round_comes_back_to_the_same_moments(retargeter: Retargeter) -> None:
    clip = waving_clip(frames=80, speed=1.0)
    source = source_of(retargeter.retarget(clip, rounds=3))
    back = np.flatnonzero(np.diff(source) < 0.0)
    assert len(back) == 3  # the last sample is the first frame of the round that would follow
    np.testing.assert_allclose(source[back[:2] + 1], source[0], atol=0.05)
    assert source.min() >= 0.0 and source.max() <= 79 / 20


def test_it_goes_with_the_samples(g1: Robot, gate: SafetyGate, retargeter: Retargeter) -> None:
    wave = retargeter.retarget(waving_clip())
    np.testing.assert_array_equal(source_of(with_approach(g1, wave)), source_of(wave))
    fast = replace(
        wave,
        time_from_start=wave.time_from_start / 2,
        velocities=wave.velocities * 2,
        fps=wave.fps * 2,
    )
    repaired = gate.review(fast)
    assert repaired.report.outcome == "repaired" and repaired.trajectory is not None
    source = source_of(repaired.trajectory)
    assert len(source) == len(repaired.trajectory) > len(fast)
    assert (source[0], source[-1]) == (source_of(wave)[0], source_of(wave)[-1])
    assert (np.diff(source) >= 0.0).all()


def test_another_length_is_refused(wave: RobotTrajectory) -> None:
    with pytest.raises(RetargetError, match="source_time must have shape"):
        replace(wave, source_time=np.zeros(len(wave) + 1))
