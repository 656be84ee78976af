"""`KnownTokens` and `KnownLatents`: the part of a motion that is given and must not change."""

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
"""Squared distance expected between the mean of half a token's span and that of all of it.

Chosen by measurement: joints off the recording in the 0.5 s after a known second, on training
clips. 40 clips: 15.4 cm where such tokens are generated freely, 14.5 cm where the sum over the
known latents is overwritten by the recorded one before each scale, 12.5 cm with a spread of 10.
30 others: 14.5, 11.6, 9.8 cm with 10, 3, 1. 36 others: 8.5, 8.4 cm with 1, 0.3.
"""


@dataclass(frozen=True)
class KnownOfScale:
    """What is known of one scale's tokens, of one motion or, with B before each shape, of many.

    Attributes:
        tokens: (n_k,) indices.
        known: (n_k,) bool; other tokens are to be generated.
        evidence: (n_k, C) what to add to the logits of each code, where a part of a token's span
            is known; None for nothing.
    """

    tokens: Tensor
    known: Tensor
    evidence: Tensor | None


@dataclass(frozen=True)
class KnownTokens:
    """Given tokens of every scale, and which of them are known.

    Attributes:
        tokens: Per scale (n_k,) indices; values where `known` is False do not matter.
        known: Per scale (n_k,) bool.
    """

    tokens: tuple[Tensor, ...]
    known: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.known):
            raise InvalidMotionError(
                f"{len(self.tokens)} scales of tokens, but {len(self.known)} of masks"
            )
        for scale, (tokens, known) in enumerate(zip(self.tokens, self.known, strict=True)):
            if tokens.shape != known.shape or tokens.ndim != 1:
                raise InvalidMotionError(
                    f"scale {scale}: tokens {tuple(tokens.shape)} and known "
                    f"{tuple(known.shape)} must be vectors of one length"
                )

    @classmethod
    def from_latents(cls, tokens: tuple[Tensor, ...], known_latents: Tensor) -> KnownTokens:
        """Tokens whose whole span is known.

        Args:
            tokens: Per scale (n_k,) tokens of the encoded motion.
            known_latents: (L,) bool, True where the latent's frames are known. A token is known
                only if all latents it covers are.
        """
        return cls(tokens, tuple(covered(known_latents, len(t)) == 1.0 for t in tokens))

    @classmethod
    def from_frames(
        cls, tokens: tuple[Tensor, ...], known_frames: Tensor, frames_per_latent: int
    ) -> KnownTokens:
        """Tokens all whose frames are known.

        Args:
            tokens: Per scale (n_k,) tokens of the encoded motion.
            known_frames: (T,) bool.
            frames_per_latent: Frames of one latent.
        """
        return cls.from_latents(tokens, known_latents(known_frames, frames_per_latent))

    def at_scale(
        self, quantizer: MultiScaleQuantizer, scale: int, accumulated: Tensor
    ) -> KnownOfScale:
        """What is known of one scale; the coarser ones do not change it."""
        return KnownOfScale(self.tokens[scale], self.known[scale], None)


@dataclass(frozen=True)
class KnownLatents:
    """Given latents of a motion, from which the known tokens of every scale follow.

    The tokens are found while sampling: a known token of a scale is the code nearest to what the
    coarser scales, some of them generated, have left to say of its latents. So the sum of all
    scales comes close to the given latents whatever the model chose for a coarse token that is
    known in part only. In training, the finer scales saw the same: residuals of coarse tokens
    that are not the true ones (MoScale's cross-scale hierarchical refinement).

    Attributes:
        latents: (L, D) encoder output; values where `known` is False do not matter.
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
        """What is known of one scale, given the sum of the coarser ones.

        Of a token of whose span a share c is known, with mean m there, the mean of all of it is
        likely near m: with a squared distance of about (1 - c) / c x `_SPREAD`. That is added to
        the logits as the logarithm of a gaussian, so that text and neighbours have their say too.

        Args:
            quantizer: The tokenizer's quantiser.
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


Known = KnownTokens | KnownLatents


def known_latents(known_frames: Tensor, frames_per_latent: int) -> Tensor:
    """(T,) bool of frames -> (ceil(T / n),) bool of latents, True where all its frames are known.

    Frames beyond the last, which fill its latent, count as what the last one is.
    """
    missing = -len(known_frames) % frames_per_latent
    filled = torch.cat([known_frames, known_frames[-1:].expand(missing)])
    return filled.reshape(-1, frames_per_latent).all(dim=1)


def covered(known: Tensor, count: int) -> Tensor:
    """(L,) bool of latents -> (count,) share of each token's span that is known, 1 when all is."""
    share = area_matrix(len(known), count).to(known.device) @ known.float()
    return torch.where(share > _WHOLE, 1.0, share)


def known_at_scale(
    known: Sequence[Known | None],
    quantizer: MultiScaleQuantizer,
    scale: int,
    size: int,
    accumulated: Tensor,
) -> KnownOfScale:
    """What is known of one scale for a batch, padded to the batch's number of tokens.

    Args:
        known: What is given of each of B motions.
        quantizer: The tokenizer's quantiser.
        scale: Index k.
        size: Tokens n_k of the longest motion.
        accumulated: (B, L, D) sum of the coarser scales.

    Returns:
        (B, n_k) tokens, (B, n_k) bool and (B, n_k, C) evidence or None.

    Raises:
        InvalidMotionError: a motion has more tokens at this scale than the batch.
    """
    device = accumulated.device
    tokens = torch.zeros(len(known), size, dtype=torch.long, device=device)
    masks = torch.zeros(len(known), size, dtype=torch.bool, device=device)
    evidence: Tensor | None = None
    for row, item in enumerate(known):
        if item is None:
            continue
        before = accumulated[row]
        if isinstance(item, KnownLatents):
            before = before[: len(item.known)]
        own = item.at_scale(quantizer, scale, before)
        count = len(own.tokens)
        if count > size:
            raise InvalidMotionError(
                f"scale {scale} holds {size} tokens, {count} are given as known"
            )
        tokens[row, :count], masks[row, :count] = own.tokens.to(device), own.known.to(device)
        if own.evidence is not None:
            if evidence is None:
                evidence = accumulated.new_zeros(len(known), size, quantizer.num_codes)
            evidence[row, :count] = own.evidence
    return KnownOfScale(tokens, masks, evidence)
