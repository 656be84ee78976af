"""The captions of the training data that stand for what a model has seen; see `TextDomain`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nextscale_core.model.checkpoint import write_checksums
from nextscale_core.text.domain import TextDomain
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.data.samples import Folders, training_captions


def spread_out(features: Tensor, count: int) -> Tensor:
    """Rows of (N, D) unit vectors, each the farthest from those before it.

    Args:
        features: Features of unit length.
        count: Maximum number of rows.

    Returns:
        (min(count, N), D).
    """
    chosen = [0]
    nearest = features @ features[0]
    while len(chosen) < min(count, len(features)):
        chosen.append(int(nearest.argmin()))
        nearest = torch.maximum(nearest, features @ features[chosen[-1]])
    return features[chosen]


def write_domain(data: Folders, model: Path, encoder: TextEncoder, count: int = 2048) -> int:
    """Write the features of training captions into a model folder.

    Args:
        data: CMU or HumanML3D folders.
        model: The model's folder.
        encoder: The text encoder that the model was trained with.
        count: Maximum number of captions; the most different ones are kept.

    Returns:
        Number of captions written.
    """
    ordered = sorted(set(training_captions(data)))
    parts = [encoder(ordered[i : i + 128]).pooled for i in range(0, len(ordered), 128)]
    domain = TextDomain(spread_out(torch.cat(parts).float().cpu(), count))
    domain.save(model)
    write_checksums(model)
    return len(domain.captions)
