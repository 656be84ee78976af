from __future__ import annotations

import pytest
import torch

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
