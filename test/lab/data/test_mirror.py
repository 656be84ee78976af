"""A mirrored motion and a mirrored sentence belong together."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_lab.data.mirror import mirror_clip, mirror_joints, mirror_text


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


@pytest.mark.parametrize(
    ("sentence", "mirrored"),
    [
        ("a person waves the right hand", "a person waves the left hand"),
        ("he turns left, then right", "he turns right, then left"),
        ("LEFT Left left", "RIGHT Right right"),
        ("leans leftwards and rightward", "leans rightwards and leftward"),
        ("a left-handed throw", "a right-handed throw"),
        ("runs in a clockwise circle", "runs in a counterclockwise circle"),
        ("turns to the left and right then back", "turns to the right and left then back"),
        ("cuts a sharp right before stopping", "cuts a sharp left before stopping"),
        ("waves with the right then walks", "waves with the left then walks"),
        ("walks towards 2 o'clock", "walks towards 10 o'clock"),
        ("towards 12 o'clock", "towards 12 o'clock"),
        ("Left_Punch_Sequence", "Right_Punch_Sequence"),
        ("turning left at right angles", "turning right at right angles"),
    ],
)
def test_sides_in_a_sentence_are_exchanged_and_come_back(sentence, mirrored):
    assert mirror_text(sentence) == mirrored
    assert mirror_text(mirrored) == sentence


@pytest.mark.parametrize("against", ["counter-clockwise", "counter clockwise", "anti-clockwise"])
def test_every_spelling_of_counterclockwise_becomes_clockwise(against):
    assert mirror_text(f"he turns {against}") == "he turns clockwise"


@pytest.mark.parametrize(
    "sentence",
    [
        "right away he jumps",
        "a person walks right after landing",
        "jumps right before the wall and right then stops",
        "makes a right angle and stands upright",
        "a bright light frightened him",
        "he left the room",
        "alright, walks right up to the box",
        "a person walks forward",
    ],
)
def test_words_that_only_look_like_a_side_are_kept(sentence):
    assert mirror_text(sentence) == sentence


def test_a_clip_is_mirrored_with_its_text_and_contacts(joints):
    contacts = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]])
    clip = MotionClip(joints, fps=25.0, text="kicks right", contacts=contacts, seed=7)
    mirrored = mirror_clip(clip)
    assert mirrored.text == "kicks left"
    assert mirrored.contacts is not None
    assert mirrored.contacts.astype(int).tolist() == contacts[:, [2, 3, 0, 1]].tolist()
    assert (mirrored.fps, mirrored.seed) == (25.0, 7)
    back = mirror_clip(mirrored)
    assert np.array_equal(back.joints, clip.joints)
    assert back.text == clip.text
    assert np.array_equal(back.contacts, clip.contacts)


def test_a_clip_without_contacts_stays_without(joints):
    assert mirror_clip(MotionClip(joints)).contacts is None
