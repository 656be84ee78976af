"""Sentences that a model cannot know are noticed, and those that it does are not."""

import warnings

import pytest
import torch

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.text.domain import DOMAIN, OutOfDomainWarning, TextDomain


@pytest.fixture(scope="module")
def pipeline() -> MotionPipeline:
    return MotionPipeline.from_pretrained("moscale-cmu")


@pytest.mark.parametrize(
    "sentence",
    ["a person swims freestyle in a pool", "the stock market fell", "a person milks a cow"],
)
def test_a_sentence_about_what_no_recording_shows_is_out_of_reach(pipeline, sentence):
    assert "resembles no sentence" in (pipeline.domain_remark(sentence) or "")
    with pytest.warns(OutOfDomainWarning, match="name the movement"):
        assert len(pipeline.generate(sentence, seconds=1.0)) == 20


def test_a_denied_action_is_out_of_reach(pipeline):
    assert "'do not walk' says what is not done" in (pipeline.domain_remark("do not walk") or "")


@pytest.mark.parametrize(
    "sentence",
    [
        "a person walks forward",
        "please wave with your left hand",
        "the robot should jump three times",
        "march on the spot",
        "someone dances",
        "a person drinks from a glass",
    ],
)
def test_a_sentence_like_the_training_captions_is_within_reach(pipeline, sentence):
    assert pipeline.domain_remark(sentence) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline.text_features([sentence])


def test_a_model_without_captions_reports_nothing(pipeline):
    bare = MotionPipeline(pipeline.tokenizer, pipeline.generator, pipeline.encoder)
    assert bare.domain_remark("a person milks a cow") is None


def test_the_captions_are_saved_and_loaded(tmp_path):
    captions = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    TextDomain(captions).save(tmp_path)
    loaded = TextDomain.load(tmp_path)
    assert loaded is not None and torch.allclose(loaded.captions, captions, atol=1e-3)
    assert torch.allclose(loaded.similarity(captions), torch.ones(5), atol=1e-2)
    assert TextDomain.load(tmp_path / "none") is None


@pytest.mark.parametrize("content", [b"", b"not safetensors"])
def test_a_damaged_file_of_captions_is_refused(tmp_path, content):
    (tmp_path / DOMAIN).write_bytes(content)
    with pytest.raises(ModelLoadError, match=DOMAIN):
        TextDomain.load(tmp_path)
