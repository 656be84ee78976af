from __future__ import annotations

import pytest
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.scales import (
    PaddedScales,
    ScaleSchedule,
    area_matrix,
    linear_matrix,
    scale_lengths,
)

DIVISORS = (8, 4, 2, 1)


def test_the_longest_motion_has_the_lengths_of_moscale():
    assert scale_lengths(49, DIVISORS) == (6, 12, 24, 49)


@pytest.mark.parametrize("latents", range(1, 50))
def test_every_scale_has_a_token_and_none_is_finer_than_the_latents(latents):
    lengths = scale_lengths(latents, DIVISORS)
    assert all(1 <= n <= latents for n in lengths)
    assert list(lengths) == sorted(lengths)


@pytest.mark.parametrize(("source", "target"), [(49, 6), (49, 49), (5, 2), (7, 1)])
def test_averages_cover_every_latent_evenly(source, target):
    matrix = area_matrix(source, target)
    assert torch.allclose(matrix.sum(1), torch.ones(target))
    assert torch.allclose(matrix.sum(0), torch.full((source,), target / source), atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(6, 49), (1, 5), (49, 49)])
def test_interpolation_keeps_constants(source, target):
    assert torch.allclose(linear_matrix(source, target) @ torch.ones(source), torch.ones(target))


def test_padded_contributions_equal_those_of_each_clip_alone():
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(16, 8, DIVISORS).eval()
    for conv in quantizer.phi:
        torch.nn.init.normal_(conv.weight, std=0.2)
        torch.nn.init.normal_(conv.bias, std=0.2)
    quantizer.codebook.normal_()
    lengths = [49, 13, 5]
    padded = PaddedScales.build(lengths, ScaleSchedule(DIVISORS))
    for scale in range(4):
        tokens = torch.randint(16, padded.token_masks[scale].shape)
        together = quantizer.contribution(tokens, scale, padded)
        for row, length in enumerate(lengths):
            own = tokens[row : row + 1, : scale_lengths(length, DIVISORS)[scale]]
            alone = quantizer.upsample(quantizer.codebook[own], scale, length)[0]
            assert torch.allclose(together[row, :length], alone, atol=1e-5)
            assert (together[row, length:] == 0).all()


BODY, HALVES, SINGLE = ((0, 1, 2),), ((0,), (1, 2)), ((0,), (1,), (2,))
SCHEDULE = ScaleSchedule((4, 2, 1), (BODY, HALVES, SINGLE))


def test_means_of_groups_keep_what_is_equal_and_copies_keep_means():
    for scale in range(3):
        tokens = torch.randn(2, SCHEDULE.tokens(8)[scale], 5)
        spread = SCHEDULE.spread(scale, tokens)
        assert torch.allclose(SCHEDULE.pool(scale, spread), tokens, atol=1e-6)
        equal = torch.full((2, 8, 15), 0.7)
        assert torch.allclose(SCHEDULE.down(scale, equal), torch.tensor(0.7))
        lifted = SCHEDULE.up(scale, torch.full((2, SCHEDULE.tokens(8)[scale], 5), 0.7), 8)
        assert torch.allclose(lifted, equal)


def test_tokens_are_ordered_by_time_and_then_by_group():
    latents = torch.arange(4.0)[:, None] * 10 + torch.tensor([0.0, 1.0, 3.0])
    averages = SCHEDULE.down(1, latents[None])[0, :, 0]
    assert averages.tolist() == [5, 7, 25, 27]
    assert SCHEDULE.tokens(4) == (1, 4, 12) and SCHEDULE.first(2).tokens(4) == (1, 4)


@pytest.mark.parametrize(
    ("divisors", "groups", "reason"),
    [
        ((1, 2), (BODY, SINGLE), "must fall"),
        ((), (), "positive integers"),
        ((2, 0), (BODY, SINGLE), "positive integers"),
        ((2, 1), (BODY,), "groups each"),
        ((2, 1), (BODY, ((0,), (1,))), "once"),
        ((2, 1), (BODY, ((0, 1), (1, 2))), "once"),
        ((2, 1), (HALVES, ((0, 1), (2,))), "lies in no group"),
    ],
)
def test_schedules_that_do_not_refine_are_refused(divisors, groups, reason):
    with pytest.raises(ConfigError, match=reason):
        ScaleSchedule(divisors, groups)
