"""What the next-token baseline is trained on."""

from __future__ import annotations

import pytest
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_core.text.encoder import TextFeatures
from nextscale_lab.experiments.next_token import NextToken, NextTokenConfig
from nextscale_lab.experiments.train_next_token import NextTokenObjective, corrupt, next_token_loss
from nextscale_lab.train.entries import Batch
from nextscale_lab.train.tokenizer import resized

CLEAN = NextTokenObjective(corruption=0.0, text_drop=0.0, word_drop=0.0, label_smoothing=0.0)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(24, 8, (1,)).eval().requires_grad_(False)
    quantizer.codebook.normal_()
    config = NextTokenConfig(
        width=32, depth=2, heads=2, num_codes=24, code_dim=8, text_dim=12, dropout=0.0
    )
    return NextToken(config), quantizer


def batch_of(tokens: torch.Tensor, lengths: list[int], quantizer: MultiScaleQuantizer) -> Batch:
    """Latents that lie on the given codes, with words that are the same for all."""
    latents = quantizer.codebook[tokens].clone()
    for row, length in enumerate(lengths):
        latents[row, length:] = 0
    size = len(tokens)
    words = torch.ones(size, 3, 12) / 12**0.5
    text = TextFeatures(words, torch.ones(size, 3, dtype=torch.bool), words[:, 0])
    yes = torch.ones(size, dtype=torch.bool)
    return Batch(latents, lengths, text, yes)


def test_corruption_replaces_the_share_it_names():
    torch.manual_seed(1)
    tokens = torch.zeros(200, 50, dtype=torch.long)
    assert torch.equal(corrupt(tokens, 0.0, 24), tokens)
    share = float((corrupt(tokens, 0.5, 24) != tokens).float().mean())
    assert share == pytest.approx(0.5 * 23 / 24, abs=0.02)


def test_an_untrained_model_is_as_uncertain_as_there_are_codes(parts):
    model, quantizer = parts
    batch = batch_of(torch.randint(24, (2, 9)), [9, 5], quantizer)
    _, figures = next_token_loss(model, model, quantizer, batch, CLEAN)
    assert figures["ce"] == pytest.approx(torch.tensor(24.0).log().item(), abs=1e-4)


def test_padding_does_not_count(parts):
    model, quantizer = parts
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    tokens = torch.randint(24, (1, 9))
    alone = batch_of(tokens[:, :5], [5], quantizer)
    padded = batch_of(tokens, [5], quantizer)
    figures = [
        next_token_loss(model, model, quantizer, batch, CLEAN, train=False)[1]
        for batch in (alone, padded)
    ]
    assert figures[0]["ce"] == pytest.approx(figures[1]["ce"], abs=1e-5)


def test_a_sequence_is_learnt_by_heart_and_drawn_again(parts):
    from nextscale_lab.experiments.next_token import NextTokenSampler, NextTokenSampling

    model, quantizer = parts
    tokens = torch.randint(24, (1, 12), generator=torch.Generator().manual_seed(5))
    batch = batch_of(tokens, [12], quantizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss, figures = next_token_loss(model, model, quantizer, batch, CLEAN)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert figures["ce"] < 0.05
    (drawn,) = NextTokenSampler(model.eval()).sample(
        batch.text, [12], [0], NextTokenSampling(guidance=0.0)
    )
    assert torch.equal(drawn, tokens[0])


def test_a_single_scale_tokenizer_starts_from_the_trained_encoder_and_decoder():
    torch.manual_seed(3)
    many = TemporalTokenizer(TokenizerConfig(width=16, code_dim=8, num_codes=16)).eval()
    many.feature_mean.normal_()
    single = resized(many, TokenizerConfig(divisors=(1,))).eval()
    assert single.config.divisors == (1,)
    motion = torch.randn(1, 40, 263)
    assert torch.equal(
        many.encode_latents(many.normalize(motion)),
        single.encode_latents(single.normalize(motion)),
    )
    assert not bool(single.quantizer.initialized)
    (tokens,) = single.encode(motion)
    assert tokens.shape == (1, 10)  # the rate of the finest scale of the other


def test_values_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="corruption must be"):
        NextTokenObjective(corruption=1.5)
