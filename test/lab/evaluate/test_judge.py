"""The judge of candidates ranks a motion of the sentence above others."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.model.judge import agreement, best_of, worth_sampling
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.text.mirror import mirror_text

SAME = {
    "hops": {"jumps"},
    "jumps": {"hops"},
    "stands still": {"raised right hand"},
    "squats": {"picks something up from the floor"},
}
"""Motions that also show a sentence."""


def after(first: MotionClip, second: MotionClip) -> MotionClip:
    """The second motion from where the first one ends."""
    shift = first.joints[-1, 0] - second.joints[0, 0]
    moved = second.joints + np.array([shift[0], shift[1], 0.0], dtype=np.float32)
    return MotionClip(np.concatenate([first.joints, moved]))


@pytest.fixture
def sentences(motions):
    return sorted(set(motions) - {"raised right hand"})


def test_of_all_motions_that_of_the_sentence_agrees_best(motions, sentences):
    mistaken = {}
    for sentence in sentences:
        scores = {name: agreement(f"a person {sentence}", clip) for name, clip in motions.items()}
        better = {name: s for name, s in scores.items() if s > scores[sentence] - 1e-9}
        if set(better) - {sentence} - SAME.get(sentence, set()):
            mistaken[sentence] = better
    assert not mistaken


@pytest.mark.parametrize(
    "sentence", ["waves the right hand", "waves the left hand", "kicks with the right leg"]
)
def test_the_wrong_side_agrees_less(motions, sentence):
    clip = motions[sentence]
    for words, right, wrong in (
        (sentence, clip, mirror_clip(clip)),
        (mirror_text(sentence), mirror_clip(clip), clip),
    ):
        assert agreement(words, right) > agreement(words, wrong) + 0.3


def test_the_order_of_a_sequence_counts(motions):
    clips = [motions["squats"], motions["walks forward"]]
    forth, back = after(*clips), after(*reversed(clips))
    for sentence in ("squats, then walks forward", "squats before walking forward",
                     "walks forward after squatting"):  # fmt: skip
        assert best_of(sentence, [back, forth]) == 1
    for sentence in ("walks forward and then squats", "after walking forward, squats"):
        assert best_of(sentence, [back, forth]) == 0


def test_counts_count(jumping):
    times = [jumping(at=tuple(1.0 + k for k in range(n))) for n in (1, 2, 3)]
    for number, words in enumerate(("once", "two times", "3 times")):
        assert best_of(f"someone jumps {words}", times) == number


def test_words_without_a_known_action_prefer_the_first(motions):
    assert agreement("a person juggles", motions["squats"]) is None
    assert best_of("a person juggles", list(motions.values())) == 0


def test_the_verdict_depends_neither_on_place_nor_on_heading(motions):
    angle = 2.3
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for sentence, clip in motions.items():
        joints = clip.joints.copy()
        joints[..., :2] = joints[..., :2] @ turn + [4.0, -7.0]
        words = sentence.replace("raised right hand", "raises the right hand")
        assert agreement(words, MotionClip(joints)) == pytest.approx(
            agreement(words, clip), abs=1e-3
        )


def test_sentences_that_count_get_more_candidates():
    assert worth_sampling("a person jumps twice", 4) == 8
    assert worth_sampling("a person jumps", 4) == worth_sampling("a person jumps once", 4) == 4
    assert worth_sampling("a person jumps twice", 1) == worth_sampling("a person juggles", 4) == 1
    assert worth_sampling("a person claps three times", 64) == 64
