"""Building blocks of the next-scale transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROPE_BASE = 500.0


def rope_angles(positions: Tensor, head_dim: int) -> Tensor:
    """Rotary angles on a line of real positions shared by all scales.

    Args:
        positions: (B, N) positions, in latents; a coarse token is at the centre of its span, so
            tokens of all scales at the same time share an angle.
        head_dim: Width of one attention head.

    Returns:
        (B, 1, N, head_dim / 2) angles [rad].
    """
    index = torch.arange(0, head_dim, 2, device=positions.device) / head_dim
    return (positions[..., None] * ROPE_BASE**-index)[:, None]


def apply_rope(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate (B, H, N, head_dim) queries or keys by their angles."""
    cos, sin = angles.cos().to(x), angles.sin().to(x)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def attention_bias(mask: Tensor) -> Tensor:
    """A mask of allowed attention (bool) as the summand of the scores (float)."""
    bias = torch.zeros(mask.shape, device=mask.device)
    return bias.masked_fill_(~mask, torch.finfo(bias.dtype).min)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention under a mask, bool (True where allowed) or float (added to the scores)."""
    if not (q.requires_grad and q.device.type == "cpu"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    # In training on the CPU the backward pass of the fused kernel takes twice as long as plain
    # products, and torch's own plain path as long again to guard against rows without any key;
    # here every row sees a key.
    bias = attention_bias(mask) if mask.dtype == torch.bool else mask
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias.to(q.dtype)
    return scores.softmax(dim=-1) @ v


class SelfAttention(nn.Module):
    """Multi-head self-attention with rotary positions and normalized queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Tensor, angles: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Attend to the past (finished scales) and to x.

        Args:
            x: (B, N, W).
            angles: (B, 1, N, head_dim / 2) rotary angles of x.
            mask: (B or 1, 1, N, P + N) bool, True where attention is allowed, or float, added
                to the scores.
            past: Keys and values (B, H, P, head_dim) of finished scales.

        Returns:
            (B, N, W) and the keys and values of x.
        """
        batch, count, width = x.shape
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, width // self.heads)).unbind(2)
        q = apply_rope(self.q_norm(q.transpose(1, 2).float()).to(v), angles)
        k = apply_rope(self.k_norm(k.transpose(1, 2).float()).to(v), angles)
        v = v.transpose(1, 2)
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

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        angles: Tensor,
        mask: Tensor,
        past: tuple[Tensor, Tensor] | None,
        text: tuple[Tensor, Tensor],
        text_mask: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One layer.

        Args:
            x: (B, N, W) tokens.
            condition: (B, 6, W) shared modulation.
            angles: See `SelfAttention`.
            mask: See `SelfAttention`.
            past: See `SelfAttention`.
            text: Keys and values, see `CrossAttention`.
            text_mask: See `CrossAttention`.
        """
        shift1, scale1, gate1, shift3, scale3, gate3 = (condition + self.table)[:, None].unbind(2)
        kept1, kept2, kept3 = self._kept(x)
        modulated = torch.addcmul(shift1, self.norm1(x), 1 + scale1)
        attended, own = self.attention(modulated, angles, mask, past)
        x = torch.addcmul(x, (1 + gate1) * kept1, attended)
        x = torch.addcmul(x, kept2, self.cross(self.norm2(x), text, text_mask))
        modulated = torch.addcmul(shift3, self.norm3(x), 1 + scale3)
        x = torch.addcmul(x, (1 + gate3) * kept3, self.mlp(modulated))
        return x, own

    def _kept(self, x: Tensor) -> tuple[Tensor, ...]:
        """Weight of each branch for each sample, three of (B, 1, 1); 1 in inference."""
        if not self.training or not self.dropout:
            return (x.new_ones(1, 1, 1),) * 3
        kept = torch.rand(3, len(x), 1, 1, device=x.device) >= self.dropout
        return tuple((kept.to(x.dtype) / (1 - self.dropout)).unbind())
