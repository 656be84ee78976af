"""A tokenizer of a single scale, for the next-token baseline, started from a trained one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nextscale_core.model.checkpoint import load_part
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_lab.data.samples import Folders, captioned_samples, folder_names, trial_samples
from nextscale_lab.train.loop import RunConfig, Trainer
from nextscale_lab.train.tokenizer import WindowSampler, evaluate_tokenizer, tokenizer_loss


def single_scale_from(tokenizer: TemporalTokenizer) -> TemporalTokenizer:
    """A tokenizer with the encoder and decoder of another one and a fresh codebook.

    Its tokens come at the rate of the other's finest scale. The codebook, of the same size,
    is filled from the first training batch.

    Args:
        tokenizer: A trained tokenizer of several scales.
    """
    single = TemporalTokenizer(replace(tokenizer.config, divisors=(1,)))
    taken = {
        name: value
        for name, value in tokenizer.state_dict().items()
        if not name.startswith("quantizer.")
    }
    own = single.state_dict()
    single.load_state_dict({**own, **taken})
    return single


def train_single_scale(
    data: Folders, tokenizer_path: str | Path, run: RunConfig, frames: int = 3072
) -> dict[str, float]:
    """Train a single-scale tokenizer with the loss and the windows of `train_tokenizer`.

    Args:
        data: CMU or HumanML3D folders.
        tokenizer_path: Folder of the trained tokenizer to start from.
        run: Settings of the run; the batch is given in frames, not in samples.
        frames: Frames in a batch.

    Returns:
        Validation figures of the last weights; the best are in `run.out/best`.
    """
    run = replace(run, batch_size=frames)
    with on_bad_data(run.on_bad_data):
        samples = trial_samples(data, mirror=True) or captioned_samples(data, "train", mirror=True)
        val = captioned_samples(data, "val")
    torch.manual_seed(run.seed)
    model = single_scale_from(load_part(TemporalTokenizer, tokenizer_path))
    sampler = WindowSampler(samples, frames=frames, seed=run.seed)

    def loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        batch = sampler()
        features = batch[trainer.shard.rows(len(batch))].to(trainer.accelerator.device)
        # One scale: there is none to leave out, and codes are drawn without noise.
        total, figures = tokenizer_loss(module, trainer.bare, features, 0.0, None)
        return total * trainer.shard.weight(len(batch)), figures

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, TemporalTokenizer)
        return evaluate_tokenizer(module, val, trainer.accelerator.device)

    trainer = Trainer(
        model,
        run,
        loss,
        evaluate,
        better="mpjpe_mm",
        stateful={"windows": sampler.rng},
        about={"data": folder_names(data), "from": Path(tokenizer_path).resolve().name},
    )
    return trainer.fit()
