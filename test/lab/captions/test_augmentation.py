"""A paraphrase says the same thing in other words."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from nextscale_lab.captions.augmentation import paraphrases
from nextscale_lab.captions.verbs import gerund, parse_verb, past, third

CAPTIONS = (
    "a person walks forward",
    "A person is walking backwards slowly, then turns around.",
    "the man waves with his right hand twice",
    "someone raises both arms and then lowers the left arm",
    "a person picks something up from the floor and puts it down on the left side",
    "he kicks with the right leg, then kicks with the left foot",
    "walking in a counterclockwise circle",
    "walk, veer left",
    "a figure who holds a ball throws it",
    "a person takes three steps and jumps 2 times",
    "hands on hips",
    "jumped",
)


def _sides(text: str) -> list[str]:
    return re.findall(r"left|right|counterclockwise|clockwise", text.lower())


def _draws(caption: str, count: int = 200) -> list[str]:
    rng = random.Random(11)
    return [paraphrases(caption, rng) for _ in range(count)]


@pytest.mark.parametrize("caption", CAPTIONS)
def test_sides_stay_where_they_are(caption):
    assert all(_sides(text) == _sides(caption) for text in _draws(caption))


@pytest.mark.parametrize("caption", [*CAPTIONS, "person", "a person .", "?", "Run!"])
def test_a_paraphrase_is_never_empty(caption):
    assert all(text.strip() for text in _draws(caption))


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_same_state_of_the_rng_gives_the_same_paraphrase(caption):
    assert _draws(caption) == _draws(caption)
    first, second = (np.random.default_rng(5) for _ in range(2))
    assert [paraphrases(caption, first) for _ in range(20)] == [
        paraphrases(caption, second) for _ in range(20)
    ]


def test_subject_and_form_of_the_verb_change():
    texts = set(_draws("a person walks forward", 400))
    assert {
        "a person walks forward",
        "a person is walking forward",
        "walk forward",
        "walking forward",
        "someone walks forward",
        "he walks forwards",
    } <= texts


def test_all_verbs_of_a_sentence_change_together():
    texts = _draws("a person walks forward, turns around and sits down", 400)
    assert "walk forward, turn around and sit down" in texts
    assert not any("walking" in text and "sits" in text for text in texts)


def test_nouns_that_look_like_verbs_are_kept():
    texts = _draws("a person takes three steps and does two jumping jacks", 300)
    assert all("three steps" in text and "two jumping jacks" in text for text in texts)


def test_counts_keep_their_value():
    texts = set(_draws("a person jumps twice"))
    assert any("two times" in text for text in texts)
    assert all("twice" in text or "two times" in text for text in texts)


def test_picking_up_is_said_in_several_ways():
    texts = _draws("a person picks something up from the floor")
    assert any("picks up an object" in text for text in texts)


def test_a_sentence_with_a_second_subject_keeps_its_subject():
    texts = _draws("a person throws a ball and he walks away", 300)
    assert not any(text.startswith(("throw ", "throwing ")) for text in texts)


def test_misspellings_are_mended():
    assert all("forward" in text for text in _draws("a persong walks foward"))


@pytest.mark.parametrize(
    ("lemma", "forms"),
    [
        ("walk", ("walks", "walking", "walked")),
        ("run", ("runs", "running", "ran")),
        ("punch", ("punches", "punching", "punched")),
        ("carry", ("carries", "carrying", "carried")),
        ("wave", ("waves", "waving", "waved")),
        ("lie", ("lies", "lying", "lay")),
        ("tiptoe", ("tiptoes", "tiptoeing", "tiptoed")),
        ("have", ("has", "having", "had")),
        ("swing", ("swings", "swinging", "swung")),
    ],
)
def test_verbs_are_inflected_and_recognised(lemma, forms):
    assert (third(lemma), gerund(lemma), past(lemma)) == forms
    assert [parse_verb(form) for form in forms[:2]] == [(lemma, "third"), (lemma, "gerund")]


def test_a_word_that_is_no_verb_is_not_parsed():
    assert parse_verb("person") is None
