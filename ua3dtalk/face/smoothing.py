"""Smoothing without lag: Whittaker's smoother, its strength chosen by the data.

The smooth series x minimises sum_t w_t (y_t - x_t)^2 + strength * sum_t (x_{t-1} - 2 x_t + x_{t+1})^2. It is
symmetric in time, so it cannot lag, and where w_t = 0 it interpolates. Under the model "acceleration is white
noise, measured with white noise" the strength is the ratio of the two variances, estimated by restricted
maximum likelihood.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded


def _bands(weights: np.ndarray, strength: float) -> np.ndarray:
    """Upper banded form [3, T] of diag(weights) + strength * D'D, D the second difference."""
    count = len(weights)
    bands = np.zeros((3, count))
    bands[2] = weights
    for offset, values in ((0, (1.0, 4.0, 1.0)), (1, (-2.0, -2.0)), (2, (1.0,))):
        for k, value in enumerate(values):  # row t of D touches t, t + 1, t + 2
            bands[2 - offset, k + offset : k + offset + count - 2] += strength * value
    return bands


def whittaker(series: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """Smooth series [T, ...] with weights [T] >= 0; T < 3 comes back as it is.

    At least two weights must be positive, else a straight line is not determined.
    """
    series = np.asarray(series, float)
    if len(series) < 3:
        return series.copy()
    flat = series.reshape(len(series), -1)
    factor = cholesky_banded(_bands(weights + 1e-12, strength))
    return cho_solve_banded((factor, False), (weights + 1e-12)[:, None] * flat).reshape(series.shape)


def likelihood(series: np.ndarray, weights: np.ndarray, strength: float) -> float:
    """Restricted log-likelihood of a strength for one series [T], up to a constant; the noise is profiled out.

    Source: the smoother as the posterior mean of an integrated random walk (Wahba 1978; Wecker and Ansley 1983).
    """
    count = int((weights > 0).sum())
    bands = _bands(weights + 1e-12, strength)
    factor = cholesky_banded(bands)
    smooth = cho_solve_banded((factor, False), (weights + 1e-12) * series)
    penalised = (weights * (series - smooth) ** 2).sum() + strength * (np.diff(smooth, 2) ** 2).sum()
    free = max(count - 2, 1)
    log_determinant = 2 * np.log(factor[-1]).sum() - (len(series) - 2) * np.log(strength)
    return -0.5 * (free * np.log(max(penalised, 1e-300) / free) + log_determinant)


def best_strength(
    series: list[np.ndarray], weights: list[np.ndarray], low: float = 1e-2, high: float = 1e4, steps: int = 25
) -> float:
    """Strength of highest likelihood over several stretches [T_i] that share it."""
    grid = np.geomspace(low, high, steps)
    usable = [(s, w) for s, w in zip(series, weights, strict=True) if (w > 0).sum() >= 8]
    if not usable:
        return 1.0
    scores = [sum(likelihood(s, w, strength) for s, w in usable) for strength in grid]
    return float(grid[int(np.argmax(scores))])
