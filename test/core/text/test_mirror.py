"""Mirrored sentences."""

from __future__ import annotations

import pytest

from nextscale_core.text.mirror import mirror_text


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
