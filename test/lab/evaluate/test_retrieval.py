"""The retrieval baseline finds what was said and plays it as long as asked."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.exceptions import ConfigError, InvalidTextError, MotionFileError
from nextscale_core.motion.features import clip_to_features
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.data.samples import Sample
from nextscale_lab.evaluate.retrieval import RetrievalBaseline, fit_length


@pytest.fixture(scope="module")
def encoder():
    return TextEncoder()


@pytest.fixture
def samples(person):
    """Motions that are told apart by how far they walk."""
    captions = (
        ("a person walks forward", "someone strolls ahead"),
        ("a person jumps up high",),
        ("a person waves the left hand",),
        ("a person waves the left hand",),
        (),
    )
    return [
        Sample(str(n), clip_to_features(person(4.0, x=lambda t, n=n: 0.2 * (n + 1) * t)), own)
        for n, own in enumerate(captions)
    ]


@pytest.fixture
def baseline(samples, encoder):
    return RetrievalBaseline(samples, encoder)


def travelled(clip) -> float:
    return float(clip.joints[-1, 0, 0] - clip.joints[0, 0, 0])


def test_an_exact_caption_finds_its_motion(baseline):
    for text, expected in (
        ("a person walks forward", "0"),
        ("someone strolls ahead", "0"),
        ("a person jumps up high", "1"),
    ):
        assert [sample.id for sample in baseline.nearest(text)] == [expected]
        (clip,) = baseline.generate_batch([text], seeds=[0])
        speed = 0.2 * (int(expected) + 1)
        assert travelled(clip) == pytest.approx(speed * (len(clip) - 1) / 20, abs=0.02)
        assert clip.text == text


def test_other_words_for_the_same_find_it_too(baseline):
    assert [s.id for s in baseline.nearest("a man leaps into the air")] == ["1"]


def test_the_seed_draws_among_motions_that_are_equally_near(baseline):
    text = "a person waves the left hand"
    assert [sample.id for sample in baseline.nearest(text)] == ["2", "3"]
    clips = baseline.generate_batch([text] * 20, seeds=list(range(20)))
    distances = {round(travelled(clip), 1) for clip in clips}
    assert len(distances) == 2
    again = baseline.generate_batch([text] * 20, seeds=list(range(20)))
    for one, two in zip(clips, again, strict=True):
        assert np.array_equal(one.joints, two.joints)


def test_an_answer_does_not_depend_on_the_others(baseline):
    texts = ["a person jumps up high", "a person waves the left hand"]
    together = baseline.generate_batch(texts, seeds=[4, 5], seconds=[2.0, None])
    alone = baseline.generate_batch(texts[1:], seeds=[5])
    assert np.array_equal(together[1].joints, alone[0].joints)


@pytest.mark.parametrize("seconds", [1.5, 3.0, 6.0, 9.8])
def test_the_motion_is_as_long_as_asked(baseline, seconds):
    (clip,) = baseline.generate_batch(["a person walks forward"], seeds=[0], seconds=seconds)
    assert len(clip) == round(20 * seconds)


def test_a_short_motion_is_played_slower_and_then_stands(person):
    clip = person(2.0, x=lambda t: t)
    slower = fit_length(clip, 60)
    assert travelled(slower) == pytest.approx(travelled(clip), abs=0.02)
    speeds = np.diff(slower.joints[:, 0, 0]) * 20
    assert speeds == pytest.approx(2 / 3, abs=0.02)
    held = fit_length(clip, 120)
    assert np.diff(held.joints[:78, 0, 0]).min() > 0
    assert np.ptp(held.joints[80:, 0, 0]) == 0
    assert len(held) == 120


def test_a_long_motion_is_cut_at_its_end(person):
    clip = person(4.0, x=lambda t: t)
    assert np.array_equal(fit_length(clip, 30).joints, clip.joints[:30])


def test_clear_errors(baseline, samples, encoder):
    with pytest.raises(ConfigError, match="as many seeds"):
        baseline.generate_batch(["a person walks"], seeds=[1, 2])
    with pytest.raises(InvalidTextError):
        baseline.generate_batch([""], seeds=[1])
    with pytest.raises(MotionFileError, match="captions"):
        RetrievalBaseline(samples[-1:], encoder)
