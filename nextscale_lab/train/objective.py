"""What the generators are trained on: masked next-scale prediction with corrupted coarse scales."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import BinaryQuantizer, tokens_to_bits
from nextscale_core.model.next_scale import NextScaleTransformer
from nextscale_core.model.quantizer import Quantizer
from nextscale_core.model.scales import PaddedScales
from nextscale_core.text.encoder import TextFeatures
from nextscale_lab.train.entries import Batch
from nextscale_lab.train.library import TokenLibrary


@dataclass(frozen=True)
class ObjectiveConfig:
    """Settings of the training objective.

    Attributes:
        corruption: Maximum share of coarser tokens replaced by random ones, or of their bits
            flipped, in the inputs of finer scales (gamma_max of MoScale's hierarchical refinement,
            ScaleMoGen's self-correction); 0 for none.
        text_drop: Share of samples with the null text.
        keep_noise: Maximum share of known tokens replaced by random ones.
        word_drop: Share of hidden tokens of a sentence.
        label_smoothing: Label smoothing of the cross-entropy.
        finest_every: Share of steps with all scales; the others leave out one or more of the
            finest, which hold most tokens and depend least on the sentence.
        repeat_weight: Weight of a scale that repeats the time resolution of the one before,
            relative to the others.
        count_power: Weight of a scale as a power of its number of tokens; 0 for equal weights.
    """

    corruption: float = 0.6
    text_drop: float = 0.1
    keep_noise: float = 0.1
    word_drop: float = 0.1
    label_smoothing: float = 0.05
    finest_every: float = 0.5
    repeat_weight: float = 0.5
    count_power: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise ConfigError(
                    f"{field.name} must be from 0 to 1, got {getattr(self, field.name)}"
                )


SCALEMOGEN_OBJECTIVE = ObjectiveConfig(
    corruption=0.3,
    label_smoothing=0.0,
    finest_every=0.25,
    repeat_weight=1.0,
    count_power=0.25,
)
"""Defaults of `ScaleMoGen`; those of `MoScale` are `ObjectiveConfig()`."""


@dataclass(frozen=True)
class ScaleInputs:
    """Inputs and targets of all scales for one batch.

    Attributes:
        targets: (B, n_k) codes to predict, per scale.
        accumulated: (B, n_k, D) sum of the (corrupted) coarser scales, per scale; None first.
    """

    targets: list[Tensor]
    accumulated: list[Tensor | None]


@torch.no_grad()
def hierarchical_inputs(
    quantizer: Quantizer, latents: Tensor, padded: PaddedScales, corruption: Tensor
) -> ScaleInputs:
    """Targets and inputs with cross-scale hierarchical refinement (MoScale, HR).

    The target of a scale is the code of the residual of the *corrupted* coarser scales, so that
    finer scales learn to correct errors of coarser ones. Targets are never corrupted.

    Args:
        quantizer: Frozen quantiser.
        latents: (B, L, D) encoder output, zero on padding.
        padded: Masks and maps.
        corruption: (B,) share of replaced tokens of each sample.
    """
    total = torch.zeros_like(latents)
    targets: list[Tensor] = []
    accumulated: list[Tensor | None] = []
    for scale in range(padded.num_scales):
        coarse = padded.down(scale, latents - total)
        target = quantizer.nearest(coarse)
        targets.append(target)
        accumulated.append(padded.down(scale, total) if scale else None)
        total = total + quantizer.contribution(quantizer.corrupt(target, corruption), scale, padded)
    return ScaleInputs(targets, accumulated)


def mask_tokens(
    target: Tensor, valid: Tensor, mask_token: int, keep_noise: float
) -> tuple[Tensor, Tensor]:
    """Hide a cosine-distributed share of a scale's tokens.

    Of the hidden ones 80 % become [MASK], 10 % a random code, 10 % are unchanged. Up to
    `keep_noise` of the others become random codes, like errors of earlier passes.

    Returns:
        (B, n_k) input tokens and (B, n_k) bool of tokens to predict (at least one a sample).
    """
    batch, count = target.shape
    device = target.device
    share = torch.cos(math.pi / 2 * torch.rand(batch, 1, device=device))
    score = torch.rand(batch, count, device=device).masked_fill(~valid, 2.0)
    rank = score.argsort(1).argsort(1)
    number = (share * valid.sum(1, keepdim=True)).round().clamp(min=1)
    hidden = (rank < number) & valid
    random = torch.randint(mask_token, target.shape, device=device)
    dice = torch.rand(batch, count, device=device)
    tokens = torch.where(hidden & (dice < 0.8), mask_token, target)
    tokens = torch.where(hidden & (dice >= 0.8) & (dice < 0.9), random, tokens)
    noise = torch.rand(batch, 1, device=device) * keep_noise
    tokens = torch.where(~hidden & (dice < noise), random, tokens)
    return tokens, hidden


def drop_words(text: TextFeatures, share: float) -> TextFeatures:
    """Hide a share of each sentence's tokens except for the first."""
    hidden = torch.rand(text.mask.shape, device=text.mask.device) < share
    hidden[:, 0] = False
    return TextFeatures(text.tokens, text.mask & ~hidden, text.pooled)


def generator_loss(
    model: nn.Module,
    bare: NextScaleTransformer,
    quantizer: Quantizer,
    batch: Batch,
    objective: ObjectiveConfig,
    train: bool = True,
    scales: int | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy on hidden tokens, averaged within and then, with weights, over the scales.

    For bits it is the binary cross-entropy, averaged over the bits of a token.

    Args:
        model: The module to call (possibly wrapped for several processes).
        bare: The same module, unwrapped.
        quantizer: Frozen quantiser.
        batch: Latents and sentences.
        objective: Settings.
        train: Corrupt coarser scales and drop texts.
        scales: Number of scales, coarsest first; None for all.
    """
    device = batch.latents.device
    padded = PaddedScales.build(batch.lengths, quantizer.schedule.first(scales), device)
    size = len(batch.lengths)
    corruption = torch.zeros(size, device=device)
    dropped = ~batch.has_text
    text = batch.text
    if train:
        corruption = torch.rand(size, device=device) * objective.corruption
        dropped = dropped | (torch.rand(size, device=device) < objective.text_drop)
        text = drop_words(text, objective.word_drop)
    with torch.autocast(device.type, enabled=False):
        inputs = hierarchical_inputs(quantizer, batch.latents, padded, corruption)
    noise = objective.keep_noise if train else 0.0
    pairs = [
        # Where tokens do not see those of their own scale, all are predicted.
        mask_tokens(target, valid, bare.mask_token, noise) if bare.own_tokens else (target, valid)
        for target, valid in zip(inputs.targets, padded.token_masks, strict=True)
    ]
    predicted = model(
        [tokens for tokens, _ in pairs], inputs.accumulated, padded, bare.drop_text(text, dropped)
    )
    metrics: dict[str, float] = {}
    loss = batch.latents.new_zeros(())
    smoothing = objective.label_smoothing if train else 0.0
    weights = _scale_weights(padded, objective)
    for scale, (scores, (_, hidden)) in enumerate(zip(predicted, pairs, strict=True)):
        entropy, right = _token_loss(
            scores[hidden].float(), inputs.targets[scale][hidden], quantizer, smoothing
        )
        loss = loss + entropy * weights[scale] / sum(weights)
        metrics[f"ce{scale + 1}"] = entropy.item()
        metrics[f"acc{scale + 1}"] = float(right.float().mean())
    metrics["ce"] = loss.item()
    return loss, metrics


def _scale_weights(padded: PaddedScales, objective: ObjectiveConfig) -> list[float]:
    divisors = padded.schedule.divisors
    repeats = [a == b for a, b in zip(divisors, (0, *divisors), strict=False)]
    counts = [mask.shape[1] ** objective.count_power for mask in padded.token_masks]
    return [
        count * (objective.repeat_weight if again else 1.0)
        for count, again in zip(counts, repeats, strict=True)
    ]


def _token_loss(
    scores: Tensor, expected: Tensor, quantizer: Quantizer, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of (M, `logits`) scores, and which codes or bits are right."""
    if not isinstance(quantizer, BinaryQuantizer):
        entropy = F.cross_entropy(scores, expected, label_smoothing=smoothing)
        return entropy, scores.argmax(-1) == expected
    bits = tokens_to_bits(expected, quantizer.dim)
    soft = bits * (1 - smoothing) + 0.5 * smoothing
    return F.binary_cross_entropy_with_logits(scores, soft), (scores > 0) == bits


@torch.no_grad()
def evaluate_generator(
    model: NextScaleTransformer, quantizer: Quantizer, library: TokenLibrary, repeats: int = 3
) -> dict[str, float]:
    """Mean cross-entropy and accuracy of each scale on a split, with fixed masks."""
    state = torch.get_rng_state()
    torch.manual_seed(1234)
    sums: dict[str, float] = {}
    count = 0
    for _ in range(repeats):
        for begin in range(0, len(library.entries), 64):
            batch = library.first(library.entries[begin : begin + 64])
            batch = batch.to(model.null_token.device)
            _, metrics = generator_loss(
                model, model, quantizer, batch, ObjectiveConfig(), train=False
            )
            for name, value in metrics.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
    torch.set_rng_state(state)
    return {name: value / count for name, value in sums.items()}
