"""Fine-tuning of the tokenizer's decoder on single actions, with the tokens as they are.

Reconstruction averages over all motion, of which a kick or a punch is less than a hundredth; so
the decoder learns to draw them too small. Here it sees captioned actions only, fast limbs count
more, and encoder, codebook and therefore all tokens stay: a generator trained on them still fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.motion.features import CONTACTS, POSITIONS
from nextscale_core.motion.features_torch import features_to_joints
from nextscale_core.motion.skeleton import FPS
from nextscale_core.tokenizers.temporal import TemporalTokenizer
from nextscale_core.training.data import Sample, captioned_samples
from nextscale_core.training.limbs import limb_speeds
from nextscale_core.training.loop import RunConfig, Trainer
from nextscale_core.training.tokenizer import evaluate_tokenizer, world_terms

WINDOWS = (8, 16, 24, 49)
WINDOW_SHARES = (0.25, 0.35, 0.20, 0.20)
LATENTS = 768
"""Latents in a batch."""


class LatentWindows:
    """Random windows of quantised latents with the features they came from.

    Args:
        samples: Captioned motions.
        tokenizer: Frozen tokenizer, in eval mode.
        seed: Seed of the order.
    """

    def __init__(
        self, samples: Sequence[Sample], tokenizer: TemporalTokenizer, seed: int = 0
    ) -> None:
        self.samples = [s for s in samples if len(s.features) >= 4 * min(WINDOWS)]
        self.latents = [self._quantized(s, tokenizer) for s in self.samples]
        self.weights = np.array(
            [1.0 + np.percentile(limb_speeds(s.features), 95) for s in self.samples]
        )
        self.rng = np.random.default_rng(seed)

    @staticmethod
    @torch.no_grad()
    def _quantized(sample: Sample, tokenizer: TemporalTokenizer) -> Tensor:
        frames = len(sample.features) - len(sample.features) % 4
        tokens = tokenizer.encode(torch.from_numpy(sample.features[None, :frames]))
        return tokenizer.quantizer.accumulate(tokens, frames // 4)[0]

    def draw(self) -> tuple[Tensor, Tensor]:
        """(B, L, D) latents and (B, 4 L, 263) features."""
        length = int(self.rng.choice(WINDOWS, p=WINDOW_SHARES))
        room = np.array([max(len(own) - length + 1, 0) for own in self.latents])
        if not room.any():
            length, room = min(WINDOWS), np.array([len(z) - min(WINDOWS) + 1 for z in self.latents])
        share = self.weights * (room > 0)
        chosen = self.rng.choice(len(room), size=max(LATENTS // length, 4), p=share / share.sum())
        starts = [int(self.rng.integers(room[i])) for i in chosen]
        latents = [self.latents[i][s : s + length] for i, s in zip(chosen, starts, strict=True)]
        features = [
            self.samples[i].features[4 * s : 4 * (s + length)]
            for i, s in zip(chosen, starts, strict=True)
        ]
        return torch.stack(latents), torch.from_numpy(np.stack(features))


def decoder_loss(
    decoded: Tensor, features: Tensor, tokenizer: TemporalTokenizer
) -> tuple[Tensor, dict[str, float]]:
    """Features, positions, and velocities in the world in which fast limbs count more.

    Args:
        decoded: (B, T, 263) normalised output of the decoder.
        features: (B, T, 263) wanted features, not normalised.
        tokenizer: For the normalisation.
    """
    wanted = tokenizer.normalize(features)
    reconstruction = F.smooth_l1_loss(decoded, wanted)
    position = (decoded[..., POSITIONS] - wanted[..., POSITIONS]).abs().mean()
    made = features_to_joints(tokenizer.denormalize(decoded)).diff(dim=1) * FPS
    real = features_to_joints(features).diff(dim=1) * FPS
    skate, limbs = world_terms(made, real, features[..., CONTACTS])
    error = (made - real).norm(dim=-1).mean()
    loss = reconstruction + position + 0.3 * error + 0.15 * limbs + 0.3 * skate
    return loss, {"loss": loss.item(), "rec": reconstruction.item(), "limbs": limbs.item()}


def train_decoder(data: Path, tokenizer_path: str | Path, run: RunConfig) -> dict[str, float]:
    """Fine-tune the decoder of a trained tokenizer; its tokens do not change.

    Args:
        data: CMU or HumanML3D folder.
        tokenizer_path: Folder of a trained `TemporalTokenizer`.
        run: Settings of the run; `batch_size` is not used, a batch has `LATENTS` latents.

    Returns:
        Validation figures of the last weights; `run.out/last` holds them.
    """
    tokenizer = TemporalTokenizer.from_pretrained(str(tokenizer_path)).eval()
    tokenizer.requires_grad_(False)
    windows = LatentWindows(captioned_samples(data, "train", mirror=True), tokenizer, run.seed)
    val = captioned_samples(data, "val")
    tokenizer.decoder.requires_grad_(True)

    def loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        device = trainer.accelerator.device
        latents, features = (tensor.to(device) for tensor in windows.draw())
        decoded = trainer.bare.decoder(latents.transpose(1, 2)).transpose(1, 2)
        with torch.autocast(device.type, enabled=False):
            return decoder_loss(decoded.float(), features, trainer.bare)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, TemporalTokenizer)
        return evaluate_tokenizer(module, val, trainer.accelerator.device)

    trainer = Trainer(tokenizer, run, loss, evaluate, better="mpjpe_mm")
    return trainer.fit()
