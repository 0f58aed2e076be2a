"""Anchors: a few points on the head that carry what a field computes to all Gaussians near them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree
from torch import Tensor
from torch.autograd.function import once_differentiable

NEIGHBOURS = 4


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Indices [count] of points [N, 3] that cover them evenly: each one is farthest from those before it.

    Begins with the point farthest from the mean; the same points give the same answer.
    Raises:
        ValueError: count is not within 1..N.
    """
    if not 1 <= count <= len(points):
        raise ValueError(f"{count} anchors cannot be chosen from {len(points)} Gaussians")
    coordinates = np.ascontiguousarray(points.T, dtype=np.float32)  # axis by axis, for speed
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = _squared_distances(coordinates, coordinates.mean(1)).argmax()
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    for i in range(1, count):
        np.minimum(nearest, _squared_distances(coordinates, coordinates[:, chosen[i - 1]]), out=nearest)
        chosen[i] = nearest.argmax()
    return chosen


def _squared_distances(coordinates: np.ndarray, point: np.ndarray) -> np.ndarray:
    offsets = coordinates - point[:, None]
    offsets *= offsets
    return offsets.sum(0)


@dataclass(frozen=True)
class Anchors:
    """positions [A, 3] m of the anchors; indices [N, k] and weights [N, k] (rows sum to 1) of each Gaussian's anchors.

    `place` begins with a cloud, `attach` follows one that has changed.
    """

    positions: Tensor
    indices: Tensor
    weights: Tensor
    _forward: Tensor  # the weights as a sparse matrix [N, A], and transposed: its gradient
    _backward: Tensor

    @staticmethod
    def place(means: Tensor, count: int, neighbours: int = NEIGHBOURS) -> Anchors:
        """Anchors on `count` (at most N) of the Gaussians' means [N, 3]; no gradient flows into them."""
        points = means.detach().cpu().numpy()
        chosen = torch.from_numpy(farthest_points(points, min(count, len(points))))
        return Anchors.at(means.detach()[chosen.to(means.device)], means, neighbours)

    @staticmethod
    def at(positions: Tensor, means: Tensor, neighbours: int = NEIGHBOURS) -> Anchors:
        """Anchors at positions [A, 3], carrying to Gaussians at means [N, 3]."""
        indices, weights = _neighbour_weights(
            positions.detach().cpu().double().numpy(), means.detach().cpu().double().numpy(), neighbours
        )
        n, k = indices.shape
        matrix = csr_matrix((weights.ravel(), indices.ravel(), np.arange(0, n * k + 1, k)), (n, len(positions)))
        device = means.device
        return Anchors(
            positions.detach(),
            torch.from_numpy(indices).to(device),
            torch.from_numpy(weights).to(device),
            _to_torch(matrix).to(device),
            _to_torch(matrix.T.tocsr()).to(device),
        )

    def attach(self, means: Tensor) -> Anchors:
        """The same anchors for other Gaussians at means [N', 3]: after densification, or when means have moved."""
        return Anchors.at(self.positions, means, self.indices.shape[1])

    def carry(self, values: Tensor) -> Tensor:
        """Each Gaussian's weighted mean [N, D] of its anchors' values [A, D]."""
        carried: Tensor = _Carry.apply(values, self._forward, self._backward)
        return carried


def _neighbour_weights(anchors: np.ndarray, points: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights [N, k] of the nearest anchors.

    The weight (1 - d^2 / r^2)^2 reaches zero where the next anchor but the k-th would take over at distance r, so that
    it changes smoothly as a point moves.
    """
    k = min(neighbours, len(anchors))
    wanted = min(k + 1, len(anchors))
    distances, indices = cKDTree(anchors).query(points, k=list(range(1, wanted + 1)))
    radius = distances[:, -1:] if wanted > k else 2 * distances[:, -1:]
    weights = np.square(1 - np.square(distances[:, :k] / np.maximum(radius, 1e-12)))
    weights += 1e-6  # anchors all at one distance share alike
    weights /= weights.sum(1, keepdims=True)
    return indices[:, :k].astype(np.int64), weights.astype(np.float32)


def _to_torch(matrix: csr_matrix) -> Tensor:
    matrix = matrix.sorted_indices()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.data),
            matrix.shape,
            check_invariants=True,
        )


class _Carry(torch.autograd.Function):
    """A sparse product whose gradient is a sparse product too: torch's own would add row by row."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        ctx.backward_matrix = backward
        return forward @ values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_carried: Tensor) -> tuple[Any, ...]:
        return ctx.backward_matrix @ v_carried, None, None
