"""Edits between two sentences."""

from __future__ import annotations

import numpy as np
import pytest

from core.editing.sway import sway
from core.editing.test_part_tokens import TEXT, changed_joints
from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.body_parts import joints_of

SOURCE = "a person walks forward"


def test_the_clip_comes_back_where_the_sentences_agree(parts_pipeline):
    clip = sway(60)
    out = parts_pipeline.edit(clip, SOURCE, source=SOURCE, seed=1)
    np.testing.assert_allclose(out.joints, clip.joints, atol=1e-6)
    assert out.text == SOURCE


def test_another_sentence_changes_the_clip_and_keeps_its_place(parts_pipeline):
    clip = sway(60)
    out = parts_pipeline.edit(clip, TEXT, source=SOURCE, seed=1)
    assert len(out) == len(clip) and changed_joints(out, clip).any()
    assert np.linalg.norm(out.joints[0, 0, :2] - clip.joints[0, 0, :2]) < 0.2
    again = parts_pipeline.edit(clip, TEXT, source=SOURCE, seed=1)
    assert np.array_equal(out.joints, again.joints)


def test_a_region_follows_even_where_the_sentences_agree(parts_pipeline):
    clip = sway(60)
    out = parts_pipeline.edit(clip, SOURCE, source=SOURCE, parts=["left_arm"], seed=1)
    moved, own = changed_joints(out, clip), joints_of(["left_arm"])
    assert moved[own].any()


def test_frames_outside_a_span_stay(parts_pipeline):
    clip = sway(80)
    out = parts_pipeline.edit(clip, TEXT, source=SOURCE, span=(1.0, 2.5), seed=1)
    rest = np.r_[0:20, 50:80]
    assert np.array_equal(out.joints[rest], clip.joints[rest])
    assert np.abs(out.joints[25:45] - clip.joints[25:45]).max() > 1e-3


def test_codes_have_no_bits_to_compare(pipeline):
    with pytest.raises(ConfigError, match="ScaleMoGen"):
        pipeline.edit(sway(60), TEXT, source=SOURCE)
    with pytest.raises(ConfigError, match="source sentence"):
        pipeline.edit(sway(60), TEXT)
