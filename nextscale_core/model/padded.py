"""Clips of different lengths in one batch: masks, positions and maps for every scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nextscale_core.model.scales import area_matrix, linear_matrix, scale_lengths, token_centers


@dataclass(frozen=True)
class PaddedScales:
    """Everything that depends only on the lengths of a batch.

    Attributes:
        lengths: (B,) number of latents of each clip.
        latent_mask: (B, L) bool, True inside the clip; L is the longest.
        token_masks: Per scale (B, n_k) bool, True where the clip has a token.
        down: Per scale (B, n_k, L): average of the latents each token covers.
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
        longest = max(lengths)
        counts = [scale_lengths(length, divisors) for length in lengths]
        latent_mask = torch.zeros(len(lengths), longest, dtype=torch.bool)
        masks, downs, ups, centers = [], [], [], []
        for row, length in enumerate(lengths):
            latent_mask[row, :length] = True
        for scale in range(len(divisors)):
            n = max(count[scale] for count in counts)
            mask = torch.zeros(len(lengths), n, dtype=torch.bool)
            down = torch.zeros(len(lengths), n, longest)
            up = torch.zeros(len(lengths), longest, n)
            center = torch.zeros(len(lengths), n)
            for row, length in enumerate(lengths):
                own = counts[row][scale]
                mask[row, :own] = True
                down[row, :own, :length] = area_matrix(length, own)
                up[row, :length, :own] = linear_matrix(own, length)
                center[row, :own] = token_centers(length, own)
            masks.append(mask.to(device))
            downs.append(down.to(device))
            ups.append(up.to(device))
            centers.append(center.to(device))
        return cls(
            torch.tensor(list(lengths), device=device),
            latent_mask.to(device),
            tuple(masks),
            tuple(downs),
            tuple(ups),
            tuple(centers),
        )

    def twice(self) -> PaddedScales:
        """The batch followed by itself, for conditional and unconditional passes at once."""

        def double(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(torch.cat([t, t]) for t in tensors)

        return PaddedScales(
            torch.cat([self.lengths, self.lengths]),
            torch.cat([self.latent_mask, self.latent_mask]),
            double(self.token_masks),
            double(self.down),
            double(self.up),
            double(self.centers),
        )

    @property
    def num_scales(self) -> int:
        """Number of scales K."""
        return len(self.token_masks)
