"""Entries of a training library: latents with captions, encoded sentences, and their file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from nextscale_core.text.encoder import TextEncoder, TextFeatures


@dataclass(frozen=True)
class Entry:
    """Latents of one motion and the features of its captions.

    Attributes:
        latents: Variants (small changes of speed), each (L, D).
        captions: Indices into the library's table of encoded sentences; empty without captions.
        weak: The captions describe more than these latents.
        weight: Relative frequency of being drawn.
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
        lengths: Number of latents of each sample.
        text: Features of B sentences.
        has_text: (B,) bool; False for motion without captions.
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
    """Encoded sentences in half precision, without duplicates."""

    rows: list[Tensor] = field(default_factory=list)
    pooled: list[Tensor] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)

    def add(self, sentences: Sequence[str], encoder: TextEncoder) -> None:
        """Encode and add new sentences."""
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


def save_library(path: Path, entries: list[Entry], table: SentenceTable) -> None:
    """Write a library as safetensors; see `load_library`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        "latents": torch.cat([z for entry in entries for z in entry.latents]),
        "latent_counts": torch.tensor([len(z) for entry in entries for z in entry.latents]),
        "variants": torch.tensor([len(entry.latents) for entry in entries]),
        "captions": torch.tensor([i for entry in entries for i in entry.captions]),
        "caption_counts": torch.tensor([len(entry.captions) for entry in entries]),
        "weak": torch.tensor([entry.weak for entry in entries]),
        "weights": torch.tensor([entry.weight for entry in entries], dtype=torch.float64),
        "tokens": torch.cat(table.rows),
        "token_counts": torch.tensor([len(row) for row in table.rows]),
        "pooled": torch.stack(table.pooled),
    }
    sentences = json.dumps(list(table.index))
    part = path.with_suffix(f".{os.getpid()}.part")
    save_file(tensors, str(part), metadata={"sentences": sentences})
    part.replace(path)


def load_library(path: Path) -> tuple[list[Entry], SentenceTable]:
    """Read a file of `save_library`."""
    with safe_open(str(path), framework="pt") as file:
        sentences = json.loads(file.metadata()["sentences"])
        get = file.get_tensor
        latents = iter(get("latents").split(get("latent_counts").tolist()))
        captions = iter(get("captions").tolist())
        rows = list(get("tokens").split(get("token_counts").tolist()))
        table = SentenceTable(
            rows, list(get("pooled")), {text: i for i, text in enumerate(sentences)}
        )
        columns = (get(name).tolist() for name in ("variants", "caption_counts", "weak", "weights"))
        entries = [
            Entry(
                tuple(next(latents) for _ in range(variants)),
                tuple(next(captions) for _ in range(count)),
                weak,
                weight,
            )
            for variants, count, weak, weight in zip(*columns, strict=True)
        ]
    return entries, table
