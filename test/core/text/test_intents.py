"""Sentences in words that no rule knows, and the motions that they ask for."""

from __future__ import annotations

import warnings

import pytest

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.text.clauses import clauses
from nextscale_core.text.domain import OutOfDomainWarning
from nextscale_core.text.encoder import TextEncoder
from nextscale_core.text.intents import INTENTS, IntentClassifier
from nextscale_core.text.plain_words import Wording, wordings
from nextscale_lab.train.intents import accuracy, load_paraphrases


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


@pytest.fixture(scope="module")
def intents() -> IntentClassifier:
    return IntentClassifier.load()


def meaning(intents: IntentClassifier, encoder: TextEncoder, sentence: str) -> str:
    return intents.meaning(sentence, encoder([sentence]).pooled[0])


@pytest.mark.parametrize(
    ("sentence", "meant"),
    [
        ("a kid tears down the street at full speed", "a person runs"),
        ("please swing your right foot up and forward to strike the pad",
         "a person kicks with the right leg"),
        ("a happy woman in the audience beats her palms together again and again",
         "a person claps"),
        ("a man goes crabwise to the left", "a person steps sideways to the left"),
        ("collect the coin that is lying by your feet",
         "a person picks something up from the floor"),
        ("a quarterback passes the football far downfield", "a person throws a ball"),
        ("stroll along a round path till you are back where you began",
         "a person walks in a circle"),
    ],
)  # fmt: skip
def test_a_sentence_in_words_of_its_own_is_understood(intents, encoder, sentence, meant):
    assert meaning(intents, encoder, sentence) == meant
    assert clauses(meant)


@pytest.mark.parametrize(
    "sentence",
    [
        # Rules understand them as well or better.
        "a person walks forward",
        "someone jumps 2x",
        "turn 45 degrees to the right",
        "walk ahead, turn around and sit down",
        "a person claps while walking backward",
        # Other motions, and none.
        "a person dances the salsa",
        "a person drinks from a bottle",
        "a person limps across the room",
        "what is the weather like tomorrow?",
        "a person milks a cow",
        "do not run",
        "never ever take a seat",
    ],
)
def test_what_is_known_is_something_else_or_denied_stays_as_it_is(intents, encoder, sentence):
    assert meaning(intents, encoder, sentence) == sentence


@pytest.mark.parametrize(
    ("side", "rotation"), [("left", "counterclockwise"), ("right", "clockwise")]
)
def test_an_intent_has_the_side_that_the_sentence_names(intents, encoder, side, rotation):
    hook = f"a boxer lands a straight {side} on his opponent"
    assert meaning(intents, encoder, hook) == f"a person punches with the {side} hand"
    ring = f"round and round the fountain he goes on foot, {rotation}"
    assert f"{rotation}" in meaning(intents, encoder, ring)
    assert intents.intent(hook, encoder([hook]).pooled[0]).probability > 0.25


def test_sentences_of_others_are_read_rightly(intents, encoder):
    """Those for validation were written by somebody who had not seen the ones learned from."""
    assert accuracy(intents, load_paraphrases().val, encoder) > 0.9


def test_plain_words_come_first_where_a_sentence_has_words_of_its_own():
    sentence, plain = "beat your palms together", "a person claps"
    assert wordings(sentence, plain) == (Wording(plain), Wording(sentence))
    assert wordings("a person claps", plain)[0] == Wording(plain)
    sided = wordings("swing your right foot at the pad", "a person kicks with the right leg")
    assert sided[1] == Wording("a person kicks with the right leg")
    assert sided[0] == Wording("a person kicks with the left leg", mirrored=True)


def test_a_motion_shows_what_is_meant(trained_model):
    pipeline = MotionPipeline.from_pretrained(trained_model)
    sentence = "beat your palms together again and again"
    assert pipeline.meaning(sentence) == "a person claps"
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutOfDomainWarning)
        clip = pipeline.generate(sentence, seed=1, candidates=2)
    assert clip.text == sentence
    assert pipeline.motion_remark(sentence, clip) is None
    still = pipeline.generate("a person stands still", seed=1, seconds=3.0)
    assert "hardly shows" in (pipeline.motion_remark(sentence, still) or "")


def test_weights_are_kept_and_damaged_ones_are_refused(intents, encoder, tmp_path):
    path = tmp_path / "intents.safetensors"
    intents.save(path)
    assert path.read_bytes() == INTENTS.read_bytes()
    with pytest.raises(ModelLoadError, match="no classifier of intents"):
        IntentClassifier.load(tmp_path / "missing")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelLoadError, match="no classifier of intents"):
        IntentClassifier.load(path)
