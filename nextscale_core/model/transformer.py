"""Building blocks of the next-scale transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROPE_BASE = 500.0

_EPSILON = 1e-6


Rotation = tuple[Tensor, Tensor]
"""Cosines and signed sines (B, 1, N, head_dim) of rotary positions."""

Modulation = tuple[Tensor, ...]
"""Shift, factor and gate (B, 1, W) of the attention, then of the MLP of a block."""


def rope(positions: Tensor, head_dim: int) -> Rotation:
    """Rotary positions on a line of real numbers shared by all scales.

    Args:
        positions: (B, N) positions, in latents; a coarse token is at the centre of its span, so
            tokens of all scales at the same time share an angle.
        head_dim: Width of one attention head.

    Returns:
        Cosines and sines of head_dim / 2 angles, twice, the first sines negative.
    """
    index = torch.arange(0, head_dim, 2, device=positions.device) / head_dim
    angles = (positions[..., None] * ROPE_BASE**-index)[:, None]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def apply_rope(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate (..., N, head_dim) queries or keys; the halves of a head are the coordinates."""
    cos, sin = (part.to(x.dtype) for part in rotation)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def attention_bias(mask: Tensor) -> Tensor:
    """A mask of allowed attention (bool) as the summand of the scores (float)."""
    bias = torch.zeros(mask.shape, device=mask.device)
    return bias.masked_fill_(~mask, torch.finfo(bias.dtype).min)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention under a mask, bool (True where allowed) or float (added to the scores)."""
    if not (q.requires_grad and q.device.type == "cpu"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    # In training on the CPU the backward pass of the fused kernel takes twice as long as plain
    # products, and torch's own plain path as long again to guard against rows without any key;
    # here every row sees a key.
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        bias = attention_bias(mask) if mask.dtype == torch.bool else mask
        scores = scores + bias.to(q.dtype)
    return scores.softmax(dim=-1) @ v


class SelfAttention(nn.Module):
    """Multi-head self-attention with rotary positions and normalized queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads, eps=_EPSILON)
        self.k_norm = nn.RMSNorm(width // heads, eps=_EPSILON)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Tensor, rotation: Rotation, mask: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Attend to the past (finished scales) and to x.

        Args:
            x: (B, N, W).
            rotation: Rotary positions of x, see `rope`.
            mask: (B or 1, 1, N, P + N) bool, True where attention is allowed, or float, added
                to the scores; None where all is allowed.
            past: Keys and values (B, H, P, head_dim) of finished scales.

        Returns:
            (B, N, W) and the keys and values of x.
        """
        batch, count, width = x.shape
        heads = self.qkv(x).unflatten(-1, (3, self.heads, width // self.heads)).movedim(1, 3)
        both = heads[:, :2].float()
        # Queries and keys at once, with the root mean square in float32.
        both = both * torch.rsqrt(both.square().mean(-1, keepdim=True) + _EPSILON)
        weight = torch.stack([self.q_norm.weight, self.k_norm.weight])[:, None, None]
        turned = apply_rope(
            (both * weight).to(heads.dtype), (rotation[0][:, None], rotation[1][:, None])
        )
        q, k = turned.unbind(1)
        v = heads[:, 2]
        own = (k, v)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        mixed = _attend(q, k, v, mask)
        return self.out(mixed.transpose(1, 2).reshape(batch, count, width)), own


class CrossAttention(nn.Module):
    """Multi-head attention from motion tokens to text features."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, W) text features -> keys and values (B, H, S, head_dim)."""
        width = text.shape[-1]
        k, v = self.kv(text).unflatten(-1, (2, self.heads, width // self.heads)).unbind(2)
        return k.transpose(1, 2), v.transpose(1, 2)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """(B, N, W) queries against the text; mask is (B, 1, 1, S) bool."""
        batch, count, width = x.shape
        q = self.q(x).unflatten(-1, (self.heads, width // self.heads)).transpose(1, 2)
        mixed = _attend(q, *keys_values, mask)
        return self.out(mixed.transpose(1, 2).reshape(batch, count, width))


class Block(nn.Module):
    """Self-attention, cross-attention and MLP, modulated by the condition (AdaLN).

    One projection of the condition serves all blocks; each block adds a learned table to it
    (AdaLN-single of PixArt-alpha), which saves a third of the parameters.

    In training each branch is left out for a share of the samples (stochastic depth). Dropout
    of single values regularizes equally well, but costs a tenth of a training step on the CPU.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.cross = CrossAttention(width, heads)
        self.norm3 = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.table = nn.Parameter(torch.zeros(6, width))
        self.dropout = dropout

    def weights(self) -> list[Tensor]:
        """The weights of a pass, in the order of `Blocks` in kernels/transformer.hpp."""
        attention, cross, mlp = self.attention, self.cross, self.mlp
        linear = (attention.qkv, attention.out, cross.q, cross.out, mlp[0], mlp[2])
        qkv, out, query, mixed, up, down = ([one.weight, one.bias] for one in linear)
        norms = [attention.q_norm.weight, attention.k_norm.weight]
        own = [self.norm2.weight, self.norm2.bias]
        return [*qkv, *norms, *out, *own, *query, *mixed, *up, *down]  # type: ignore[list-item]

    def modulate(self, condition: Tensor) -> Modulation:
        """Modulation of this block from the shared one (B, 6, W); the same in all passes."""
        shift1, scale1, gate1, shift3, scale3, gate3 = (condition + self.table)[:, None].unbind(2)
        return shift1, 1 + scale1, 1 + gate1, shift3, 1 + scale3, 1 + gate3

    def forward(
        self,
        x: Tensor,
        modulation: Modulation,
        rotation: Rotation,
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
        text: tuple[Tensor, Tensor],
        text_mask: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One layer.

        Args:
            x: (B, N, W) tokens.
            modulation: From `modulate`.
            rotation: See `SelfAttention`.
            mask: See `SelfAttention`.
            past: See `SelfAttention`.
            text: Keys and values, see `CrossAttention`.
            text_mask: See `CrossAttention`.
        """
        shift1, factor1, gate1, shift3, factor3, gate3 = modulation
        attended, own = self.attention(
            torch.addcmul(shift1, self.norm1(x), factor1), rotation, mask, past
        )
        kept1, kept2, kept3 = self._kept(x)
        x = torch.addcmul(x, gate1 * kept1, attended)
        x = torch.addcmul(x, kept2, self.cross(self.norm2(x), text, text_mask))
        modulated = torch.addcmul(shift3, self.norm3(x), factor3)
        return torch.addcmul(x, gate3 * kept3, self.mlp(modulated)), own

    def _kept(self, x: Tensor) -> tuple[Tensor, ...]:
        """Weight of each branch for each sample, three of (B, 1, 1); 1 in inference."""
        if not self.training or not self.dropout:
            return (x.new_ones(1, 1, 1),) * 3
        kept = torch.rand(3, len(x), 1, 1, device=x.device) >= self.dropout
        return tuple((kept.to(x.dtype) / (1 - self.dropout)).unbind())
