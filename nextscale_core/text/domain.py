"""`TextDomain`: whether a sentence is within reach of the data that a model was trained on."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.text.clauses import clauses, denied
from nextscale_core.text.language import TextWarning, shortened

DOMAIN = "captions.safetensors"
"""File of a model folder with the features of its training captions."""

LEAST_SIMILARITY = 0.6
"""Minimum cosine between a sentence and its nearest training caption.

1 % of the validation captions of `moscale-cmu` are below (2 % of the test captions), and 22 of 40
sentences about what the data lacks, from "swims freestyle" to "milks a cow". The others name a
word that a caption has, such as "push ups".
"""

_MAX_CAPTIONS = 1 << 16


class OutOfDomainWarning(TextWarning):
    """A sentence is accepted, but resembles nothing that the model was trained on, or denies."""


class TextDomain:
    """Features of training captions, with which sentences are compared.

    Args:
        captions: (N, D) features, of unit length.
    """

    def __init__(self, captions: Tensor) -> None:
        self.captions = captions.float()

    def similarity(self, pooled: Tensor) -> Tensor:
        """(B, D) pooled text features -> (B,) cosine to the nearest caption."""
        nearest: Tensor = (pooled.float().cpu() @ self.captions.T).amax(dim=1)
        return nearest

    def remark(self, sentence: str, pooled: Tensor, meaning: str = "") -> str | None:
        """Why a sentence is out of the model's reach; None for one that is not.

        Args:
            sentence: A validated sentence. One with a known action is within reach, unless it is
                denied.
            pooled: (D,) its features.
            meaning: The sentence in known words.
        """
        if words := denied(sentence):
            return (
                f"{words!r} says what is not done, and the motion may show it nevertheless; say "
                "what the person does instead, for example 'a person stands still'"
            )
        if clauses(meaning or sentence) or float(self.similarity(pooled[None])) >= LEAST_SIMILARITY:
            return None
        return (
            f"{shortened(sentence)!r} resembles no sentence that the model was trained on, so the "
            "motion may show something else; name the movement, for example 'a person swings both "
            "arms'"
        )

    @classmethod
    def load(cls, folder: Path) -> TextDomain | None:
        """The domain of a model folder, or None where it has no such file.

        Raises:
            ModelLoadError: the file is damaged.
        """
        path = folder / DOMAIN
        if not path.is_file():
            return None
        try:
            captions = load_file(path)["captions"]
        except (SafetensorError, KeyError, OSError, ValueError) as error:
            raise ModelLoadError(f"{path} holds no features of captions: {error}") from error
        if captions.ndim != 2 or not 0 < len(captions) <= _MAX_CAPTIONS:
            raise ModelLoadError(f"{path} must hold (N, D) features, got {tuple(captions.shape)}")
        return cls(captions)

    def save(self, folder: Path) -> None:
        """Write `captions.safetensors`, in half precision."""
        save_file({"captions": self.captions.half().contiguous()}, folder / DOMAIN)
