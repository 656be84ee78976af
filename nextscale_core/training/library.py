"""`TokenLibrary`: captioned latents from which the generator's batches are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from nextscale_core.text.augmentation import paraphrases
from nextscale_core.text.encoder import TextEncoder, TextFeatures
from nextscale_core.tokenizers.temporal import TemporalTokenizer
from nextscale_core.training.data import Sample, captioned_samples, trial_samples

MAX_LATENTS = 49
"""196 frames, the longest motion."""
MIN_LATENTS = 5


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
        whole: (B,) bool; True where the sentence describes exactly this motion.
    """

    latents: Tensor
    lengths: list[int]
    text: TextFeatures
    has_text: Tensor
    whole: Tensor


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


class TokenLibrary:
    """Draws batches of latents with sentences.

    Rare actions are drawn more often than their share (weight = density of similar captions to
    the power `-balance`), since a third of the recordings only walk.

    Args:
        entries: Motions.
        table: Encoded sentences.
        seed: Seed of the order.
    """

    def __init__(self, entries: list[Entry], table: SentenceTable, seed: int = 0) -> None:
        self.entries, self.table = entries, table
        self.rng = np.random.default_rng(seed)
        weights = np.array([entry.weight for entry in entries])
        self.weights = weights / weights.sum()

    def draw(self, size: int) -> Batch:
        """A random batch of motions with one sentence each."""
        chosen = self.rng.choice(len(self.entries), size=size, p=self.weights)
        return self.batch([self.entries[i] for i in chosen])

    def batch(self, entries: Sequence[Entry], first: bool = False) -> Batch:
        """Latents and sentences of some entries; the first variant and sentence if `first`."""
        latents, captions, whole = [], [], []
        for entry in entries:
            pick = 0 if first else int(self.rng.integers(len(entry.latents)))
            values = entry.latents[pick]
            begin = 0
            if len(values) > MAX_LATENTS:
                room = len(values) - MAX_LATENTS
                begin = 0 if first or not entry.weak else int(self.rng.integers(room + 1))
            cut = len(values) > MAX_LATENTS + 2
            latents.append(values[begin : begin + MAX_LATENTS])
            has = len(entry.captions) > 0
            choice = 0 if first or not has else int(self.rng.integers(len(entry.captions)))
            captions.append(entry.captions[choice] if has else 0)
            whole.append(has and not cut)
        lengths = [len(values) for values in latents]
        padded = torch.zeros(len(latents), max(lengths), latents[0].shape[-1])
        for row, values in enumerate(latents):
            padded[row, : len(values)] = values
        return Batch(
            padded,
            lengths,
            self.table.features(captions),
            torch.tensor([len(entry.captions) > 0 for entry in entries]),
            torch.tensor(whole),
        )


@torch.no_grad()
def _encode(tokenizer: TemporalTokenizer, samples: Sequence[Sample], label: str) -> list[Tensor]:
    out = []
    for sample in tqdm(samples, desc=label, unit="clip"):
        frames = len(sample.features) - len(sample.features) % tokenizer.frames_per_latent
        features = torch.from_numpy(sample.features[None, :frames])
        out.append(tokenizer._encode_latents(tokenizer.normalize(features))[0])
    return out


def _density(pooled: Tensor) -> Tensor:
    """(N,) number of captions that say nearly the same, each counted by its likeness."""
    likeness = (pooled @ pooled.T - 0.6).clamp(min=0) / 0.4
    return likeness.sum(1)


def build_library(
    data: Path,
    split: str,
    tokenizer: TemporalTokenizer,
    encoder: TextEncoder,
    *,
    augment: bool = True,
    paraphrase_count: int = 3,
    speeds: tuple[float, ...] = (0.9, 1.0, 1.12),
    balance: float = 0.45,
    seed: int = 0,
) -> TokenLibrary:
    """Encode a split of a data folder.

    Args:
        data: CMU or HumanML3D folder.
        split: 'train' adds whole recordings as weakly captioned motion.
        tokenizer: Frozen tokenizer, in eval mode.
        encoder: Text encoder.
        augment: Mirror images, changes of speed and paraphrases.
        paraphrase_count: Paraphrases of each caption.
        speeds: Factors of speed.
        balance: Exponent that favours rare captions; 0 draws all alike.
        seed: Seed of paraphrases and of the order.
    """
    rng = np.random.default_rng(seed)
    factors = (1.0, *(s for s in speeds if s != 1.0)) if augment else (1.0,)
    variants: dict[str, list[Tensor]] = {}
    samples: dict[str, Sample] = {}
    for factor in factors:
        found = captioned_samples(data, split, mirror=augment, speed=factor)
        if split == "train" and augment:
            found += trial_samples(data, mirror=True, speed=factor)
        for sample, latents in zip(
            found, _encode(tokenizer, found, f"latents ({split}, x{factor:g})"), strict=True
        ):
            if len(latents) >= MIN_LATENTS:
                samples.setdefault(sample.id, sample)
                variants.setdefault(sample.id, []).append(latents)

    table = SentenceTable()
    texts = {
        name: tuple(
            dict.fromkeys(
                text
                for caption in sample.captions
                for text in (
                    caption,
                    *(paraphrases(caption, rng) for _ in range(paraphrase_count * augment)),
                )
            )
        )
        for name, sample in samples.items()
    }
    table.add([text for own in texts.values() for text in own] or ["a person moves"], encoder)
    names = list(samples)
    worded = [name for name in names if samples[name].captions]
    density = _density(
        torch.stack(
            [table.pooled[table.index[samples[name].captions[0]]] for name in worded]
        ).float()
    )
    crowd = dict(zip(worded, density.tolist(), strict=True))
    entries = []
    for name in names:
        sample = samples[name]
        length = len(variants[name][0])
        if not sample.captions:
            weight = 0.15 * length / MAX_LATENTS
        else:
            weight = max(crowd[name], 1.0) ** -balance
            if sample.weak:
                # A one-line description of a long recording lists things that a window of it
                # need not show.
                weight *= 0.8 if length <= MAX_LATENTS + 2 else 0.1
        captions = tuple(table.index[text] for text in texts[name])
        entries.append(Entry(tuple(variants[name]), captions, sample.weak, weight))
    return TokenLibrary(entries, table, seed)
