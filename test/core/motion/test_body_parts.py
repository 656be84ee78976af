"""A motion put together from parts of two."""

from __future__ import annotations

import numpy as np
import pytest

from core.editing.sway import standing_body, sway
from nextscale_core.exceptions import ConfigError, InvalidMotionError
from nextscale_core.motion.body_parts import BODY_PARTS, joints_of, with_parts
from nextscale_core.motion.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, bone_lengths


def raised_left_arm(frames: int) -> np.ndarray:
    """The swaying body with the left arm stretched to the side."""
    joints = sway(frames).joints.astype(float)
    axis = joints[:, JOINT_INDEX["left_shoulder"]] - joints[:, JOINT_INDEX["right_shoulder"]]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    lengths = bone_lengths(standing_body())
    for name, parent in (("left_elbow", "left_shoulder"), ("left_wrist", "left_elbow")):
        reach = lengths[JOINT_INDEX[name] - 1] * axis
        joints[:, JOINT_INDEX[name]] = joints[:, JOINT_INDEX[parent]] + reach
    return joints


def turned(joints: np.ndarray, yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return joints @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) + [1.0, 2.0, 0.0]


def test_every_part_names_joints_of_the_skeleton_and_all_have_one():
    named = {name for part in BODY_PARTS.values() for name in part}
    assert named == set(JOINT_NAMES)
    assert all(len(set(part)) == len(part) for part in BODY_PARTS.values())


def test_upper_body_and_legs_share_no_joint_and_miss_none():
    upper, legs = joints_of(["upper_body"]), joints_of(["legs"])
    assert not (upper & legs).any()
    assert (upper | legs).all()


@pytest.mark.parametrize("parts", [[], ["tail"], "left_arm", ["left_arm", "wing"]])
def test_unknown_parts_are_refused(parts):
    with pytest.raises(ConfigError):
        joints_of(parts)


@pytest.mark.parametrize("part", BODY_PARTS)
def test_a_motion_with_its_own_parts_stays_as_it_is(part):
    joints = sway(30).joints.astype(float)
    assert np.abs(with_parts(joints, joints, joints_of([part])) - joints).max() < 0.01


def test_an_arm_is_taken_over_and_nothing_else_moves():
    base, other = sway(30).joints.astype(float), raised_left_arm(30)
    out = with_parts(base, other, joints_of(["left_arm"]))
    arm = [JOINT_INDEX[name] for name in BODY_PARTS["left_arm"]]
    rest = np.setdiff1d(np.arange(NUM_JOINTS), arm)
    assert np.array_equal(out[:, rest], base[:, rest])
    assert np.abs(out[:, arm] - other[:, arm]).max() < 0.02


def test_an_arm_fits_a_body_with_another_place_and_heading():
    base = turned(sway(30).joints.astype(float), 2.0)
    out = with_parts(base, raised_left_arm(30), joints_of(["left_arm"]))
    wrist = JOINT_INDEX["left_wrist"]
    assert np.abs(out[:, wrist] - turned(raised_left_arm(30), 2.0)[:, wrist]).max() < 0.02


def test_with_the_legs_goes_the_path_and_the_upper_body_rides_along():
    base = sway(30).joints.astype(float)
    other = turned(sway(30, phase=1.0).joints.astype(float), 1.0)
    out = with_parts(base, other, joints_of(["legs"]))
    assert np.allclose(out[:, 0], other[:, 0])
    assert np.abs(bone_lengths(out) - bone_lengths(base)).max() < 0.01
    assert np.abs(out - other).max() < 0.1


@pytest.mark.parametrize("part", BODY_PARTS)
def test_bones_keep_the_bases_lengths(part):
    base, other = sway(30).joints.astype(float), turned(raised_left_arm(30), 0.5)
    out = with_parts(base, other, joints_of([part]))
    assert np.allclose(bone_lengths(out), bone_lengths(base), atol=1e-6)


def test_motions_of_different_length_are_refused():
    with pytest.raises(InvalidMotionError, match="same frames"):
        with_parts(sway(30).joints, sway(31).joints, joints_of(["head"]))
