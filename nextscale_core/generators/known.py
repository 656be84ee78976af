"""`KnownTokens`: the part of a motion that is given and must not change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.tokenizers.scales import area_matrix


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
        length = len(known_latents)
        share = known_latents.float()
        known = tuple(area_matrix(length, len(t)) @ share > 1 - 1e-6 for t in tokens)
        return cls(tokens, known)


def stack_known(
    known: list[KnownTokens | None], sizes: tuple[int, ...], device: torch.device | str
) -> tuple[list[Tensor], list[Tensor]]:
    """Batch of known tokens, padded to the given number of tokens per scale.

    Returns:
        Per scale (B, n_k) tokens and (B, n_k) bool; all False for samples without any.

    Raises:
        InvalidMotionError: a sample has more tokens at some scale than the batch.
    """
    tokens = [torch.zeros(len(known), n, dtype=torch.long) for n in sizes]
    masks = [torch.zeros(len(known), n, dtype=torch.bool) for n in sizes]
    for row, item in enumerate(known):
        if item is None:
            continue
        for scale, (own, mask) in enumerate(zip(item.tokens, item.known, strict=True)):
            if len(own) > sizes[scale]:
                raise InvalidMotionError(
                    f"scale {scale} holds {sizes[scale]} tokens, {len(own)} are given as known"
                )
            tokens[scale][row, : len(own)] = own
            masks[scale][row, : len(own)] = mask
    return [t.to(device) for t in tokens], [m.to(device) for m in masks]
