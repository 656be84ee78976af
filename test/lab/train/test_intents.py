"""Training of the classifier of intents."""

from __future__ import annotations

import pytest
import yaml
from typer.testing import CliRunner

from nextscale_core.exceptions import ConfigError
from nextscale_core.text.encoder import TextEncoder
from nextscale_core.text.intents import OTHERS, IntentClassifier
from nextscale_lab.cli.train import app
from nextscale_lab.train.intents import (
    accuracy,
    captions_of_others,
    load_paraphrases,
    train_intents,
)

CLAP, KICK = "a person claps", "a person kicks with the {side} leg"
SENTENCES = {
    CLAP: ["beat your palms together", "give them a hand", "a round of applause, please"],
    KICK: ["swing your right foot at the ball", "boot it with the left", "a roundhouse, right"],
    "none": ["sing a song", "what time is it", "he drinks a cup of tea"],
    "several": ["clap, then kick", "wave and sit down", "run, turn and bow"],
}
VAL = {CLAP: ["an audience beats its palms"], KICK: ["swing a foot at it"]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sentences.yaml"
    path.write_text(yaml.safe_dump({"train": SENTENCES, "val": VAL}))
    return path


def test_a_classifier_learns_the_intents_of_a_file(file, tmp_path):
    out = tmp_path / "intents.safetensors"
    result = CliRunner().invoke(
        app, ["intents", "--paraphrases", str(file), "--out", str(out), "--steps", "40"]
    )
    assert result.exit_code == 0, result.output
    assert "100.0 % of the validation sentences" in result.output
    model, encoder = IntentClassifier.load(out), TextEncoder()
    assert accuracy(model, SENTENCES, encoder) == 1.0
    # Learned mirrored, too.
    sentence = "swing your left foot at the ball"
    found = model.intent(sentence, encoder([sentence]).pooled[0])
    assert found.sentence == "a person kicks with the left leg"


def test_one_seed_gives_one_classifier(file):
    paraphrases, encoder = load_paraphrases(file), TextEncoder()
    one, two, other = (train_intents(paraphrases, encoder, (), 3, seed) for seed in (0, 0, 1))
    pooled = encoder(["clap"]).pooled
    assert (one(pooled) == two(pooled)).all()
    assert (one(pooled) != other(pooled)).any()


def test_captions_of_other_motions_are_learned_as_such():
    captions = ["a person juggles", "he walks and then sits", "she walks", "a person juggles"]
    none, several = OTHERS
    assert captions_of_others(captions) == {
        none: ("a person juggles",), several: ("he walks and then sits",),
    }  # fmt: skip


def test_a_file_that_lacks_an_intent_is_refused(tmp_path):
    path = tmp_path / "sentences.yaml"
    path.write_text(yaml.safe_dump({"train": {CLAP: ["clap"]}, "val": {KICK: ["kick"]}}))
    with pytest.raises(ConfigError, match=r"train lacks the intents .*kicks.*none.*several"):
        load_paraphrases(path)
