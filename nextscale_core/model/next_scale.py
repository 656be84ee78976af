"""`NextScaleTransformer`: block-causal transformer over the tokens of several scales."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from nextscale_core.model.conditioned import (
    LENGTH_FEATURES,
    Cache,
    Condition,
    TextConditioned,
    TransformerConfig,
    count_features,
)
from nextscale_core.model.scales import PaddedScales
from nextscale_core.model.transformer import attention_bias
from nextscale_core.text.encoder import TextFeatures


@dataclass(frozen=True)
class NextScaleConfig(TransformerConfig):
    """Sizes common to the transformers that predict scale by scale.

    Attributes:
        num_scales: Number of scales.
    """

    num_scales: int = 5


class NextScaleTransformer(
    TextConditioned,
    PyTorchModelHubMixin,
    library_name="nextscale",
    tags=["text-to-motion", "robotics"],
):
    """Predicts the tokens of each scale from the text and all coarser scales.

    A token sees its own scale whole and every coarser scale; its input is the sum of the
    coarser scales' contributions at its place, joined with its own vector where that is known.
    Rotary angles are relative, so the token's time from the start and to the end is added; without
    it, all masked tokens of the first scale would have the same logits, in whatever order a
    sentence names its parts.

    Args:
        config: Sizes.
        logits: Number of logits of a token.
        mask_token: Index that stands for an unknown token.

    Attributes:
        own_tokens: Whether a token sees the known tokens of its own scale.
    """

    own_tokens = True
    config: NextScaleConfig

    def __init__(self, config: NextScaleConfig, logits: int, mask_token: int) -> None:
        super().__init__(config)
        self.config = config
        width = config.width
        self.mask_token = mask_token
        self.input = nn.Linear(2 * config.code_dim, width)
        self.place = nn.Linear(2 * LENGTH_FEATURES, width)
        self.level = nn.Parameter(torch.randn(config.num_scales, width) * 0.02)
        heads = [nn.Linear(width, logits) for _ in range(config.num_scales)]
        self.heads_out = nn.ModuleList(heads)
        self.initialize(*heads)

    @abstractmethod
    def own_vectors(self, tokens: Tensor) -> Tensor:
        """(B, N) tokens, `mask_token` where unknown -> (B, N, code_dim)."""

    def places(self, padded: PaddedScales) -> list[Tensor]:
        """Per scale (B, N_k, W): the part of the input that depends on time and scale alone."""
        from_start = torch.cat(padded.centers, dim=1)
        to_end = padded.lengths[:, None] - from_start
        ends = torch.cat([count_features(from_start), count_features(to_end)], dim=-1)
        places = self.place(ends.to(self.level))
        sizes = [centers.shape[1] for centers in padded.centers]
        return [own + self.level[k] for k, own in enumerate(places.split(sizes, dim=1))]

    def embed(
        self, tokens: Tensor, accumulated: Tensor | None, place: Tensor, condition: Condition
    ) -> Tensor:
        """Input of one scale.

        Args:
            tokens: (B, N_k) own tokens, `mask_token` where unknown.
            accumulated: (B, N_k, code_dim) sum of the coarser scales at this scale's tokens;
                None at the first scale, which starts from the text.
            place: (B, N_k, W) from `places`.
            condition: From `condition`.

        Returns:
            (B, N_k, W).
        """
        own = self.own_vectors(tokens)
        if accumulated is None:
            accumulated = condition.query[:, None].expand_as(own)
        embedded: Tensor = self.input(torch.cat([accumulated.to(own), own], dim=-1)) + place
        return embedded

    def forward(
        self,
        tokens: list[Tensor],
        accumulated: list[Tensor | None],
        padded: PaddedScales,
        text: TextFeatures,
    ) -> list[Tensor]:
        """All scales at once, or the coarsest ones, for training.

        Args:
            tokens: Per scale (B, N_k) own tokens with `mask_token` where unknown.
            accumulated: Per scale (B, N_k, code_dim); None for the first.
            padded: Masks and positions of these scales.
            text: Features of B sentences.

        Returns:
            Per scale (B, N_k, `logits`) logits.
        """
        condition = self.condition(text, padded.lengths)
        x = torch.cat(
            [
                self.embed(own, coarse, place, condition)
                for own, coarse, place in zip(tokens, accumulated, self.places(padded), strict=True)
            ],
            dim=1,
        )
        sizes = [own.shape[1] for own in tokens]
        # The float form, computed once for all blocks.
        mask = attention_bias(block_causal_mask(padded)).to(x.dtype)
        hidden, _ = self.run_blocks(x, torch.cat(padded.centers, dim=1), mask, condition, None)
        parts = zip(self.heads_out[: len(sizes)], hidden.split(sizes, dim=1), strict=True)
        return [head(part) for head, part in parts]

    def step(
        self,
        x: Tensor,
        scale: int,
        padded: PaddedScales,
        cache: Cache,
        guidance: float | None = None,
    ) -> Tensor:
        """One pass over one scale, with cached keys and values of the finished ones.

        Args:
            x: (B, N_k, W) from `embed`.
            scale: Index k.
            padded: Masks and positions.
            cache: The finished scales of this batch.
            guidance: Strength t of (1 + t) conditional - t unconditional, where the second half
                of the batch is the first without text; None for plain logits.

        Returns:
            (B, N_k, `logits`) logits, with guidance (B / 2, N_k, `logits`).
        """
        allowed = torch.cat(padded.token_masks[: scale + 1], dim=1)
        seen = None if bool(allowed.all()) else allowed
        hidden = cache.run(x, padded.centers[scale], seen)
        if guidance is not None:
            # The head is linear: the difference may be taken before it.
            conditional, unconditional = hidden.chunk(2)
            hidden = conditional + guidance * (conditional - unconditional)
        logits: Tensor = self.heads_out[scale](hidden)
        return logits


def block_causal_mask(padded: PaddedScales) -> Tensor:
    """(B, 1, N, N) bool: a token sees its own scale whole and all coarser ones.

    Padding is never seen; a padded query sees real tokens, so that no row is empty.
    """
    masks = padded.token_masks
    level = torch.cat([torch.full((m.shape[1],), k, device=m.device) for k, m in enumerate(masks)])
    visible = torch.cat(masks, dim=1)
    allowed = (level[None] <= level[:, None])[None] & visible[:, None]
    return allowed[:, None]
