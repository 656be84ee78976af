"""Word vectors without a vocabulary: hashed words and letter groups.

The vector of a word is the mean of the vectors of the word and of its groups of three and four
letters (as in fastText), each a hashed row of one table. So the unknown 'cartwheeling' is near
'cartwheel'.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

_WORD = re.compile(r"[a-z]+|\d+")
_GROUP_SIZES = (3, 4)


def words_of(sentence: str) -> list[str]:
    """Lower-case words and numbers of a sentence, without punctuation."""
    return _WORD.findall(sentence.lower().replace("'", ""))


@lru_cache(maxsize=65536)
def hashed_word(word: str, buckets: int) -> tuple[int, ...]:
    """Rows of the table for a lower-case word and its letter groups, by CRC-32."""
    marked = f"<{word}>"
    parts = [f"word:{word}"]
    for size in _GROUP_SIZES:
        parts += [marked[i : i + size] for i in range(len(marked) - size + 1)]
    return tuple(zlib.crc32(part.encode()) % buckets for part in parts)


class HashedWords(nn.Module):
    """Sentences -> word vectors.

    Args:
        buckets: Rows of the table.
        dim: Width D of a word vector.
        max_words: Words after which a sentence is cut.
    """

    def __init__(self, buckets: int, dim: int, max_words: int) -> None:
        super().__init__()
        self.buckets, self.max_words = buckets, max_words
        self.table = nn.EmbeddingBag(buckets, dim, mode="mean")
        nn.init.normal_(self.table.weight, std=0.5)

    def forward(self, sentences: Sequence[str], word_drop: float = 0.0) -> tuple[Tensor, Tensor]:
        """Word vectors of sentences.

        Args:
            sentences: B sentences; an empty one counts as one empty word.
            word_drop: Share of omitted words (training only).

        Returns:
            (B, S, D) vectors, zero on padding, and (B, S) bool, True for words.
        """
        rows: list[int] = []
        offsets: list[int] = []
        counts: list[int] = []
        for sentence in sentences:
            words = words_of(sentence)[: self.max_words] or [""]
            if word_drop > 0 and len(words) > 1:
                kept = torch.rand(len(words)) >= word_drop
                words = [w for w, keep in zip(words, kept.tolist(), strict=True) if keep] or words
            counts.append(len(words))
            for word in words:
                offsets.append(len(rows))
                rows.extend(hashed_word(word, self.buckets))
        device = self.table.weight.device
        vectors = self.table(
            torch.tensor(rows, device=device), torch.tensor(offsets, device=device)
        )
        lengths = torch.tensor(counts, device=device)
        mask = torch.arange(int(lengths.max()), device=device) < lengths[:, None]
        padded = vectors.new_zeros(*mask.shape, vectors.shape[-1])
        padded[mask] = vectors
        return padded, mask
