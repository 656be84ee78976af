"""Training of the evaluator: contrastive learning of sentences and motions (TMR)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import MotionFileError
from nextscale_core.model.checkpoint import load_part, write_checksums
from nextscale_core.motion.features import VELOCITIES
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_lab.captions.augmentation import paraphrases
from nextscale_lab.data.samples import (
    Folders,
    Sample,
    captioned_samples,
    feature_statistics,
    folder_names,
    trial_samples,
)
from nextscale_lab.evaluate.evaluator_model import EvaluatorConfig, MotionTextEvaluator
from nextscale_lab.evaluate.hashed_text import words_of
from nextscale_lab.evaluate.metrics import r_precision
from nextscale_lab.train.loop import RunConfig, Trainer

MAX_FRAMES = 196
"""Longest motion of a batch [frames]: 9.8 s, as in HumanML3D."""

LONG = 400
"""Longest weakly captioned recording in the training [frames]."""

SAME_MEANING = 0.7
"""Minimum similarity (cosine of weighted words) of captions that are not negatives."""

WORD_DROP = 0.1
"""Share of omitted words in a training sentence."""

POOL = 32


@dataclass(frozen=True)
class Pairs:
    """A batch of motions and sentences.

    Attributes:
        features: (B, T, 263), zero beyond each length.
        lengths: (B,) frames.
        sentences: B sentences; sentence i describes motion i.
    """

    features: Tensor
    lengths: Tensor
    sentences: list[str]


def play_faster(features: np.ndarray, factor: float) -> np.ndarray:
    """Features of a motion at another speed, by linear interpolation.

    Velocities per frame are scaled by the factor.

    Args:
        features: (T, 263).
        factor: Speed, near 1; larger is faster.

    Returns:
        (round(T / factor), 263).
    """
    count = max(round(len(features) / factor), 2)
    place = np.linspace(0, len(features) - 1, count)
    low = np.minimum(place.astype(int), len(features) - 2)
    share = (place - low)[:, None].astype(np.float32)
    out = features[low] * (1 - share) + features[low + 1] * share
    out[:, :3] *= factor
    out[:, VELOCITIES] *= factor
    return np.asarray(out, dtype=np.float32)


class PairSampler:
    """Sampler of batches of motions with captions, with random speed, crop and wording.

    Args:
        samples: Captioned motions.
        batch_size: Pairs in a batch.
        seed: Seed of order and variations.
        weak_weight: Frequency of a weakly captioned recording relative to a clip.

    Raises:
        MotionFileError: no sample has a caption.
    """

    def __init__(
        self, samples: Sequence[Sample], batch_size: int, seed: int = 0, weak_weight: float = 0.35
    ) -> None:
        self.samples = [
            s for s in samples if s.captions and not (s.weak and len(s.features) > LONG)
        ]
        if not self.samples:
            raise MotionFileError("the evaluator needs captions, and the data has none")
        self.batch_size = min(batch_size, len(self.samples))
        weights = np.array([weak_weight if s.weak else 1.0 for s in self.samples])
        self.weights = weights / weights.sum()
        self.rng = np.random.default_rng(seed)

    def state_dict(self) -> dict[str, Any]:
        """State of the random generator."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.rng.bit_generator.state = state["rng"]

    def __call__(self) -> Pairs:
        """The next batch."""
        chosen = self.rng.choice(
            len(self.samples), size=self.batch_size, replace=False, p=self.weights
        )
        motions, sentences = [], []
        for index in chosen:
            sample = self.samples[index]
            motions.append(self._varied(sample.features))
            sentences.append(self._sentence(sample))
        lengths = torch.tensor([len(m) for m in motions])
        features = torch.zeros(len(motions), int(lengths.max()), motions[0].shape[1])
        for row, motion in enumerate(motions):
            features[row, : len(motion)] = torch.from_numpy(motion)
        return Pairs(features, lengths, sentences)

    def _sentence(self, sample: Sample) -> str:
        caption = sample.captions[int(self.rng.integers(len(sample.captions)))]
        return paraphrases(caption, self.rng)

    def _varied(self, features: np.ndarray) -> np.ndarray:
        if self.rng.random() < 0.5:
            features = play_faster(features, float(self.rng.uniform(0.87, 1.15)))
        # A caption describes the whole clip, so crops are small.
        kept = int(len(features) * self.rng.uniform(0.85, 1.0))
        kept = min(max(kept, 16), len(features), MAX_FRAMES)
        begin = int(self.rng.integers(len(features) - kept + 1))
        return features[begin : begin + kept]


