"""`KnownLatents`: the part of a motion that is given and must not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.scales import area_matrix

_WHOLE = 1 - 1e-6

_SPREAD = 1.0
"""Expected squared distance between the mean of half a token's span and that of the whole span.

Measured as the joint error in the 0.5 s after a known second, on training clips. 40 clips: 15.4 cm
where such tokens are generated freely, 14.5 cm where the recorded sum replaces the generated one
over the known latents before each scale, 12.5 cm with a spread of 10. 30 other clips: 14.5, 11.6,
9.8 cm with 10, 3, 1. 36 others: 8.5, 8.4 cm with 1, 0.3.
"""


@dataclass(frozen=True)
class KnownOfScale:
    """Known tokens of one scale, of one motion or, with B before each shape, of a batch.

    Attributes:
        tokens: (n_k,) indices.
        known: (n_k,) bool; the other tokens are generated.
        evidence: (n_k, C) summand of the logits of each code, where a token's span is partly
            known; None for nothing.
    """

    tokens: Tensor
    known: Tensor
    evidence: Tensor | None


@dataclass(frozen=True)
class KnownLatents:
    """Given latents of a motion, from which the known tokens of every scale follow.

    The tokens are found while sampling: a known token of a scale is the code nearest to the
    residual that the coarser scales, some of them generated, leave of its latents. So the sum of
    all scales comes close to the given latents, whatever the model chose for a partly known coarse
    token. The finer scales saw such residuals of wrong coarse tokens in training (MoScale's
    cross-scale hierarchical refinement).

    Attributes:
        latents: (L, D) encoder output; values where `known` is False are ignored.
        known: (L,) bool.
    """

    latents: Tensor
    known: Tensor

    def __post_init__(self) -> None:
        if self.latents.ndim != 2 or self.known.shape != self.latents.shape[:1]:
            raise InvalidMotionError(
                f"known latents must be (L, D) and their mask (L,), got "
                f"{tuple(self.latents.shape)} and {tuple(self.known.shape)}"
            )

    def at_scale(
        self, quantizer: MultiScaleQuantizer, scale: int, accumulated: Tensor
    ) -> KnownOfScale:
        """Known tokens of one scale, given the sum of the coarser ones.

        Where a share c of a token's span is known, with mean m, the mean of the whole span is
        expected at a squared distance of about (1 - c) / c x `_SPREAD` from m. The logarithm of
        that Gaussian is added to the logits, beside the evidence of text and neighbours.

        Args:
            quantizer: The tokenizer's quantizer.
            scale: Index k.
            accumulated: (L, D) sum of the contributions of the coarser scales.
        """
        length = len(self.known)
        count = quantizer.lengths(length)[scale]
        left = torch.where(self.known[:, None], self.latents - accumulated, 0.0)
        share = covered(self.known, count)
        mean = area_matrix(length, count).to(left) @ left / share.clamp(min=1e-6)[:, None]
        partly = (share > 0) & (share < 1)
        evidence = None
        if bool(partly.any()):
            distance = torch.cdist(mean, quantizer.codebook).square()
            odds = torch.where(partly, share / (1 - share), 0.0)
            evidence = -odds[:, None] * distance / (2 * _SPREAD)
        return KnownOfScale(quantizer.nearest(mean), share == 1.0, evidence)


def known_latents(known_frames: Tensor, frames_per_latent: int) -> Tensor:
    """(T,) bool of frames -> (ceil(T / n),) bool of latents, True where all its frames are known.

    Frames that pad the last latent repeat the last frame.
    """
    missing = -len(known_frames) % frames_per_latent
    filled = torch.cat([known_frames, known_frames[-1:].expand(missing)])
    return filled.reshape(-1, frames_per_latent).all(dim=1)


def covered(known: Tensor, count: int) -> Tensor:
    """(L,) bool of latents -> (count,) known share of each token's span, 1 for a whole span."""
    share = area_matrix(len(known), count).to(known.device) @ known.float()
    return torch.where(share > _WHOLE, 1.0, share)


def known_at_scale(
    known: Sequence[KnownLatents | None],
    quantizer: MultiScaleQuantizer,
    scale: int,
    size: int,
    accumulated: Tensor,
) -> KnownOfScale:
    """Known tokens of one scale for a batch, padded to the batch's number of tokens.

    Args:
        known: Known latents of each of B motions, or None.
        quantizer: The tokenizer's quantizer.
        scale: Index k.
        size: Tokens n_k of the longest motion.
        accumulated: (B, L, D) sum of the coarser scales.

    Returns:
        (B, n_k) tokens, (B, n_k) bool and (B, n_k, C) evidence or None.

    Raises:
        InvalidMotionError: more latents are known than the batch has.
    """
    batch, length = accumulated.shape[:2]
    tokens = torch.zeros(batch, size, dtype=torch.long, device=accumulated.device)
    masks = torch.zeros_like(tokens, dtype=torch.bool)
    evidence: Tensor | None = None
    for row, item in enumerate(known):
        if item is None:
            continue
        if len(item.known) > length:
            raise InvalidMotionError(f"{len(item.known)} latents are known, the batch has {length}")
        own = item.at_scale(quantizer, scale, accumulated[row, : len(item.known)])
        count = len(own.tokens)
        tokens[row, :count], masks[row, :count] = own.tokens, own.known
        if own.evidence is not None:
            if evidence is None:
                evidence = accumulated.new_zeros(batch, size, quantizer.num_codes)
            evidence[row, :count] = own.evidence
    return KnownOfScale(tokens, masks, evidence)
