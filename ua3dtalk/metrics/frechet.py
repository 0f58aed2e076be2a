"""Frechet distance of two sets of vectors, each taken as a Gaussian, and how sure one may be of it.

Source: Frechet distance of Gaussians after Dowson and Landau, 1982, as used in Heusel et al., "GANs trained by a two
time-scale update rule", NeurIPS 2017 (FID). Sets are [n, D], one row per frame, in the order of time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES = 200
LEVEL = 0.95


@dataclass(frozen=True)
class Moments:
    """A set as a Gaussian.

    Attributes:
        mean: [D].
        root: [k, D] with root^T root = covariance; k is the number of frames, so D may be much larger.
        ridge: added to the covariance's diagonal by shrinkage.
    """

    mean: np.ndarray
    root: np.ndarray
    ridge: float = 0.0


def moments(values: np.ndarray, shrink: bool = False) -> Moments:
    """Mean and covariance (over n - 1) of values [n, D]; `shrink` takes Ledoit and Wolf's estimate instead.

    Errors: ValueError for fewer than two rows.
    """
    if len(values) < 2:
        raise ValueError("a covariance needs two rows at least")
    values = values.astype(np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    if not shrink:
        return Moments(mean, centred / np.sqrt(len(values) - 1))
    share = shrinkage(values)
    target = float((centred**2).sum()) / (len(values) * values.shape[1])
    return Moments(mean, centred * np.sqrt((1 - share) / len(values)), share * target)


def shrinkage(values: np.ndarray) -> float:
    """How much of the covariance is replaced by a multiple of the identity, 0..1, for rows taken as independent.

    Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, eq. 14.
    """
    count, width = values.shape
    centred = values - values.mean(axis=0)
    lengths = (centred**2).sum(axis=1)
    gram = centred @ centred.T if count < width else centred.T @ centred  # their squares have the same sum
    total = float((gram**2).sum()) / count**2
    spread = float(lengths.sum()) / count
    distance = total - spread**2 / width
    if distance <= 1e-12 * total:
        return 1.0
    noise = float((lengths**2).sum()) / count - total
    return min(max(noise / (count * distance), 0.0), 1.0)


def frechet_distance(first: np.ndarray, second: np.ndarray, shrink: bool = False) -> float:
    """Frechet distance of two sets [n, D] and [m, D]; never below 0, symmetric, 0 for a set and itself.

    Args:
        shrink: covariances after Ledoit and Wolf, for fewer frames than some multiples of D.
    """
    return distance_of(moments(first, shrink), moments(second, shrink))


def distance_of(first: Moments, second: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2).

    The last trace is the sum of the singular values of R1 R2^T, where C = R^T R: no matrix is inverted and no root
    taken, so rank below D, as with fewer frames than D, needs no care.
    """
    r1, r2 = (_full_root(each) for each in (first, second))
    apart = float(((first.mean - second.mean) ** 2).sum())
    own = float((r1**2).sum() + (r2**2).sum())
    shared = float(np.linalg.svd(r1 @ r2.T, compute_uv=False).sum())
    distance = apart + own - 2 * shared
    return max(distance, 0.0) if distance > 1e-12 * (apart + own) else 0.0


def _full_root(gaussian: Moments) -> np.ndarray:
    """[k, D] with the ridge inside; k at most D where that is the smaller."""
    root, ridge = gaussian.root, gaussian.ridge
    if ridge > 0:
        return np.linalg.cholesky(root.T @ root + ridge * np.eye(root.shape[1])).T
    return np.asarray(np.linalg.qr(root, mode="r")) if len(root) > root.shape[1] else root


@dataclass(frozen=True)
class Interval:
    """A distance, and where it would lie in 95 of 100 cases on other frames of the same kind."""

    value: float
    low: float
    high: float


def frechet_interval(
    first: np.ndarray, second: np.ndarray, block: int, seed: int, shrink: bool = True, resamples: int = RESAMPLES
) -> Interval:
    """Basic bootstrap of the distance of two sets of one length, [n, D], over blocks of frames that follow each other.

    Both sets are resampled at the same moments, since they show the same speech. The basic interval, 2 d minus the
    resamples' quantiles, takes off the bias that few frames give a Frechet distance.
    Args:
        block: frames; neighbouring frames look alike, so single ones would promise too much.
        seed: of the resampling.
    Source: Kuensch, "The jackknife and the bootstrap for general stationary observations", 1989 (moving blocks).
    """
    value = frechet_distance(first, second, shrink)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        chosen = moving_blocks(len(first), block, rng)
        drawn.append(frechet_distance(first[chosen], second[chosen], shrink))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, max(2 * value - float(high), 0.0), max(2 * value - float(low), 0.0))


def moving_blocks(count: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Indices [count] made of stretches of `block` numbers that follow each other, begun anywhere."""
    block = min(block, count)
    starts = rng.integers(0, count - block + 1, -(-count // block))
    return (starts[:, None] + np.arange(block)).reshape(-1)[:count]
