"""Sentences in the words that motions are best known by."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.pipeline import MotionPipeline
from nextscale_core.text.clauses import Claim, clauses
from nextscale_core.text.mirror import mirror_text
from nextscale_core.text.plain_words import plain_words, wordings


@pytest.mark.parametrize(
    ("sentence", "plain"),
    [
        ("bow politely", "a person bends forward"),
        ("march in place", "a person marches with high knees"),
        ("wave three times with your left hand", "a person waves with the left hand three times"),
        ("someone jumps 2x", "a person jumps two times"),
        ("he strikes with his right fist", "a person punches with the right hand"),
        ("step to the left", "a person steps sideways to the left"),
        ("go for a light jog", "a person jogs forward"),
        ("jog in circles", "a person runs in a circle"),
        ("Please raise your right arm!", "a person raises the right arm"),
        ("he rotates to his left", "a person turns 90 degrees to the left"),
        ("turn 180 degrees to the right", "a person turns halfway around to the right"),
        ("stroll slowly, then quickly run backwards",
         "a person walks forward slowly, then runs backward quickly"),
        ("do a full turn to the left", "a person turns all the way around counterclockwise"),
        ("she spins around", "a person turns all the way around clockwise"),
        ("he hops up and down", "a person hops"),
        ("move left without turning", "a person steps sideways to the left"),
        ("walk, do not run", "a person walks forward"),
        ("make a quarter turn to the right", "a person turns 90 degrees to the right"),
        # Plain already.
        ("a person walks forward", None),
        ("A person squats.", None),
        # A part that would get lost.
        ("sit down and then stand up", None),
        ("a person dances", None),
        ("walk like a soldier", None),
        # No plain words.
        ("stand on your left leg", None),
        ("someone claps 10 times", None),
        ("do not walk", None),
        ("limp to the door", None),
    ],
)  # fmt: skip
def test_the_plain_words_of_a_sentence(sentence, plain):
    assert plain_words(sentence) == plain
    assert wordings(sentence)[0].words == sentence
    if plain:
        assert {(plain, False), (mirror_text(plain), True)} & set(wordings(sentence))
        asked, found = (list(itertools.chain(*clauses(words))) for words in (sentence, plain))
        assert list(map(as_asked, found, asked)) == asked
        assert plain_words(plain) is None


@pytest.mark.parametrize(
    ("sentence", "plain"),
    [
        ("hop in place", "a person hops"),
        ("a woman takes eight steps", "a person walks forward"),
        # How far somebody goes or turns is not left to the words.
        ("take two steps back", "a person walks backward"),
        ("walk two meters forward", "a person walks forward"),
        ("turn 30 degrees left", "a person turns 45 degrees to the left"),
    ],
)
def test_plain_words_leave_out_what_hardly_matters(sentence, plain):
    assert plain_words(sentence) == plain


def as_asked(found: Claim, asked: Claim) -> Claim:
    """Without the side and the angle of a turn that the sentence leaves open."""
    if asked.action != "turn":
        return found
    return replace(found, side=asked.side and found.side, degrees=asked.degrees and found.degrees)


@given(st.text())
def test_any_text_can_be_read(text):
    assert plain_words(text) != ""


def test_candidates_in_plain_words_show_what_the_sentence_does_not(trained_model):
    """The model knows "bow" hardly, and "bends forward" well."""
    trained = MotionPipeline.from_pretrained(trained_model)
    alone = trained.generate_batch(["bow politely"] * 4, seeds=range(4), candidates=1)
    best = trained.generate_batch(["bow politely"] * 4, seeds=range(4), candidates=2)
    assert sum(trained.motion_remark("bow politely", clip) is None for clip in alone) < 4
    assert not any(trained.motion_remark("bow politely", clip) for clip in best)
    assert {clip.text for clip in best} == {"bow politely"}


@pytest.mark.parametrize(
    ("sentence", "known", "mirrored"),
    [
        ("turn 90 degrees to the right", "a person turns 90 degrees to the left", True),
        ("turn 45 degrees to the left", "a person turns 45 degrees to the left", False),
        ("do a full turn to the left", "a person turns all the way around clockwise", True),
    ],
)
def test_a_turn_by_an_angle_is_made_to_the_side_that_is_known_better(sentence, known, mirrored):
    own, *plain, other = wordings(sentence)
    assert plain == [(known, mirrored)] * 2
    assert own == (sentence, False) and other == (mirror_text(sentence), True)
