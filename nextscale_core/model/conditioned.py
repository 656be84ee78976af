"""Base of the token transformers: text, length, and the stack of blocks."""

from __future__ import annotations

import ctypes
import math
import weakref
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.kernels import kernels
from nextscale_core.kernels.passes import CompiledCache, PackedBlocks
from nextscale_core.model.transformer import Block, Modulation, rope
from nextscale_core.text.encoder import TextFeatures

LENGTH_FEATURES = 64


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes common to all token transformers.

    Attributes:
        width: Channels.
        depth: Number of blocks.
        heads: Attention heads.
        dropout: Share of samples that skip a branch of a block in training.
        code_dim: Width of the vector of a token.
        text_dim: Width of the text features.
        text_encoder: Name of the text encoder, see `TextEncoder`.
    """

    width: int = 192
    depth: int = 6
    heads: int = 4
    dropout: float = 0.1
    code_dim: int = 128
    text_dim: int = 384
    text_encoder: str = "all-MiniLM-L6-v2"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise ConfigError(f"generator {field.name} must be positive, got {value!r}")
        if self.width % (2 * self.heads):
            raise ConfigError(
                f"width {self.width} must be a multiple of twice the heads ({self.heads})"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {self.dropout}")


Past = list[tuple[Tensor, Tensor]]
"""Cached keys and values of finished tokens, per block, each (B, H, P, head_dim)."""


@dataclass(frozen=True)
class Condition:
    """Text and length of a batch, prepared for the blocks.

    Attributes:
        modulation: Per block its AdaLN modulation from pooled text and length.
        query: (B, code_dim) input of the first tokens, from the pooled text.
        text: Per block keys and values of the text, (B, H, S, head_dim).
        text_mask: (B, 1, 1, S) bool.
    """

    modulation: tuple[Modulation, ...]
    query: Tensor
    text: tuple[tuple[Tensor, Tensor], ...]
    text_mask: Tensor

    def first(self, batch: int) -> Condition:
        """The condition of the first samples of the batch."""
        return Condition(
            tuple(tuple(part[:batch] for part in own) for own in self.modulation),
            self.query[:batch],
            tuple((k[:batch], v[:batch]) for k, v in self.text),
            self.text_mask[:batch],
        )


def joined(past: Past, own: Past) -> Past:
    """Keys and values of the finished tokens, with those of a newly finished part."""
    if not past:
        return own
    return [
        (torch.cat([before[0], new[0]], dim=2), torch.cat([before[1], new[1]], dim=2))
        for before, new in zip(past, own, strict=True)
    ]


def count_features(counts: Tensor) -> Tensor:
    """(...) numbers of latents -> (..., 64) sines and cosines, wavelengths 6 to 1,200 latents."""
    half = LENGTH_FEATURES // 2
    steps = torch.arange(half, device=counts.device)
    angles = counts[..., None].float() * torch.exp(-steps * math.log(200.0) / half)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class TextConditioned(nn.Module):
    """A stack of blocks conditioned on a sentence and on the length of the motion.

    The pooled text and the length modulate every block (AdaLN); the tokens attend to the word
    pieces; a small head predicts the usual duration.

    Args:
        config: Sizes.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, text_dim = config.width, config.text_dim
        self.text_input = nn.Linear(text_dim, width)
        self.pooled_input = nn.Linear(text_dim, width)
        self.null_token = nn.Parameter(torch.randn(text_dim) * 0.02)
        self.null_pooled = nn.Parameter(torch.randn(text_dim) * 0.02)
        self.length_input = nn.Sequential(
            nn.Linear(LENGTH_FEATURES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.query = nn.Linear(width, config.code_dim)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.dropout) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.duration = nn.Sequential(
            nn.Linear(text_dim, 128), nn.SiLU(), nn.Dropout(0.2), nn.Linear(128, 1)
        )
        self._head_dim = width // config.heads

    def initialize(self, *silent: nn.Linear) -> None:
        """Initialize small weights, and zeros in the modulation and the `silent` heads.

        Call it at the end of a model's constructor.
        """
        self.apply(_small_weights)
        modulation = self.modulation[1]
        for weight in (*(head.weight for head in silent), *modulation.parameters()):
            nn.init.zeros_(weight)

    def drop_text(self, text: TextFeatures, dropped: Tensor) -> TextFeatures:
        """Replace the text of some samples by the learned null text.

        Args:
            text: Features of B sentences.
            dropped: (B,) bool.
        """
        tokens = torch.where(dropped[:, None, None], self.null_token, text.tokens)
        mask = text.mask.clone()
        mask[dropped] = False
        mask[dropped, 0] = True
        pooled = torch.where(dropped[:, None], self.null_pooled, text.pooled)
        return TextFeatures(tokens, mask, pooled)

    def condition(self, text: TextFeatures, lengths: Tensor) -> Condition:
        """Prepare text and length for the blocks.

        Args:
            text: Features of B sentences.
            lengths: (B,) number of latents.
        """
        mixed = self.pooled_input(text.pooled) + self.length_input(count_features(lengths))
        tokens = self.text_input(text.tokens)
        shared = self.modulation(mixed).unflatten(-1, (6, -1))
        return Condition(
            tuple(block.modulate(shared) for block in self.blocks),  # type: ignore
            self.query(nn.functional.silu(mixed)),
            tuple(block.cross.keys_values(tokens) for block in self.blocks),  # type: ignore
            text.mask[:, None, None],
        )

    def run_blocks(
        self,
        x: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        condition: Condition,
        past: Past | None = None,
    ) -> tuple[Tensor, Past]:
        """All blocks and the last norm.

        Args:
            x: (B, N, W) tokens.
            positions: (B, N) positions, in latents.
            mask: (B or 1, 1, N, P + N) bool, True where attention is allowed; None for all.
            condition: From `condition`.
            past: Keys and values of the finished tokens, per block; see `joined`.

        Returns:
            (B, N, W), and the keys and values of x per block.
        """
        rotation = rope(positions, self._head_dim)
        own: Past = []
        for index, block in enumerate(self.blocks):
            x, keys_values = block(
                x,
                condition.modulation[index],
                rotation,
                mask,
                past[index] if past else None,
                condition.text[index],
                condition.text_mask,
            )
            own.append(keys_values)
        return self.norm(x), own

    def predict_seconds(self, text: TextFeatures) -> Tensor:
        """(B,) usual duration of the motions of sentences [s], learned from the captions."""
        return self.seconds_of(text.pooled).clamp(0.5, 12.0)

    def seconds_of(self, pooled: Tensor) -> Tensor:
        """(B,) unbounded durations [s] of sentences with pooled features (B, text_dim)."""
        return self.duration(pooled)[:, 0].float().exp()


class Cache(Protocol):
    """Keys and values of the finished tokens of one batch, beside its condition."""

    def run(self, x: Tensor, positions: Tensor, allowed: Tensor | None) -> Tensor:
        """All blocks and the last norm over new tokens.

        Args:
            x: (B, N, W) tokens.
            positions: (B, N) positions, in latents.
            allowed: (B, P + N) bool, the finished and the new tokens that may be seen; None for
                all.

        Returns:
            (B, N, W).
        """

    def keep(self) -> None:
        """Take the tokens of the last run, as that run saw them, for finished."""

    def first(self, batch: int) -> None:
        """Go on with the first samples only."""


class TorchCache:
    """A cache of tensors, on any device."""

    def __init__(self, model: TextConditioned, condition: Condition) -> None:
        self._model, self._condition = model, condition
        self._past: Past = []
        self._current: Past = []

    def run(self, x: Tensor, positions: Tensor, allowed: Tensor | None) -> Tensor:
        """See `Cache`."""
        mask = None if allowed is None else allowed[:, None, None]
        hidden, self._current = self._model.run_blocks(
            x, positions, mask, self._condition, self._past
        )
        return hidden

    def keep(self) -> None:
        """See `Cache`."""
        self._past = joined(self._past, self._current)

    def first(self, batch: int) -> None:
        """See `Cache`."""
        self._condition = self._condition.first(batch)
        self._past = [(k[:batch], v[:batch]) for k, v in self._past]


def cache_of(model: TextConditioned, condition: Condition, capacity: int) -> Cache:
    """The compiled cache where the kernels can do the work, that of tensors elsewhere.

    The kernels take float32 on the CPU without gradients, a width that is a multiple of 32, and
    heads of a multiple of 16.

    Args:
        model: The transformer, in eval mode.
        condition: Text and length of the batch.
        capacity: Most tokens of a sample.
    """
    library, query = kernels(), condition.query
    width = model.norm.weight.shape[0]
    plain = (
        (query.device.type, query.dtype, model.norm.weight.dtype)
        == ("cpu", torch.float32, torch.float32)
        and not (query.requires_grad or model.training or torch.is_autocast_enabled("cpu"))
        and width % 32 == 0
        and condition.text[0][0].shape[-1] % 16 == 0
    )
    if library is None or not plain:
        return TorchCache(model, condition)
    packed = _packed.get(model)
    if packed is None or not packed.valid():
        packed = _packed[model] = _pack(library, model)
    modulation = torch.stack([torch.stack(own) for own in condition.modulation])
    text = torch.stack([torch.stack(own) for own in condition.text])
    mask, dim = condition.text_mask[:, 0, 0], text.shape[-1]
    return CompiledCache(
        packed, modulation, text, mask, capacity, lambda positions: rope(positions, dim)
    )


_packed: weakref.WeakKeyDictionary[TextConditioned, PackedBlocks] = weakref.WeakKeyDictionary()


def _pack(library: ctypes.CDLL, model: TextConditioned) -> PackedBlocks:
    blocks = [block for block in model.blocks if isinstance(block, Block)]
    weights = [weight for block in blocks for weight in block.weights()]
    weights += [model.norm.weight, model.norm.bias]
    width, heads = len(model.norm.weight), blocks[0].attention.heads
    modules = (model.norm, *model.blocks.modules())
    return PackedBlocks(library, width, heads, len(blocks), weights, modules)


def _small_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
