"""Fine-tuning of the tokenizer's decoder on captioned actions, with frozen tokens.

Reconstruction averages over all motion, of which kicks and punches are less than a hundredth, so
the decoder makes them too small. Here fast limbs have more weight. Encoder and codebook are
frozen, so that a generator trained on the tokens remains valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nextscale_core.model.kinds import load_tokenizer
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_lab.data.limb_speeds import limb_speeds
from nextscale_lab.data.samples import (
    Folders,
    Sample,
    captioned_samples,
    folder_names,
    trial_samples,
)
from nextscale_lab.train.loop import RunConfig, Trainer
from nextscale_lab.train.run import weights_digest
from nextscale_lab.train.tokenizer import evaluate_tokenizer, reconstruction_loss

WINDOWS = (8, 16, 24, 49)
WINDOW_SHARES = (0.25, 0.35, 0.20, 0.20)


class LatentWindows:
    """Random windows of quantised latents with their features.

    Args:
        samples: Captioned motions.
        tokenizer: Frozen tokenizer, in eval mode.
        seed: Seed of the order.
        latents: Number of latents in a batch.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        tokenizer: MotionTokenizer,
        seed: int = 0,
        latents: int = 768,
    ) -> None:
        self.size = latents
        self.samples = [s for s in samples if len(s.features) >= 4 * min(WINDOWS)]
        self.latents = [self._quantized(s, tokenizer) for s in self.samples]
        self.weights = np.array(
            [1.0 + np.percentile(limb_speeds(s.features), 95) for s in self.samples]
        )
        self.rng = np.random.default_rng(seed)

    @staticmethod
    @torch.no_grad()
    def _quantized(sample: Sample, tokenizer: MotionTokenizer) -> Tensor:
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
        chosen = self.rng.choice(len(room), size=max(self.size // length, 4), p=share / share.sum())
        starts = [int(self.rng.integers(room[i])) for i in chosen]
        latents = [self.latents[i][s : s + length] for i, s in zip(chosen, starts, strict=True)]
        features = [
            self.samples[i].features[4 * s : 4 * (s + length)]
            for i, s in zip(chosen, starts, strict=True)
        ]
        return torch.stack(latents), torch.from_numpy(np.stack(features))


class DecoderOnly(nn.Module):
    """The decoder of a trained tokenizer as a module; the other parts are frozen."""

    def __init__(self, tokenizer: MotionTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer.requires_grad_(False)
        self.tokenizer.decoder.requires_grad_(True)
        self.config = tokenizer.config

    def forward(self, latents: Tensor) -> Tensor:
        """(B, L, D) quantised latents -> (B, 4 L, 263) normalised features."""
        return self.tokenizer.decode_latents(latents)

    def save_pretrained(self, folder: Path) -> None:
        """Write the whole tokenizer."""
        self.tokenizer.save_pretrained(folder)


def train_decoder(
    data: Folders, tokenizer_path: str | Path, run: RunConfig, frames: int = 3072
) -> dict[str, float]:
    """Fine-tune the decoder of a trained tokenizer; its tokens do not change.

    Args:
        data: CMU or HumanML3D folders.
        tokenizer_path: Folder of a trained tokenizer.
        run: Settings of the run; the batch is given in frames, not in samples.
        frames: Frames in a batch.

    Returns:
        Validation metrics of the last weights, which are in `run.out/last`.
    """
    run = replace(run, batch_size=frames)
    tokenizer = load_tokenizer(tokenizer_path).eval()
    with on_bad_data(run.on_bad_data):
        samples = captioned_samples(data, "train", mirror=True) + trial_samples(data, mirror=True)
        val = captioned_samples(data, "val")
    windows = LatentWindows(samples, tokenizer, run.seed, frames // tokenizer.frames_per_latent)

    def batch_loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        device = trainer.accelerator.device
        latents, features = windows.draw()
        rows = trainer.shard.rows(len(latents))
        decoded = module(latents[rows].to(device))
        with torch.autocast(device.type, enabled=False):
            loss, figures = reconstruction_loss(
                decoded.float(), features[rows].to(device), tokenizer
            )
        return trainer.shard.whole(len(latents), loss, figures)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, DecoderOnly)
        return evaluate_tokenizer(module.tokenizer, val, trainer.accelerator.device)

    trainer = Trainer(
        DecoderOnly(tokenizer),
        run,
        batch_loss,
        evaluate,
        better="mpjpe_mm",
        stateful={"windows": windows.rng},
        about={"data": folder_names(data), "tokenizer": weights_digest(tokenizer)},
    )
    return trainer.fit()
