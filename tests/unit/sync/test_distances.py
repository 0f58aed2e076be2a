"""Curves and figures against the published definition, written plainly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.sync.distances import curve, figures, published_curve


def embeddings(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 8))


def by_definition(seen: np.ndarray, heard: np.ndarray, reach: int) -> tuple[np.ndarray, float, float, int]:
    """Chung and Zisserman's evaluation frame by frame: curve, confidence, distance, offset."""
    padded = torch.nn.functional.pad(torch.from_numpy(heard), (0, 0, reach, reach))
    rows = []
    for i, lips in enumerate(torch.from_numpy(seen)):
        window = padded[i : i + 2 * reach + 1]
        rows.append(torch.nn.functional.pairwise_distance(lips.repeat(2 * reach + 1, 1), window))
    mean = torch.stack(rows, 1).mean(1)
    least, where = mean.min(0)
    return mean.numpy(), float(mean.median() - least), float(least), reach - int(where)


@pytest.mark.parametrize("late", [-7, 0, 4, 15])
def test_published_figures(late: int) -> None:
    heard = embeddings(80)
    seen = np.roll(heard, -late, axis=0) + 0.2 * embeddings(80, 1)
    expected, confidence, distance, offset = by_definition(seen, heard, 15)
    found = published_curve(seen, heard)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    result = figures(found, refine=False)
    assert result.confidence == pytest.approx(confidence, rel=1e-12)
    assert result.distance == pytest.approx(distance, rel=1e-12)
    assert result.offset_frames == offset == -late, "sound that is late has to be moved back"
    assert result.offset_ms == pytest.approx(-40 * late)


def test_own_curve_takes_only_pairs_that_exist() -> None:
    seen, heard, usable = embeddings(20), embeddings(20, 1), np.random.default_rng(2).random(20) < 0.7
    found = curve(seen, heard, usable, reach=6)
    for entry, shift in enumerate(range(-6, 7)):
        pairs = [(i, i + shift) for i in range(20) if usable[i] and 0 <= i + shift < 20]
        assert found[entry] == pytest.approx(np.mean([np.linalg.norm(seen[i] - heard[k]) for i, k in pairs]))


def test_an_offset_without_pairs_is_nan_and_left_out() -> None:
    found = curve(embeddings(4), embeddings(4, 1), np.ones(4, bool), reach=6)
    assert np.isnan(found).tolist() == [True] * 3 + [False] * 7 + [True] * 3
    assert np.isfinite(figures(found, refine=True).confidence)


@pytest.mark.parametrize("place", [-3.4, 0.0, 0.3, 2.5])
def test_the_minimum_of_a_parabola_is_found_between_frames(place: float) -> None:
    shifts = np.arange(-15, 16)
    result = figures(1 + 0.01 * (shifts - place) ** 2, refine=True)
    assert result.offset_frames == pytest.approx(-place, abs=1e-9)
    assert figures(1 + 0.01 * (shifts - place) ** 2, refine=False).offset_frames in (np.floor(-place), np.ceil(-place))


def test_a_minimum_at_the_border_stays_there() -> None:
    assert figures(np.arange(31.0), refine=True).offset_frames == 15
    assert figures(np.full(31, 2.0), refine=True).confidence == 0
