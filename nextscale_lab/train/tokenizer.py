"""Training of the temporal tokenizer (MoScale's residual VQ-VAE)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import MotionFileError
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_core.motion.features import CONTACTS, POSITIONS
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_core.motion.skeleton import CONTACT_JOINTS, FPS
from nextscale_lab.data.limb_speeds import LIMBS, limb_speeds
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

POSITION_WEIGHT = 0.5
COMMITMENT_WEIGHT = 0.1
WORLD_WEIGHT = 0.5
LIMB_WEIGHT = 0.05
CONTACT_WEIGHT = 0.1
TEMPERATURE = 0.0
SCALE_DROPOUT = 0.1


class WindowSampler:
    """Random windows of one length a batch; windows with fast limbs come more often.

    A kick or a punch fills less than a hundredth of all recordings. Drawn in proportion, the
    tokenizer learns to stand and walk well and to draw fast actions too small.

    Args:
        samples: Motions of any length.
        windows: Window lengths [frames], multiples of 4.
        weights: How often each length is used.
        frames: Frames in a batch.
        seed: Seed of the order.

    Raises:
        MotionFileError: no sample is as long as the shortest window.
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
        haste = np.concatenate([0.5 + limb_speeds(sample.features) for sample in samples])
        self.chance = {window: self._chances(haste, window) for window in self.windows}
        self.rng = np.random.default_rng(seed)

    def _chances(self, haste: np.ndarray, window: int) -> np.ndarray:
        """Cumulative weight of every first frame; 0 where the window leaves its motion."""
        total = np.concatenate([[0.0], np.cumsum(haste)])
        weight = np.zeros(len(haste))
        weight[: len(haste) - window + 1] = total[window:] - total[:-window]
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


def tokenizer_loss(
    model: nn.Module,
    bare: TemporalTokenizer,
    features: Tensor,
    temperature: float,
    scales: int | None,
) -> tuple[Tensor, dict[str, float]]:
    """Reconstruction + position + commitment (MoScale), and motion in the world.

    The world terms compare the joints' velocities in the world: small errors of root velocity
    and pose add up to skating feet that the features alone do not show, and fast limbs, which
    the mean over all motion hides, count more. Contact labels are also judged as what they are,
    decisions (cross-entropy on the distance from one half).

    Args:
        model: The module to call (possibly wrapped for several processes).
        bare: The same module, unwrapped.
        features: (B, T, 263), not normalised.
        temperature: Temperature of the code draw.
        scales: Scales in use; None for all.
    """
    wanted = bare.normalize(features)
    decoded, quantized = model(wanted, temperature, scales)
    decoded = decoded.float()
    reconstruction = F.smooth_l1_loss(decoded, wanted)
    position = F.smooth_l1_loss(decoded[..., POSITIONS], wanted[..., POSITIONS])
    made = features_to_joints(bare.denormalize(decoded))
    real = features_to_joints(features)
    speed_made, speed_real = made.diff(dim=1) * FPS, real.diff(dim=1) * FPS
    world = F.smooth_l1_loss(speed_made, speed_real, beta=0.2)
    skate, limbs = world_terms(speed_made, speed_real, features[..., CONTACTS])
    contact = contact_loss(bare.denormalize(decoded), features)
    loss = (
        reconstruction
        + POSITION_WEIGHT * position
        + COMMITMENT_WEIGHT * quantized.commitment
        + WORLD_WEIGHT * (world + skate)
        + LIMB_WEIGHT * limbs
        + CONTACT_WEIGHT * contact
    )
    return loss, {
        "loss": loss.item(),
        "rec": reconstruction.item(),
        "commit": quantized.commitment.item(),
        "skate": skate.item(),
        "limbs": limbs.item(),
        "contact": contact.item(),
    }


def contact_loss(decoded: Tensor, features: Tensor) -> Tensor:
    """Cross-entropy of contact labels whose distance from one half is taken as the logit / 8.

    Args:
        decoded: (B, T, 263) features as the decoder has them, not normalised.
        features: (B, T, 263) wanted features.
    """
    logits = 8 * (decoded[..., CONTACTS] - 0.5)
    return F.binary_cross_entropy_with_logits(logits, features[..., CONTACTS])


