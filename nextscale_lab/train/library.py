"""`TokenLibrary`: captioned latents from which the generator's batches are drawn."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import nextscale_core
import nextscale_lab
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.formats.bad_data import on_bad_data, policy_in_force
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.auto_captions import auto_captioned_samples
from nextscale_lab.captions.augmentation import paraphrases
from nextscale_lab.captions.tables import TABLES
from nextscale_lab.data.annotations import ANNOTATIONS
from nextscale_lab.data.limb_speeds import ARMS, LEGS, limb_speeds
from nextscale_lab.data.samples import (
    Folders,
    Sample,
    captioned_samples,
    data_folders,
    trial_samples,
)
from nextscale_lab.train.entries import Batch, Entry, SentenceTable, load_library, save_library
from nextscale_lab.train.run import RunConfig, weights_digest

MAX_LATENTS = 49
"""196 frames, the longest motion."""
MIN_LATENTS = 5
_SHORT = 20
"""Longest single action [latents], 4 s."""
_BUCKETS = 8
"""Batches drawn at once and sorted by length."""


class TokenLibrary:
    """Sampler of batches of latents with sentences.

    Rare actions are drawn more often than their share (weight = density of similar captions to
    the power `-balance`), since a third of the recordings hold only walks. Several batches are
    drawn at once and sorted by length, for little padding.

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
        self._waiting: list[list[int]] = []

    def draw(self, size: int, rank: int = 0, ranks: int = 1) -> Batch:
        """A random batch of motions with one sentence each.

        Args:
            size: Motions in the batch of all processes.
            rank: Index of this process, which gets every `ranks`-th motion of the batch.
            ranks: Number of processes.
        """
        if not self._waiting or len(self._waiting[0]) != size:
            drawn = self.rng.choice(len(self.entries), size=_BUCKETS * size, p=self.weights)
            lengths = [min(len(self.entries[i].latents[0]), MAX_LATENTS) for i in drawn]
            # Ties in a random order, so that batches differ.
            order = np.lexsort((self.rng.random(len(drawn)), np.array(lengths)))
            batches = drawn[order].reshape(_BUCKETS, size)
            self._waiting = [batches[i].tolist() for i in self.rng.permutation(_BUCKETS)]
        chosen = self._waiting.pop()
        # Drawn for the whole batch, so that all processes use the same random numbers.
        picks = self.rng.random((size, 3))
        entries = [self.entries[i] for i in chosen[rank::ranks]]
        return self._batch(entries, picks[rank::ranks])

    def state_dict(self) -> dict[str, Any]:
        """State of the order as JSON values."""
        return {
            "rng": self.rng.bit_generator.state,
            "waiting": [list(batch) for batch in self._waiting],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.rng.bit_generator.state = state["rng"]
        self._waiting = [list(batch) for batch in state["waiting"]]

    def first(self, entries: Sequence[Entry]) -> Batch:
        """A batch of first variants and first sentences, from the beginning of the motions."""
        return self._batch(entries, np.zeros((len(entries), 3)))

    def _batch(self, entries: Sequence[Entry], picks: np.ndarray) -> Batch:
        """Latents and sentences; `picks` (B, 3) in [0, 1) choose variant, sentence and start."""
        latents, captions = [], []
        for entry, (variant, sentence, start) in zip(entries, picks.tolist(), strict=True):
            values = entry.latents[int(variant * len(entry.latents))]
            room = max(len(values) - MAX_LATENTS, 0)
            begin = int(start * (room + 1)) if entry.weak else 0
            latents.append(values[begin : begin + MAX_LATENTS].float())
            has = len(entry.captions) > 0
            captions.append(entry.captions[int(sentence * len(entry.captions))] if has else 0)
        lengths = [len(values) for values in latents]
        padded = torch.zeros(len(latents), max(lengths), latents[0].shape[-1])
        for row, values in enumerate(latents):
            padded[row, : len(values)] = values
        return Batch(
            padded,
            lengths,
            self.table.features(captions),
            torch.tensor([len(entry.captions) > 0 for entry in entries]),
        )


@torch.no_grad()
def _encode(tokenizer: MotionTokenizer, samples: Sequence[Sample], label: str) -> list[Tensor]:
    out = []
    for sample in tqdm(samples, desc=label, unit="clip"):
        frames = len(sample.features) - len(sample.features) % tokenizer.frames_per_latent
        features = torch.from_numpy(sample.features[None, :frames])
        latents = tokenizer.encode_latents(tokenizer.normalize(features))[0]
        out.append(latents.half())
    return out


def density(pooled: Tensor) -> Tensor:
    """(N,) number of similar captions, each weighted by its similarity."""
    similarity = (pooled @ pooled.T - 0.6).clamp(min=0) / 0.4
    return similarity.sum(1)


@dataclass(frozen=True)
class LibraryConfig:
    """Content of a training library.

    Attributes:
        augment: Mirror images, changes of speed, paraphrases, whole recordings, auto captions.
        paraphrases: Paraphrases of each caption.
        speeds: Playback speeds.
        balance: Exponent that favours rare captions and rare kinds; 0 for uniform draws.
        arms: Weight of short clips with captions by people in which the arms move faster than the
            legs, relative to other clips.
        shares: Shares of captioned clips, windows with auto captions and whole recordings.
        seed: Seed of paraphrases and of the order.
    """

    augment: bool = True
    paraphrases: int = 3
    speeds: tuple[float, ...] = (0.9, 1.0, 1.12)
    balance: float = 0.45
    arms: float = 2.5
    shares: tuple[float, float, float] = (0.5, 0.32, 0.18)
    seed: int = 0


def library_digest(data: Folders, encoder: TextEncoder, config: LibraryConfig) -> str:
    """Hash of what determines a library beside the tokenizer: data, settings, rules, encoder."""
    digest = hashlib.sha256()
    for folder in data_folders(data):
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(f"{path.relative_to(folder)} {path.stat().st_size}".encode())
    core, lab = (Path(str(package.__file__)).parent for package in (nextscale_core, nextscale_lab))
    rooms = ((core, ("motion", "text")), (lab, ("data", "captions", "auto_captions")))
    folders = [package / name for package, names in rooms for name in names]
    rules = [path for folder in folders for path in folder.rglob("*.py")]
    for path in (*sorted(rules), *sorted(TABLES.glob("*.yaml")), ANNOTATIONS):
        digest.update(path.read_bytes())
    digest.update(f"{encoder.name} {config} {policy_in_force()}".encode())
    return digest.hexdigest()[:16]


def build_library(
    data: Folders,
    split: str,
    tokenizer: MotionTokenizer,
    encoder: TextEncoder,
    config: LibraryConfig | None = None,
    cache: Path | None = None,
) -> TokenLibrary:
    """Encode a split of one or several data folders.

    Args:
        data: CMU or HumanML3D folders.
        split: 'train' adds whole recordings and auto captions where the folder has them.
        tokenizer: Frozen tokenizer, in eval mode.
        encoder: Text encoder.
        config: Content; by default everything for 'train', only the clips otherwise.
        cache: Folder that keeps the library for runs with the same tokenizer, data, settings and
            rules, and its encoded sentences for other tokenizers.
    """
    config = config or LibraryConfig(augment=split == "train")
    if cache is None:
        entries, table = _build(data, split, tokenizer, encoder, config, SentenceTable())
        return TokenLibrary(entries, table, config.seed)
    name = f"library-{split}-{library_digest(data, encoder, config)}"
    path = cache / f"{name}-{weights_digest(tokenizer)}.safetensors"
    if path.is_file():
        entries, table = load_library(path)
    else:
        others = sorted(cache.glob(f"{name}-*.safetensors"))
        known = load_library(others[0])[1] if others else SentenceTable()
        entries, table = _build(data, split, tokenizer, encoder, config, known)
        save_library(path, entries, table)
    return TokenLibrary(entries, table, config.seed)


def open_libraries(
    data: Folders,
    tokenizer: MotionTokenizer,
    encoder: TextEncoder,
    run: RunConfig,
    config: LibraryConfig | None = None,
    cache: Path | None = None,
) -> tuple[TokenLibrary, TokenLibrary]:
    """Training and validation library of a run."""
    with on_bad_data(run.on_bad_data):
        source = build_library(data, "train", tokenizer, encoder, config, cache)
        val = build_library(data, "val", tokenizer, encoder, cache=cache)
    # The library's seed determines its content, the run's seed the order.
    source.rng = np.random.default_rng(run.seed)
    return source, val


def _sources(data: Folders, split: str, config: LibraryConfig) -> list[dict[str, list[Sample]]]:
    """Samples by id, one per speed, of captioned clips, auto captions and recordings."""
    factors = [1.0, *(s for s in config.speeds if s != 1.0)] if config.augment else [1.0]
    whole = config.augment and split == "train"
    captioned: dict[str, list[Sample]] = {}
    recordings: dict[str, list[Sample]] = {}
    auto: dict[str, list[Sample]] = {}

    def put(found: list[Sample], into: dict[str, list[Sample]]) -> None:
        for sample in found:
            into.setdefault(sample.id, []).append(sample)

    for factor in factors:
        put(captioned_samples(data, split, mirror=config.augment, speed=factor), captioned)
        if whole:
            put(trial_samples(data, mirror=True, speed=factor), recordings)
    if whole:
        # Auto captions mention speed and angles: their speed is not changed.
        put(auto_captioned_samples(data, mirror=True, seed=config.seed), auto)
    return [captioned, auto, recordings]


def _build(
    data: Folders,
    split: str,
    tokenizer: MotionTokenizer,
    encoder: TextEncoder,
    config: LibraryConfig,
    table: SentenceTable,
) -> tuple[list[Entry], SentenceTable]:
    rng = np.random.default_rng(config.seed)
    entries: list[Entry] = []
    sources = _sources(data, split, config)
    counts = (config.paraphrases, min(config.paraphrases, 1), config.paraphrases)
    for source, count, share in zip(sources, counts, config.shares, strict=True):
        flat = [sample for samples in source.values() for sample in samples]
        latents = iter(_encode(tokenizer, flat, f"latents ({split})"))
        texts: list[tuple[str, ...]] = []
        kept: list[tuple[Sample, tuple[Tensor, ...]]] = []
        for samples in source.values():
            variants = [z for z in (next(latents) for _ in samples) if len(z) >= MIN_LATENTS]
            if not variants:
                continue
            kept.append((samples[0], tuple(variants)))
            texts.append(_wordings(samples[0].captions, count * config.augment, rng))
        table.add([text for own in texts for text in own], encoder)
        weights = _weights([sample for sample, _ in kept], [z for _, z in kept], table, config)
        scale = share / sum(weights) if weights else 0.0
        for (sample, latent_variants), own, weight in zip(kept, texts, weights, strict=True):
            captions = tuple(table.index[text] for text in own)
            entries.append(Entry(latent_variants, captions, sample.weak, weight * scale))
    if not table.rows:
        table.add(["a person moves"], encoder)
    return entries, table


def _wordings(captions: tuple[str, ...], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """The captions, each followed by `count` paraphrases, without duplicates."""
    texts = ((c, *(paraphrases(c, rng) for _ in range(count))) for c in captions)
    return tuple(dict.fromkeys(text for own in texts for text in own))


def _weights(
    samples: list[Sample],
    latents: list[tuple[Tensor, ...]],
    table: SentenceTable,
    config: LibraryConfig,
) -> list[float]:
    """Relative frequency of each sample of one source."""
    kinds = Counter(part for sample in samples for part in sample.kind.split("+"))
    worded = [sample for sample in samples if sample.captions and not sample.kind]
    crowd: dict[str, float] = {}
    if worded:
        rows = [table.pooled[table.index[sample.captions[0]]] for sample in worded]
        crowd = dict(
            zip(
                (sample.id for sample in worded),
                density(torch.stack(rows).float()).tolist(),
                strict=True,
            )
        )
    weights = []
    for sample, variants in zip(samples, latents, strict=True):
        length = len(variants[0])
        if sample.kind:
            # Single actions get more weight than the many different sequences.
            parts = sample.kind.split("+")
            rarity = [kinds[part] ** -min(1.4 * config.balance, 1.0) for part in parts]
            weight = sum(rarity) / len(parts) ** 1.5
        elif not sample.captions:
            weight = 0.15 * length / MAX_LATENTS
        else:
            weight = max(crowd[sample.id], 1.0) ** -config.balance
            if length <= _SHORT and not sample.weak and _arms_lead(sample.features):
                weight *= config.arms
            if sample.weak:
                # A window of a long recording may lack actions of its description.
                weight *= 0.8 if length <= MAX_LATENTS + 2 else 0.1
        weights.append(weight)
    return weights


def _arms_lead(features: np.ndarray) -> bool:
    """Whether the arms are at times faster than the legs ever are (T, 263)."""
    return float(limb_speeds(features, ARMS).max()) > float(limb_speeds(features, LEGS).max())
