"""Mirrored motions."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.mirror import mirror_clip, mirror_joints
from nextscale_core.motion.skeleton import JOINT_INDEX


@pytest.fixture
def joints() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(5, 22, 3)).astype(np.float32)


def test_mirroring_joints_twice_gives_them_back(joints):
    assert np.array_equal(mirror_joints(mirror_joints(joints)), joints)


def test_the_left_wrist_becomes_the_right_wrist_on_the_other_side(joints):
    mirrored = mirror_joints(joints)
    left, right = JOINT_INDEX["left_wrist"], JOINT_INDEX["right_wrist"]
    assert np.array_equal(mirrored[:, right], joints[:, left] * [1, -1, 1])
    assert np.array_equal(mirrored[:, left], joints[:, right] * [1, -1, 1])


def test_mirroring_leaves_the_given_array_alone(joints):
    before = joints.copy()
    mirror_joints(joints)
    assert np.array_equal(joints, before)


def test_joints_of_another_skeleton_are_refused():
    with pytest.raises(InvalidMotionError, match=r"\(4, 21, 3\)"):
        mirror_joints(np.zeros((4, 21, 3)))


def test_a_clip_is_mirrored_with_its_contacts(joints):
    contacts = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]])
    clip = MotionClip(joints, fps=25.0, text="kicks right", contacts=contacts, seed=7)
    mirrored = mirror_clip(clip)
    assert mirrored.contacts is not None
    assert mirrored.contacts.astype(int).tolist() == contacts[:, [2, 3, 0, 1]].tolist()
    assert (mirrored.fps, mirrored.seed, mirrored.text) == (25.0, 7, "kicks right")
    back = mirror_clip(mirrored)
    assert np.array_equal(back.joints, clip.joints)
    assert np.array_equal(back.contacts, clip.contacts)


def test_a_clip_without_contacts_stays_without(joints):
    assert mirror_clip(MotionClip(joints)).contacts is None
