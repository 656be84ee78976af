from __future__ import annotations

import pytest
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig

SMALL = TokenizerConfig(width=32, code_dim=16, num_codes=32, depth=2)


@pytest.fixture
def tokenizer():
    torch.manual_seed(0)
    return TemporalTokenizer(SMALL).eval()


def test_tokens_have_the_lengths_of_the_scales(tokenizer):
    tokens = tokenizer.encode(torch.randn(2, 196, 263))
    assert [t.shape for t in tokens] == [(2, n) for n in (6, 12, 24, 49, 49)]


@pytest.mark.parametrize("frames", [20, 61, 195])
def test_decoding_gives_four_frames_a_latent(tokenizer, frames):
    tokens = tokenizer.encode(torch.randn(1, frames, 263))
    assert tokenizer.decode(tokens, frames // 4).shape == (1, frames // 4 * 4, 263)


def test_encoding_is_repeatable(tokenizer):
    features = torch.randn(1, 80, 263)
    first, second = tokenizer.encode(features), tokenizer.encode(features)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_accumulating_all_scales_is_what_the_quantizer_returned(tokenizer):
    latents = torch.randn(2, 17, 16)
    quantized = tokenizer.quantizer(latents)
    assert torch.allclose(
        tokenizer.quantizer.accumulate(quantized.tokens, 17), quantized.latents, atol=1e-5
    )


def test_each_scale_brings_the_latents_closer():
    torch.manual_seed(1)
    quantizer = MultiScaleQuantizer(256, 8, (8, 4, 2, 1)).eval()
    quantizer.codebook.normal_(std=0.7)
    quantizer.codebook[0] = 0  # so that a scale can always add zero
    latents = torch.nn.functional.avg_pool1d(torch.randn(4, 8, 64), 5, 1, 2).transpose(1, 2)
    errors = [
        float((quantizer(latents, scales=k).latents - latents).square().mean())
        for k in (1, 2, 3, 4)
    ]
    assert errors == sorted(errors, reverse=True)


def test_weights_survive_saving_and_loading(tokenizer, tmp_path):
    tokenizer.feature_mean.fill_(0.25)
    tokenizer.save_pretrained(tmp_path)
    again = TemporalTokenizer.from_pretrained(str(tmp_path)).eval()
    assert again.config == SMALL
    features = torch.randn(1, 40, 263)
    for a, b in zip(tokenizer.encode(features), again.encode(features), strict=True):
        assert torch.equal(a, b)


def test_the_codebook_learns_the_clusters_of_its_input():
    torch.manual_seed(0)
    centres = torch.randn(4, 6) * 3
    quantizer = MultiScaleQuantizer(8, 6, (1,)).train()
    for _ in range(120):
        pick = torch.randint(4, (64, 8))
        quantizer(centres[pick] + 0.05 * torch.randn(64, 8, 6))
    distance = torch.cdist(centres, quantizer.codebook).min(1).values
    assert distance.max() < 0.3


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"divisors": (1, 2)}, {"divisors": (4, 2)}, {"num_codes": -1}]
)
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ConfigError):
        TokenizerConfig(**wrong)
