"""Bits over time and body parts: the laws of the code, of the hierarchy and of padded batches."""

from __future__ import annotations

import math

import pytest
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import (
    MAX_BITS,
    BinaryQuantizer,
    bits_to_tokens,
    tokens_to_bits,
)
from nextscale_core.model.scales import PaddedScales, ScaleSchedule
from nextscale_core.model.skeletal_tokenizer import SCHEDULES

BITS, PARTS = 6, 7


@pytest.fixture(params=SCHEDULES, scope="module")
def quantizer(request) -> BinaryQuantizer:
    torch.manual_seed(0)
    return BinaryQuantizer(BITS, SCHEDULES[request.param]).eval()


def latents(batch: int, length: int) -> torch.Tensor:
    return torch.randn(batch, length, PARTS * BITS, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bits", [1, 16, MAX_BITS])
def test_tokens_and_bits_are_one_code(bits):
    every = torch.randint(2**bits, (200,))
    assert torch.equal(bits_to_tokens(tokens_to_bits(every, bits)), every)
    quantizer = BinaryQuantizer(bits, ScaleSchedule((1,)))
    assert torch.equal(quantizer.nearest(quantizer.vectors(every)), every)


def test_a_token_has_length_one_and_depends_on_the_direction_alone(quantizer):
    y = torch.randn(50, BITS)
    q = quantizer.vectors(quantizer.nearest(y))
    assert torch.allclose(q.norm(dim=-1), torch.ones(50))
    assert torch.equal(quantizer.nearest(3.7 * y), quantizer.nearest(y))


def test_the_distance_to_the_bits_is_that_of_the_sphere(quantizer):
    u = torch.nn.functional.normalize(torch.randn(500, BITS), dim=-1)
    squared = (u - quantizer.vectors(quantizer.nearest(u))).square().sum(-1)
    expected = 2 - 2 * u.abs().sum(-1) / math.sqrt(BITS)
    assert torch.allclose(squared, expected, atol=1e-5)
    assert squared.max() <= 2 - 2 / math.sqrt(BITS) + 1e-6


def test_the_zero_vector_has_a_token_and_motion_without_movement_stays_finite(quantizer):
    assert quantizer.nearest(torch.zeros(BITS)) == 0
    still = torch.zeros(1, 9, PARTS * BITS, requires_grad=True)
    out = quantizer(still)
    (out.latents.sum() + out.commitment).backward()
    assert out.latents.isfinite().all() and still.grad.isfinite().all()


@pytest.mark.parametrize("length", [1, 5, 30, 49])
def test_the_tokens_say_all_that_was_quantised(quantizer, length):
    z = latents(2, length)
    out = quantizer(z)
    assert [t.shape[1] for t in out.tokens] == list(quantizer.schedule.tokens(length))
    assert torch.allclose(quantizer.accumulate(out.tokens, length), out.latents, atol=1e-5)
    # Every scale's tokens are the bits of what the coarser ones left.
    for scale in range(quantizer.schedule.num_scales):
        left = z - (quantizer.accumulate(out.tokens[:scale], length) if scale else 0)
        again = quantizer.nearest(quantizer.schedule.down(scale, left))
        assert (again == out.tokens[scale]).float().mean() > 0.99


def test_gradients_reach_the_latents_through_the_bits(quantizer):
    z = latents(1, 12).requires_grad_()
    quantizer(z).latents.square().sum().backward()
    assert (z.grad != 0).float().mean() > 0.9


def test_a_token_adds_to_its_own_parts_and_reaches_one_span_to_each_side(quantizer):
    length = 49
    tokens = quantizer(latents(1, length)).tokens
    whole = quantizer.accumulate(tokens, length)
    for scale, groups in enumerate(quantizer.schedule.groups):
        spans = tokens[scale].shape[1] // len(groups)
        place, group = spans // 2, len(groups) - 1
        other = [t.clone() for t in tokens]
        other[scale][0, place * len(groups) + group] ^= 2**BITS - 1
        moved = (quantizer.accumulate(other, length) != whole)[0].unflatten(-1, (PARTS, BITS))
        parts = moved.any(-1).any(0).nonzero()[:, 0].tolist()
        assert parts == sorted(groups[group])
        times = moved.any(-1).any(-1).nonzero()[:, 0]
        width = length / spans
        assert times.min() >= (place - 1) * width - 1 and times.max() <= (place + 2) * width + 1


def test_a_clip_in_a_padded_batch_has_the_sum_that_it_has_alone(quantizer):
    lengths = [20, 7, 1]
    padded = PaddedScales.build(lengths, quantizer.schedule)
    for scale in range(quantizer.schedule.num_scales):
        tokens = torch.randint(2**BITS, padded.token_masks[scale].shape)
        together = quantizer.contribution(tokens, scale, padded)
        for row, length in enumerate(lengths):
            own = tokens[row : row + 1, : quantizer.schedule.tokens(length)[scale]]
            alone = quantizer.schedule.up(scale, quantizer.vectors(own), length)[0]
            assert torch.allclose(together[row, :length], alone, atol=1e-5)
            assert (together[row, length:] == 0).all()
        averages = padded.down(scale, together)
        for row, length in enumerate(lengths):
            alone = quantizer.schedule.down(scale, together[row : row + 1, :length])[0]
            assert torch.allclose(averages[row, : len(alone)], alone, atol=1e-5)


def test_corruption_flips_the_asked_share_of_bits(quantizer):
    tokens = torch.randint(2**BITS, (3, 4000))
    asked = torch.tensor([0.0, 0.1, 1.0])
    flipped = tokens_to_bits(tokens ^ quantizer.corrupt(tokens, asked), BITS).float().mean((1, 2))
    assert flipped[0] == 0 and flipped[2] == 1
    assert abs(float(flipped[1]) - 0.1) < 0.01


def test_evidence_grows_with_the_known_share_and_points_to_the_known_mean(quantizer):
    mean = torch.randn(4, BITS)
    logits = [quantizer.evidence(mean, torch.full((4,), c), 0) for c in (0.0, 0.2, 0.8)]
    assert (logits[0] == 0).all()
    assert (logits[1].sign() == mean.sign()).all() and (logits[2].abs() > logits[1].abs()).all()


def test_the_spread_of_a_scale_becomes_that_of_the_averages_it_quantises():
    torch.manual_seed(2)
    quantizer = BinaryQuantizer(BITS, ScaleSchedule((2, 1)))
    for _ in range(300):
        quantizer(3 * torch.randn(8, 8, BITS))
    # Averages of two latents of deviation 3; then what is left of them.
    assert float(quantizer.spread[0]) == pytest.approx(3 / math.sqrt(2), rel=0.1)
    assert float(quantizer.spread[1]) == pytest.approx(3, rel=0.15)


def test_both_entropies_pull_bits_to_certainty_and_to_both_values():
    torch.manual_seed(3)
    quantizer = BinaryQuantizer(BITS, ScaleSchedule((1,)))
    same = torch.ones(1, 64, BITS)
    varied = same * (torch.randint(2, (1, 64, BITS)) * 2 - 1)
    losses = [float(quantizer(z).commitment) for z in (varied, same)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("bits", [0, MAX_BITS + 1])
def test_a_token_outside_the_range_of_bits_is_refused(bits):
    with pytest.raises(ConfigError, match=f"1 to {MAX_BITS}"):
        BinaryQuantizer(bits, ScaleSchedule((1,)))
