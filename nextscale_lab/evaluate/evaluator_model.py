"""`MotionTextEvaluator`: encoders of sentences and motions into one space, for metrics.

After TMR (Petrovich et al., "TMR: Text-to-Motion Retrieval Using Contrastive 3D Human Motion
Synthesis", ICCV 2023): two encoders and a contrastive loss. It shares no part with the
generators: motions are HumanML3D features, and words are hashed into its own table.
"""

# No `from __future__ import annotations`: PyTorchModelHubMixin reads the type of `config`.

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError, InvalidMotionError
from nextscale_core.motion.features import CONTACTS, NUM_FEATURES
from nextscale_lab.evaluate.hashed_text import HashedWords

_USED = CONTACTS.start
"""Number of used features, without contact labels as in Guo et al. (CVPR 2022)."""

_BATCH, _PART = 64, 16
MIN_FRAMES = 8
"""Frames per position of the motion encoder, and minimum length."""


@dataclass(frozen=True)
class EvaluatorConfig:
    """Shape of a `MotionTextEvaluator`.

    Attributes:
        name: Name in reports.
        dim: Width D of the common space.
        width: Channels of both encoders.
        heads: Attention heads.
        motion_depth: Transformer blocks of the motion encoder.
        text_depth: Transformer blocks of the text encoder.
        buckets: Rows of the table of hashed words.
        word_dim: Width of a word vector.
        max_words: Words after which a sentence is cut.
        dropout: Dropout in training.
    """

    name: str = "evaluator-cmu"
    dim: int = 128
    width: int = 192
    heads: int = 4
    motion_depth: int = 3
    text_depth: int = 2
    buckets: int = 8192
    word_dim: int = 96
    max_words: int = 48
    dropout: float = 0.15

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and (not isinstance(value, int) or value < 1):
                raise ConfigError(f"evaluator {field.name} must be positive, got {value!r}")
        if self.width % (2 * self.heads):
            raise ConfigError(
                f"evaluator width must divide into {self.heads} heads of even width, "
                f"got {self.width}"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"evaluator dropout must be from 0 to 1, got {self.dropout}")


class _Transformer(nn.Module):
    """Pre-norm transformer over masked sequences, averaged over valid positions."""

    def __init__(self, config: EvaluatorConfig, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width,
                config.heads,
                4 * config.width,
                config.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, S, width) and (B, S) bool -> (B, dim), unit length."""
        x = x + _positions(x.shape[1], x.shape[2]).to(x)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~mask)
        x = self.norm(x) * mask[..., None]
        mean = x.sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(self.out(mean), dim=-1)


class MotionTextEvaluator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="nextscale",
    tags=["text-to-motion", "retrieval"],
    coders={EvaluatorConfig: (asdict, lambda data: EvaluatorConfig(**data))},
):
    """Text and motion encoders with unit-length embeddings; an `Evaluator`.

    Args:
        config: Sizes.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        self.config = config
        self.words = HashedWords(config.buckets, config.word_dim, config.max_words)
        self.word_in = nn.Linear(config.word_dim, config.width)
        self.text = _Transformer(config, config.text_depth)
        self.patches = nn.ModuleList(
            nn.Conv1d(channels, config.width, 4, stride=2, padding=1)
            for channels in (_USED, config.width, config.width)
        )
        self.motion = _Transformer(config, config.motion_depth)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.1)))
        self.register_buffer("feature_mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("feature_std", torch.ones(NUM_FEATURES))

    @property
    def name(self) -> str:
        """Name in reports."""
        return self.config.name

    @property
    def scale(self) -> Tensor:
        """Inverse temperature of the contrastive loss, at most 100."""
        return self.log_scale.exp().clamp(max=100.0)

    def encode_texts(self, sentences: Sequence[str], word_drop: float = 0.0) -> Tensor:
        """B sentences -> (B, D), with gradients."""
        vectors, mask = self.words(sentences, word_drop)
        return self.text(self.word_in(vectors), mask)

    def encode_motions(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Motions to embeddings, with gradients.

        Args:
            features: (B, T, 263), not normalised; frames beyond a length are ignored.
            lengths: (B,) frames of each motion, at least 8.

        Returns:
            (B, D), unit length.
        """
        x = (features - self.feature_mean) / self.feature_std
        x = x[..., :_USED].transpose(1, 2)
        for patch in self.patches:
            # Zeros beyond the end, so that results do not depend on the padding.
            x = F.gelu(patch(x * _valid(lengths, x.shape[2])[:, None]))
            lengths = lengths // 2
        return self.motion(x.transpose(1, 2), _valid(lengths, x.shape[2]))

    def forward(
        self, sentences: Sequence[str], features: Tensor, lengths: Tensor, word_drop: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Text embeddings, motion embeddings and scale, for training."""
        texts, places = [], []
        for part in _alike([len(sentence) for sentence in sentences], _PART):
            texts.append(self.encode_texts([sentences[i] for i in part], word_drop))
            places += part
        motions, seats = [], []
        for part in _alike(lengths.tolist(), _PART):
            longest = int(lengths[part].max())
            motions.append(self.encode_motions(features[part, :longest], lengths[part]))
            seats += part
        # argsort inverts a permutation.
        back, forth = torch.tensor(places).argsort(), torch.tensor(seats).argsort()
        return torch.cat(texts)[back], torch.cat(motions)[forth], self.scale

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """N sentences -> (N, D) float32, unit length."""
        parts = [self.encode_texts(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
        return _stacked(parts, self.config.dim)

    @torch.no_grad()
    def embed_motions(self, motions: Sequence[np.ndarray]) -> np.ndarray:
        """Motions to embeddings.

        Args:
            motions: N arrays (T, 263) of HumanML3D features, each of at least 8 frames.

        Returns:
            (N, D) float32, unit length, in the order of the motions.

        Raises:
            InvalidMotionError: a motion of another shape or too short.
        """
        for features in motions:
            if features.ndim != 2 or features.shape[1] != NUM_FEATURES:
                raise InvalidMotionError(
                    f"features must be (T, {NUM_FEATURES}), got {features.shape}"
                )
            if len(features) < MIN_FRAMES:
                raise InvalidMotionError(
                    f"the evaluator needs motions of {MIN_FRAMES} frames, got {len(features)}"
                )
        order: list[int] = []
        parts = []
        for places in _alike([len(features) for features in motions], _BATCH):
            chunk = [motions[i] for i in places]
            order += places
            lengths = torch.tensor([len(features) for features in chunk])
            padded = torch.zeros(len(chunk), int(lengths.max()), NUM_FEATURES)
            for row, features in enumerate(chunk):
                padded[row, : len(features)] = torch.from_numpy(np.asarray(features, np.float32))
            device = self.feature_mean.device
            parts.append(self.encode_motions(padded.to(device), lengths.to(device)))
        out = np.empty((len(motions), self.config.dim), np.float32)
        out[order] = _stacked(parts, self.config.dim)
        return out


def _alike(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices in groups of similar length, for little padding."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [order[begin : begin + size] for begin in range(0, len(order), size)]


def _stacked(parts: list[Tensor], dim: int) -> np.ndarray:
    if not parts:
        return np.zeros((0, dim), np.float32)
    return torch.cat(parts).float().cpu().numpy()


def _valid(lengths: Tensor, places: int) -> Tensor:
    """(B, places) bool: positions inside each length."""
    return torch.arange(places, device=lengths.device) < lengths[:, None]


def _positions(length: int, width: int) -> Tensor:
    """(length, width) sinusoidal positions (Vaswani et al., 2017)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
