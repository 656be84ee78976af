"""Scale schedule and the linear maps between a clip's latents and its scales."""

from __future__ import annotations

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

    A coarse token j of n covers the span [j L / n, (j + 1) L / n) of the L latents; latents that
    lie in two spans count with the share of each (area interpolation).
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
