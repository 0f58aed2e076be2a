"""Deterministic noise over points: the same value for the same point on every machine."""

from __future__ import annotations

import numpy as np


def value_noise(points: np.ndarray, cell: float, seed: int = 0) -> np.ndarray:
    """Smooth noise in -1..1.

    Args:
        points: [N, D] (D = 1, 2 or 3), same unit as `cell`, the size of its features.
    Returns:
        [N] float64.
    """
    scaled = np.asarray(points, np.float64) / cell
    base = np.floor(scaled).astype(np.int64)
    part = scaled - base
    part = part * part * (3 - 2 * part)
    total = np.zeros(len(scaled))
    for corner in range(2 ** scaled.shape[1]):
        bits = np.array([(corner >> axis) & 1 for axis in range(scaled.shape[1])])
        weight = np.prod(np.where(bits == 1, part, 1 - part), axis=1)
        total += weight * _hash(base + bits, seed)
    return total


def fractal_noise(points: np.ndarray, cell: float, octaves: int, seed: int = 0) -> np.ndarray:
    """Sum of halved cells and strengths, about -1..1."""
    total = sum(0.5**k * value_noise(points, cell * 0.5**k, seed + 17 * k) for k in range(octaves))
    return np.asarray(total) / (2 - 0.5 ** (octaves - 1))


def _hash(cells: np.ndarray, seed: int) -> np.ndarray:
    """[N, D] integers -> [N] in -1..1."""
    state = np.full(len(cells), np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF))
    for axis in range(cells.shape[1]):
        state ^= cells[:, axis].astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(27)
        state *= np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) / float(1 << 52) - 1.0


def smoothstep(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; also falling when low > high."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
