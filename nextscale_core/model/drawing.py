"""Drawing of tokens from logits, with random numbers of each sample's own."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nextscale_core.kernels import kernels
from nextscale_core.kernels.passes import address_of

_LIKELY = 128
"""Number of likeliest codes in which the nucleus is looked for first, faster than a whole sort."""


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Keep the smallest set of codes whose mass reaches top_p, renormalized.

    Args:
        probabilities: (..., C), sums to 1.
        top_p: In (0, 1].
    """
    ordered, index = probabilities.topk(min(_LIKELY, probabilities.shape[-1]), dim=-1)
    mass = ordered.cumsum(-1)
    if bool((mass[..., -1] < top_p).any()):
        ordered, index = probabilities.sort(dim=-1, descending=True)
        mass = ordered.cumsum(-1)
    ordered = ordered.masked_fill(mass - ordered >= top_p, 0.0)
    kept = torch.zeros_like(probabilities).scatter(-1, index, ordered)
    return kept / kept.sum(-1, keepdim=True)


@dataclass(frozen=True)
class SampleNoise:
    """Random numbers for each sample of a batch.

    A sample draws for its own tokens only, never for padding, so that its motion does not
    depend on the lengths of the others in its batch.

    Attributes:
        generators: B generators on the CPU.
        counts: Tokens of each sample at the current scale.
    """

    generators: Sequence[torch.Generator]
    counts: Sequence[int]

    def exponential(self, width: int) -> Tensor:
        """(B, N, `width`) exponential numbers, 1 on padding."""
        out = torch.ones(len(self.counts), max(self.counts), width)
        for row, (generator, n) in enumerate(zip(self.generators, self.counts, strict=True)):
            out[row, :n].exponential_(generator=generator)
        return out

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """(B, *shape) uniform numbers in [0, 1), 1 on padding; shape begins with the tokens."""
        out = torch.ones(len(self.counts), *shape)
        for row, (generator, n) in enumerate(zip(self.generators, self.counts, strict=True)):
            out[row, :n] = torch.rand(n, *shape[1:], generator=generator)
        return out

    def gumbel(self, width: int, rows: Sequence[int]) -> Tensor:
        """(B, width) standard Gumbel noise for some rows, 0 on padding and in other rows."""
        out = torch.zeros(len(self.counts), width)
        for row in rows:
            generator, n = self.generators[row], self.counts[row]
            out[row, :n] = -torch.empty(n).exponential_(generator=generator).log()
        return out


def draw_codes(
    logits: Tensor, temperature: float, top_p: float, noise: SampleNoise
) -> tuple[Tensor, Tensor]:
    """(B, N, C) logits -> (B, N) codes by nucleus sampling, and their log-probabilities.

    The code whose probability is largest over an exponential number is drawn, as `multinomial`
    draws. Only where that code is outside the nucleus is the nucleus looked for.
    """
    race = noise.exponential(logits.shape[-1])
    library = kernels()
    if library is not None and logits.device.type == "cpu":
        scores, shape = logits.float().contiguous(), logits.shape[:2]
        drawn, likely = torch.zeros(shape, dtype=torch.long), torch.ones(shape)
        library.ns_draw_codes(
            *map(ctypes.c_int64, (drawn.numel(), logits.shape[-1])),
            address_of(scores),
            *map(ctypes.c_float, (temperature, top_p)),
            *map(address_of, (race, drawn, likely)),
        )
        return drawn, likely.clamp(min=1e-9).log()
    probabilities = torch.softmax(logits / temperature, dim=-1).cpu()
    drawn = (probabilities / race).argmax(-1)
    chosen = probabilities.gather(-1, drawn[..., None])
    before = torch.where(probabilities > chosen, probabilities, 0.0).sum(-1)
    outside = before >= top_p
    if bool(outside.any()):
        drawn[outside] = (nucleus(probabilities[outside], top_p) / race[outside]).argmax(-1)
        chosen = probabilities.gather(-1, drawn[..., None])
    return drawn, chosen[..., 0].clamp(min=1e-9).log()


def draw_bits(
    logits: Tensor, temperature: float, top_p: float, noise: SampleNoise
) -> tuple[Tensor, Tensor]:
    """(B, N, d) logits -> (B, N, d) bool bits, and (B, N) log-probabilities averaged over bits.

    A bit whose likelier value reaches `top_p` takes it, as in nucleus sampling of two codes.
    """
    p = torch.sigmoid(logits / temperature).cpu()
    likely = (p - 0.5).abs() >= max(top_p, 0.5) - 0.5
    cut = torch.where(likely, p.round(), p) if top_p < 1 else p
    bits = noise.uniform(p.shape[1:]) < cut
    chosen = torch.where(bits, p, 1 - p).clamp(min=1e-9).log().mean(-1)
    return bits, chosen
