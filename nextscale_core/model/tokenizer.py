"""`MotionTokenizer`: what the tokenizers have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from nextscale_core.model.quantizer import Quantized, Quantizer
from nextscale_core.motion.features import NUM_FEATURES
from nextscale_core.motion.skeleton import FPS


class MotionTokenizer(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="nextscale",
    tags=["text-to-motion", "robotics"],
):
    """HumanML3D features -> tokens of several scales -> features.

    A subclass has an encoder, a quantizer and a decoder.

    Attributes:
        config: Sizes, a frozen dataclass.
        quantizer: Latents -> tokens -> latents.
        frames_per_latent: Frames that a latent stands for.
    """

    frames_per_latent = 4

    config: Any
    quantizer: Quantizer
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("feature_std", torch.ones(NUM_FEATURES))

    @abstractmethod
    def encode_latents(self, normalized: Tensor) -> Tensor:
        """(B, T, 263) normalized features -> (B, T // 4, P x D) latents; T is a multiple of 4."""

    @abstractmethod
    def decode_latents(self, latents: Tensor) -> Tensor:
        """(B, L, P x D) latents -> (B, 4 L, 263) normalized features."""

    def latents_for(self, seconds: float) -> int:
        """Number of latents of a motion of `seconds` [s], at least 1."""
        return max(round(seconds * FPS / self.frames_per_latent), 1)

    def normalize(self, features: Tensor) -> Tensor:
        """Features to zero mean and unit standard deviation."""
        return (features - self.feature_mean) / self.feature_std

    def denormalize(self, features: Tensor) -> Tensor:
        """Inverse of `normalize`."""
        return features * self.feature_std + self.feature_mean

    def forward(
        self, normalized: Tensor, temperature: float = 0.0, scales: int | None = None
    ) -> tuple[Tensor, Quantized]:
        """Reconstruct normalized features.

        Args:
            normalized: (B, T, 263), T a multiple of 4.
            temperature: See `MultiScaleQuantizer.forward`.
            scales: Number of scales used; None for all.

        Returns:
            (B, T, 263) reconstruction and the quantizer's result.
        """
        quantized: Quantized = self.quantizer(self.encode_latents(normalized), temperature, scales)
        return self.decode_latents(quantized.latents), quantized

    @torch.no_grad()
    def encode(self, features: Tensor) -> tuple[Tensor, ...]:
        """Features to tokens.

        Args:
            features: (B, T, 263) HumanML3D features; frames beyond a multiple of 4 are dropped.

        Returns:
            One (B, n_k) long tensor per scale, coarse to fine.
        """
        frames = features.shape[1] - features.shape[1] % self.frames_per_latent
        quantized: Quantized = self.quantizer(
            self.encode_latents(self.normalize(features[:, :frames]))
        )
        return quantized.tokens

    @torch.no_grad()
    def decode(self, tokens: tuple[Tensor, ...] | list[Tensor], latents: int) -> Tensor:
        """Tokens to features.

        Args:
            tokens: One (B, n_k) tensor per scale; fewer scales give a coarser motion.
            latents: Number L of latents of the clip.

        Returns:
            (B, 4 L, 263) HumanML3D features.
        """
        return self.denormalize(self.decode_latents(self.quantizer.accumulate(tokens, latents)))
