"""How well a head knows where it errs: predicted deviation of each pixel against the error that it makes there.

Source: sparsification and AUSE as in Ilg et al., "Uncertainty estimates and multi-hypotheses networks for optical
flow", ECCV 2018; calibration as in Levi et al., "Evaluating and calibrating uncertainty prediction in regression
tasks", 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ua3dtalk.metrics.image import crop
from ua3dtalk.metrics.rows import Row
from ua3dtalk.reading import floats, map_npy, reading

FRACTIONS = np.linspace(0, 0.99, 50)  # of the pixels that are taken away, the most doubted first
BINS = 10


def spearman(doubt: np.ndarray, error: np.ndarray) -> float:
    """Rank correlation of two arrays of one shape; 0 where one of them is constant."""
    a, b = rankdata(doubt.ravel()), rankdata(error.ravel())
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def sparsification(order_by: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Mean error of what is left when the pixels with the largest `order_by` are taken away, over the mean of all.

    Returns: [50], one for each of FRACTIONS. Of equal values the order of the array decides.
    """
    ranked = error.ravel()[np.argsort(order_by.ravel(), kind="stable")]
    sums = np.cumsum(ranked)
    kept = np.maximum(np.round((1 - FRACTIONS) * len(ranked)).astype(int), 1)
    return sums[kept - 1] / kept / max(float(sums[-1]) / len(ranked), 1e-12)


def ause(doubt: np.ndarray, error: np.ndarray) -> float:
    """Area between the sparsification curve of the doubt and the oracle's (of the error itself): 0 is perfect."""
    return float((sparsification(doubt, error) - sparsification(error, error)).mean())


def random_ause(error: np.ndarray) -> float:
    """AUSE that doubt without knowledge has on average: nothing is gained by taking pixels away."""
    return float((1 - sparsification(error, error)).mean())


def calibration(deviation: np.ndarray, error: np.ndarray) -> dict[str, Any]:
    """Root mean squares of predicted deviation and of error in ten bins with equally many pixels.

    Returns:
        predicted [10], observed [10], and their expected normalised difference (ENCE).
    """
    order = np.argsort(deviation.ravel(), kind="stable")
    pairs = [
        [float(np.sqrt((values.ravel()[part] ** 2).mean())) for values in (deviation, error)]
        for part in np.array_split(order, BINS)
        if len(part)
    ]
    predicted, observed = np.array(pairs).T
    return {
        "predicted": [round(float(v), 5) for v in predicted],
        "observed": [round(float(v), 5) for v in observed],
        "ence": float((np.abs(predicted - observed) / np.maximum(predicted, 1e-9)).mean()),
    }


def confidence_figures(
    row: Row, truth: Row, squares: np.ndarray, folder: Path, files: dict[str, str]
) -> dict[str, Any]:
    """Figures of the head's own doubt and of a map of the training frames' mean error, inside the face squares.

    Args:
        row: ours; truth; squares [n, 3].
        folder: of the renders; files: `deviation` float16 [n, H, W], `training_residual` float32 [H, W].
    """
    with reading(folder, "render again", what="the maps of uncertainty"):
        shape = {"T": len(squares)}
        deviation = map_npy(folder / files["deviation"], floats("T", "H", "W"), shape)
        residual = np.array(map_npy(folder / files["training_residual"], floats("H", "W")))
    errors = [_error(crop(row.frame(k), s), crop(truth.frame(k), s)) for k, s in enumerate(squares)]
    own = [crop(np.asarray(deviation[k], np.float32), s) for k, s in enumerate(squares)]
    fixed = [crop(residual, s) for s in squares]
    return {
        "pixels": "face crop",
        "error": "root mean square of the channels, 0..1",
        "random_ause": float(np.mean([random_ause(e) for e in errors])),
        "ours": {**_against(own, errors), "calibration": calibration(np.stack(own), np.stack(errors))},
        "training_residual_map": _against(fixed, errors),
    }


def _against(doubts: Sequence[np.ndarray], errors: Sequence[np.ndarray]) -> dict[str, float]:
    pairs = list(zip(doubts, errors, strict=True))
    return {
        "spearman_pixels": float(np.mean([spearman(d, e) for d, e in pairs])),
        "spearman_frames": spearman(np.array([d.mean() for d in doubts]), np.array([e.mean() for e in errors])),
        "ause": float(np.mean([ause(d, e) for d, e in pairs])),
    }


def _error(shown: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    difference = (shown.astype(np.float32) - wanted.astype(np.float32)) / 255
    return np.asarray(np.sqrt((difference**2).mean(-1)))
