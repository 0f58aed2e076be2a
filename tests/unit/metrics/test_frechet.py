"""Frechet distance against closed forms, a matrix root, scikit-learn's shrinkage, and what bootstrapping promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.covariance import ledoit_wolf

from ua3dtalk.metrics.frechet import (
    Moments,
    distance_of,
    frechet_distance,
    frechet_interval,
    moments,
    moving_blocks,
    shrinkage,
)


def gaussian_distance(m1: np.ndarray, c1: np.ndarray, m2: np.ndarray, c2: np.ndarray) -> float:
    """The published formula with scipy's matrix root."""
    return float(((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * np.real(sqrtm(c1 @ c2))))


def covariance(rng: np.random.Generator, width: int) -> np.ndarray:
    root = rng.normal(size=(width, width)) * rng.uniform(0.2, 2, width)
    return root.T @ root / width


@pytest.mark.parametrize("width", [1, 6, 52])
def test_equals_the_formula_with_a_matrix_root(width: int) -> None:
    rng = np.random.default_rng(width)
    sets = [rng.multivariate_normal(rng.normal(size=width), covariance(rng, width), 400) for _ in range(2)]
    parts = [part for each in sets for part in (each.mean(axis=0), np.atleast_2d(np.cov(each.T)))]
    assert frechet_distance(*sets) == pytest.approx(gaussian_distance(*parts), rel=1e-6)


def test_one_dimension_and_diagonal_covariances_have_closed_forms() -> None:
    """|m1 - m2|^2 + sum (s1 - s2)^2, within 1 % on drawn Gaussians."""
    rng = np.random.default_rng(0)
    for width in (1, 8):
        m1, m2 = rng.normal(size=(2, width))
        s1, s2 = rng.uniform(0.5, 2, (2, width))
        exact = float(((m1 - m2) ** 2 + (s1 - s2) ** 2).sum())
        first, second = (m + s * rng.normal(size=(200_000, width)) for m, s in ((m1, s1), (m2, s2)))
        for shrink in (False, True):
            assert frechet_distance(first, second, shrink) == pytest.approx(exact, rel=0.01)
        known = (Moments(m, np.diag(s)) for m, s in ((m1, s1), (m2, s2)))
        assert distance_of(*known) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize(("count", "width"), [(300, 5), (20, 64), (5, 1280)])
def test_a_set_and_itself_are_0_apart_and_order_does_not_matter(count: int, width: int, shrink: bool) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(count, width)), 1 + rng.normal(size=(count + 3, width))
    assert frechet_distance(first, first, shrink) == 0
    assert frechet_distance(first, first[rng.permutation(count)], shrink) < 1e-9 * width
    forth, back = (frechet_distance(*pair, shrink) for pair in ((first, second), (second, first)))
    assert forth == pytest.approx(back, rel=1e-9) and forth > 0


def test_fewer_frames_than_dimensions_equal_the_formula_on_a_full_matrix() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(12, 30)), 0.5 + 2 * rng.normal(size=(9, 30))
    c1, c2 = np.cov(first.T), np.cov(second.T)
    values, vectors = np.linalg.eigh(c1)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    inner = np.linalg.eigvalsh(root @ c2 @ root)  # the root of C1 C2 has the same trace
    exact = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(c1 + c2) - 2 * np.sqrt(np.maximum(inner, 0)).sum()
    assert frechet_distance(first, second) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("count", "width"), [(30, 52), (500, 8), (12, 200)])
def test_shrinkage_is_scikit_learn_s(count: int, width: int) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(count, width)) * rng.uniform(0.1, 3, width)
    wanted, share = ledoit_wolf(values)
    assert shrinkage(values) == pytest.approx(share, rel=1e-8)
    found = moments(values, shrink=True)
    np.testing.assert_allclose(found.root.T @ found.root + found.ridge * np.eye(width), wanted, rtol=1e-8, atol=1e-10)


def test_still_and_short_sets_are_safe() -> None:
    still = np.ones((10, 4))
    assert frechet_distance(still, still, shrink=True) == 0
    assert frechet_distance(still, still + 2, shrink=True) == pytest.approx(16)
    with pytest.raises(ValueError, match="two rows"):
        frechet_distance(still[:1], still)


def test_moving_blocks_keep_neighbours_together() -> None:
    chosen = moving_blocks(50, 8, np.random.default_rng(0))
    assert len(chosen) == 50 and chosen.min() >= 0 and chosen.max() < 50
    assert (np.diff(chosen[:48].reshape(6, 8), axis=1) == 1).all()
    assert moving_blocks(5, 12, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]


def speech_like(count: int, rng: np.random.Generator, deviations: np.ndarray) -> np.ndarray:
    """Values that follow each other as frames do: first-order autoregression with .8."""
    noise = rng.normal(size=(count + 30, len(deviations)))
    values = np.zeros_like(noise)
    for k in range(1, len(noise)):
        values[k] = 0.8 * values[k - 1] + 0.6 * noise[k]
    return values[30:] * deviations


def test_the_interval_covers_the_true_distance() -> None:
    """95 of 100 promised; at least 85 are asked for on 40 draws, a binomial's allowance."""
    deviations = np.array([0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
    shift = np.full(6, 0.12)
    exact = float((shift**2).sum() + ((0.3 * deviations) ** 2).sum())
    rng = np.random.default_rng(5)
    inside = []
    for draw in range(40):
        first = speech_like(250, rng, deviations)
        second = 0.7 * (0.6 * first + 0.8 * speech_like(250, rng, deviations)) + shift
        found = frechet_interval(first, second, block=12, seed=draw, resamples=60)
        inside.append(found.low <= exact <= found.high)
        assert found.low <= found.high and found.value >= 0
    assert np.mean(inside) >= 0.85


def test_the_interval_is_the_same_every_time_and_widens_with_fewer_frames() -> None:
    rng = np.random.default_rng(6)
    deviations = np.array([0.5, 0.3, 0.1])
    first, second = (speech_like(400, rng, deviations) + shift for shift in (0, 0.2))
    long, again = (frechet_interval(first, second, 12, 0) for _ in range(2))
    assert long == again
    short = frechet_interval(first[:60], second[:60], 12, 0)
    assert short.high - short.low > long.high - long.low
