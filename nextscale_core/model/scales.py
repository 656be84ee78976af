"""Scale schedule, the linear maps between latents and scales, and batches of clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


def scale_lengths(latents: int, divisors: tuple[int, ...]) -> tuple[int, ...]:
    """Number of tokens of each scale for a clip.

    Args:
        latents: Number L of latents of the clip.
        divisors: Temporal divisor of each scale, coarse to fine, for example (8, 4, 2, 1).

    Returns:
        max(1, L // d) for each divisor; 49 latents give (6, 12, 24, 49) as in MoScale.
    """
    return tuple(max(1, latents // divisor) for divisor in divisors)


@lru_cache(maxsize=1024)
def area_matrix(source: int, target: int) -> Tensor:
    """(target, source) rows that average the interval each coarse token covers.

    A coarse token j of n covers the span [j L / n, (j + 1) L / n) of the L latents; a latent in
    two spans counts with its share in each (area interpolation).
    """
    edges = torch.arange(target + 1, dtype=torch.float64) * source / target
    left, right = edges[:-1, None], edges[1:, None]
    begin = torch.arange(source, dtype=torch.float64)[None]
    overlap = (torch.minimum(right, begin + 1) - torch.maximum(left, begin)).clamp(min=0)
    return (overlap / overlap.sum(1, keepdim=True)).float()


@lru_cache(maxsize=1024)
def linear_matrix(source: int, target: int) -> Tensor:
    """(target, source) linear interpolation with token centres aligned, ends held."""
    position = (torch.arange(target, dtype=torch.float64) + 0.5) * source / target - 0.5
    position = position.clamp(0, source - 1)
    lower = position.floor().long().clamp(max=max(source - 2, 0))
    weight = (position - lower).float()
    matrix = torch.zeros(target, source)
    rows = torch.arange(target)
    matrix[rows, lower] += 1 - weight
    if source > 1:
        matrix[rows, lower + 1] += weight
    return matrix


def token_centers(latents: int, length: int) -> Tensor:
    """(length,) centre of each token's span on the line of latents, in latents."""
    return (torch.arange(length, dtype=torch.float32) + 0.5) * latents / length - 0.5


@dataclass(frozen=True)
class PaddedScales:
    """Masks, positions and maps of a batch of clips of different lengths, for every scale.

    Attributes:
        lengths: (B,) number of latents of each clip.
        latent_mask: (B, L) bool, True inside the clip; L is the longest.
        token_masks: Per scale (B, n_k) bool, True where the clip has a token.
        down: Per scale (B, n_k, L): average of the latents that each token covers.
        up: Per scale (B, L, n_k): linear interpolation back.
        centers: Per scale (B, n_k) centre of each token on the line of latents.
    """

    lengths: Tensor
    latent_mask: Tensor
    token_masks: tuple[Tensor, ...]
    down: tuple[Tensor, ...]
    up: tuple[Tensor, ...]
    centers: tuple[Tensor, ...]

    @classmethod
    def build(
        cls,
        lengths: Sequence[int],
        divisors: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> PaddedScales:
        """Masks and maps for clips of the given numbers of latents."""
        batch, longest = len(lengths), max(lengths)
        counts = [scale_lengths(length, divisors) for length in lengths]
        sizes = torch.tensor(list(lengths))
        latent_mask = torch.arange(longest) < sizes[:, None]
        scales = []
        for own in zip(*counts, strict=True):  # the number of tokens of each clip
            n = max(own)
            mask = torch.arange(n) < torch.tensor(own)[:, None]
            down, up = torch.zeros(batch, n, longest), torch.zeros(batch, longest, n)
            center = torch.zeros(batch, n)
            for row, (length, count) in enumerate(zip(lengths, own, strict=True)):
                down[row, :count, :length] = area_matrix(length, count)
                up[row, :length, :count] = linear_matrix(count, length)
                center[row, :count] = token_centers(length, count)
            scales.append(tuple(tensor.to(device) for tensor in (mask, down, up, center)))
        return cls(sizes.to(device), latent_mask.to(device), *zip(*scales, strict=True))

    def twice(self) -> PaddedScales:
        """The batch followed by itself, for conditional and unconditional passes at once."""
        fields = (self.token_masks, self.down, self.up, self.centers)
        return PaddedScales(
            torch.cat([self.lengths] * 2),
            torch.cat([self.latent_mask] * 2),
            *(tuple(torch.cat([t, t]) for t in tensors) for tensors in fields),
        )

    @property
    def num_scales(self) -> int:
        """Number of scales K."""
        return len(self.token_masks)