def world_terms(made: Tensor, real: Tensor, contacts: Tensor) -> tuple[Tensor, Tensor]:
    """Sliding of feet that rest, and the velocity error of limbs, fast ones weighted.

    Args:
        made: (B, T - 1, 22, 3) joint velocities in the world [m/s].
        real: The same of the recording.
        contacts: (B, T, 4) contact labels of the recording.

    Returns:
        Two scalars [m/s].
    """
    resting = contacts[:, :-1, :, None]
    skate = ((made - real)[:, :, list(CONTACT_JOINTS)] * resting).abs().mean()
    haste = 1 + real.norm(dim=-1).clamp(max=6.0)
    # The square root's slope is endless where a velocity is met exactly, as in a still pose.
    error = ((made - real).square().sum(-1) + 1e-8).sqrt()
    return skate, (error * haste)[:, :, LIMBS].mean()


@torch.no_grad()
def evaluate_tokenizer(
    model: TemporalTokenizer, samples: list[Sample], device: torch.device
) -> dict[str, float]:
    """Reconstruction figures over whole clips.

    Returns:
        `mpjpe_mm` (root-aligned: the root's ground position and heading agree in every frame),
        `mpjpe_mm_k` with the first k scales, `codebook_use` (share of codes used), `contact`
        (share of contact labels that agree).
    """
    errors: list[list[float]] = [[] for _ in range(model.quantizer.num_scales)]
    contacts, weights = [], []
    used = torch.zeros(model.config.num_codes, dtype=torch.bool)
    for sample in samples:
        frames = len(sample.features) - len(sample.features) % 4
        features = torch.from_numpy(sample.features[None, :frames]).to(device)
        tokens = model.encode(features)
        for scale, index in enumerate(tokens):
            used[index.cpu().flatten()] = True
            decoded = model.decode(tokens[: scale + 1], frames // 4).float()
            delta = (decoded - features)[0, :, POSITIONS].reshape(frames, 21, 3)
            errors[scale].append(float(delta.norm(dim=-1).mean()) * 21 / 22 * 1000)
        agree = (decoded[0, :, CONTACTS] > 0.5) == (features[0, :, CONTACTS] > 0.5)
        contacts.append(float(agree.float().mean()))
        weights.append(frames)
    figures = {
        f"mpjpe_mm_{k + 1}": float(np.average(rows, weights=weights))
        for k, rows in enumerate(errors)
    }
    figures["mpjpe_mm"] = figures[f"mpjpe_mm_{len(errors)}"]
    figures["codebook_use"] = float(used.float().mean())
    figures["contact"] = float(np.average(contacts, weights=weights))
    return figures


def train_tokenizer(
    data: Folders, run: RunConfig, config: TokenizerConfig | None = None, frames: int = 3072
) -> dict[str, float]:
    """Train a tokenizer on the train split and the uncaptioned rest of a data folder.

    Args:
        data: CMU or HumanML3D folders.
        run: Settings of the run; the batch is given in frames, not in samples.
        config: Sizes of the model.
        frames: Frames in a batch.

    Returns:
        Validation figures of the last weights; the best are in `run.out/best`.
    """
    config = config or TokenizerConfig()
    run = replace(run, batch_size=frames)
    with on_bad_data(run.on_bad_data):
        samples = trial_samples(data, mirror=True) or captioned_samples(data, "train", mirror=True)
        val = captioned_samples(data, "val")
    torch.manual_seed(run.seed)
    model = TemporalTokenizer(config)
    mean, std = feature_statistics(samples)
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_std.copy_(torch.from_numpy(std))
    sampler = WindowSampler(samples, frames=frames, seed=run.seed)
    generator = np.random.default_rng(run.seed + 1)

    def batch_loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        bare = trainer.bare
        scales = None
        if generator.random() < SCALE_DROPOUT:
            scales = int(generator.integers(1, len(config.divisors)))
        # The draw cools down so that the last steps train what inference does.
        heat = TEMPERATURE * max(0.0, 1 - step / (0.6 * run.steps))
        batch = sampler()
        features = batch[trainer.shard.rows(len(batch))].to(trainer.accelerator.device)
        loss, figures = tokenizer_loss(module, bare, features, heat, scales)
        return trainer.shard.whole(len(batch), loss, figures)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, TemporalTokenizer)
        return evaluate_tokenizer(module, val, trainer.accelerator.device)

    trainer = Trainer(
        model,
        run,
        batch_loss,
        evaluate,
        better="mpjpe_mm",
        stateful={"windows": sampler.rng, "scales": generator},
        about={"data": folder_names(data)},
    )
    return trainer.fit()
