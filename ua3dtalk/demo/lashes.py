"""Eyelashes: fine triangles along the strips that the open mesh has for them, so that they follow the lids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, vstack
from scipy.sparse.csgraph import dijkstra

from ua3dtalk.demo.noise import value_noise
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES, HeadMesh

STRIPS = {
    "helper-l-eyelashes-1": 46,
    "helper-r-eyelashes-1": 46,
    "helper-l-eyelashes-2": 96,
    "helper-r-eyelashes-2": 96,
}
REACH = {"1": 0.42, "2": 0.8}  # share of the strip's depth that lower and upper lashes use
WIDTH = 0.00042  # m at the root


@dataclass(frozen=True)
class Lashes:
    """vertices [n, 3] m, triangles [m, 3], deltas [52, n, 3]."""

    vertices: np.ndarray
    triangles: np.ndarray
    deltas: np.ndarray


def make_lashes(mesh: HeadMesh) -> Lashes:
    """All four strips."""
    weights, offsets, triangles, count = [], [], [], 0
    for name, number in STRIPS.items():
        grid = strip_grid(mesh, name)
        matrix, across = _comb(mesh, grid, number, REACH[name[-1]])
        points = matrix.shape[0] // number
        weights += [matrix, matrix]
        offsets += [-across, across]
        triangles.append(_ribbons(number, points) + count)
        count += 2 * matrix.shape[0]
    total = vstack(weights).tocsr()
    shapes = [mesh.shapes[name] for name in BLENDSHAPE_NAMES[1:]]
    deltas = np.stack([np.zeros((count, 3)), *(total @ shape for shape in shapes)])
    return Lashes(total @ mesh.vertices + np.concatenate(offsets), np.concatenate(triangles), deltas)


def strip_grid(mesh: HeadMesh, name: str) -> np.ndarray:
    """[rows, columns] vertex indices of a strip of quads: row 0 at the lid, column 0 at the inner corner.

    In a grid the distances to the two corners of one side give row and column.
    """
    used, local = np.unique(mesh.quads[mesh.part(name)], return_inverse=True)
    quads = local.reshape(-1, 4)
    pairs = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    links = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(used),) * 2).tocsr()
    links = ((links + links.T) > 0).astype(float)
    corners = np.flatnonzero(np.bincount(quads.ravel()) == 1)
    points = mesh.vertices[used]
    eye = mesh.joints["l-eye" if "-l-" in name else "r-eye"]
    inner = corners[np.argsort(np.abs(points[corners, 0]))[:2]]
    root, tip = inner[np.argsort(np.linalg.norm(points[inner] - eye, axis=1))]
    from_root, from_tip = dijkstra(links, indices=[root, tip], unweighted=True)
    depth = from_root[tip]
    row = ((from_root - from_tip + depth) / 2).astype(int)
    column = from_root.astype(int) - row
    grid = np.full((row.max() + 1, column.max() + 1), -1)
    grid[row, column] = used
    return grid


def _comb(mesh: HeadMesh, grid: np.ndarray, number: int, reach: float) -> tuple[csr_matrix, np.ndarray]:
    """Matrix [number * P, V] of the lashes' middle lines, and half their width as vectors [number * P, 3]."""
    rows, columns = grid.shape
    points = rows
    jitter = 0.5 * value_noise(np.arange(number, dtype=float)[:, None], 0.37, 41)
    place = np.clip((np.arange(number) + 0.5 + jitter) / number, 0, 0.9999) * (columns - 1)
    length = reach * (0.85 + 0.25 * value_noise(np.arange(number, dtype=float)[:, None], 0.61, 42))
    length = length * np.clip(0.45 + 2.2 * place / (columns - 1), 0, 1)
    level = np.clip(length[:, None] * np.linspace(0, 1, points), 0, 0.9999) * (rows - 1)
    column = np.repeat(place[:, None], points, axis=1).ravel()
    level = level.ravel()
    r, c = level.astype(int), column.astype(int)
    fr, fc = level - r, column - c
    entries = [
        ((1 - fr) * (1 - fc), grid[r, c]),
        (fr * (1 - fc), grid[r + 1, c]),
        ((1 - fr) * fc, grid[r, c + 1]),
        (fr * fc, grid[r + 1, c + 1]),
    ]
    index = np.arange(len(level))
    matrix = sum(coo_matrix((w, (index, v)), shape=(len(level), len(mesh.vertices))) for w, v in entries).tocsr()
    along = mesh.vertices[grid[r, c + 1]] - mesh.vertices[grid[r, c]]
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    thin = np.tile(np.linspace(1, 0.1, points), number)[:, None]
    return matrix, 0.5 * WIDTH * thin * along


def _ribbons(number: int, points: int) -> np.ndarray:
    """Triangles between the left edges (first number * points vertices) and the right ones."""
    left = np.arange(number * points).reshape(number, points)
    right = left + number * points
    a, b, c, d = left[:, :-1], right[:, :-1], left[:, 1:], right[:, 1:]
    return np.stack([a, b, d, a, d, c], axis=2).reshape(-1, 3)
