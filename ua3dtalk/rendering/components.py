"""Principal components of rows that come one after the other, in memory that does not grow with their number.

Rows are folded into a basis block by block, and the weights of earlier rows follow it; the mean is taken out at the
end, in the small space of the weights.
Source: Levey and Lindenbaum, "Sequential Karhunen-Loeve basis extraction", 2000; weights kept besides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RANK = 64  # directions that are carried along
BLOCK = 64  # rows that wait to be folded in


@dataclass(frozen=True)
class Components:
    """T rows of D numbers: mean [D] + weights [T, K] @ basis [K, D], the rows of the basis orthonormal."""

    mean: np.ndarray
    basis: np.ndarray
    weights: np.ndarray

    def rows(self) -> np.ndarray:
        """What they give back, [T, D]."""
        found: np.ndarray = self.mean + self.weights @ self.basis
        return found


class Collector:
    """Takes rows [D] and gives their components.

    Args:
        tolerance: root mean square of what may be left of an entry; as few components as reach it are given, at most
            `most`.
    """

    def __init__(self, tolerance: float, most: int) -> None:
        self.tolerance, self.most = tolerance, most
        self._first: np.ndarray | None = None
        self._waiting: list[np.ndarray] = []
        self._basis = np.zeros((0, 0), np.float32)
        self._weights = np.zeros((0, 0), np.float32)

    def add(self, row: np.ndarray) -> None:
        """One more row [D] float32."""
        if self._first is None:
            self._first = row.astype(np.float32).copy()
            self._basis = np.zeros((0, len(row)), np.float32)
        self._waiting.append(row.astype(np.float32) - self._first)
        if len(self._waiting) == BLOCK:
            self._fold()

    def components(self) -> Components:
        """Of all rows so far, of which there is one at least."""
        if self._first is None:
            raise ValueError("there is no row")
        self._fold()
        middle = self._weights.mean(0)
        left, strength, right = np.linalg.svd(self._weights - middle, full_matrices=False)
        count = min(self._enough(strength), self.most)
        mean = self._first + middle @ self._basis
        return Components(mean, right[:count] @ self._basis, left[:, :count] * strength[:count])

    def _enough(self, strength: np.ndarray) -> int:
        """How many of the components of these singular values [K], falling, leave no more than is tolerated."""
        energy = np.append(np.cumsum((strength.astype(np.float64) ** 2)[::-1])[::-1], 0.0)
        left = np.sqrt(energy / (len(self._weights) * self._basis.shape[1]))
        return int(np.argmax(left <= self.tolerance))

    def _fold(self) -> None:
        """Bring the waiting rows into the basis; what RANK directions do not hold of them is lost."""
        if not self._waiting:
            return
        before, seen = self._basis.shape[0], len(self._weights)
        rows = np.concatenate([self._basis, np.stack(self._waiting)])
        # Directions that were strong in earlier rows must count as much as they did there.
        old = np.sqrt(np.square(self._weights).sum(0)) if seen else np.ones(before, np.float32)
        scaled = rows * np.concatenate([old, np.ones(len(self._waiting), np.float32)])[:, None]
        energy, turns = np.linalg.eigh((scaled @ scaled.T).astype(np.float64))
        kept = np.flatnonzero(energy > 1e-9 * max(float(energy[-1]), 1e-30))[::-1][:RANK]
        basis = (turns[:, kept] / np.sqrt(energy[kept])).T.astype(np.float32) @ scaled
        coordinates = rows @ basis.T
        self._weights = np.concatenate(
            [self._weights.reshape(seen, before) @ coordinates[:before], coordinates[before:]]
        )
        self._basis, self._waiting = basis, []