class CaptionSimilarity:
    """Similarity of captions: cosine of their words, weighted by rarity.

    Args:
        captions: Captions that determine the weights of words.
    """

    _ENDING = re.compile(r"(?:ing|ed|es|s)$")

    def __init__(self, captions: Sequence[str]) -> None:
        counts = Counter(stem for caption in captions for stem in self._stems(caption))
        total = max(len(captions), 1)
        self.weight = {stem: float(np.log(total / n)) for stem, n in counts.items()}
        self.column = {stem: i for i, stem in enumerate(self.weight)}

    def _stems(self, caption: str) -> set[str]:
        return {self._ENDING.sub("", word) for word in words_of(caption)}

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """(B, B) cosines; unknown words are ignored."""
        vectors = torch.zeros(len(sentences), max(len(self.column), 1))
        for row, sentence in enumerate(sentences):
            for stem in self._stems(sentence) & self.column.keys():
                vectors[row, self.column[stem]] = self.weight[stem]
        vectors = F.normalize(vectors, dim=1)
        return vectors @ vectors.T


def contrastive_loss(a: Tensor, b: Tensor, scale: Tensor, similarity: Tensor) -> Tensor:
    """Symmetric InfoNCE without negatives of similar captions (TMR, section 3.2).

    Args:
        a: (B, D) unit-length embeddings.
        b: (B, D), row i belongs to row i of `a`.
        scale: Inverse temperature.
        similarity: (B, B) similarity of the captions.
    """
    logits = scale * a @ b.T
    same = (similarity > SAME_MEANING) & ~torch.eye(len(a), dtype=torch.bool, device=a.device)
    logits = logits.masked_fill(same.to(a.device), -1e4)
    target = torch.arange(len(a), device=a.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def evaluate_retrieval(
    model: MotionTextEvaluator, samples: Sequence[Sample], rounds: int = 100, seed: int = 0
) -> dict[str, float]:
    """Retrieval on clips with captions.

    Args:
        model: In eval mode.
        samples: Clips of the validation split.
        rounds: Shuffles into pools of 32, each with a random caption of every clip.
        seed: Seed of shuffles and captions.

    Returns:
        `top1`, `top2`, `top3` text to motion, `back3` motion to text, and `miss`, one minus the
        mean of the first three.
    """
    rng = np.random.default_rng(seed)
    motions = model.embed_motions([s.features[:MAX_FRAMES] for s in samples])
    captions = [caption for s in samples for caption in s.captions]
    texts = model.embed_texts(captions)
    firsts = np.cumsum([0, *(len(s.captions) for s in samples[:-1])])
    pool = min(POOL, len(samples))
    there, back = [], []
    for _ in range(rounds):
        rows = firsts + [int(rng.integers(len(s.captions))) for s in samples]
        there.append(r_precision(texts[rows], motions, rng, pool=pool))
        back.append(r_precision(motions, texts[rows], rng, pool=pool))
    top = np.mean(there, axis=0)
    return {
        "top1": float(top[0]),
        "top2": float(top[1]),
        "top3": float(top[2]),
        "back3": float(np.mean(back, axis=0)[2]),
        "miss": float(1 - top.mean()),
    }


def train_evaluator(
    data: Folders, run: RunConfig, config: EvaluatorConfig | None = None
) -> dict[str, float]:
    """Train an evaluator on the train split of a data folder.

    Args:
        data: CMU or HumanML3D folders.
        run: Settings of the run.
        config: Sizes of the model.

    Returns:
        Validation metrics of the last weights; the best are in `run.out/best`.
    """
    with on_bad_data(run.on_bad_data):
        samples = captioned_samples(data, "train", mirror=True) + trial_samples(data, mirror=True)
        val = [s for s in captioned_samples(data, "val") if s.captions]
    return fit_evaluator(samples, val, run, config, about={"data": folder_names(data)})


def fit_evaluator(
    samples: Sequence[Sample],
    val: Sequence[Sample],
    run: RunConfig,
    config: EvaluatorConfig | None = None,
    about: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Train an evaluator on samples; see `train_evaluator`."""
    if len(val) < 2:
        raise MotionFileError(f"validation needs 2 clips with captions, the data has {len(val)}")
    torch.manual_seed(run.seed)
    model = MotionTextEvaluator(config or EvaluatorConfig())
    sampler = PairSampler(samples, run.batch_size, run.seed)
    mean, std = feature_statistics(list(samples))
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_std.copy_(torch.from_numpy(std))
    similarity_of = CaptionSimilarity([caption for s in sampler.samples for caption in s.captions])

    def loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        # The other pairs of a batch are its negatives, so that every process computes the whole
        # batch.
        batch = sampler()
        device = trainer.accelerator.device
        texts, motions, scale = module(
            batch.sentences, batch.features.to(device), batch.lengths.to(device), WORD_DROP
        )
        similarity = similarity_of(batch.sentences)
        total = contrastive_loss(texts, motions, scale, similarity)
        return total, {"loss": total.item(), "scale": scale.item()}

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, MotionTextEvaluator)
        return evaluate_retrieval(module, val)

    trainer = Trainer(
        model, run, loss, evaluate, better="miss", stateful={"pairs": sampler}, about=about
    )
    return trainer.fit()


def pack_evaluator(source: Path, out: Path) -> None:
    """Write the weights of the trained evaluator in `source` to `out` in fp16."""
    load_part(MotionTextEvaluator, source).half().save_pretrained(out)
    write_checksums(out)
