"""`ScaleSchedule`, the linear maps between latents and scales, and batches of clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nextscale_core.exceptions import ConfigError


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


Groups = tuple[tuple[int, ...], ...]
"""Body parts that share the tokens of a scale; each part is in one group."""


@dataclass(frozen=True)
class ScaleSchedule:
    """Time and body resolution of each scale, coarse to fine.

    A latent holds one vector for each of P body parts. A token of scale k stands for a span of
    time and a group of parts; tokens are ordered by time, then by group. MoScale has one part, the
    whole body; ScaleMoGen (arXiv 2605.11704) refines both.

    Attributes:
        divisors: Temporal divisor of each scale.
        groups: Groups of parts of each scale, each nested in one of the scale before; empty for
            one part.

    Raises:
        ConfigError: divisors that grow, groups that are no partition, or that are not nested.
    """

    divisors: tuple[int, ...]
    groups: tuple[Groups, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "divisors", tuple(self.divisors))
        groups = self.groups or (((0,),),) * len(self.divisors)
        groups = tuple(tuple(tuple(group) for group in scale) for scale in groups)
        object.__setattr__(self, "groups", groups)
        self._check()

    def _check(self) -> None:
        if not self.divisors or any(
            not isinstance(d, int) or isinstance(d, bool) or d < 1 for d in self.divisors
        ):
            raise ConfigError(f"divisors must be positive integers, got {self.divisors}")
        if list(self.divisors) != sorted(self.divisors, reverse=True):
            raise ConfigError(f"divisors must fall, coarse to fine; got {self.divisors}")
        if len(self.groups) != len(self.divisors):
            raise ConfigError(
                f"{len(self.divisors)} scales need groups each, got {len(self.groups)}"
            )
        every = list(range(sum(map(len, self.groups[0]))))
        before: Groups = (tuple(every),)
        for scale, groups in enumerate(self.groups):
            if sorted(part for group in groups for part in group) != every or not all(groups):
                raise ConfigError(
                    f"the groups of scale {scale + 1} must hold each of the parts 0 to "
                    f"{len(every) - 1} once, got {groups}"
                )
            for group in groups:
                if not any(set(group) <= set(larger) for larger in before):
                    raise ConfigError(
                        f"group {group} of scale {scale + 1} lies in no group of the scale before"
                    )
            before = groups

    @property
    def num_scales(self) -> int:
        """Number of scales K."""
        return len(self.divisors)

    @property
    def parts(self) -> int:
        """Number of body parts P."""
        return sum(map(len, self.groups[0]))

    @property
    def complete(self) -> bool:
        """Whether the last scale has a token for each part and each latent."""
        return self.divisors[-1] == 1 and len(self.groups[-1]) == self.parts

    def first(self, scales: int | None) -> ScaleSchedule:
        """The coarsest scales; None for all."""
        return ScaleSchedule(self.divisors[:scales], self.groups[:scales])

    def tokens(self, latents: int) -> tuple[int, ...]:
        """Number of tokens of each scale for a clip of `latents` latents."""
        spans = scale_lengths(latents, self.divisors)
        return tuple(n * len(groups) for n, groups in zip(spans, self.groups, strict=True))

    def pool(self, scale: int, spans: Tensor) -> Tensor:
        """(..., n, P x D) averages over time -> (..., n x G, D) means over the parts of groups."""
        if self.parts == 1:
            return spans
        matrix = _membership(self.groups[scale])
        mean = (matrix / matrix.sum(1, keepdim=True)).to(spans)
        return (mean @ spans.unflatten(-1, (self.parts, -1))).flatten(-3, -2)

    def spread(self, scale: int, codes: Tensor) -> Tensor:
        """(..., n x G, D) values of tokens -> (..., n, P x D), a copy for each part of a group."""
        if self.parts == 1:
            return codes
        groups = self.groups[scale]
        matrix = _membership(groups).T.to(codes)
        return (matrix @ codes.unflatten(-2, (-1, len(groups)))).flatten(-2)

    def down(self, scale: int, latents: Tensor) -> Tensor:
        """(..., L, P x D) latents -> (..., N_k, D) averages over each token's span and parts."""
        length = latents.shape[-2]
        spans = scale_lengths(length, self.divisors)[scale]
        area = area_matrix(length, spans).to(latents)
        return self.pool(scale, area @ latents)

    def up(self, scale: int, codes: Tensor, latents: int) -> Tensor:
        """(..., N_k, D) values of tokens -> (..., L, P x D), linear in time."""
        spread = self.spread(scale, codes)
        return linear_matrix(spread.shape[-2], latents).to(codes) @ spread


