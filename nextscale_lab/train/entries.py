"""What a training library holds: latents with captions, and the encoded sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from tqdm import tqdm

from nextscale_core.text.encoder import TextEncoder, TextFeatures


@dataclass(frozen=True)
class Entry:
    """Latents of one motion and the features of its captions.

    Attributes:
        latents: Variants (small changes of speed), each (L, D).
        captions: Indices into the library's table of encoded sentences; empty without words.
        weak: The captions describe more than these latents.
        weight: How often the entry is drawn, relative to others.
    """

    latents: tuple[Tensor, ...]
    captions: tuple[int, ...]
    weak: bool
    weight: float


@dataclass
class Batch:
    """A drawn batch.

    Attributes:
        latents: (B, L, D), zero on padding.
        lengths: Latents of each sample.
        text: Features of B sentences.
        has_text: (B,) bool; False where the sample is motion without words.
    """

    latents: Tensor
    lengths: list[int]
    text: TextFeatures
    has_text: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            latents=self.latents.to(device),
            text=self.text.to(device),
            has_text=self.has_text.to(device),
        )


@dataclass
class SentenceTable:
    """Encoded sentences in half precision, each once."""

    rows: list[Tensor] = field(default_factory=list)
    pooled: list[Tensor] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)

    def add(self, sentences: Sequence[str], encoder: TextEncoder) -> None:
        """Encode the sentences that are not there yet."""
        fresh = sorted({s for s in sentences if s not in self.index}, key=len)
        for begin in tqdm(range(0, len(fresh), 128), desc="sentences", unit="batch"):
            chunk = fresh[begin : begin + 128]
            features = encoder(chunk)
            for row, sentence in enumerate(chunk):
                self.index[sentence] = len(self.rows)
                self.rows.append(features.tokens[row, features.mask[row]].half())
                self.pooled.append(features.pooled[row])

    def features(self, indices: Sequence[int]) -> TextFeatures:
        """Padded features of the sentences at the given indices."""
        rows = [self.rows[i] for i in indices]
        longest = max(map(len, rows))
        tokens = torch.zeros(len(rows), longest, rows[0].shape[-1])
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = row.float()
            mask[place, : len(row)] = True
        return TextFeatures(tokens, mask, torch.stack([self.pooled[i].float() for i in indices]))
