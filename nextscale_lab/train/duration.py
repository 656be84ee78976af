"""Training of the head that predicts the duration of a sentence's motion.

Its input are the frozen features of the sentence. It is fitted within seconds before the training
of a generator and frozen from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.conditioned import TextConditioned
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_core.motion.formats.humanml3d import read_humanml3d
from nextscale_core.motion.skeleton import FPS
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.data.annotations import annotations_of
from nextscale_lab.data.cmu import CmuFolder
from nextscale_lab.data.samples import Folders, data_folders
from nextscale_lab.train.entries import SentenceTable
from nextscale_lab.train.library import density

Pair = tuple[str, float]


@dataclass(frozen=True)
class DurationConfig:
    """Settings of the fit.

    Attributes:
        steps: Optimiser steps.
        batch_size: Sentences per step.
        learning_rate: Learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        single_actions: Share of captions of single actions (`annotations.yaml`) in a batch. Most
            recorded clips are cut at 10 s and hold several actions.
        balance: Exponent that favours rare captions over frequent ones such as "a person runs".
        seed: Seed of initialisation and order.
    """

    steps: int = 600
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    single_actions: float = 0.3
    balance: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.single_actions < 1:
            raise ConfigError(f"single_actions must be in [0, 1), got {self.single_actions}")


@dataclass(frozen=True)
class DurationData:
    """Sentences and the durations of their motions.

    Attributes:
        pooled: (N, D) pooled features of the sentences.
        seconds: (N,) durations [s].
        weights: (N,) probabilities of being drawn.
    """

    pooled: Tensor
    seconds: Tensor
    weights: Tensor


def duration_data(
    data: Folders, encoder: TextEncoder, config: DurationConfig, table: SentenceTable | None = None
) -> DurationData:
    """The captions of the train split with their durations.

    Args:
        data: CMU or HumanML3D folders; the latter have no captions of single actions.
        encoder: The generator's text encoder.
        config: Settings of the weights.
        table: Encoded sentences; missing ones are added.
    """
    table = SentenceTable() if table is None else table
    groups: tuple[list[Pair], list[Pair]] = ([], [])
    for folder in data_folders(data):
        for group, found in zip(groups, _captions(folder), strict=True):
            group += found
    shares = (1 - config.single_actions, config.single_actions) if groups[1] else (1.0, 0.0)
    pooled, seconds, weights = [], [], []
    for group, share in zip(groups, shares, strict=True):
        if not group:
            continue
        table.add([text for text, _ in group], encoder)
        rows = torch.stack([table.pooled[table.index[text]].float() for text, _ in group])
        pooled.append(rows)
        seconds += [value for _, value in group]
        rarity = density(rows).clamp(min=1.0) ** -config.balance
        weights.append(share * rarity / rarity.sum())
    if not seconds:
        raise ConfigError(f"{data} holds no captioned training clip")
    return DurationData(torch.cat(pooled), torch.tensor(seconds), torch.cat(weights))


def _captions(data: Path) -> tuple[list[Pair], list[Pair]]:
    """Captions with durations [s]: of clips of the train split, and of single actions."""
    if not (data / "clips.jsonl").is_file():
        clips = read_humanml3d(data, "train")
        return [(text, item.clip.seconds) for item in clips for text in item.captions], []
    folder = CmuFolder(data)
    rows = folder.training_rows()
    return (
        [(text, (row.end - row.first) / FPS) for row in rows for text in row.captions],
        [
            (text, (item.end - item.start) / FPS)
            for item in annotations_of(folder)
            for text in item.captions
        ],
    )


def fit_duration(
    model: TextConditioned, samples: DurationData, config: DurationConfig | None = None
) -> float:
    """Initialise, fit and freeze a model's duration head.

    The absolute error in seconds is minimal at the median duration of a sentence.

    Args:
        model: Model whose `duration` head is changed in place.
        samples: Training data.
        config: Settings.

    Returns:
        Mean absolute error over the last tenth of the steps [s].
    """
    config = config or DurationConfig()
    head = model.duration.requires_grad_(True)
    device = next(head.parameters()).device
    errors = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for layer in head:
            if isinstance(layer, torch.nn.Linear):
                layer.reset_parameters()
        output = head[-1]
        assert isinstance(output, torch.nn.Linear)
        torch.nn.init.zeros_(output.weight)
        torch.nn.init.constant_(output.bias, float(samples.seconds.log().median()))
        optimizer = torch.optim.AdamW(
            head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        training = head.training
        head.train()
        for _ in range(config.steps):
            rows = torch.multinomial(samples.weights, config.batch_size, replacement=True)
            guess = model.seconds_of(samples.pooled[rows].to(device))
            error = (guess - samples.seconds[rows].to(device)).abs().mean()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            errors.append(float(error.detach()))
        head.train(training)
    head.requires_grad_(False)
    last = errors[-max(config.steps // 10, 1) :]
    return sum(last) / len(last)


def teach_duration(
    model: TextConditioned,
    data: Folders,
    encoder: TextEncoder,
    config: DurationConfig | None = None,
    *,
    table: SentenceTable | None = None,
    policy: str = "refuse",
) -> float:
    """`fit_duration` on the train split of a data folder.

    Args:
        model: As in `fit_duration`.
        data: CMU or HumanML3D folders.
        encoder: The model's text encoder.
        config: Settings.
        table: As in `duration_data`.
        policy: Treatment of broken data, as in `RunConfig.on_bad_data`.

    Returns:
        The error [s].
    """
    config = config or DurationConfig()
    with on_bad_data(policy):
        samples = duration_data(data, encoder, config, table)
    return fit_duration(model, samples, config)
