"""Training of the tokenizers: MoScale's residual VQ-VAE, ScaleMoGen's bits over body parts."""

from __future__ import annotations

import math
import operator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.model.binary_quantizer import BinaryQuantizer, tokens_to_bits
from nextscale_core.model.kinds import load_tokenizer
from nextscale_core.model.quantizer import Quantizer
from nextscale_core.model.skeletal_tokenizer import SCHEDULES, SkeletalConfig, SkeletalTokenizer
from nextscale_core.model.temporal_tokenizer import (
    ResidualBlock,
    TemporalTokenizer,
    TokenizerConfig,
)
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.features import CONTACTS, POSITIONS, ROOT
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_core.motion.skeleton import CONTACT_JOINTS, FPS
from nextscale_lab.data.limb_speeds import ARMS, LIMBS, limb_speeds
from nextscale_lab.data.samples import (
    Folders,
    Sample,
    captioned_samples,
    feature_statistics,
    folder_names,
    trial_samples,
)
from nextscale_lab.train.features_torch import features_to_joints
from nextscale_lab.train.loop import RunConfig, Trainer

DISTANCE_WEIGHT = 10.0
SPEED_WEIGHT = 0.1
LIMB_WEIGHT = 0.2
SKATE_WEIGHT = 0.3
COMMITMENT_WEIGHT = 0.1
ROOT_WEIGHT = 1.0
HEIGHT_WEIGHT = 3.0
BIT_WEIGHT = 4.0
"""Weight of the loss of `BinaryQuantizer`."""
CONTACT_WEIGHT = 0.1
TEMPERATURE = 0.0
SCALE_DROPOUT = 0.1
BIT_SCALE_DROPOUT = 0.2
"""Share of steps without the last scales; more for bits, whose coarse scales say less."""


