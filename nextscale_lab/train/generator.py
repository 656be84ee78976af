"""Training of MoScale: masked next-scale prediction with cross-scale corruption (HR)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.checkpoint import load_part
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.quantizer import Quantizer
from nextscale_core.model.scales import PaddedScales
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_core.text.encoder import TextEncoder, TextFeatures
from nextscale_lab.data.samples import Folders, captioned_samples, folder_names
from nextscale_lab.train.code_matching import match_codes
from nextscale_lab.train.duration import teach_duration
from nextscale_lab.train.entries import Batch
from nextscale_lab.train.library import LibraryConfig, TokenLibrary, open_libraries
from nextscale_lab.train.loop import RunConfig, Trainer
from nextscale_lab.train.run import weights_digest


@dataclass(frozen=True)
class ObjectiveConfig:
    """Settings of the training objective.

    Attributes:
        corruption: Maximum share of coarser tokens replaced by random ones in the inputs of finer
            scales (gamma_max of MoScale's hierarchical refinement); 0 for none.
        text_drop: Share of samples with the null text.
        keep_noise: Maximum share of known tokens replaced by random ones.
        word_drop: Share of hidden tokens of a sentence.
        label_smoothing: Label smoothing of the cross-entropy.
        finest_every: Share of steps with all scales; the others leave out one or more of those
            that repeat the finest time resolution, which hold most tokens and depend least on the
            sentence.
        repeat_weight: Weight of a scale that repeats the time resolution of the one before,
            relative to the others.
    """

    corruption: float = 0.6
    text_drop: float = 0.1
    keep_noise: float = 0.1
    word_drop: float = 0.1
    label_smoothing: float = 0.05
    finest_every: float = 0.5
    repeat_weight: float = 0.5

    def __post_init__(self) -> None:
        for name in (
            "corruption",
            "text_drop",
            "keep_noise",
            "word_drop",
            "label_smoothing",
            "finest_every",
            "repeat_weight",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be from 0 to 1, got {getattr(self, name)}")


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
    bare: MoScale,
    quantizer: Quantizer,
    batch: Batch,
    objective: ObjectiveConfig,
    train: bool = True,
    scales: int | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy on hidden tokens, averaged within and then, with weights, over the scales.

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
        mask_tokens(target, valid, bare.mask_token, noise)
        for target, valid in zip(inputs.targets, padded.token_masks, strict=True)
    ]
    predicted = model(
        [tokens for tokens, _ in pairs], inputs.accumulated, padded, bare.drop_text(text, dropped)
    )
    metrics: dict[str, float] = {}
    loss = batch.latents.new_zeros(())
    smoothing = objective.label_smoothing if train else 0.0
    divisors = padded.schedule.divisors
    repeats = [a == b for a, b in zip(divisors, (0, *divisors), strict=False)]
    weights = [objective.repeat_weight if again else 1.0 for again in repeats]
    for scale, (scores, (_, hidden)) in enumerate(zip(predicted, pairs, strict=True)):
        expected = inputs.targets[scale][hidden]
        entropy = F.cross_entropy(scores[hidden].float(), expected, label_smoothing=smoothing)
        loss = loss + entropy * weights[scale] / sum(weights)
        metrics[f"ce{scale + 1}"] = entropy.item()
        metrics[f"acc{scale + 1}"] = float((scores[hidden].argmax(-1) == expected).float().mean())
    metrics["ce"] = loss.item()
    return loss, metrics


@torch.no_grad()
def evaluate_generator(
    model: MoScale, quantizer: Quantizer, library: TokenLibrary, repeats: int = 3
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


def _from_weights(folder: Path, wanted: MoScaleConfig) -> MoScale:
    """A trained generator for the codes of the tokenizer in use.

    Scales that it lacks begin with the embedding and the head of its finest one.
    """
    model = load_part(MoScale, folder)
    for name in ("num_codes", "code_dim", "text_dim"):
        own, other = getattr(model.config, name), getattr(wanted, name)
        if own != other:
            raise ConfigError(f"{folder} has {name} {own}, this tokenizer and text need {other}")
    own, other = model.config.num_scales, wanted.num_scales
    if own > other:
        raise ConfigError(f"{folder} has {own} scales, this tokenizer only {other}")
    if own == other:
        return model
    longer = MoScale(replace(model.config, num_scales=other))
    state = model.state_dict()
    state["level"] = torch.cat([model.level, model.level[-1:].expand(other - own, -1)])
    for name in ("weight", "bias"):
        for scale in range(own, other):
            state[f"heads_out.{scale}.{name}"] = state[f"heads_out.{own - 1}.{name}"]
    longer.load_state_dict(state)
    return longer


def train_generator(
    data: Folders,
    tokenizer_path: str | Path,
    run: RunConfig,
    config: MoScaleConfig | None = None,
    objective: ObjectiveConfig | None = None,
    *,
    library: LibraryConfig | None = None,
    cache: Path | None = None,
    initial: Path | None = None,
    initial_tokenizer: Path | None = None,
) -> dict[str, float]:
    """Train MoScale on the train split of a data folder with a frozen tokenizer.

    Args:
        data: CMU or HumanML3D folders.
        tokenizer_path: Folder of a trained `TemporalTokenizer`.
        run: Settings of the run.
        config: Sizes; the code sizes are taken from the tokenizer.
        objective: Settings of the loss.
        library: Content of the training library.
        cache: Folder that keeps the encoded library for later runs.
        initial: Folder of a generator to continue from; its sizes replace `config`.
        initial_tokenizer: Folder of the tokenizer that it was trained with; None where that is
            `tokenizer_path`. See `match_codes`.

    Returns:
        Validation metrics of the last weights. `run.out/best` holds the weights with the
        lowest validation cross-entropy, `run.out/last` the last ones.
    """
    tokenizer = load_part(TemporalTokenizer, tokenizer_path).eval().requires_grad_(False)
    config = replace(
        config or MoScaleConfig(),
        num_codes=tokenizer.config.num_codes,
        code_dim=tokenizer.config.code_dim,
        num_scales=len(tokenizer.config.divisors),
    )
    objective = objective or ObjectiveConfig()
    encoder = TextEncoder(config.text_encoder)
    config = replace(config, text_dim=encoder.dim)
    distinct = len(set(tokenizer.config.divisors))
    source, val = open_libraries(data, tokenizer, encoder, run, library, cache)
    torch.manual_seed(run.seed)
    if initial is not None:
        model = _from_weights(initial, config)
        if initial_tokenizer is not None:
            old = load_part(TemporalTokenizer, initial_tokenizer).eval()
            with on_bad_data(run.on_bad_data):
                match_codes(model, old, tokenizer, captioned_samples(data, "train"))
    else:
        model = MoScale(config)
        with torch.no_grad():
            # Initialise codes from the tokenizer; [MASK] keeps its own initialisation.
            model.code_embedding.weight[:-1] = tokenizer.quantizer.codebook
    teach_duration(model, data, encoder, table=source.table, policy=run.on_bad_data)

    def loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        shard = trainer.shard
        drawn = source.draw(run.batch_size, shard.rank, shard.processes)
        batch = drawn.to(trainer.accelerator.device)
        scales = None
        if source.rng.random() >= objective.finest_every and distinct < config.num_scales:
            scales = int(source.rng.integers(distinct, config.num_scales))
        return generator_loss(module, trainer.bare, quantizer, batch, objective, scales=scales)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, MoScale)
        return evaluate_generator(module, quantizer, val)

    about = {
        "objective": objective,
        "library": library or LibraryConfig(),
        "data": folder_names(data),
        "tokenizer": weights_digest(tokenizer),
        "initial": initial.resolve().name if initial else None,
    }
    trainer = Trainer(
        model, run, loss, evaluate, better="ce", stateful={"library": source}, about=about
    )
    quantizer = tokenizer.quantizer.to(trainer.accelerator.device)
    return trainer.fit()
