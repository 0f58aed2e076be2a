"""Components of rows that come one by one: as good as those of all rows at once."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.rendering.components import BLOCK, Collector, Components


def rows_of(count: int, directions: int, seed: int = 0) -> np.ndarray:
    """Rows [count, 300] in a few directions, each weaker than the last, around a mean that is not zero."""
    rng = np.random.default_rng(seed)
    weights = np.cumsum(rng.standard_normal((count, directions)), 0) * 0.7 ** np.arange(directions)
    return (5 + rng.standard_normal(300) + weights @ rng.standard_normal((directions, 300)) / 30).astype(np.float32)


def collected(rows: np.ndarray, tolerance: float, most: int = 64) -> Components:
    collector = Collector(tolerance, most)
    for row in rows:
        collector.add(row)
    return collector.components()


@pytest.mark.parametrize("count", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
def test_they_are_those_of_all_rows_at_once(count: int) -> None:
    rows = rows_of(count, 20)
    found = collected(rows, 0.01)
    strength = np.linalg.svd((rows - rows.mean(0)).astype(np.float64), compute_uv=False)
    left = np.sqrt(np.append(np.cumsum(strength[::-1] ** 2)[::-1], 0) / rows.size)
    assert len(found.basis) == int(np.argmax(left <= 0.01))
    assert np.sqrt(np.square(found.rows() - rows).mean()) == pytest.approx(left[len(found.basis)], abs=2e-5)
    np.testing.assert_allclose(found.mean, rows.mean(0), atol=1e-4)
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(len(found.basis)), atol=1e-4)


def test_no_more_than_asked_for() -> None:
    assert len(collected(rows_of(100, 20), 0.0, most=3).basis) == 3


def test_what_does_not_move_needs_no_component() -> None:
    found = collected(np.ones((9, 300), np.float32), 1e-6)
    assert found.basis.shape == (0, 300) and found.weights.shape == (9, 0)
    np.testing.assert_array_equal(found.rows(), np.ones((9, 300)))
