"""The next-token model, called like a `MotionPipeline`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nextscale_core.exceptions import ConfigError, InvalidTextError
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_lab.experiments.next_token import NextToken, NextTokenConfig
from nextscale_lab.experiments.pipelines import NextTokenPipeline

SIZES = {"width": 16, "code_dim": 8, "num_codes": 16, "depth": 1}
TEXTS = ["a person walks", "a person jumps high"]


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(0)
    tokenizer = TemporalTokenizer(TokenizerConfig(**SIZES, divisors=(1,)))
    model = NextToken(NextTokenConfig(width=16, depth=1, heads=2, num_codes=16, code_dim=8))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return NextTokenPipeline(tokenizer, model)


def test_motions_are_as_long_as_asked_and_do_not_depend_on_each_other(pipeline):
    together = pipeline.generate_batch(TEXTS, seeds=[3, 4], seconds=[2.0, 4.6])
    assert [len(clip) for clip in together] == [40, 92]
    for row in range(2):
        (alone,) = pipeline.generate_batch(
            TEXTS[row : row + 1], seeds=[3 + row], seconds=[2.0, 4.6][row]
        )
        assert np.allclose(alone.joints, together[row].joints, atol=1e-4)
        assert (alone.text, alone.seed) == (TEXTS[row], 3 + row)


def test_without_a_length_the_model_chooses_one(pipeline):
    (clip,) = pipeline.generate_batch(TEXTS[:1], seeds=[0])
    assert 20 <= len(clip) <= 196
    assert pipeline.generate_batch([], seeds=[]) == []


def test_clear_errors(pipeline):
    with pytest.raises(ConfigError, match="as many seeds"):
        pipeline.generate_batch(TEXTS, seeds=[1])
    with pytest.raises(ConfigError, match=r"seconds must be from 1 to 9\.8, got 20"):
        pipeline.generate_batch(TEXTS[:1], seeds=[1], seconds=20.0)
    with pytest.raises(InvalidTextError):
        pipeline.generate_batch([" "], seeds=[1])
    many = TemporalTokenizer(TokenizerConfig(**SIZES))
    with pytest.raises(ConfigError, match="must have one scale"):
        NextTokenPipeline(many, pipeline.generator, pipeline.encoder)
