"""`KnownLatents`: the part of a motion that is given and must not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.model.quantizer import Quantizer
from nextscale_core.model.scales import ScaleSchedule, area_matrix, scale_lengths

_WHOLE = 1 - 1e-6


@dataclass(frozen=True)
class KnownOfScale:
    """Known tokens of one scale, of one motion or, with B before each shape, of a batch.

    Attributes:
        tokens: (n_k,) indices.
        known: (n_k,) bool; the other tokens are generated.
        evidence: (n_k, C) summand of the logits, where a token is partly known; None for nothing.
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
        latents: (L, P x D) encoder output; values where `known` is False are ignored.
        known: (L,) bool, or (L, P) for each body part by itself.
    """

    latents: Tensor
    known: Tensor

    def __post_init__(self) -> None:
        shape, known = self.latents.shape, self.known.shape
        parts = known[1] if len(known) == 2 else 1
        if len(shape) != 2 or known[:1] != shape[:1] or not parts or shape[1] % parts:
            raise InvalidMotionError(
                f"known latents must be (L, P x D) and their mask (L,) or (L, P), got "
                f"{tuple(shape)} and {tuple(known)}"
            )

    @property
    def mask(self) -> Tensor:
        """(L, 1) or (L, P x D) bool: which values are known."""
        if self.known.ndim == 1:
            return self.known[:, None]
        return self.known.repeat_interleave(self.latents.shape[1] // self.known.shape[1], dim=1)

    def at_scale(self, quantizer: Quantizer, scale: int, accumulated: Tensor) -> KnownOfScale:
        """Known tokens of one scale, given the sum of the coarser ones.

        Args:
            quantizer: The tokenizer's quantizer.
            scale: Index k.
            accumulated: (L, P x D) sum of the contributions of the coarser scales.
        """
        left = torch.where(self.mask, self.latents - accumulated, 0.0)
        share = covered(self.known, quantizer.schedule, scale)
        mean = quantizer.schedule.down(scale, left) / share.clamp(min=1e-6)[:, None]
        partly = (share > 0) & (share < 1)
        evidence = None
        if bool(partly.any()):
            evidence = quantizer.evidence(mean, torch.where(partly, share, 0.0), scale)
        return KnownOfScale(quantizer.nearest(mean), share == 1.0, evidence)


def known_latents(known_frames: Tensor, frames_per_latent: int) -> Tensor:
    """(T,) bool of frames -> (ceil(T / n),) bool of latents, True where all its frames are known.

    Frames that pad the last latent repeat the last frame.
    """
    missing = -len(known_frames) % frames_per_latent
    filled = torch.cat([known_frames, known_frames[-1:].expand(missing)])
    return filled.reshape(-1, frames_per_latent).all(dim=1)


def covered(known: Tensor, schedule: ScaleSchedule, scale: int) -> Tensor:
    """(L,) or (L, P) bool of latents -> (N_k,) known share of each token, 1 for the whole."""
    length = len(known)
    count = scale_lengths(length, schedule.divisors)[scale]
    share = area_matrix(length, count).to(known.device) @ known.float()
    if schedule.parts > 1:
        spans = share if share.ndim == 2 else share[:, None].expand(-1, schedule.parts)
        share = schedule.pool(scale, spans)[:, 0]
    return torch.where(share > _WHOLE, 1.0, share)


def known_at_scale(
    known: Sequence[KnownLatents | None],
    quantizer: Quantizer,
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
        accumulated: (B, L, P x D) sum of the coarser scales.

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
                evidence = accumulated.new_zeros(batch, size, quantizer.logits)
            evidence[row, :count] = own.evidence
    return KnownOfScale(tokens, masks, evidence)
