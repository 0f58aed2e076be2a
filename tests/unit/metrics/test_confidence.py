"""Figures of uncertainty against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from ua3dtalk.errors import DataError
from ua3dtalk.metrics.confidence import (
    ause,
    calibration,
    confidence_figures,
    random_ause,
    sparsification,
    spearman,
)
from ua3dtalk.metrics.rows import Row

RNG = np.random.default_rng(0)


def test_spearman_is_scipy_s() -> None:
    a, b = RNG.integers(0, 9, 200).astype(float), RNG.standard_normal(200)  # with ties
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(a, np.exp(a)) == pytest.approx(1)
    assert spearman(a, np.zeros(200)) == 0


def test_the_oracle_has_no_area_and_the_worst_order_has_most() -> None:
    error = RNG.exponential(1, (20, 20))
    assert ause(error, error) == 0
    assert ause(error**3, error) == pytest.approx(0, abs=1e-12), "only the order counts"
    shuffled = np.mean([ause(RNG.random((20, 20)), error) for _ in range(200)])
    assert shuffled == pytest.approx(random_ause(error), rel=0.05)
    assert ause(-error, error) > shuffled > ause(error + RNG.random((20, 20)), error) > 0


def test_sparsification_by_hand() -> None:
    error = np.array([1.0, 2.0, 3.0, 4.0])
    curve = sparsification(np.array([0.1, 0.2, 0.3, 0.4]), error)
    assert curve[0] == 1
    assert curve[-1] == pytest.approx(1 / 2.5), "one pixel is left at least"
    assert (np.diff(curve) <= 1e-12).all()


def test_calibration_of_errors_that_are_as_large_as_predicted() -> None:
    deviation = RNG.uniform(0.01, 0.2, 200_000)
    error = np.abs(deviation * RNG.standard_normal(200_000))
    right = calibration(deviation, error)
    np.testing.assert_allclose(right["predicted"], right["observed"], rtol=0.03)
    assert right["ence"] < 0.03
    assert calibration(deviation / 2, error)["ence"] == pytest.approx(1, abs=0.05)


def rows(folder: Path) -> tuple[Row, Row, np.ndarray, dict[str, str]]:
    """A render that errs where its map says, and a fixed map that knows half of it."""
    truth = RNG.integers(60, 190, (6, 16, 16, 3)).astype(np.uint8)
    doubt = RNG.uniform(1, 40, (6, 16, 16))
    shown = np.clip(truth + np.rint(doubt)[..., None], 0, 255).astype(np.uint8)
    np.save(folder / "deviation.npy", (doubt / 255).astype(np.float16))
    np.save(folder / "fixed.npy", RNG.random((16, 16)).astype(np.float32))
    squares = np.tile([2, 3, 12], (6, 1))
    files = {"deviation": "deviation.npy", "training_residual": "fixed.npy"}
    return Row("ours", (), shown, np.arange(6)), Row("truth", (), truth, np.arange(6)), squares, files


def test_figures_of_a_head_that_knows(tmp_path: Path) -> None:
    ours, truth, squares, files = rows(tmp_path)
    figures = confidence_figures(ours, truth, squares, tmp_path, files)
    own, fixed = figures["ours"], figures["training_residual_map"]
    assert own["spearman_pixels"] > 0.98 and own["spearman_frames"] > 0.9
    assert abs(fixed["spearman_pixels"]) < 0.2
    assert own["ause"] < 0.01 < fixed["ause"]
    assert fixed["ause"] == pytest.approx(figures["random_ause"], rel=0.3)
    assert own["calibration"]["ence"] < 0.1


def test_maps_that_are_missing_are_one_line(tmp_path: Path) -> None:
    ours, truth, squares, files = rows(tmp_path)
    (tmp_path / "deviation.npy").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="render again"):
        confidence_figures(ours, truth, squares, tmp_path, files)
