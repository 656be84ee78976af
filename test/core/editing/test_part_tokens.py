"""Edits of body parts through their tokens."""

from __future__ import annotations

import numpy as np
import pytest

from core.editing.sway import sway
from nextscale_core.editing.part_tokens import token_parts
from nextscale_core.model.skeletal_tokenizer import PARTS
from nextscale_core.motion.body_parts import BODY_PARTS, joints_of, moved_along
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS

TEXT = "a person waves with the left hand"


def changed_joints(out: MotionClip, clip: MotionClip) -> np.ndarray:
    return np.abs(out.joints - clip.joints).max(axis=(0, 2)) > 1e-5


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("left_arm", "left_arm"),
        ("arms", "left_arm right_arm"),
        ("head", "head"),
        ("torso", "spine"),
        ("upper_body", "spine left_arm right_arm head"),
        ("right_leg", "right_leg"),
        ("legs", "root left_leg right_leg"),
    ],
)
def test_a_part_of_the_body_has_these_tokens(name, tokens):
    own = [part for part, free in zip(PARTS, token_parts(joints_of([name])), strict=True) if free]
    assert own == tokens.split()


@pytest.mark.parametrize("name", BODY_PARTS)
def test_only_the_named_part_moves_and_the_rest_comes_back(parts_pipeline, name):
    clip = sway(60)
    out = parts_pipeline.edit(clip, TEXT, parts=[name], seed=1)
    moved = changed_joints(out, clip)
    own = joints_of([name])
    # What hangs on a moved joint goes with it.
    assert not (moved & ~moved_along(own)).any()
    assert moved[own].any()


def test_frames_outside_the_span_come_back_to_the_bit(parts_pipeline):
    clip = sway(80)
    for parts in (["left_arm"], ["legs"], None):
        out = parts_pipeline.edit(clip, TEXT, span=(1.0, 2.5), parts=parts, seed=1)
        rest = np.r_[0:20, 50:80]
        assert np.array_equal(out.joints[rest], clip.joints[rest])
        assert np.abs(out.joints[25:45] - clip.joints[25:45]).max() > 0.01


def test_the_old_movement_of_a_part_does_not_matter_to_the_new_one(parts_pipeline):
    """The hands' tokens are drawn anew from the others' alone."""
    clip = sway(60)
    elbow, wrist = JOINT_INDEX["left_elbow"], JOINT_INDEX["left_wrist"]
    joints = clip.joints.copy()
    shoulder = joints[:, [JOINT_INDEX["left_shoulder"]]]
    # The arm points the other way, with bones as long as before.
    joints[:, [elbow, wrist]] = 2 * shoulder - joints[:, [elbow, wrist]]
    one, two = (
        parts_pipeline.edit(own, TEXT, parts=["left_arm"], seed=3)
        for own in (clip, MotionClip(joints))
    )
    rest = np.setdiff1d(np.arange(NUM_JOINTS), [elbow, wrist])
    assert np.abs(clip.joints[:, wrist] - joints[:, wrist]).max() > 0.3
    np.testing.assert_allclose(one.joints[:, rest], two.joints[:, rest], atol=2e-3)
    assert np.abs(one.joints[:, [elbow, wrist]] - two.joints[:, [elbow, wrist]]).max() < 0.1


def test_known_frames_are_continued_and_a_script_is_followed(parts_pipeline):
    clip = sway(40)
    out = parts_pipeline.complete(clip, None, TEXT, seconds=4.0, seed=2)
    assert len(out) == 80 and np.array_equal(out.joints[:40], clip.joints)
    script = [("a person walks forward", 2.0), (TEXT, 2.0)]
    assert len(parts_pipeline.sequence(script, seed=2)) == 80


def test_a_whole_motion_may_get_other_legs_where_it_was(pipeline, parts_pipeline):
    clip = sway(60)
    moved = MotionClip(clip.joints + np.array([3.0, -2.0, 0.0]))
    for own in (pipeline, parts_pipeline):
        out = own.edit(moved, TEXT, parts=["legs"], seed=1)
        assert np.linalg.norm(out.joints[0, 0, :2] - moved.joints[0, 0, :2]) < 0.3
