"""Training of the temporal tokenizer (MoScale's residual VQ-VAE)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.features import CONTACTS, POSITIONS
from nextscale_core.motion.features_torch import features_to_joints
from nextscale_core.motion.skeleton import CONTACT_JOINTS
from nextscale_core.tokenizers.temporal import TemporalTokenizer, TokenizerConfig
from nextscale_core.training.data import (
    Sample,
    captioned_samples,
    feature_statistics,
    trial_samples,
)
from nextscale_core.training.loop import RunConfig, Trainer

POSITION_WEIGHT = 0.5
COMMITMENT_WEIGHT = 0.1
WORLD_WEIGHT = 0.5
TEMPERATURE = 0.0
SCALE_DROPOUT = 0.1


class WindowSampler:
    """Random windows of one length a batch, every frame equally likely.

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
        self.samples, self.frames = samples, frames
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
        self.rng = np.random.default_rng(seed)

    def __call__(self) -> Tensor:
        """(B, window, 263) features."""
        window = int(self.rng.choice(self.windows, p=self.weights))
        room = np.maximum(self.lengths - window + 1, 0)
        chosen = self.rng.choice(
            len(self.samples), size=max(self.frames // window, 1), p=room / room.sum()
        )
        starts = (self.rng.random(len(chosen)) * room[chosen]).astype(int)
        stack = [
            self.samples[i].features[s : s + window] for i, s in zip(chosen, starts, strict=True)
        ]
        return torch.from_numpy(np.stack(stack))


def tokenizer_loss(
    model: nn.Module,
    bare: TemporalTokenizer,
    features: Tensor,
    temperature: float,
    scales: int | None,
) -> tuple[Tensor, dict[str, float]]:
    """Reconstruction + position + commitment (MoScale), and motion in the world.

    The last term compares the joints' displacement in the world from frame to frame: small
    errors of root velocity and pose add up to skating feet that the features alone do not show.

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
    step_made, step_real = made.diff(dim=1), real.diff(dim=1)
    world = F.smooth_l1_loss(step_made * 20, step_real * 20, beta=0.2)
    feet = list(CONTACT_JOINTS)
    resting = features[:, :-1, CONTACTS, None]
    skate = ((step_made[:, :, feet] - step_real[:, :, feet]) * 20 * resting).abs().mean()
    loss = (
        reconstruction
        + POSITION_WEIGHT * position
        + COMMITMENT_WEIGHT * quantized.commitment
        + WORLD_WEIGHT * (world + skate)
    )
    return loss, {
        "loss": loss.item(),
        "rec": reconstruction.item(),
        "commit": quantized.commitment.item(),
        "skate": skate.item(),
    }


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
    data: Path, run: RunConfig, config: TokenizerConfig | None = None, frames: int = 4096
) -> dict[str, float]:
    """Train a tokenizer on the train split and the uncaptioned rest of a data folder.

    Args:
        data: CMU or HumanML3D folder.
        run: Settings of the run; the batch is given in frames, not in samples.
        config: Sizes of the model.
        frames: Frames in a batch.

    Returns:
        Validation figures of the last weights; the best are in `run.out/best`.
    """
    config = config or TokenizerConfig()
    samples = trial_samples(data, mirror=True) or captioned_samples(data, "train", mirror=True)
    val = captioned_samples(data, "val")
    torch.manual_seed(run.seed)
    model = TemporalTokenizer(config)
    mean, std = feature_statistics(samples)
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_std.copy_(torch.from_numpy(std))
    sampler = WindowSampler(samples, frames=frames, seed=run.seed)
    generator = np.random.default_rng(run.seed + 1)

    def loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        bare = trainer.bare
        scales = None
        if generator.random() < SCALE_DROPOUT:
            scales = int(generator.integers(1, len(config.divisors)))
        # The draw cools down so that the last steps train what inference does.
        heat = TEMPERATURE * max(0.0, 1 - step / (0.6 * run.steps))
        features = sampler().to(trainer.accelerator.device)
        return tokenizer_loss(module, bare, features, heat, scales)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, TemporalTokenizer)
        return evaluate_tokenizer(module, val, trainer.accelerator.device)

    trainer = Trainer(model, run, loss, evaluate, better="mpjpe_mm")
    return trainer.fit()
