"""Editing changes the requested part and keeps the rest."""

from __future__ import annotations

import numpy as np
import pytest

from core.editing.sway import sway
from nextscale_core.exceptions import ConfigError, InvalidMotionError
from nextscale_core.motion.body_parts import BODY_PARTS
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS

TEXT = "a person waves with the left hand"


def test_frames_outside_the_span_stay_as_they_are(pipeline):
    clip = sway(100)
    out = pipeline.edit(clip, TEXT, span=(2.0, 4.0), seed=1)
    rest = np.r_[0:40, 80:100]
    assert len(out) == 100 and out.text == TEXT and out.seed == 1
    assert np.array_equal(out.joints[rest], clip.joints[rest])
    assert np.abs(out.joints[45:75] - clip.joints[45:75]).max() > 0.01


def test_parts_that_are_not_named_stay_as_they_are(pipeline):
    clip = sway(80)
    out = pipeline.edit(clip, TEXT, parts=["left_arm"], seed=1)
    arm = [JOINT_INDEX[name] for name in BODY_PARTS["left_arm"]]
    rest = np.setdiff1d(np.arange(NUM_JOINTS), arm)
    assert np.abs(out.joints[:, rest] - clip.joints[:, rest]).max() < 1e-5
    assert np.abs(out.joints[:, arm] - clip.joints[:, arm]).max() > 0.05


def test_span_and_parts_together_change_those_parts_in_that_span(pipeline):
    clip = sway(100)
    out = pipeline.edit(clip, TEXT, span=(2.0, 3.5), parts=["right_arm", "head"])
    changed = np.abs(out.joints - clip.joints).max(axis=2) > 1e-5
    assert not changed[:40].any() and not changed[70:].any()
    named = {*BODY_PARTS["right_arm"], *BODY_PARTS["head"]}
    assert set(np.flatnonzero(changed.any(axis=0))) <= {JOINT_INDEX[name] for name in named}
    assert changed[50:60].any()


@pytest.mark.parametrize("span", [(0.0, 1.0), (9.0, 20.0), (24.5, 25.0)])
def test_a_clip_of_any_length_may_be_edited(pipeline, span):
    clip = sway(500)
    if span[1] - span[0] > 9.8:
        with pytest.raises(ConfigError, match="give a span"):
            pipeline.edit(clip, TEXT, span=span)
        return
    out = pipeline.edit(clip, TEXT, span=span)
    first, last = round(span[0] * 20), round(span[1] * 20)
    kept = np.r_[0:first, last:500]
    assert np.array_equal(out.joints[kept], clip.joints[kept])
    assert not np.array_equal(out.joints, clip.joints)


@pytest.mark.parametrize("parts", [None, ["upper_body"], ["legs"]])
def test_edits_by_the_trained_model_join_smoothly(trained, parts):
    clip = trained.generate("a person walks forward", seconds=5.0, seed=0)
    out = trained.edit(clip, "a person squats", span=(2.0, 4.0), parts=parts, seed=2)
    step = np.linalg.norm(np.diff(out.joints, 2, axis=0), axis=-1) * 20.0
    # 1.2 m/s is the 95th percentile of recorded motion, over its joints and frames.
    assert step[[38, 39, 78, 79]].mean() < 1.2


def test_contacts_outside_the_span_stay_as_they_are(pipeline):
    contacts = np.random.default_rng(0).random((100, 4)) < 0.5
    clip = MotionClip(sway(100).joints, contacts=contacts)
    out = pipeline.edit(clip, TEXT, span=(2.0, 4.0))
    assert out.contacts is not None
    assert np.array_equal(out.contacts[np.r_[0:40, 80:100]], contacts[np.r_[0:40, 80:100]])


@pytest.mark.parametrize("frames", [57, 58, 59, 195, 196])
def test_clips_of_any_length_keep_it(pipeline, parts_pipeline, frames):
    clip = sway(frames)
    for own in (pipeline, parts_pipeline):
        assert len(own.edit(clip, TEXT, parts=["left_arm"], seed=1)) == frames
        assert len(own.edit(clip, TEXT, parts=["left_arm"], span=(1.0, 2.5), seed=1)) == frames
    assert len(parts_pipeline.edit(clip, TEXT, source="a person walks", seed=1)) == frames


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"span": (2.0, 2.0)},
        {"span": (2.0, 9.0)},
        {"span": (-1.0, 2.0)},
        {"span": (1.0, 1.01)},
        {"parts": []},
        {"parts": ["tail"]},
        {"span": (1.0, 2.0), "seed": -1},
        {"span": (1.0, 2.0), "seconds": 3.0},
    ],
)
def test_impossible_edits_are_refused(pipeline, options):
    with pytest.raises(ConfigError):
        pipeline.edit(sway(60), TEXT, **options)


def test_clips_too_short_or_of_another_rate_are_refused(pipeline):
    with pytest.raises(ConfigError, match="1 s"):
        pipeline.edit(sway(10), TEXT, span=(0.1, 0.3))
    with pytest.raises(InvalidMotionError, match="20 fps"):
        pipeline.edit(MotionClip(sway(60).joints, fps=30.0), TEXT, span=(0.1, 0.3))


def test_the_trained_model_lets_a_walker_raise_an_arm(trained):
    walk = trained.generate("a person walks forward", seconds=4.0, seed=0)
    out = trained.edit(walk, "a person raises the left arm", parts=["left_arm"], seed=0)
    wrist, shoulder = JOINT_INDEX["left_wrist"], JOINT_INDEX["left_shoulder"]

    def highest(clip: MotionClip) -> float:
        return float((clip.joints[:, wrist, 2] - clip.joints[:, shoulder, 2]).max())

    assert highest(out) > highest(walk) + 0.2
    legs = [JOINT_INDEX[name] for name in BODY_PARTS["legs"]]
    assert np.abs(out.joints[:, legs] - walk.joints[:, legs]).max() < 1e-5
