"""What the transformer is trained on: masks, corruption and targets."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import BinaryQuantizer, tokens_to_bits
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.scalemogen import ScaleMoGen, ScaleMoGenConfig
from nextscale_core.model.scales import PaddedScales, ScaleSchedule
from nextscale_core.text.encoder import TextFeatures
from nextscale_lab.train.entries import Batch
from nextscale_lab.train.objective import (
    SCALEMOGEN_OBJECTIVE,
    ObjectiveConfig,
    generator_loss,
    hierarchical_inputs,
    mask_tokens,
)

DIVISORS = (8, 4, 2, 1)


@pytest.fixture
def quantizer():
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(64, 8, DIVISORS).eval().requires_grad_(False)
    quantizer.codebook.normal_()
    return quantizer


def test_without_corruption_the_targets_are_the_tokenizer_s_own(quantizer):
    latents = torch.randn(1, 21, 8)
    padded = PaddedScales.build([21], ScaleSchedule(DIVISORS))
    inputs = hierarchical_inputs(quantizer, latents, padded, torch.zeros(1))
    for ours, own in zip(inputs.targets, quantizer(latents).tokens, strict=True):
        assert torch.equal(ours, own)


def test_a_clip_has_the_same_targets_alone_and_in_a_batch(quantizer):
    latents = torch.randn(2, 30, 8)
    latents[1, 9:] = 0
    padded = PaddedScales.build([30, 9], ScaleSchedule(DIVISORS))
    inputs = hierarchical_inputs(quantizer, latents, padded, torch.zeros(2))
    for scale, own in enumerate(quantizer(latents[1:, :9]).tokens):
        assert torch.equal(inputs.targets[scale][1, : own.shape[1]], own[0])


def test_corruption_changes_finer_targets_but_never_the_first_scale_s(quantizer):
    torch.manual_seed(1)
    latents = torch.randn(4, 40, 8)
    padded = PaddedScales.build([40] * 4, ScaleSchedule(DIVISORS))
    clean = hierarchical_inputs(quantizer, latents, padded, torch.zeros(4))
    noisy = hierarchical_inputs(quantizer, latents, padded, torch.full((4,), 0.6))
    assert torch.equal(clean.targets[0], noisy.targets[0])
    assert not torch.equal(clean.targets[3], noisy.targets[3])


def test_finer_scales_learn_to_repair_what_coarser_ones_got_wrong():
    # With phi at rest and a fine code for everything, the sum reaches the latents either way.
    torch.manual_seed(2)
    quantizer = MultiScaleQuantizer(64, 1, (2, 1)).eval().requires_grad_(False)
    quantizer.codebook.copy_(torch.linspace(-4, 4, 64)[:, None])
    latents = torch.randn(1, 16, 1)
    padded = PaddedScales.build([16], ScaleSchedule((2, 1)))
    inputs = hierarchical_inputs(quantizer, latents, padded, torch.ones(1))
    coarse = inputs.accumulated[1]
    repaired = coarse + quantizer.codebook[inputs.targets[1]]
    reachable = (latents - coarse).abs() < 4
    assert ((repaired - latents).abs()[reachable] < 0.1).all()


def test_masking_hides_at_least_one_token_and_no_padding():
    torch.manual_seed(0)
    target = torch.randint(64, (256, 12))
    valid = torch.arange(12)[None] < torch.randint(1, 13, (256, 1))
    tokens, hidden = mask_tokens(target, valid, mask_token=64, keep_noise=0.1)
    assert (hidden.sum(1) >= 1).all()
    assert not (hidden & ~valid).any()
    share = (tokens[hidden] == 64).float().mean()
    assert 0.75 < share < 0.85


def test_what_is_not_hidden_stays_without_noise():
    target = torch.randint(64, (64, 12))
    valid = torch.ones_like(target, dtype=torch.bool)
    tokens, hidden = mask_tokens(target, valid, mask_token=64, keep_noise=0.0)
    assert torch.equal(tokens[~hidden], target[~hidden])


@pytest.mark.parametrize("wrong", [{"corruption": 1.5}, {"text_drop": -0.1}])
def test_impossible_shares_are_refused(wrong):
    with pytest.raises(ConfigError):
        ObjectiveConfig(**wrong)


def test_a_scale_that_repeats_a_resolution_weighs_less_in_the_loss():
    torch.manual_seed(3)
    divisors = (2, 1, 1)
    quantizer = MultiScaleQuantizer(16, 4, divisors).eval().requires_grad_(False)
    quantizer.codebook.normal_()
    sizes = {"width": 16, "depth": 1, "heads": 2, "code_dim": 4, "text_dim": 6}
    model = MoScale(MoScaleConfig(num_codes=16, num_scales=3, **sizes)).eval()
    for head in model.heads_out:
        torch.nn.init.normal_(head.weight)
    text = TextFeatures(torch.randn(2, 3, 6), torch.ones(2, 3, dtype=torch.bool), torch.randn(2, 6))
    batch = Batch(torch.randn(2, 8, 4), [8, 8], text, torch.ones(2, dtype=torch.bool))
    objective = ObjectiveConfig(repeat_weight=0.25)
    loss, metrics = generator_loss(model, model, quantizer, batch, objective, train=False)
    parts = [metrics[f"ce{scale}"] for scale in (1, 2, 3)]
    assert len({round(part, 3) for part in parts}) == 3
    assert loss.item() == pytest.approx((parts[0] + parts[1] + 0.25 * parts[2]) / 2.25)


SCHEDULE = ScaleSchedule((4, 2, 1), (((0, 1),), ((0,), (1,)), ((0,), (1,))))


@pytest.fixture
def bits():
    return BinaryQuantizer(6, SCHEDULE).eval()


def test_without_flips_the_bits_are_the_tokenizer_s_own_alone_and_in_a_batch(bits):
    latents = torch.randn(2, 21, 12)
    latents[1, 9:] = 0
    padded = PaddedScales.build([21, 9], SCHEDULE)
    inputs = hierarchical_inputs(bits, latents, padded, torch.zeros(2))
    for row, length in enumerate((21, 9)):
        for scale, own in enumerate(bits(latents[row : row + 1, :length]).tokens):
            assert torch.equal(inputs.targets[scale][row, : own.shape[1]], own[0])


def test_bits_after_a_flip_are_those_of_the_new_residual(bits):
    """A target depends on flips at coarser scales only."""
    torch.manual_seed(5)
    latents, padded = torch.randn(1, 20, 12), PaddedScales.build([20], SCHEDULE)
    inputs = hierarchical_inputs(bits, latents, padded, torch.full((1,), 0.3))
    assert torch.equal(inputs.targets[0], bits(latents).tokens[0])
    assert not torch.equal(inputs.targets[2], bits(latents).tokens[2])
    # The last scale has a token for each latent and part: its input is the whole sum.
    total = inputs.accumulated[2].reshape(1, 20, 12)
    residual = (latents - total).reshape(1, 40, 6)
    assert torch.equal(inputs.targets[2], bits.nearest(residual))


def test_the_share_of_flipped_bits_is_the_asked_one(bits):
    torch.manual_seed(6)
    tokens = torch.randint(64, (3, 5000))
    share = torch.tensor([0.0, 0.1, 0.3])
    flipped = bits.corrupt(tokens, share) ^ tokens
    found = tokens_to_bits(flipped, 6).float().mean((1, 2))
    torch.testing.assert_close(found, share, atol=0.01, rtol=0)


@pytest.mark.parametrize("own_tokens", [True, False])
def test_bits_that_are_coins_cost_ln_2_each_and_coarse_scales_weigh_as_stated(own_tokens):
    torch.manual_seed(7)
    quantizer = BinaryQuantizer(6, SCHEDULE).eval()
    config = ScaleMoGenConfig(
        width=16,
        depth=1,
        heads=2,
        code_dim=6,
        text_dim=6,
        num_scales=3,
        groups=SCHEDULE.groups,
        own_tokens=own_tokens,
    )
    model = ScaleMoGen(config).eval()
    text = TextFeatures(torch.randn(2, 3, 6), torch.ones(2, 3, dtype=torch.bool), torch.randn(2, 6))
    batch = Batch(torch.randn(2, 16, 12), [16, 16], text, torch.ones(2, dtype=torch.bool))
    loss, _ = generator_loss(model, model, quantizer, batch, SCALEMOGEN_OBJECTIVE)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-5)
    for head in model.heads_out:
        torch.nn.init.normal_(head.weight)
    objective = replace(SCALEMOGEN_OBJECTIVE, count_power=0.5)
    loss, metrics = generator_loss(model, model, quantizer, batch, objective, train=False)
    # 4 tokens, 8 x 2 and 16 x 2.
    wanted = 2 * metrics["ce1"] + 4 * metrics["ce2"] + 32**0.5 * metrics["ce3"]
    assert loss.item() == pytest.approx(wanted / (6 + 32**0.5), rel=1e-5)
