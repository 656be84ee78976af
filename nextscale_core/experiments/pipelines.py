"""What the next-token model needs to be called like `MotionPipeline`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.generators.next_token import NextToken, NextTokenSampler, NextTokenSampling
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import features_to_clip
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_core.text.encoder import TextEncoder
from nextscale_core.text.validation import validate_sentence
from nextscale_core.tokenizers.temporal import TemporalTokenizer


class NextTokenPipeline:
    """Text to motion by next-token prediction: encoder, generator, single-scale tokenizer.

    Args:
        tokenizer: Trained tokenizer of a single scale.
        generator: Trained transformer.
        encoder: Text encoder; None loads the one that the generator was trained with.
        sampling: Guidance, temperature and nucleus.
        name: Name shown in reports.

    Raises:
        ConfigError: the tokenizer has more scales than one.
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
            raise ConfigError(f"one scale is needed, got divisors {tokenizer.config.divisors}")
        self.name = name
        self.tokenizer = tokenizer.eval().requires_grad_(False)
        self.generator = generator.eval().requires_grad_(False)
        self.device = generator.null_token.device
        self.encoder = encoder or TextEncoder(generator.config.text_encoder, self.device)
        self.sampling = sampling or NextTokenSampling()
        self._sampler = NextTokenSampler(self.generator)

    @torch.no_grad()
    def generate_batch(
        self,
        texts: Sequence[str],
        *,
        seeds: Sequence[int],
        seconds: float | Sequence[float | None] | None = None,
    ) -> list[MotionClip]:
        """Several motions at once, from the same steps as `MotionPipeline.generate_batch`.

        Args:
            texts: B sentences.
            seeds: B seeds.
            seconds: One duration for all, or one for each; None lets the model choose.

        Returns:
            B clips.
        """
        sentences = [validate_sentence(text) for text in texts]
        if seconds is None or isinstance(seconds, int | float):
            given: list[float | None] = [seconds] * len(sentences)
        else:
            given = list(seconds)
        if not len(sentences) == len(seeds) == len(given):
            raise ConfigError(
                f"{len(sentences)} sentences need as many seeds and durations, "
                f"got {len(seeds)} and {len(given)}"
            )
        if not sentences:
            return []
        features = self.encoder(sentences).to(self.device)
        guesses = self.generator.predict_seconds(features).tolist()
        latents = []
        for value, guess in zip(given, guesses, strict=True):
            own = float(np.clip(guess, MIN_SECONDS, MAX_SECONDS)) if value is None else value
            if not MIN_SECONDS <= own <= MAX_SECONDS:
                raise ConfigError(
                    f"seconds must be from {MIN_SECONDS:g} to {MAX_SECONDS:g}, got {own:g}"
                )
            latents.append(max(round(own * FPS / self.tokenizer.frames_per_latent), 1))
        numbers = [int(seed) for seed in seeds]
        tokens = self._sampler.sample(features, latents, numbers, self.sampling)
        clips = []
        for own_tokens, length, text, seed in zip(tokens, latents, sentences, numbers, strict=True):
            decoded = self.tokenizer.decode([own_tokens[None]], length)[0]
            clip = features_to_clip(decoded.float().cpu().numpy(), text=text, seed=seed)
            clips.append(clean_up(clip))
        return clips
