"""The field's metrics for text to motion, from embeddings alone.

Definitions: Guo et al., "Generating Diverse and Natural 3D Human Motions from Text", CVPR 2022,
supplementary; FID after Heusel et al., NeurIPS 2017. Distances are Euclidean in the space of the
evaluator, so that metrics of two evaluators cannot be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import ConfigError

TOP = 3
"""Number of ranks of R-precision: top 1, 2 and 3."""


@dataclass(frozen=True)
class MetricValue:
    """A metric over repeats.

    Attributes:
        mean: Mean over the repeats.
        ci95: Half width of the 95 % interval of that mean, 1.96 std / sqrt(repeats).
    """

    mean: float
    ci95: float

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> MetricValue:
        """Mean and interval of one value per repeat."""
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or not len(array):
            raise ConfigError(f"a metric needs one value per repeat, got shape {array.shape}")
        return cls(float(array.mean()), float(1.96 * array.std() / np.sqrt(len(array))))


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, D) and (M, D) -> (N, M) Euclidean distances."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0.0))


def r_precision(
    texts: np.ndarray,
    motions: np.ndarray,
    rng: np.random.Generator,
    *,
    pool: int = 32,
    rounds: int = 1,
) -> np.ndarray:
    """Share of texts whose own motion is among the nearest 1, 2, 3 of a pool.

    Every round shuffles the pairs and cuts them into pools; a rest that does not fill a pool is
    left out. Ties share the rank.

    Args:
        texts: (N, D) embeddings.
        motions: (N, D) embeddings, row i belongs to text i.
        rng: Source of the shuffles.
        pool: Pairs in a pool.
        rounds: Shuffles.

    Returns:
        (3,) shares for top 1, 2 and 3.

    Raises:
        ConfigError: fewer pairs than a pool, or rows that do not match.
    """
    _check_pairs(texts, motions)
    if not 1 <= pool <= len(texts):
        raise ConfigError(f"a pool of {pool} needs as many pairs, there are {len(texts)}")
    hits = []
    for _ in range(rounds):
        order = rng.permutation(len(texts))
        for begin in range(0, len(order) - pool + 1, pool):
            chosen = order[begin : begin + pool]
            hits.append(_hits(distances(texts[chosen], motions[chosen])))
    return np.concatenate(hits).mean(0)


def _hits(distance: np.ndarray) -> np.ndarray:
    """(P, P) distances -> (P, 3) chance that the diagonal is within the first 1, 2, 3."""
    own = np.diagonal(distance)[:, None]
    # Equal motions are ties despite rounding.
    tied = np.abs(distance - own) <= 1e-9 * np.maximum(own, 1e-9)
    before = ((distance < own) & ~tied).sum(1)
    share = (np.arange(1, TOP + 1) - before[:, None]) / tied.sum(1)[:, None]
    return np.clip(share, 0.0, 1.0)


def mm_dist(texts: np.ndarray, motions: np.ndarray) -> float:
    """Mean distance of each text to its motion."""
    _check_pairs(texts, motions)
    delta = texts.astype(np.float64) - motions.astype(np.float64)
    return float(np.linalg.norm(delta, axis=1).mean())


def fid(real: np.ndarray, made: np.ndarray) -> float:
    """Frechet distance of two gaussians fitted to the embeddings.

    |mu_r - mu_m|^2 + tr(S_r + S_m - 2 (S_r S_m)^(1/2)). With few samples the value is too high:
    compare only values of equal sample numbers.

    Args:
        real: (N, D) embeddings.
        made: (M, D) embeddings.

    Raises:
        ConfigError: fewer than two samples, or other widths.
    """
    if min(len(real), len(made)) < 2 or real.shape[1:] != made.shape[1:]:
        raise ConfigError(
            f"FID needs two sets of at least 2 embeddings, got {real.shape} and {made.shape}"
        )
    real, made = real.astype(np.float64), made.astype(np.float64)
    shift = real.mean(0) - made.mean(0)
    a, b = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    # tr (ab)^(1/2) = tr (a^(1/2) b a^(1/2))^(1/2), and the right one is symmetric.
    root = _matrix_root(a)
    cross = np.linalg.eigvalsh(root @ b @ root)
    overlap = np.sqrt(np.maximum(cross, 0.0)).sum()
    return float(max(shift @ shift + np.trace(a) + np.trace(b) - 2 * overlap, 0.0))


def _matrix_root(a: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(a)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def diversity(motions: np.ndarray, pairs: int, rng: np.random.Generator) -> float:
    """Mean distance of disjoint random pairs of motions.

    Args:
        motions: (N, D) embeddings.
        pairs: Number of pairs, at most N // 2.
        rng: Source of the pairs.
    """
    if not 1 <= pairs <= len(motions) // 2:
        raise ConfigError(f"{pairs} pairs need twice as many motions, there are {len(motions)}")
    order = rng.permutation(len(motions))[: 2 * pairs].reshape(2, pairs)
    return mm_dist(motions[order[0]], motions[order[1]])


def multimodality(groups: np.ndarray, rng: np.random.Generator) -> float:
    """Mean distance of random pairs of motions of one text, over the texts.

    Args:
        groups: (C, S, D) embeddings of S >= 2 motions of each of C texts.
        rng: Source of the S // 2 disjoint pairs of each text.
    """
    if groups.ndim != 3 or groups.shape[0] < 1 or groups.shape[1] < 2:
        raise ConfigError(f"groups must be (C, S >= 2, D), got {groups.shape}")
    return float(np.mean([diversity(own, len(own) // 2, rng) for own in groups]))


def _check_pairs(a: np.ndarray, b: np.ndarray) -> None:
    if a.ndim != 2 or a.shape != b.shape or not len(a):
        raise ConfigError(f"embeddings must be two equal (N, D) arrays, got {a.shape}, {b.shape}")
