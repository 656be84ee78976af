"""Seams, feet and limbs, on motions made by rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from core.editing.sway import sway
from nextscale_core.editing.bone_lengths import median_bones, with_bones
from nextscale_core.editing.foot_plants import hold_feet
from nextscale_core.editing.frame_mask import Timeline, between, runs
from nextscale_core.editing.ground_transform import GroundTransform, carried
from nextscale_core.editing.seams import EASE, assemble, fading
from nextscale_core.motion.skeleton import JOINT_INDEX, bone_lengths


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_ground_transform_is_found_again(rng):
    points = rng.normal(size=(4, 22, 3))
    move = GroundTransform(-2.3, np.array([4.0, 5.0]))
    found = GroundTransform.fit(points, move(points))
    assert found.yaw == pytest.approx(-2.3)
    assert np.allclose(found.shift, move.shift)
    assert np.allclose(move(points)[..., 2], points[..., 2])


def test_a_transform_that_stays_the_same_carries_rigidly(rng):
    joints = sway(30).joints.astype(float)
    move = GroundTransform(0.7, np.array([1.0, 2.0]))
    assert np.allclose(carried(joints, move, move, 20.0), move(joints))


def test_a_transform_that_changes_does_not_bend_the_body():
    joints = sway(40).joints.astype(float)
    ends = (GroundTransform(0.0, np.zeros(2)), GroundTransform(0.4, np.array([0.5, 0.2])))
    moved = carried(joints, *ends, 20.0)
    assert np.allclose(bone_lengths(moved), bone_lengths(joints), atol=1e-6)
    assert np.abs(moved[0] - joints[0]).max() < 0.02
    assert np.abs(moved[-1] - ends[1](joints[-1])).max() < 0.02


def test_nothing_to_fade_stays_nothing():
    assert np.allclose(fading(np.zeros((3, 2)), np.zeros((3, 2)), 30), 0.0)


def test_an_offset_goes_on_smoothly_and_dies_away():
    before = np.array([0.10, 0.09, 0.08])[:, None]
    offset = fading(before, np.zeros((0, 1)), 40)[:, 0]
    assert offset[0] == pytest.approx(0.07, abs=0.004)
    assert np.abs(offset[2 * EASE :]).max() < 0.003


def test_fading_is_the_least_squares_answer(rng):
    before, after, count = rng.normal(size=(3, 1)), rng.normal(size=(2, 1)), 17
    jerk = np.diff(np.eye(3 + count + 2), n=3, axis=0)
    at = np.arange(count) + 1.0
    weight = (np.minimum(at, at[::-1]) / EASE) ** 2
    rows = np.concatenate([np.sqrt(30.0) * jerk[:, 3 : 3 + count], np.diag(weight)])
    given = jerk[:, :3] @ before + jerk[:, 3 + count :] @ after
    wanted = np.concatenate([-np.sqrt(30.0) * given[:, 0], np.zeros(count)])
    assert np.allclose(fading(before, after, count)[:, 0], lsq_linear(rows, wanted).x, atol=1e-6)


def test_bones_get_the_lengths_asked_for_and_ankles_stay():
    joints = sway(10).joints.astype(float)
    lengths = np.tile(median_bones(joints) * 1.02, (10, 1))
    out = with_bones(joints, lengths)
    assert np.allclose(bone_lengths(out), lengths, atol=1e-6)
    ankles = [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]
    assert np.allclose(out[:, ankles], joints[:, ankles], atol=2e-3)


def test_the_right_bones_change_nothing():
    joints = sway(10).joints.astype(float)
    assert np.allclose(with_bones(joints, bone_lengths(joints)), joints, atol=1e-5)


def test_a_generated_motion_that_fits_is_only_moved(rng):
    clip = sway(60)
    known = np.arange(60) < 20
    move = GroundTransform(1.2, np.array([-2.0, 1.0]))
    generated = move(clip.joints.astype(float))
    joints, _ = assemble(Timeline.build(clip, known), generated, 20.0)
    # The feet of this body slide; what stands is held, all else comes back.
    upper = [JOINT_INDEX[name] for name in ("pelvis", "head", "left_wrist", "right_wrist")]
    assert np.abs(joints[:, upper] - clip.joints[:, upper]).max() < 2e-3


def test_a_foot_that_stands_at_the_seam_goes_on_standing_there():
    joints = np.repeat(sway(1).joints.astype(float), 40, axis=0)
    # From the seam on, the whole body creeps forward at 5 cm/s.
    joints[20:, :, 0] += 0.0025 * np.arange(1, 21)[:, None]
    known = np.arange(40) < 20
    out, contacts = hold_feet(joints, Timeline(joints, known), 20.0)
    ball = JOINT_INDEX["left_foot"]
    assert np.abs(out[20:, ball] - joints[19, ball]).max() < 1e-3
    assert np.array_equal(out[:20], joints[:20])
    assert contacts[:, 1].all()


def test_no_foot_goes_below_the_floor():
    joints = np.repeat(sway(1).joints.astype(float), 60, axis=0)
    joints[20:, :, 2] -= 0.01 * np.minimum(np.arange(40), 4)[:, None]
    out, _ = hold_feet(joints, Timeline(joints, np.arange(60) < 20), 20.0)
    feet = [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]
    assert out[30:, feet, 2].min() > -1e-3


def test_runs_and_gaps_are_half_open():
    flags = np.array([True, False, False, True, True])
    assert runs(flags) == [(0, 1), (3, 5)]
    assert Timeline(np.zeros((5, 22, 3)), flags).gaps == [(1, 3)]


def test_between_is_linear_and_held_at_the_ends():
    values = np.array([[1.0], [3.0]])
    out = between(values, np.array([2, 6]), 9)[:, 0]
    assert out.tolist() == [1.0, 1.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0, 3.0]
