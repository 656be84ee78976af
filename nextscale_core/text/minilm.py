"""all-MiniLM-L6-v2: a BERT of six layers, without the packages that load any transformer.

`transformers` imports a thousand modules for it, which take more memory than the weights. These
are mapped from their file: only the rows of the words that occur are ever read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor


class MiniLm:
    """Tokenizer and weights of a sentence encoder.

    Args:
        folder: Holds `config.json`, `tokenizer.json` and `model.safetensors`.
        device: Torch device.

    Attributes:
        dim: Width D of the features.
    """

    def __init__(self, folder: Path, device: torch.device):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.dim, self._heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._eps = float(config["layer_norm_eps"])
        weights = load_file(folder / "model.safetensors")
        self._weights = {name: value.to(device) for name, value in weights.items()}
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._device = device

    def __call__(self, sentences: Sequence[str], max_tokens: int) -> tuple[Tensor, Tensor]:
        """Features (B, S, D) of word pieces, and (B, S) bool, True where they are not padding."""
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.enable_padding()
        coded = self._tokenizer.encode_batch(list(sentences))
        ids = torch.tensor([one.ids for one in coded], device=self._device)
        mask = torch.tensor([one.attention_mask for one in coded], device=self._device).bool()
        w = self._weights
        x = F.embedding(ids, w["embeddings.word_embeddings.weight"])
        x = x + w["embeddings.token_type_embeddings.weight"][0]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x, "embeddings")
        for number in range(self._layers):
            x = self._layer(x, mask, f"encoder.layer.{number}")
        return x, mask

    def _layer(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        batch, length, dim = x.shape
        split = (batch, length, self._heads, dim // self._heads)
        query, key, value = (
            self._linear(x, f"{name}.attention.self.{part}").view(split).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(query, key, value, mask[:, None, None])
        mixed = mixed.transpose(1, 2).reshape(batch, length, dim)
        mixed = self._linear(mixed, f"{name}.attention.output.dense")
        x = self._norm(mixed + x, f"{name}.attention.output")
        inner = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(self._linear(inner, f"{name}.output.dense") + x, f"{name}.output")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = (self._weights[f"{name}.LayerNorm.{part}"] for part in ("weight", "bias"))
        return F.layer_norm(x, (self.dim,), weight, bias, self._eps)
