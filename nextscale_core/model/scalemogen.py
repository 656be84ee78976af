"""ScaleMoGen: next-scale transformer over the bits of body parts (arXiv 2605.11704)."""

# No `from __future__ import annotations`: PyTorchModelHubMixin reads the type of `config`.

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import MAX_BITS, tokens_to_bits
from nextscale_core.model.next_scale import NextScaleConfig, NextScaleTransformer
from nextscale_core.model.scales import Groups, PaddedScales, ScaleSchedule


@dataclass(frozen=True)
class ScaleMoGenConfig(NextScaleConfig):
    """Shape of a `ScaleMoGen` transformer; `code_dim` is the number of bits of a token.

    Attributes:
        groups: Groups of body parts of each scale, as in `ScaleSchedule`.
        own_tokens: Whether a token sees the decided tokens of its own scale, so that a scale takes
            several passes and given tokens act on their neighbors. False is the published model:
            one pass a scale.
        kind: 'scalemogen', which the loader of a folder reads.
    """

    code_dim: int = 16
    groups: tuple[Groups, ...] = ()
    own_tokens: bool = True
    kind: str = "scalemogen"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind != "scalemogen":
            raise ConfigError(f"the kind of a ScaleMoGen is 'scalemogen', got {self.kind!r}")
        if self.code_dim > MAX_BITS:
            raise ConfigError(f"a token must have 1 to {MAX_BITS} bits, got {self.code_dim}")
        schedule = ScaleSchedule((1,) * self.num_scales, self.groups)
        object.__setattr__(self, "groups", schedule.groups)


class ScaleMoGen(
    NextScaleTransformer,
    coders={ScaleMoGenConfig: (asdict, lambda data: ScaleMoGenConfig(**data))},
):
    """Next-scale transformer over the bits of a `BinaryQuantizer`.

    Each bit of a token is predicted by a logit of its own. A token is embedded by its bits and by
    the mean of the learnt vectors of its body parts.

    Args:
        config: Sizes.
    """

    config: ScaleMoGenConfig

    def __init__(self, config: ScaleMoGenConfig) -> None:
        super().__init__(config, config.code_dim, 2**config.code_dim)
        width, bits = config.width, config.code_dim
        self.own_tokens = config.own_tokens
        self.mask_vector = nn.Parameter(torch.randn(bits) / math.sqrt(bits))
        parts = sum(map(len, config.groups[0]))
        self.part = nn.Parameter(torch.randn(parts, width) * 0.05)
        # Vectors of tokens have length 1; this makes their part of the input as large as the rest.
        nn.init.normal_(self.input.weight, std=0.2)

    def own_vectors(self, tokens: Tensor) -> Tensor:
        """(B, N) tokens, `mask_token` where unknown -> (B, N, d), +-1 / sqrt(d) where known."""
        if not self.own_tokens:
            return self.mask_vector.expand(*tokens.shape, -1)
        bits = tokens_to_bits(tokens, self.config.code_dim).to(self.mask_vector.dtype)
        known = (2 * bits - 1) / math.sqrt(self.config.code_dim)
        return torch.where((tokens == self.mask_token)[..., None], self.mask_vector, known)

    def places(self, padded: PaddedScales) -> list[Tensor]:
        """Input of time, scale and body parts; see `NextScaleTransformer`."""
        out = []
        for place, groups in zip(super().places(padded), self.config.groups, strict=False):
            own = torch.stack([self.part[list(group)].mean(0) for group in groups])
            out.append(place + own.repeat(place.shape[1] // len(groups), 1))
        return out