@lru_cache(maxsize=64)
def _membership(groups: Groups) -> Tensor:
    """(G, P), 1 where a part is in a group."""
    matrix = torch.zeros(len(groups), sum(map(len, groups)))
    for row, group in enumerate(groups):
        matrix[row, list(group)] = 1.0
    return matrix


@dataclass(frozen=True)
class PaddedScales:
    """Masks, positions and maps of a batch of clips of different lengths, for every scale.

    Attributes:
        schedule: Time and body resolution of the scales.
        lengths: (B,) number of latents of each clip.
        latent_mask: (B, L) bool, True inside the clip; L is the longest.
        token_masks: Per scale (B, N_k) bool, True where the clip has a token.
        area: Per scale (B, n_k, L): average of the latents that each span of time covers.
        linear: Per scale (B, L, n_k): linear interpolation back.
        centers: Per scale (B, N_k) centre of each token on the line of latents.
    """

    schedule: ScaleSchedule
    lengths: Tensor
    latent_mask: Tensor
    token_masks: tuple[Tensor, ...]
    area: tuple[Tensor, ...]
    linear: tuple[Tensor, ...]
    centers: tuple[Tensor, ...]

    @classmethod
    def build(
        cls,
        lengths: Sequence[int],
        schedule: ScaleSchedule,
        device: torch.device | str = "cpu",
    ) -> PaddedScales:
        """Masks and maps for clips of the given numbers of latents."""
        batch, longest = len(lengths), max(lengths)
        counts = [scale_lengths(length, schedule.divisors) for length in lengths]
        sizes = torch.tensor(list(lengths))
        latent_mask = torch.arange(longest) < sizes[:, None]
        scales = []
        # The number of spans of each clip.
        for own, groups in zip(zip(*counts, strict=True), schedule.groups, strict=True):
            n = max(own)
            mask = torch.arange(n) < torch.tensor(own)[:, None]
            down, up = torch.zeros(batch, n, longest), torch.zeros(batch, longest, n)
            center = torch.zeros(batch, n)
            for row, (length, count) in enumerate(zip(lengths, own, strict=True)):
                down[row, :count, :length] = area_matrix(length, count)
                up[row, :length, :count] = linear_matrix(count, length)
                center[row, :count] = token_centers(length, count)
            mask, center = (x.repeat_interleave(len(groups), dim=1) for x in (mask, center))
            scales.append(tuple(tensor.to(device) for tensor in (mask, down, up, center)))
        fields = zip(*scales, strict=True)
        return cls(schedule, sizes.to(device), latent_mask.to(device), *fields)

    def down(self, scale: int, latents: Tensor) -> Tensor:
        """(B, L, P x D) latents -> (B, N_k, D) averages over each token's span and parts."""
        return self.schedule.pool(scale, self.area[scale] @ latents)

    def up(self, scale: int, codes: Tensor) -> Tensor:
        """(B, N_k, D) values of tokens -> (B, L, P x D), linear in time."""
        return self.linear[scale] @ self.schedule.spread(scale, codes)

    def twice(self) -> PaddedScales:
        """The batch followed by itself, for conditional and unconditional passes at once."""
        fields = (self.token_masks, self.area, self.linear, self.centers)
        return PaddedScales(
            self.schedule,
            torch.cat([self.lengths] * 2),
            torch.cat([self.latent_mask] * 2),
            *(tuple(torch.cat([t, t]) for t in tensors) for tensors in fields),
        )

    @property
    def num_scales(self) -> int:
        """Number of scales K."""
        return len(self.token_masks)
