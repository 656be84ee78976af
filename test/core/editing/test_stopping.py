"""Motions that end in movement go on to a standstill."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.editing.stopping import ends_in_movement
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX


@pytest.mark.parametrize(
    "sentence", ["a person walks forward", "a person runs", "a person steps sideways to the left"]
)
def test_a_walk_comes_to_rest_on_both_feet(trained, sentence):
    clip = trained.generate(sentence, seed=3, candidates=1)
    assert ends_in_movement(clip)
    whole = trained.come_to_rest(clip, seed=3)
    assert len(whole) == len(clip) + 30
    np.testing.assert_array_equal(whole.joints[: len(clip)], clip.joints)
    assert (whole.text, whole.seed) == (clip.text, clip.seed)
    assert whole.contacts is not None and len(whole.contacts) == len(whole)
    assert not ends_in_movement(whole)
    feet = whole.joints[-1, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]]
    assert abs(feet[0, 2] - feet[1, 2]) < 0.05
    # It goes on as it ended, without a jump.
    steps = np.linalg.norm(np.diff(whole.joints[:, 0], axis=0), axis=-1)
    assert steps[len(clip) - 1 :].max() < 1.5 * steps[len(clip) - 8 : len(clip) - 1].max()


def test_the_same_seed_gives_the_same_stop(trained):
    clip = trained.generate("a person walks forward", seed=3, candidates=1)
    first, again = (trained.come_to_rest(clip, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.joints, again.joints)


def test_a_pose_that_is_held_stays_as_it_is(pipeline):
    clip = pipeline.generate("a person stands", seconds=2.0)
    held = MotionClip(np.repeat(clip.joints[:1], 40, axis=0))
    assert pipeline.come_to_rest(held) is held


def test_who_is_not_on_the_feet_does_not_stand_up(pipeline):
    clip = pipeline.generate("a person lies down", seconds=2.0)
    lying = np.repeat(clip.joints[:1], 40, axis=0)
    lying[..., 2] *= 0.3
    lying[..., 0] += np.linspace(0.0, 4.0, 40)[:, None]
    crawls = MotionClip(lying)
    assert not ends_in_movement(crawls)
    assert pipeline.come_to_rest(crawls) is crawls


def test_a_sentence_that_states_how_long_it_lasts_is_no_longer(trained):
    clip = trained.generate("a person walks for 3 seconds", seed=3, candidates=1)
    assert clip.seconds == pytest.approx(3.0) and ends_in_movement(clip)
    assert trained.come_to_rest(clip) is clip
    # "For 3 seconds" is a part of this one.
    walk = trained.generate("a person waves for 3 seconds and walks", seed=3, candidates=1)
    assert not ends_in_movement(walk) or len(trained.come_to_rest(walk)) > len(walk)
