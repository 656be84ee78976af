"""The library from which the generator's batches are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nextscale_lab.data.samples import Sample
from nextscale_lab.train.entries import Entry, SentenceTable, load_library, save_library
from nextscale_lab.train.library import MAX_LATENTS, LibraryConfig, TokenLibrary, _weights

DIM = 8


def table(count: int = 6) -> SentenceTable:
    torch.manual_seed(0)
    out = SentenceTable()
    for number in range(count):
        out.index[f"sentence {number}"] = number
        out.rows.append(torch.randn(2 + number, 4).half())
        out.pooled.append(torch.nn.functional.normalize(torch.randn(4), dim=0))
    return out


def entries(count: int = 40) -> list[Entry]:
    """Motions of 5 to 80 latents; latent i of motion n is n + i / 1000 in every channel."""
    rng = np.random.default_rng(0)
    out = []
    for number in range(count):
        length = int(rng.integers(5, 80))
        latents = number + torch.arange(length)[:, None].expand(length, DIM) / 1024
        captions = () if number % 5 == 0 else (number % 6, (number + 1) % 6)
        weak, weight = number % 3 == 0, 1.0 + number % 2
        out.append(Entry((latents.float(),), captions, weak, weight))
    return out


@pytest.fixture
def library():
    return TokenLibrary(entries(), table(), seed=3)


def same(one, two) -> bool:
    return torch.equal(one.latents, two.latents) and one.lengths == two.lengths


def test_the_order_goes_on_where_it_was_kept(library):
    for _ in range(3):
        library.draw(4)
    state = library.state_dict()
    expected = [library.draw(4) for _ in range(12)]
    other = TokenLibrary(entries(), table(), seed=99)
    other.load_state_dict(state)
    assert all(same(batch, other.draw(4)) for batch in expected)


def test_processes_share_the_batch_of_one(library):
    whole = library.draw(6)
    parts = []
    for rank in range(2):
        other = TokenLibrary(entries(), table(), seed=3)
        parts.append(other.draw(6, rank, 2))
    for rank, part in enumerate(parts):
        assert part.lengths == whole.lengths[rank::2]
        longest = max(part.lengths)
        assert torch.equal(part.latents, whole.latents[rank::2, :longest])
        assert torch.equal(part.has_text, whole.has_text[rank::2])


def test_a_batch_holds_motions_of_like_length(library):
    def padding(batch) -> float:
        return 1 - sum(batch.lengths) / (len(batch.lengths) * max(batch.lengths))

    sorted_share = np.mean([padding(library.draw(8)) for _ in range(24)])
    rng = np.random.default_rng(0)
    lengths = [min(len(e.latents[0]), MAX_LATENTS) for e in entries()]
    random = [rng.choice(lengths, 8) for _ in range(24)]
    random_share = np.mean([1 - r.sum() / (8 * r.max()) for r in random])
    assert sorted_share < 0.5 * random_share


def test_only_weakly_captioned_motions_start_anywhere(library):
    starts: dict[bool, set[float]] = {True: set(), False: set()}
    for _ in range(60):
        batch = library.draw(8)
        for row in range(8):
            number, place = divmod(float(batch.latents[row, 0, 0]), 1.0)
            starts[int(number) % 3 == 0].add(round(place * 1024))
    assert starts[False] == {0}
    assert len(starts[True]) > 10


def test_frequent_motions_are_drawn_by_their_weight(library):
    counts = np.zeros(2)
    for _ in range(200):
        batch = library.draw(8)
        for row in range(8):
            counts[int(batch.latents[row, 0, 0]) % 2] += 1
    assert counts[1] / counts[0] == pytest.approx(2.0, rel=0.2)


def test_a_library_on_disk_comes_back(library, tmp_path):
    path = tmp_path / "library.safetensors"
    save_library(path, library.entries, library.table)
    loaded, sentences = load_library(path)
    other = TokenLibrary(loaded, sentences, seed=3)
    assert sentences.index == library.table.index
    for _ in range(10):
        one, two = library.draw(5), other.draw(5)
        assert same(one, two)
        assert torch.equal(one.text.tokens, two.text.tokens)
        assert torch.equal(one.text.pooled, two.text.pooled)
    assert [p.name for p in tmp_path.iterdir()] == ["library.safetensors"]


def test_rare_kinds_are_drawn_more_often_each():
    kinds = ["walk"] * 50 + ["circle left"] * 2 + ["walk+circle left"]
    samples = [
        Sample(f"s{i}", np.zeros((40, 263)), ("sentence 0",), kind=kind)
        for i, kind in enumerate(kinds)
    ]
    latents = [(torch.zeros(10, DIM),)] * len(samples)
    weights = _weights(samples, latents, table(), LibraryConfig())
    walk, circle, both = weights[0], weights[50], weights[52]
    assert circle > 4 * walk
    assert walk < both < circle
    # Yet all walks together still outweigh the circles.
    assert 50 * walk > 2 * circle
