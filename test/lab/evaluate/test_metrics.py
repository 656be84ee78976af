"""Metrics against answers that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from nextscale_core.exceptions import ConfigError
from nextscale_lab.evaluate.metrics import (
    MetricValue,
    distances,
    diversity,
    fid,
    mm_dist,
    multimodality,
    r_precision,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def exactly(mean: np.ndarray, root: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """200 samples whose sample mean and covariance are exactly `mean` and root @ root.T."""
    raw = rng.normal(size=(200, len(mean)))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return white @ root.T + mean


def test_fid_of_two_gaussians_along_the_axes_is_the_closed_form(rng):
    a, b = np.array([1.0, 2.0, 0.5]), np.array([2.0, 1.0, 0.5])
    shift = np.array([3.0, 0.0, 4.0])
    real = exactly(np.zeros(3), np.diag(a), rng)
    made = exactly(shift, np.diag(b), rng)
    assert fid(real, made) == pytest.approx(25.0 + ((a - b) ** 2).sum(), rel=1e-9)


def test_fid_agrees_with_the_matrix_root_of_scipy(rng):
    real = rng.normal(size=(90, 12)) @ rng.normal(size=(12, 12))
    made = rng.normal(size=(70, 12)) @ rng.normal(size=(12, 12)) + 0.3
    a, b = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    wanted = ((real.mean(0) - made.mean(0)) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert fid(real, made) == pytest.approx(wanted, rel=1e-6)


def test_fid_of_a_set_with_itself_is_nothing_even_with_few_samples(rng):
    few = rng.normal(size=(20, 64))
    assert fid(few, few) == pytest.approx(0.0, abs=1e-5)


def test_fid_does_not_change_with_the_axes_or_the_order(rng):
    real, made = rng.normal(size=(40, 6)), 1.4 * rng.normal(size=(50, 6)) + 1
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert fid(real @ turn + 5, made @ turn + 5) == pytest.approx(fid(real, made), rel=1e-9)
    assert fid(made, real) == pytest.approx(fid(real, made), rel=1e-9)


def test_pairs_that_coincide_are_always_found(rng):
    same = rng.normal(size=(70, 5))
    np.testing.assert_array_equal(r_precision(same, same, rng), [1, 1, 1])


def test_unrelated_pairs_are_found_by_chance(rng):
    texts, motions = rng.normal(size=(2, 3200, 16))
    found = r_precision(texts, motions, rng)
    np.testing.assert_allclose(found, np.array([1, 2, 3]) / 32, atol=0.012)


def test_an_evaluator_that_sees_no_difference_gets_chance_and_no_more(rng):
    blind = np.ones((64, 4))
    np.testing.assert_allclose(r_precision(blind, blind, rng), np.array([1, 2, 3]) / 32)


def test_the_second_nearest_counts_from_top_two_on(rng):
    # Motion i stands between the texts i and i + 1, nearer to text i + 1: every text but the
    # first finds motion i - 1 before its own.
    texts = np.arange(8.0)[:, None] * 10
    found = r_precision(texts, texts + 6, rng, pool=8)
    np.testing.assert_allclose(found, [1 / 8, 1, 1])


def test_a_pool_larger_than_the_pairs_is_refused(rng):
    some = rng.normal(size=(10, 3))
    with pytest.raises(ConfigError, match="pool of 32"):
        r_precision(some, some, rng)
    with pytest.raises(ConfigError, match="equal"):
        r_precision(some, some[:5], rng, pool=4)


def test_distances_and_their_mean_over_pairs():
    a, b = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[3.0, 4.0], [3.0, 5.0]])
    np.testing.assert_allclose(distances(a, b), [[5, np.sqrt(34)], [0, 1]], atol=1e-12)
    assert mm_dist(a, b) == pytest.approx(3.0)


def test_diversity_never_pairs_a_motion_with_itself(rng):
    corners = np.eye(20)
    for _ in range(20):
        assert diversity(corners, 10, rng) == pytest.approx(np.sqrt(2))
    with pytest.raises(ConfigError, match="11 pairs"):
        diversity(corners, 11, rng)


def test_multimodality_looks_inside_each_text_only(rng):
    far_apart = np.repeat(np.arange(4.0)[:, None, None] * 1000, 6, axis=1)
    assert multimodality(far_apart, rng) == 0.0
    assert multimodality(np.stack([np.eye(6)] * 3), rng) == pytest.approx(np.sqrt(2))
    with pytest.raises(ConfigError, match="S >= 2"):
        multimodality(np.zeros((3, 1, 4)), rng)


def test_the_interval_is_that_of_the_mean():
    figure = MetricValue.of([1.0, 3.0, 1.0, 3.0])
    assert (figure.mean, figure.ci95) == (2.0, pytest.approx(1.96 * 1.0 / 2))
    assert MetricValue.of([0.4] * 5).ci95 == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ConfigError):
        MetricValue.of([])
