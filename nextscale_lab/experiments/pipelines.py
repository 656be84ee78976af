"""`NextTokenPipeline`: the next-token model with the interface of `MotionPipeline`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.durations import Seconds, for_each, settle
from nextscale_core.pipeline import decode_clips
from nextscale_core.text.encoder import TextEncoder
from nextscale_core.text.validation import validate_sentence
from nextscale_lab.experiments.next_token import NextToken, NextTokenSampler, NextTokenSampling


class NextTokenPipeline:
    """Text to motion by next-token prediction: encoder, generator, single-scale tokenizer.

    Args:
        tokenizer: Trained tokenizer of a single scale.
        generator: Trained transformer.
        encoder: Text encoder; None loads the one that the generator was trained with.
        sampling: Guidance, temperature and nucleus.
        name: Name in reports.

    Raises:
        ConfigError: the tokenizer has several scales.
    """

    def __init__(
        self,
        tokenizer: TemporalTokenizer,
        generator: NextToken,
        encoder: TextEncoder | None = None,
        sampling: NextTokenSampling | None = None,
        name: str = "next-token",
    ) -> None:
        if tokenizer.config.divisors != (1,):
            raise ConfigError(
                f"the tokenizer must have one scale, got divisors {tokenizer.config.divisors}"
            )
        self.name = name
        self.tokenizer = tokenizer.eval().requires_grad_(False)
        self.generator = generator.eval().requires_grad_(False)
        self.device = generator.null_token.device
        self.encoder = encoder or TextEncoder(generator.config.text_encoder, self.device)
        self.sampling = sampling or NextTokenSampling()
        self._sampler = NextTokenSampler(self.generator)

    @torch.no_grad()
    def generate_batch(
        self, texts: Sequence[str], *, seeds: Sequence[int], seconds: Seconds = None
    ) -> list[MotionClip]:
        """B clips of B sentences and seeds, see `MotionPipeline.generate_batch`.

        `seconds` is one duration for all or one for each [s]; None for predicted ones.
        """
        sentences = [validate_sentence(text) for text in texts]
        given = for_each(seconds, len(sentences))
        if not len(sentences) == len(seeds) == len(given):
            raise ConfigError(
                f"{len(sentences)} sentences need as many seeds and durations, "
                f"got {len(seeds)} and {len(given)}"
            )
        if not sentences:
            return []
        features = self.encoder(sentences).to(self.device)
        guesses = self.generator.predict_seconds(features).tolist()
        latents = [self.tokenizer.latents_for(value) for value in settle(given, guesses)]
        numbers = [int(seed) for seed in seeds]
        tokens = self._sampler.sample(features, latents, numbers, self.sampling)
        return [
            decode_clips(self.tokenizer, [(own,)], length, text, seed)[0]
            for own, length, text, seed in zip(tokens, latents, sentences, numbers, strict=True)
        ]
