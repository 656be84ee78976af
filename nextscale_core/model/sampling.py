"""Next-scale sampling with in-scale mask-and-repredict (temporal refinement)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.conditioned import cache_of
from nextscale_core.model.drawing import SampleNoise
from nextscale_core.model.inpainting import KnownLatents, known_at_scale
from nextscale_core.model.next_scale import NextScaleTransformer
from nextscale_core.model.options import MAX_GUIDANCE, GenerationOptions, checked_steps
from nextscale_core.model.quantizer import Quantizer
from nextscale_core.model.scales import PaddedScales, ScaleSchedule
from nextscale_core.stopwatch import Run
from nextscale_core.text.encoder import TextFeatures

_LONGEST = 49
"""Latents of the longest motion."""

_PASSES = ((60, 4), (100, 2))
"""Most tokens of a scale of body parts, and its passes; larger scales take one."""


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of the sampler.

    Attributes:
        steps: Passes at each scale, coarse to fine; (1, 2, 5, 10) are MoScale's 18. See
            `default_sampling` for better ones.
        guidance: Strength t of logits = (1 + t) conditional - t unconditional, per scale.
        temperature: Temperature of the logits, per scale.
        top_p: Probability mass kept by nucleus sampling.
        confidence_noise: Scale of the Gumbel noise on the confidence that orders re-masking;
            falls to 0 over the passes of a scale.
    """

    steps: tuple[int, ...] = (1, 2, 5, 10)
    guidance: tuple[float, ...] = (4.0, 4.0, 3.0, 2.5)
    temperature: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    top_p: float = 0.9
    confidence_noise: float = 1.0

    def __post_init__(self) -> None:
        for name in ("steps", "guidance", "temperature"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        checked_steps(self.steps)
        if any(not 0 <= g <= MAX_GUIDANCE for g in self.guidance):
            raise ConfigError(f"guidance must be from 0 to {MAX_GUIDANCE:g}, got {self.guidance}")
        if any(not 0 < t <= 5 for t in self.temperature):
            raise ConfigError(f"temperature must be in (0, 5], got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be in (0, 1], got {self.top_p}")
        if not len(self.steps) == len(self.guidance) == len(self.temperature):
            raise ConfigError(
                f"steps, guidance and temperature need one value per scale, got "
                f"{len(self.steps)}, {len(self.guidance)} and {len(self.temperature)}"
            )

    def with_overrides(self, options: GenerationOptions) -> SamplingConfig:
        """The passes of the options, and their guidance at the scale where it is strongest.

        The guidance of the other scales keeps its ratio to that one.

        Raises:
            ConfigError: a guidance out of range, or a number of passes other than of scales.
        """
        steps = self.steps if options.steps is None else options.steps
        if len(steps) != len(self.steps):
            raise ConfigError(
                f"steps needs {len(self.steps)} numbers, one per scale, got {list(steps)}"
            )
        if options.guidance is None:
            return replace(self, steps=steps)
        most = max(self.guidance) or 1.0
        guidance = tuple(options.guidance * g / most for g in self.guidance)
        return replace(self, steps=steps, guidance=guidance)


def default_sampling(schedule: ScaleSchedule, own_tokens: bool = True) -> SamplingConfig:
    """Settings for a model whose folder has no sampling.json.

    Most passes go to the coarse scales. With one pass there (MoScale's first number) tokens are
    sampled independently: of "walks in a circle", which may turn left or right, each token samples
    its own direction and the person walks straight (metrics in docs/training.md).

    Args:
        schedule: Time and body resolution of the scales.
        own_tokens: See `NextScaleTransformer`; without, each scale takes one pass.
    """
    scales = schedule.num_scales
    passes = (6, 5, 4, 2) + (1,) * scales
    guidance = (4.0, 4.0, 3.0, 2.5) + (2.0,) * scales
    if schedule.parts > 1:
        several = _PASSES if own_tokens else ()
        passes = tuple(
            next((min(count, number) for most, number in several if count <= most), 1)
            for count in schedule.tokens(_LONGEST)
        )
    return SamplingConfig(passes[:scales], guidance[:scales], (1.0,) * scales)


def cosine_mask_count(total: Tensor, done: int, rounds: int) -> Tensor:
    """Tokens that stay masked after `done` of `rounds` passes: ceil(n cos(pi/2 done/rounds)).

    Every pass decides at least one token, so that as many passes as tokens decide one at a time:
    each of the few tokens of the coarsest scale, which hold the whole plan, then sees the others.
    The plain cosine would decide none in the first passes and two at a time in the last ones.

    Args:
        total: (B,) tokens to predict in each sample.
        done: Passes finished, 1..rounds.
        rounds: Total number of passes; after the last, no token is masked.
    """
    share = math.cos(math.pi / 2 * done / rounds) if done < rounds else 0.0
    # The offset keeps a rounding error of 1e-17 from masking a token.
    left = torch.ceil(total * share - 1e-6).long()
    return torch.minimum(left, total - done).clamp(min=0)


class NextScaleSampler:
    """Samples tokens coarse to fine from a `NextScaleTransformer`.

    At scale k, all unknown tokens start masked. Each pass predicts them, keeps the confident
    ones and masks the rest again by a cosine schedule (MoScale's in-scale temporal refinement).
    Known tokens are never masked, so the same loop completes and edits.

    Args:
        model: The transformer, in eval mode.
        quantizer: The tokenizer's quantizer, which turns finished scales into the input of the
            next.
    """

    def __init__(self, model: NextScaleTransformer, quantizer: Quantizer) -> None:
        self.model, self.quantizer = model, quantizer

    @torch.no_grad()
    def sample(
        self,
        text: TextFeatures,
        latents: Sequence[int],
        seeds: Sequence[int],
        config: SamplingConfig,
        known: Sequence[KnownLatents | None] | None = None,
        run: Run | None = None,
    ) -> list[tuple[Tensor, ...]]:
        """Tokens for a batch of sentences.

        Args:
            text: Features of B sentences.
            latents: Number of latents of each motion.
            seeds: Seed of each motion; a motion does not depend on the others in its batch.
            config: Passes, guidance, temperature.
            known: Known latents of each motion, or None.
            run: Its progress is called after every pass, and may raise to stop.

        Returns:
            For each motion one (n_k,) tensor per scale.
        """
        device = self.model.null_token.device
        batch, run = len(latents), run or Run()
        padded = PaddedScales.build(list(latents), self.quantizer.schedule, device)
        given = known or [None] * batch
        generators = [torch.Generator(device="cpu").manual_seed(int(seed)) for seed in seeds]
        passes = Passes(self.model, text, padded, config.guidance)
        total, done = sum(config.steps), 0
        width = self.quantizer.schedule.parts * self.quantizer.dim
        accumulated = torch.zeros(*padded.latent_mask.shape, width, device=device)
        out: list[Tensor] = []
        for scale in range(padded.num_scales):
            valid = padded.token_masks[scale]
            own = known_at_scale(given, self.quantizer, scale, valid.shape[1], accumulated)
            tokens = torch.where(own.known, own.tokens, self.model.mask_token)
            coarse = padded.down(scale, accumulated) if scale else None
            open_tokens = valid & ~own.known
            masked = open_tokens.clone()
            rounds = config.steps[scale]
            noise = SampleNoise(generators, valid.sum(1).tolist())
            for pass_index in range(rounds):
                logits = passes.logits(tokens, coarse, scale)
                if own.evidence is not None:
                    logits = logits + own.evidence
                drawn, confidence = self.quantizer.draw(
                    logits.float(), config.temperature[scale], config.top_p, noise
                )
                tokens = torch.where(masked, drawn.to(device), tokens)
                confidence = confidence.to(device)
                left = cosine_mask_count(open_tokens.sum(1), pass_index + 1, rounds)
                strength = config.confidence_noise * (1 - (pass_index + 1) / rounds)
                masked = _least_confident(confidence, masked, left, strength, noise)
                tokens = tokens.masked_fill(masked, self.model.mask_token)
                done += 1
                run.progress(done, total)
            passes.finish()
            # Padding must not carry the mask token into the codebook.
            tokens = tokens.masked_fill(~valid, 0)
            accumulated = accumulated + self.quantizer.contribution(tokens, scale, padded)
            out.append(tokens)
        counts = [self.quantizer.schedule.tokens(length) for length in latents]
        return [
            tuple(tokens[row, :n] for tokens, n in zip(out, counts[row], strict=True))
            for row in range(batch)
        ]


class Passes:
    """Passes of one batch with its condition, guidance and cached keys and values.

    Conditional and unconditional passes run as one batch of twice the size, up to the last scale
    with guidance.

    Args:
        model: The transformer.
        text: Features of B sentences.
        padded: Masks and maps of B motions.
        guidance: Strength of the text at each scale.
    """

    def __init__(
        self,
        model: NextScaleTransformer,
        text: TextFeatures,
        padded: PaddedScales,
        guidance: Sequence[float],
    ) -> None:
        self.model, self.guidance = model, guidance
        self.padded = self._single = padded
        batch = len(padded.lengths)
        if any(guidance):
            self.padded = padded.twice()
            dropped = torch.arange(2 * batch, device=padded.lengths.device) >= batch
            twice = (torch.cat([x, x]) for x in (text.tokens, text.mask, text.pooled))
            text = model.drop_text(TextFeatures(*twice), dropped)
        self.condition = model.condition(text, self.padded.lengths)
        self.places = model.places(self.padded)
        capacity = sum(mask.shape[1] for mask in padded.token_masks)
        self.cache = cache_of(model, self.condition, capacity)

    def logits(self, tokens: Tensor, coarse: Tensor | None, scale: int) -> Tensor:
        """(B, N_k, C) guided logits of one pass over a scale; see `NextScaleTransformer.step`."""
        guided = any(self.guidance[scale:])
        if guided:
            tokens = torch.cat([tokens, tokens])
            coarse = None if coarse is None else torch.cat([coarse, coarse])
        elif self.padded is not self._single:
            self._forget_unconditional()
        place = self.places[scale][: len(tokens)]
        x = self.model.embed(tokens, coarse, place, self.condition)
        guidance = self.guidance[scale] if guided else None
        return self.model.step(x, scale, self.padded, self.cache, guidance)

    def _forget_unconditional(self) -> None:
        batch = len(self._single.lengths)
        self.padded, self.condition = self._single, self.condition.first(batch)
        self.cache.first(batch)

    def finish(self) -> None:
        """Keep the last pass's keys and values for the finer scales.

        They were computed with some tokens of the scale still masked, as in training, so no
        extra pass is needed.
        """
        self.cache.keep()


def _least_confident(
    confidence: Tensor, masked: Tensor, left: Tensor, strength: float, noise: SampleNoise
) -> Tensor:
    """(B, N) bool: the `left` least confident of the tokens just predicted."""
    if not bool((left > 0).any()):
        return torch.zeros_like(masked)
    # A sample whose tokens are all decided draws no more noise, whatever the others need.
    rows = (left > 0).nonzero()[:, 0].tolist()
    score = confidence + strength * noise.gumbel(confidence.shape[1], rows).to(confidence)
    score = score.masked_fill(~masked, math.inf)
    rank = score.argsort(dim=1).argsort(dim=1)
    return (rank < left[:, None]) & masked
