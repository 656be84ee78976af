"""Completion keeps the known frames, for any mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.editing.sway import sway
from nextscale_core.editing.ground_transform import GroundTransform
from nextscale_core.exceptions import (
    ConfigError,
    GenerationCancelled,
    InvalidMotionError,
    InvalidTextError,
)
from nextscale_core.model.judge import agreement
from nextscale_core.model.options import candidate_seeds
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.motion.skeleton import bone_lengths
from nextscale_core.stopwatch import Run, Stopwatch
from nextscale_core.text.plain_words import wordings

TEXT = "a person waves"
MILLIMETRE = 1e-3


def spans(frames: int) -> st.SearchStrategy[np.ndarray]:
    """Masks of a few known spans, as users make them, and ragged ones."""
    edges = st.lists(st.integers(0, frames), min_size=2, max_size=6).map(sorted)

    def mask(places: list[int]) -> np.ndarray:
        flags = np.zeros(frames, dtype=bool)
        for start, stop in zip(places[::2], places[1::2], strict=False):
            flags[start:stop] = True
        return flags

    return edges.map(mask)


@given(spans(60), st.integers(0, 100))
@settings(deadline=None, max_examples=25)
def test_known_frames_come_back_as_they_went_in(pipeline, mask, seed):
    clip = sway(60)
    out = pipeline.complete(clip, mask, TEXT, seed=seed)
    assert len(out) == 60
    assert np.abs(out.joints - clip.joints)[mask].max(initial=0.0) < MILLIMETRE


@given(spans(60).filter(lambda mask: mask.any() and not mask.all()))
@settings(deadline=None, max_examples=10)
def test_frames_that_are_not_known_change_nothing(pipeline, mask):
    clip = sway(60)
    noise = np.random.default_rng(0).normal(size=clip.joints.shape)
    other = MotionClip(np.where(mask[:, None, None], clip.joints, clip.joints + noise))
    one, two = (pipeline.complete(motion, mask, TEXT, seed=4) for motion in (clip, other))
    assert np.array_equal(one.joints, two.joints)


def test_of_several_continuations_the_one_whose_new_part_agrees_best_is_taken(pipeline):
    clip, words = sway(30), "a person walks forward"
    each = [
        pipeline.complete(clip, None, words, seed=s, seconds=3.0) for s in candidate_seeds(2, 5)
    ]
    new = [motion.slice(30, len(motion)) for motion in each]
    chosen = pipeline.complete(clip, None, words, seed=2, seconds=3.0, candidates=5)
    assert chosen.seed == 2
    found = [np.abs(chosen.joints - motion.joints).max() < 1e-3 for motion in each]
    assert any(found)
    scores = [agreement(words, motion) for motion in new]
    # The candidates are compared before they are joined to the known part.
    assert scores[found.index(True)] >= max(scores) - 0.2


@pytest.mark.parametrize("chosen", range(4))
def test_continuations_to_a_side_are_made_of_the_mirrored_motion_too(pipeline, chosen, monkeypatch):
    clip, sentence = sway(30), "someone sidesteps to his left"
    monkeypatch.setattr(
        "nextscale_core.editing.complete.best_of", lambda _, all_: min(chosen, len(all_) - 1)
    )
    found = pipeline.complete(clip, None, sentence, seed=2, seconds=3.0, candidates=4)
    way, seed = wordings(sentence)[chosen], candidate_seeds(2, 4)[chosen]
    known = mirror_clip(clip) if way.mirrored else clip
    alone = pipeline.complete(known, None, way.words, seed=seed, seconds=3.0, candidates=1)
    expected = mirror_clip(alone) if way.mirrored else alone
    assert np.abs(found.joints - expected.joints).max() < 1e-3
    assert np.abs(found.joints[:30] - clip.joints).max() < MILLIMETRE


def test_if_all_is_known_the_clip_comes_back(pipeline):
    clip = sway(60)
    out = pipeline.complete(clip, np.ones(60, dtype=bool), TEXT)
    assert np.abs(out.joints - clip.joints).max() < 1e-5


def test_if_nothing_is_known_it_is_generated(pipeline):
    out = pipeline.complete(sway(60), np.zeros(60, dtype=bool), TEXT, seed=8)
    assert np.array_equal(out.joints, pipeline.generate(TEXT, seconds=3.0, seed=8).joints)


def test_a_prefix_is_gone_on_from(pipeline):
    clip = sway(20)
    out = pipeline.complete(clip, None, TEXT, seconds=4.0, seed=1)
    assert len(out) == 80 and out.text == TEXT and out.seed == 1
    assert np.abs(out.joints[:20] - clip.joints).max() < MILLIMETRE


def test_a_suffix_is_led_up_to(pipeline):
    clip = sway(20)
    places = np.arange(70) >= 50
    out = pipeline.complete(clip, places, TEXT, seed=1)
    assert len(out) == 70
    assert np.abs(out.joints[50:] - clip.joints).max() < MILLIMETRE


def test_spans_are_in_seconds(pipeline):
    clip = sway(80)
    out = pipeline.complete(clip, [(0, 1.0), (3.0, 4.0)], TEXT)
    kept = np.r_[0:20, 60:80]
    assert np.abs(out.joints[kept] - clip.joints[kept]).max() < MILLIMETRE
    assert np.abs(out.joints[30:50] - clip.joints[30:50]).max() > 10 * MILLIMETRE


def test_without_length_or_mask_the_model_chooses_how_long_it_goes_on(pipeline):
    out = pipeline.complete(sway(20), None, TEXT)
    assert out.seconds == pytest.approx(min(1.0 + pipeline.choose_seconds(TEXT), 9.8), abs=0.05)


def test_the_same_seed_gives_the_same_motion_and_another_one_another(pipeline):
    one, two, other = (
        pipeline.complete(sway(20), None, TEXT, seconds=3.0, seed=seed) for seed in (3, 3, 4)
    )
    assert np.array_equal(one.joints, two.joints)
    assert not np.array_equal(one.joints, other.joints)


@pytest.mark.parametrize(
    "places", [np.arange(60) < 22, np.arange(60) >= 38, np.arange(60) % 40 < 20]
)
def test_a_known_part_turned_and_shifted_gives_the_result_turned_and_shifted(pipeline, places):
    clip = sway(60)
    move = GroundTransform(2.1, np.array([3.0, -1.5]))
    moved = MotionClip(move(clip.joints.astype(np.float64)))
    here = pipeline.complete(clip, places, TEXT, seed=2).joints
    there = pipeline.complete(moved, places, TEXT, seed=2).joints
    assert np.abs(there - move(here.astype(np.float64))).max() < 2e-3


def test_limbs_keep_the_known_bodys_lengths(pipeline):
    clip = MotionClip(sway(20).joints * 0.8)
    out = pipeline.complete(clip, None, TEXT, seconds=4.0)
    assert np.abs(bone_lengths(out.joints) - bone_lengths(clip.joints[:1])).max() < 2e-3


def test_known_contacts_come_back(pipeline):
    clip = sway(20)
    contacts = np.random.default_rng(0).random((20, 4)) < 0.5
    out = pipeline.complete(MotionClip(clip.joints, contacts=contacts), None, TEXT, seconds=3.0)
    assert out.contacts is not None and out.contacts.shape == (60, 4)
    assert np.array_equal(out.contacts[:20], contacts)


def test_the_stages_are_timed_and_a_caller_can_stop_the_work(pipeline):
    watch = Stopwatch()
    pipeline.complete(sway(20), None, TEXT, seconds=2.0, run=Run(watch))
    assert list(watch.seconds) == ["text", "encode", "generate", "decode"]

    def stop(done: int, total: int) -> None:
        raise GenerationCancelled("newer sentence")

    with pytest.raises(GenerationCancelled):
        pipeline.complete(sway(20), None, TEXT, seconds=2.0, run=Run(progress=stop))


@pytest.mark.parametrize(
    ("frames", "known", "options"),
    [
        (20, np.ones(19, dtype=bool), {}),
        (20, np.ones(25, dtype=bool), {}),
        (20, np.ones((20, 2), dtype=bool), {}),
        (20, [(0.5, 0.2)], {}),
        (20, [(0.0, 3.0)], {}),
        (20, [(-1.0, 0.5)], {}),
        (20, [(0.5, 0.51)], {}),
        (20, [0.0, 1.0], {}),
        (20, np.arange(20), {}),
        (60, None, {"seconds": 2.0}),
        (20, None, {"seconds": 0.5}),
        (20, None, {"seconds": 11.0}),
        (20, None, {"seconds": float("nan")}),
        (200, np.ones(200, dtype=bool), {}),
        (10, np.ones(10, dtype=bool), {}),
        (20, None, {"seed": -1}),
        (20, None, {"seed": 1.5}),
        (20, None, {"steps": (1, 2)}),
        (20, None, {"guidance": -1.0}),
    ],
)
def test_what_does_not_fit_is_refused(pipeline, frames, known, options):
    with pytest.raises(ConfigError):
        pipeline.complete(sway(frames), known, TEXT, **options)


def test_another_rate_and_bad_text_are_refused(pipeline):
    with pytest.raises(InvalidMotionError, match="20 fps"):
        pipeline.complete(MotionClip(sway(20).joints, fps=30.0), None, TEXT, seconds=2.0)
    with pytest.raises(InvalidTextError):
        pipeline.complete(sway(20), None, "", seconds=2.0)


def test_the_trained_model_goes_on_walking_where_the_known_motion_walks(trained):
    walk = trained.generate("a person walks forward", seconds=5.0, seed=0)
    move = GroundTransform(1.0, np.array([2.0, 3.0]))
    known = MotionClip(move(walk.joints[30:50].astype(np.float64)))
    out = trained.complete(known, None, "a person walks forward", seconds=4.0, seed=1)
    assert np.abs(out.joints[:20] - known.joints).max() < MILLIMETRE
    way = out.joints[60, 0, :2] - out.joints[20, 0, :2]
    before = known.joints[-1, 0, :2] - known.joints[0, 0, :2]
    assert np.linalg.norm(way) > 1.0
    assert way @ before > 0.8 * np.linalg.norm(way) * np.linalg.norm(before)


def test_the_trained_model_joins_without_a_jump_and_on_the_floor(trained):
    walk = trained.generate("a person walks forward", seconds=6.0, seed=3).joints
    known = np.ones(120, dtype=bool)
    known[40:80] = False
    out = trained.complete(MotionClip(walk), known, "a person waves with both hands", seed=0)
    step = np.linalg.norm(np.diff(out.joints, 2, axis=0), axis=-1) * 20.0
    assert step[[38, 39, 78, 79]].mean() < 2.0 * step[5:30].mean()
    assert out.joints[..., 2].min() > -0.03
