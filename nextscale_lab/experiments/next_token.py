"""Next-token baseline: a causal transformer over single-scale tokens, after T2M-GPT.

T2M-GPT (arXiv 2301.06052) predicts the codes of a VQ-VAE one by one. This model shares blocks,
text conditioning and the given length with `MoScale`, so that the two differ in the order of
prediction only. It has no end token; the number of remaining tokens is an input.
"""

# No `from __future__ import annotations`: PyTorchModelHubMixin reads the type of `config`.

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.conditioned import (
    LENGTH_FEATURES,
    Condition,
    Past,
    TextConditioned,
    TransformerConfig,
    count_features,
    joined,
)
from nextscale_core.model.drawing import nucleus
from nextscale_core.text.encoder import TextFeatures


@dataclass(frozen=True)
class NextTokenConfig(TransformerConfig):
    """Shape of a `NextToken` transformer; see `TransformerConfig`.

    Attributes:
        num_codes: Size of the tokenizer's codebook.
    """

    num_codes: int = 512
    width: int = 256


@dataclass(frozen=True)
class NextTokenSampling:
    """Settings of the sampling.

    Attributes:
        guidance: Strength t of logits = (1 + t) conditional - t unconditional.
        temperature: Temperature of the logits.
        top_p: Probability mass kept by nucleus sampling.
    """

    guidance: float = 2.0
    temperature: float = 1.0
    top_p: float = 0.9

    def __post_init__(self) -> None:
        if not (math.isfinite(self.guidance) and 0 <= self.guidance <= 30):
            raise ConfigError(f"guidance must be from 0 to 30, got {self.guidance}")
        if not (math.isfinite(self.temperature) and 0 < self.temperature <= 5):
            raise ConfigError(f"temperature must be in (0, 5], got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be in (0, 1], got {self.top_p}")


class NextToken(
    TextConditioned,
    PyTorchModelHubMixin,
    library_name="nextscale",
    tags=["text-to-motion", "robotics"],
    coders={NextTokenConfig: (asdict, lambda data: NextTokenConfig(**data))},
):
    """Prediction of every token from the text and all previous tokens.

    Args:
        config: Sizes.
    """

    def __init__(self, config: NextTokenConfig) -> None:
        super().__init__(config)
        self.config = config
        self.code_embedding = nn.Embedding(config.num_codes, config.code_dim)
        self.input = nn.Linear(config.code_dim, config.width)
        self.remaining = nn.Linear(LENGTH_FEATURES, config.width)
        self.head = nn.Linear(config.width, config.num_codes)
        self.initialize(self.head)

    def forward(self, tokens: Tensor, lengths: Tensor, text: TextFeatures) -> Tensor:
        """All positions at once, for training.

        Args:
            tokens: (B, N) codes; padding is ignored.
            lengths: (B,) number of tokens of each sample.
            text: Features of B sentences.

        Returns:
            (B, N, num_codes) logits; those at position t depend on tokens before t only.
        """
        condition = self.condition(text, lengths)
        count = tokens.shape[1]
        places = torch.arange(count, device=tokens.device)
        previous = torch.cat([condition.query[:, None], self.code_embedding(tokens[:, :-1])], dim=1)
        x = self._embed(previous, places, lengths)
        causal = places[None] <= places[:, None]
        hidden, _ = self.run_blocks(x, _rows(places, len(tokens)), causal[None, None], condition)
        return self.head(hidden)

    def step(
        self,
        previous: Tensor | None,
        place: int,
        lengths: Tensor,
        condition: Condition,
        past: Past | None,
    ) -> tuple[Tensor, Past]:
        """One position, with cached keys and values of the previous ones.

        Args:
            previous: (B,) codes at `place` - 1; None at the first position.
            place: Index of the token to predict.
            lengths: (B,) number of tokens of each sample.
            condition: From `condition`.
            past: Keys and values of the previous positions; None at the first.

        Returns:
            (B, num_codes) logits, and the keys and values up to this position.
        """
        if previous is None:
            before = condition.query[:, None]
        else:
            before = self.code_embedding(previous)[:, None]
        places = torch.tensor([place], device=lengths.device)
        x = self._embed(before, places, lengths)
        hidden, own = self.run_blocks(x, _rows(places, len(lengths)), None, condition, past)
        return self.head(hidden)[:, 0], joined(past or [], own)

    def _embed(self, previous: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """(B, N, code_dim) codes before each position -> (B, N, W)."""
        left = (lengths[:, None] - places).clamp(min=0)
        return self.input(previous) + self.remaining(count_features(left))


class NextTokenSampler:
    """Autoregressive sampler of a `NextToken` transformer in eval mode."""

    def __init__(self, model: NextToken) -> None:
        self.model = model

    @torch.no_grad()
    def sample(
        self,
        text: TextFeatures,
        latents: Sequence[int],
        seeds: Sequence[int],
        config: NextTokenSampling,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Tensor]:
        """Tokens for a batch of sentences.

        Args:
            text: Features of B sentences.
            latents: Number of tokens of each motion.
            seeds: Seed of each motion, which does not depend on the others in its batch.
            config: Guidance, temperature, nucleus.
            progress: Called with (tokens done, all tokens); may raise to stop.

        Returns:
            One (n,) tensor per motion.
        """
        device = self.model.null_token.device
        lengths = torch.tensor(list(latents), device=device)
        generators = [torch.Generator(device="cpu").manual_seed(int(seed)) for seed in seeds]
        guided = config.guidance > 0
        if guided:
            text, lengths = _both(self.model, text), lengths.repeat(2)
        condition = self.model.condition(text, lengths)
        out = torch.zeros(len(generators), max(latents), dtype=torch.long, device=device)
        past: Past | None = None
        previous: Tensor | None = None
        for place in range(out.shape[1]):
            logits, past = self.model.step(previous, place, lengths, condition, past)
            logits = logits.float()
            if guided:
                with_text, without = logits.chunk(2)
                logits = (1 + config.guidance) * with_text - config.guidance * without
            chances = nucleus(torch.softmax(logits / config.temperature, dim=-1), config.top_p)
            chances = chances.cpu()
            for row, generator in enumerate(generators):
                # A finished sample draws no more, so that it does not depend on the others.
                if place < latents[row]:
                    out[row, place] = torch.multinomial(chances[row], 1, generator=generator)[0]
            previous = out[:, place].repeat(2) if guided else out[:, place]
            if progress is not None:
                progress(place + 1, out.shape[1])
        return [out[row, :length] for row, length in enumerate(latents)]


def _rows(places: Tensor, batch: int) -> Tensor:
    return places[None].expand(batch, -1).float()


def _both(model: NextToken, text: TextFeatures) -> TextFeatures:
    """The batch with text, followed by the batch without."""
    batch = len(text.mask)
    dropped = torch.arange(2 * batch, device=text.mask.device) >= batch
    twice = TextFeatures(
        torch.cat([text.tokens] * 2), torch.cat([text.mask] * 2), torch.cat([text.pooled] * 2)
    )
    return model.drop_text(twice, dropped)
