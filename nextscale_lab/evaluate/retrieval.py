"""Retrieval baseline: the training motion whose caption is nearest to the sentence.

Its motions are recorded, so that its metrics of realism are hard to beat; it can neither combine
actions that were not recorded together nor adapt a motion to a duration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.durations import Seconds, for_each
from nextscale_core.motion.features import features_to_clip
from nextscale_core.motion.skeleton import FPS
from nextscale_core.text.encoder import TextEncoder
from nextscale_core.text.validation import validate_sentence
from nextscale_lab.data.samples import Sample, captioned_samples, change_speed

NEAR = 0.02
"""Maximum difference of cosines of equally near captions."""

SLOWEST = 0.5
"""Minimum playback speed of a motion that is too short; then its last pose is held."""

_CHUNK = 256


class RetrievalBaseline:
    """Retrieval of motions by their captions, with the interface of `MotionPipeline`.

    Sentence and captions are compared by the cosine of their pooled features. The seed draws
    among clips with a caption within `NEAR` of the best one.

    Args:
        samples: Captioned training motions; those without captions are left out.
        encoder: Text encoder; by default that of the generators.
        name: Name in reports.

    Raises:
        MotionFileError: no sample has a caption.
    """

    def __init__(
        self, samples: Sequence[Sample], encoder: TextEncoder | None = None, name: str = "retrieval"
    ) -> None:
        self.name = name
        self.samples = [sample for sample in samples if sample.captions]
        if not self.samples:
            raise MotionFileError("retrieval needs motions with captions, got none")
        self.encoder = encoder or TextEncoder()
        captions = [caption for sample in self.samples for caption in sample.captions]
        self._owner = torch.tensor(
            [row for row, sample in enumerate(self.samples) for _ in sample.captions]
        )
        self._table = self._pooled(captions)

    @classmethod
    def from_data(
        cls, data: str | Path, encoder: TextEncoder | None = None, mirror: bool = True
    ) -> RetrievalBaseline:
        """The captioned clips of the train split of a data folder.

        Args:
            data: CMU or HumanML3D folder.
            encoder: Text encoder; by default that of the generators.
            mirror: Also add the mirror images, as in the training of generators.
        """
        return cls(captioned_samples(data, "train", mirror=mirror), encoder)

    def generate_batch(
        self, texts: Sequence[str], *, seeds: Sequence[int], seconds: Seconds = None
    ) -> list[MotionClip]:
        """The nearest recorded motion of every sentence.

        Args:
            texts: B sentences.
            seeds: B seeds of the draw among equally near motions.
            seconds: One duration for all, or one for each [s]; None keeps the recorded duration.

        Returns:
            B clips at 20 fps, cleaned up like generated ones: each starts above the origin,
            faces +x, floor at z = 0.

        Raises:
            InvalidTextError: a sentence is invalid.
            ConfigError: different numbers of sentences, seeds and durations.
        """
        sentences = [validate_sentence(text) for text in texts]
        wanted = for_each(seconds, len(sentences))
        if not len(sentences) == len(seeds) == len(wanted):
            raise ConfigError(
                f"{len(sentences)} sentences need as many seeds and durations, "
                f"got {len(seeds)} and {len(wanted)}"
            )
        if not sentences:
            return []
        chosen = [
            self._pick(row, seed)
            for row, seed in zip(self._similarity(sentences), seeds, strict=True)
        ]
        return [
            self._clip(sample, length, sentence, int(seed))
            for sample, length, sentence, seed in zip(chosen, wanted, sentences, seeds, strict=True)
        ]

    def nearest(self, text: str) -> list[Sample]:
        """Equally near samples to a sentence, in the order of the data."""
        (row,) = self._similarity([validate_sentence(text)])
        return [self.samples[i] for i in self._candidates(row)]

    def _similarity(self, sentences: Sequence[str]) -> Tensor:
        """(B, samples) cosine of each sentence and the nearest caption of each sample."""
        cosine = self._pooled(sentences) @ self._table.T
        owner = self._owner.expand(len(sentences), -1)
        empty = torch.full((len(sentences), len(self.samples)), -1.0)
        return empty.scatter_reduce(1, owner, cosine, "amax")

    @staticmethod
    def _candidates(similarity: Tensor) -> list[int]:
        near: list[int] = (similarity >= similarity.max() - NEAR).nonzero()[:, 0].tolist()
        return near

    def _pick(self, similarity: Tensor, seed: int) -> Sample:
        near = self._candidates(similarity)
        return self.samples[near[int(np.random.default_rng(seed).integers(len(near)))]]

    def _pooled(self, sentences: Sequence[str]) -> Tensor:
        parts = [
            self.encoder(sentences[begin : begin + _CHUNK]).pooled.cpu()
            for begin in range(0, len(sentences), _CHUNK)
        ]
        return torch.cat(parts)

    @staticmethod
    def _clip(sample: Sample, seconds: float | None, text: str, seed: int) -> MotionClip:
        clip = features_to_clip(sample.features, text=text, seed=seed)
        if seconds is not None:
            clip = fit_length(clip, max(round(seconds * FPS), 1))
        return clean_up(clip, free=False)


def fit_length(clip: MotionClip, frames: int) -> MotionClip:
    """The same motion with `frames` (at least 1) frames: cut at its end, or played slower."""
    if len(clip) < frames:
        clip = change_speed(clip, max((len(clip) - 1) / (frames - 1), SLOWEST))
    clip = clip.slice(0, frames)
    missing = frames - len(clip)
    if missing:
        joints = np.concatenate([clip.joints, np.repeat(clip.joints[-1:], missing, axis=0)])
        clip = replace(clip, joints=joints, contacts=None)
    return clip
