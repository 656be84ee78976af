"""Binary spherical quantization over time and body parts (BSQ, as in ScaleMoGen)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.drawing import SampleNoise, draw_bits
from nextscale_core.model.quantizer import Quantized, Quantizer
from nextscale_core.model.scales import PaddedScales, ScaleSchedule

MAX_BITS = 24
"""Maximum number of bits of a token."""

_COMMITMENT, _ENTROPY = 0.25, 0.001
"""Weights of the distance to the bits, and of the entropy terms."""

_SHARPNESS = 400.0
"""Slope of the probability of a bit in the entropy terms (BSQ, arXiv 2406.07548)."""

_SHORTEST = 1e-2
"""Length below which a vector is not brought to length 1, so that gradients stay finite."""


class BinaryQuantizer(Quantizer):
    r"""Coarse-to-fine residual quantization with bits (ScaleMoGen, arXiv 2605.11704).

    With residual r_0 = z and sum s_0 = 0, at every scale k

        y = down_k(r_{k-1});  u = y / |y|;  b = [u > 0];  q = (2 b - 1) / sqrt(d)
        r_k = r_{k-1} - up_k(q);            s_k = s_{k-1} + up_k(q)

    where down_k averages over a token's span and parts, and up_k interpolates linearly in time and
    copies to the parts. Groups of parts are nested, so that a token adds to the latents of its own
    parts only. A token is the integer with these bits, the first bit least.

    Args:
        bits: Bits d of a token.
        schedule: Time and body resolution of the scales.

    Raises:
        ConfigError: bits out of range.
    """

    spread: Tensor

    def __init__(self, bits: int, schedule: ScaleSchedule) -> None:
        super().__init__()
        if not 1 <= bits <= MAX_BITS:
            raise ConfigError(f"a token must have 1 to {MAX_BITS} bits, got {bits}")
        self.dim, self.schedule = bits, schedule
        # Root mean square of the averages that each scale quantizes.
        self.register_buffer("spread", torch.ones(schedule.num_scales))

    @property
    def logits(self) -> int:
        """One logit for each bit."""
        return self.dim

    def nearest(self, vectors: Tensor) -> Tensor:
        """(..., d) vectors -> (...) tokens; the zero vector has token 0."""
        return bits_to_tokens(vectors > 0)

    def vectors(self, tokens: Tensor) -> Tensor:
        """(...) tokens -> (..., d), each of length 1."""
        signs = tokens_to_bits(tokens, self.dim).to(self.spread.dtype) * 2 - 1
        return signs / math.sqrt(self.dim)

    def contribution(self, tokens: Tensor, scale: int, padded: PaddedScales) -> Tensor:
        """(B, N_k) tokens of one scale -> (B, L, P x d) summand of the latents, 0 on padding."""
        return padded.up(scale, self.vectors(tokens)) * padded.latent_mask[..., None]

    def accumulate(self, tokens: tuple[Tensor, ...] | list[Tensor], latents: int) -> Tensor:
        """(B, N_k) tokens of the coarsest scales -> (B, L, P x d) sum of their contributions."""
        total = self.spread.new_zeros(len(tokens[0]), latents, self.schedule.parts * self.dim)
        for scale, own in enumerate(tokens):
            total = total + self.schedule.up(scale, self.vectors(own), latents)
        return total

    def forward(
        self, latents: Tensor, temperature: float = 0.0, scales: int | None = None
    ) -> Quantized:
        """Quantize a batch of equally long clips; see `Quantizer`.

        The loss has the distance of the unit vectors to their bits, and two entropies: of each
        bit, to be certain, and of its mean over the batch, to use both values.
        """
        # Sums of many scales need float32, also where the networks compute in bf16.
        with torch.autocast(latents.device.type, enabled=False):
            return self._forward(latents.float(), scales)

    def _forward(self, latents: Tensor, scales: int | None) -> Quantized:
        residual, total = latents, torch.zeros_like(latents)
        tokens: list[Tensor] = []
        loss = latents.new_zeros(())
        schedule = self.schedule.first(scales)
        for scale in range(schedule.num_scales):
            coarse = schedule.down(scale, residual)
            unit = F.normalize(coarse, dim=-1, eps=_SHORTEST)
            index = self.nearest(unit)
            bits = self.vectors(index)
            loss = loss + _COMMITMENT * F.mse_loss(unit, bits)
            if self.training:
                loss = loss + _ENTROPY * _entropies(unit)
                with torch.no_grad():
                    own = coarse.square().mean().sqrt()
                    self.spread[scale] = 0.99 * self.spread[scale] + 0.01 * own
            # Straight-through gradient: the bits pass it to the unit vectors.
            signs = unit + (bits - unit).detach()
            raised = schedule.up(scale, signs, latents.shape[-2])
            residual, total = residual - raised, total + raised
            tokens.append(index)
        return Quantized(total, tuple(tokens), loss / schedule.num_scales)

    def corrupt(self, tokens: Tensor, share: Tensor) -> Tensor:
        """Flip a share (B,) of the bits of tokens (B, N) (Infinity's self-correction)."""
        dice = torch.rand(*tokens.shape, self.dim, device=tokens.device)
        return tokens ^ bits_to_tokens(dice < share[:, None, None])

    def evidence(self, mean: Tensor, share: Tensor, scale: int) -> Tensor:
        """(N, d) log-odds of each bit from the mean of the known part; see `Quantizer`.

        Where a share c is known with mean m, the whole mean is near m with variance
        sigma^2 (1 - c) / c, with sigma the spread of the scale; 1.7 turns the normal distribution
        into a logistic one.
        """
        width = self.spread[scale] * ((1 - share) / share.clamp(min=1e-6)).sqrt()
        return torch.where(share > 0, 1.7 / width.clamp(min=1e-3), 0.0)[:, None] * mean

    def draw(
        self, logits: Tensor, temperature: float, top_p: float, noise: SampleNoise
    ) -> tuple[Tensor, Tensor]:
        """Each bit by itself; see `Quantizer`. `top_p` decides likely bits, see `draw_bits`."""
        bits, confidence = draw_bits(logits, temperature, top_p, noise)
        return bits_to_tokens(bits), confidence


def bits_to_tokens(bits: Tensor) -> Tensor:
    """(..., d) bool -> (...) integers, the first bit least."""
    powers = 2 ** torch.arange(bits.shape[-1], device=bits.device)
    return (bits * powers).sum(-1)


def tokens_to_bits(tokens: Tensor, count: int) -> Tensor:
    """(...) integers -> (..., count) bool, the first bit least."""
    return (tokens[..., None] >> torch.arange(count, device=tokens.device)) & 1 == 1


def _entropies(unit: Tensor) -> Tensor:
    """Mean entropy of the bits of (..., d) unit vectors minus the entropy of their means."""
    p = torch.sigmoid(_SHARPNESS / math.sqrt(unit.shape[-1]) * unit).flatten(0, -2)
    return _binary_entropy(p).sum(-1).mean() - _binary_entropy(p.mean(0)).sum()


def _binary_entropy(p: Tensor) -> Tensor:
    p = p.clamp(1e-6, 1 - 1e-6)
    return -(p * p.log() + (1 - p) * (1 - p).log())
