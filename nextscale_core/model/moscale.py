"""MoScale: block-causal next-scale transformer over the tokens of `TemporalTokenizer`."""

# No `from __future__ import annotations`: PyTorchModelHubMixin reads the type of `config`.

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from nextscale_core.model.next_scale import NextScaleConfig, NextScaleTransformer


@dataclass(frozen=True)
class MoScaleConfig(NextScaleConfig):
    """Shape of a `MoScale` transformer.

    Attributes:
        num_codes: Size of the tokenizer's codebook.
    """

    num_codes: int = 512


class MoScale(
    NextScaleTransformer,
    coders={MoScaleConfig: (asdict, lambda data: MoScaleConfig(**data))},
):
    """Next-scale transformer over the codes of a `MultiScaleQuantizer` (arXiv 2604.03799).

    Args:
        config: Sizes.
    """

    config: MoScaleConfig

    def __init__(self, config: MoScaleConfig) -> None:
        super().__init__(config, config.num_codes, config.num_codes)
        self.code_embedding = nn.Embedding(config.num_codes + 1, config.code_dim)
        nn.init.normal_(self.code_embedding.weight, std=0.02)

    def own_vectors(self, tokens: Tensor) -> Tensor:
        """(B, N) codes, `mask_token` where unknown -> (B, N, code_dim)."""
        vectors: Tensor = self.code_embedding(tokens)
        return vectors