class WindowSampler:
    """Sampler of random windows, more often of fast limbs; one length per batch.

    Kicks and punches are less than a hundredth of all recordings. With uniform draws the
    tokenizer makes fast actions too small.

    Args:
        samples: Motions of any length.
        windows: Window lengths [frames], multiples of 4.
        weights: Frequencies of the lengths.
        frames: Frames in a batch.
        seed: Seed of the order.

    Raises:
        MotionFileError: all samples are shorter than the shortest window.
    """

    def __init__(
        self,
        samples: list[Sample],
        windows: tuple[int, ...] = (32, 64, 128, 196),
        weights: tuple[float, ...] = (0.15, 0.45, 0.25, 0.15),
        frames: int = 4096,
        seed: int = 0,
    ) -> None:
        self.frames = frames
        self.lengths = np.array([len(s.features) for s in samples])
        longest = int(self.lengths.max(initial=0))
        usable = [(w, p) for w, p in zip(windows, weights, strict=True) if w <= longest]
        if not usable:
            raise MotionFileError(
                f"no motion is long enough to train on: the longest has {longest} frames, "
                f"{min(windows)} are needed"
            )
        self.windows = [window for window, _ in usable]
        self.weights = np.array([weight for _, weight in usable])
        self.weights /= self.weights.sum()
        self.features = np.concatenate([sample.features for sample in samples])
        weight = np.concatenate([window_weight(sample.features) for sample in samples])
        self.chance = {window: self._chances(weight, window) for window in self.windows}
        self.rng = np.random.default_rng(seed)

    def _chances(self, frame_weight: np.ndarray, window: int) -> np.ndarray:
        """Cumulative weight of every first frame; 0 where a window exceeds its motion."""
        total = np.concatenate([[0.0], np.cumsum(frame_weight)])
        weight = np.zeros(len(frame_weight))
        weight[: len(frame_weight) - window + 1] = total[window:] - total[:-window]
        ends = np.cumsum(self.lengths)
        for length, end in zip(self.lengths, ends, strict=True):
            weight[end - min(window - 1, length) : end] = 0.0
        chance = np.cumsum(weight)
        return chance / chance[-1]

    def __call__(self) -> Tensor:
        """(B, window, 263) features."""
        window = int(self.rng.choice(self.windows, p=self.weights))
        dice = self.rng.random(max(self.frames // window, 1))
        starts = np.searchsorted(self.chance[window], dice, side="right")
        return torch.from_numpy(self.features[starts[:, None] + np.arange(window)])


def window_weight(features: np.ndarray) -> np.ndarray:
    """(T,) weight of each frame of (T, 263) features in the draw of windows.

    The square of the hands' speed sets punches, throws and claps apart from walking, in which
    the feet are as fast.
    """
    return 0.5 + limb_speeds(features) + 0.5 * limb_speeds(features, ARMS) ** 2


def tokenizer_loss(
    model: nn.Module,
    bare: MotionTokenizer,
    features: Tensor,
    temperature: float,
    scales: int | None,
) -> tuple[Tensor, dict[str, float]]:
    """Reconstruction and commitment.

    Args:
        model: The module to call (possibly wrapped for several processes).
        bare: The same module, unwrapped.
        features: (B, T, 263), not normalised.
        temperature: Temperature of the code draw.
        scales: Scales in use; None for all.
    """
    decoded, quantized = model(bare.normalize(features), temperature, scales)
    loss, metrics = reconstruction_loss(decoded.float(), features, bare)
    weight = BIT_WEIGHT if isinstance(bare.quantizer, BinaryQuantizer) else COMMITMENT_WEIGHT
    loss = loss + weight * quantized.commitment
    return loss, {**metrics, "loss": loss.item(), "commit": quantized.commitment.item()}


def reconstruction_loss(
    decoded: Tensor, features: Tensor, tokenizer: MotionTokenizer
) -> tuple[Tensor, dict[str, float]]:
    """Features, joint distances, world velocities with more weight on fast limbs, contacts.

    A tokenizer of body parts also has a loss of its root, see `_root_loss`.

    The world terms compare the joints' world velocities: small errors of root velocity and pose
    add up to skating feet.

    Args:
        decoded: (B, T, 263) normalised output of the decoder.
        features: (B, T, 263) target features, not normalised.
        tokenizer: Source of the normalisation.
    """
    plain = tokenizer.denormalize(decoded)
    reconstruction = F.smooth_l1_loss(decoded, tokenizer.normalize(features))
    apart = (plain[..., POSITIONS] - features[..., POSITIONS]).unflatten(-1, (-1, 3))
    distance = (apart.square().sum(-1) + 1e-8).sqrt().mean()
    made = features_to_joints(plain).diff(dim=1) * FPS
    real = features_to_joints(features).diff(dim=1) * FPS
    skate, limbs = world_terms(made, real, features[..., CONTACTS])
    error = (made - real).norm(dim=-1).mean()
    contact = contact_loss(plain, features)
    root = _root_loss(decoded, features, tokenizer) if _has_parts(tokenizer) else 0.0
    loss = (
        reconstruction
        + DISTANCE_WEIGHT * distance
        + SPEED_WEIGHT * error
        + LIMB_WEIGHT * limbs
        + SKATE_WEIGHT * skate
        + CONTACT_WEIGHT * contact
        + root
    )
    terms = {"rec": reconstruction, "limbs": limbs, "skate": skate, "contact": contact}
    return loss, {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}


def _has_parts(tokenizer: MotionTokenizer) -> bool:
    return tokenizer.quantizer.schedule.parts > 1


def _root_loss(decoded: Tensor, features: Tensor, tokenizer: MotionTokenizer) -> Tensor:
    """Root features, and the pelvis' height in metres.

    Where each part has a network of its own, that of the root learns the height from this alone.
    """
    wanted = tokenizer.normalize(features)
    height = (tokenizer.denormalize(decoded) - features)[..., ROOT.stop - 1].abs().mean()
    own = F.smooth_l1_loss(decoded[..., ROOT], wanted[..., ROOT])
    return ROOT_WEIGHT * own + HEIGHT_WEIGHT * height


def contact_loss(decoded: Tensor, features: Tensor) -> Tensor:
    """Cross-entropy of contact labels with 8 times the distance from one half as logit.

    Args:
        decoded: (B, T, 263) decoded features, not normalised.
        features: (B, T, 263) target features.
    """
    logits = 8 * (decoded[..., CONTACTS] - 0.5)
    return F.binary_cross_entropy_with_logits(logits, features[..., CONTACTS])


def world_terms(made: Tensor, real: Tensor, contacts: Tensor) -> tuple[Tensor, Tensor]:
    """Sliding of resting feet, and velocity error of limbs with weights by speed.

    Args:
        made: (B, T - 1, 22, 3) world velocities of the joints [m/s].
        real: (B, T - 1, 22, 3) world velocities of the recording [m/s].
        contacts: (B, T, 4) contact labels of the recording.

    Returns:
        Two scalars [m/s].
    """
    resting = contacts[:, :-1, :, None]
    skate = ((made - real)[:, :, list(CONTACT_JOINTS)] * resting).abs().mean()
    limb_speed = 1 + real.norm(dim=-1).clamp(max=6.0)
    # The offset keeps the gradient finite at zero error, as in a still pose.
    error = ((made - real).square().sum(-1) + 1e-8).sqrt()
    return skate, (error * limb_speed)[:, :, LIMBS].mean()


@torch.no_grad()
def evaluate_tokenizer(
    model: MotionTokenizer, samples: list[Sample], device: torch.device
) -> dict[str, float]:
    """Reconstruction metrics over whole clips.

    Returns:
        `mpjpe_mm` (with the root's ground position and heading aligned in every frame),
        `mpjpe_mm_k` with the first k scales, `codebook_use` (share of used codes) or `bit_entropy`
        (mean over the bits of a token), `contact` (share of correct contact labels), `height_mm`
        (error of the pelvis' height), `slide_cm_s` (mean horizontal speed of feet where the
        recording has contact).
    """
    errors: list[list[float]] = [[] for _ in range(model.quantizer.schedule.num_scales)]
    contacts, slides, heights, weights = [], [], [], []
    every: list[Tensor] = []
    for sample in samples:
        frames = len(sample.features) - len(sample.features) % 4
        features = torch.from_numpy(sample.features[None, :frames]).to(device)
        tokens = model.encode(features)
        every += [index.flatten() for index in tokens]
        for scale in range(len(tokens)):
            decoded = model.decode(tokens[: scale + 1], frames // 4).float()
            delta = (decoded - features)[0, :, POSITIONS].reshape(frames, 21, 3)
            errors[scale].append(float(delta.norm(dim=-1).mean()) * 21 / 22 * 1000)
        resting = features[:, :, CONTACTS] > 0.5
        agree = (decoded[:, :, CONTACTS] > 0.5) == resting
        contacts.append(float(agree.float().mean()))
        feet = features_to_joints(decoded)[:, :, list(CONTACT_JOINTS), :2].diff(dim=1) * FPS
        slides.append(feet.norm(dim=-1)[resting[:, :-1]])
        heights.append(float((decoded - features)[..., ROOT.stop - 1].abs().mean()) * 1000)
        weights.append(frames)
    metrics = {
        f"mpjpe_mm_{k + 1}": float(np.average(rows, weights=weights))
        for k, rows in enumerate(errors)
    }
    metrics["mpjpe_mm"] = metrics[f"mpjpe_mm_{len(errors)}"]
    metrics |= _use(model.quantizer, torch.cat(every))
    metrics["contact"] = float(np.average(contacts, weights=weights))
    metrics["height_mm"] = float(np.average(heights, weights=weights))
    metrics["slide_cm_s"] = float(torch.cat(slides).mean()) * 100
    return metrics


def _use(quantizer: Quantizer, tokens: Tensor) -> dict[str, float]:
    """How much of its vocabulary a quantizer uses; 1 is all of it."""
    if isinstance(quantizer, BinaryQuantizer):
        ones = tokens_to_bits(tokens, quantizer.dim).float().mean(0)
        entropy = -(torch.xlogy(ones, ones) + torch.xlogy(1 - ones, 1 - ones)) / math.log(2)
        return {"bit_entropy": float(entropy.mean())}
    return {"codebook_use": len(tokens.unique()) / quantizer.logits}


def resized(tokenizer: TemporalTokenizer, config: TokenizerConfig) -> TemporalTokenizer:
    """A tokenizer with the weights of a trained one, and with scales and frame blocks of its own.

    Where the scales of both begin alike, the codes and, before further training, the tokens stay
    the same; further scales begin with the same codes. Otherwise the codebook is filled from the
    first training batch. New frame blocks begin as identities.

    Args:
        tokenizer: The trained one, whose sizes are kept.
        config: Its `divisors` and `frame_depth` are used.
    """
    own = tokenizer.config.divisors
    wanted = replace(tokenizer.config, divisors=config.divisors, frame_depth=config.frame_depth)
    other = TemporalTokenizer(wanted)
    for block in other.decoder.modules():
        if isinstance(block, ResidualBlock):
            for parameter in block.conv2.parameters():
                nn.init.zeros_(parameter)
    alike = all(map(operator.eq, own, wanted.divisors))
    names = other.state_dict().keys()
    kept = {
        name: value
        for name, value in tokenizer.state_dict().items()
        if name in names and (alike or not name.startswith("quantizer."))
    }
    other.load_state_dict({**other.state_dict(), **kept})
    if alike:
        other.quantizer.keep_codes()
    return other


def tokenizer_config(
    kind: str, schedule: str | None = None, more_scales: int = 0, **sizes: int | None
) -> TokenizerConfig | SkeletalConfig:
    """Sizes of a tokenizer from the options of a command.

    Args:
        kind: 'temporal' or 'skeletal'.
        schedule: Name in `SCHEDULES`; skeletal only, None for 'product'.
        more_scales: Scales after the default ones, at the finest resolution; temporal only.
        sizes: Fields of the config; None for the default.

    Raises:
        ConfigError: an unknown kind or schedule, or an option of the other kind.
    """
    kinds = {"temporal": TokenizerConfig, "skeletal": SkeletalConfig}
    if kind not in kinds:
        raise ConfigError(f"kind must be {' or '.join(kinds)}, got {kind!r}")
    given: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    if more_scales:
        given["more_scales"] = more_scales
    if schedule:
        given["schedule"] = schedule
    known = {field.name for field in fields(kinds[kind])}
    known.add("schedule" if kind == "skeletal" else "more_scales")
    for name in given.keys() - known:
        raise ConfigError(f"a {kind} tokenizer has no {name.replace('_', ' ')}")
    if kind == "temporal":
        given.pop("more_scales", None)
        return TokenizerConfig(**given, divisors=TokenizerConfig.divisors + (1,) * more_scales)
    given.pop("schedule", None)
    name = schedule or "product"
    if name not in SCHEDULES:
        raise ConfigError(f"schedule must be {' or '.join(SCHEDULES)}, got {name!r}")
    return SkeletalConfig(**given, divisors=SCHEDULES[name].divisors, groups=SCHEDULES[name].groups)


def rescheduled(tokenizer: SkeletalTokenizer, config: SkeletalConfig) -> SkeletalTokenizer:
    """A tokenizer with the weights and sizes of a trained one and the schedule of a config.

    Where the scales of both begin alike, their tokens stay the same until further training.
    """
    wanted = replace(tokenizer.config, divisors=config.divisors, groups=config.groups)
    other = SkeletalTokenizer(wanted)
    kept = {k: v for k, v in tokenizer.state_dict().items() if k != "quantizer.spread"}
    other.load_state_dict({**other.state_dict(), **kept})
    shared = min(len(config.divisors), len(tokenizer.config.divisors))
    other.quantizer.spread[:shared] = tokenizer.quantizer.spread[:shared]
    return other


def scale_dropout(tokenizer: MotionTokenizer) -> float:
    """Share of steps without the last scales."""
    binary = isinstance(tokenizer.quantizer, BinaryQuantizer)
    return BIT_SCALE_DROPOUT if binary else SCALE_DROPOUT


def train_tokenizer(
    data: Folders,
    run: RunConfig,
    config: TokenizerConfig | SkeletalConfig | None = None,
    frames: int = 3072,
    *,
    initial: Path | None = None,
    keep_tokens: bool = False,
) -> dict[str, float]:
    """Train a tokenizer on the train split and the uncaptioned rest of a data folder.

    Args:
        data: CMU or HumanML3D folders.
        run: Settings of the run; its batch size is replaced by `frames`.
        config: Sizes and kind of the model; with `initial` see `resized` and `rescheduled`.
        frames: Frames in a batch.
        initial: Folder of a trained tokenizer to start from.
        keep_tokens: Train the decoder only, so that a generator for the tokens of `initial`
            remains valid.

    Returns:
        Validation metrics of the last weights; the best are in `run.out/best`.

    Raises:
        ConfigError: `initial` is of another kind than `config`.
    """
    run = replace(run, batch_size=frames)
    with on_bad_data(run.on_bad_data):
        samples = trial_samples(data, mirror=True) + captioned_samples(data, "train", mirror=True)
        val = captioned_samples(data, "val")
    torch.manual_seed(run.seed)
    about: dict[str, object] = {"data": folder_names(data)}
    config = config or TokenizerConfig()
    model: MotionTokenizer
    if initial:
        model = load_tokenizer(initial).train()
        if isinstance(model, TemporalTokenizer) and isinstance(config, TokenizerConfig):
            model = resized(model, config)
        elif isinstance(model, SkeletalTokenizer) and isinstance(config, SkeletalConfig):
            model = rescheduled(model, config)
        else:
            raise ConfigError(f"the tokenizer in {initial} is of another kind than asked for")
        about["initial"] = initial.resolve().name
    else:
        if isinstance(config, SkeletalConfig):
            model = SkeletalTokenizer(config)
        else:
            model = TemporalTokenizer(config)
        mean, std = feature_statistics(samples)
        model.feature_mean.copy_(torch.from_numpy(mean))
        model.feature_std.copy_(torch.from_numpy(std))
    about["keep_tokens"] = keep_tokens
    if keep_tokens:
        model.requires_grad_(False).decoder.requires_grad_(True)
    divisors = model.quantizer.schedule.divisors
    num_scales = len(divisors)
    # A generator may be without the last scales, but never without one of the time resolutions.
    fewest, dropout = (len(set(divisors)), 0.3) if keep_tokens else (1, scale_dropout(model))
    sampler = WindowSampler(samples, frames=frames, seed=run.seed)
    generator = np.random.default_rng(run.seed + 1)

    def batch_loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        bare = trainer.bare
        scales = None
        if num_scales > fewest and generator.random() < dropout:
            scales = int(generator.integers(fewest, num_scales))
        bare.quantizer.train(not keep_tokens)
        # The temperature falls to zero, as in inference.
        heat = TEMPERATURE * max(0.0, 1 - step / (0.6 * run.steps))
        batch = sampler()
        features = batch[trainer.shard.rows(len(batch))].to(trainer.accelerator.device)
        loss, metrics = tokenizer_loss(module, bare, features, heat, scales)
        return trainer.shard.whole(len(batch), loss, metrics)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, MotionTokenizer)
        return evaluate_tokenizer(module, val, trainer.accelerator.device)

    trainer = Trainer(
        model,
        run,
        batch_loss,
        evaluate,
        better="mpjpe_mm",
        stateful={"windows": sampler.rng, "scales": generator},
        about=about,
    )
    return trainer.fit()
