"""Catmull-Clark subdivision of quad meshes as a sparse matrix: fine vertices = matrix @ coarse vertices."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags, identity, vstack


def subdivide(quads: np.ndarray, count: int, levels: int) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """Refine a mesh `levels` times.

    Args:
        quads: [Q, 4] indices into `count` vertices; borders are allowed.
    Returns:
        matrix [F, count], fine quads [Q 4^levels, 4], and for each fine quad the coarse quad it lies in.
    """
    matrix = identity(count, format="csr", dtype=np.float64)
    parent = np.arange(len(quads))
    for _ in range(levels):
        step, quads = _once(quads, matrix.shape[0])
        matrix = (step @ matrix).tocsr()
        parent = np.repeat(parent, 4)
    return matrix, quads, parent


def _once(quads: np.ndarray, count: int) -> tuple[csr_matrix, np.ndarray]:
    """One level: new vertices are the old ones, then one for each edge, then one for each quad."""
    faces = len(quads)
    pairs = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    edges, edge_of = np.unique(pairs, axis=0, return_inverse=True)
    edge_of = edge_of.reshape(faces, 4)
    n = len(edges)
    face_points = _matrix(np.repeat(np.arange(faces), 4), quads.ravel(), 0.25, (faces, count))
    touching = _matrix(edge_of.ravel(), np.repeat(np.arange(faces), 4), 1.0, (n, faces))
    uses = np.asarray(touching.sum(axis=1)).ravel()
    border = uses < 2
    middles = _matrix(np.repeat(np.arange(n), 2), edges.ravel(), 0.5, (n, count))
    inner = _scale((~border).astype(float), 0.5 * middles + 0.25 * (touching @ face_points))
    edge_points = inner + _scale(border.astype(float), middles)
    vertex_points = _vertex_points(quads, edges, border, middles, face_points, count)
    fine = np.stack(
        [
            quads,
            count + edge_of,
            np.repeat((count + n + np.arange(faces))[:, None], 4, axis=1),
            count + np.roll(edge_of, 1, axis=1),
        ],
        axis=2,
    ).reshape(-1, 4)
    return vstack([vertex_points, edge_points, face_points]).tocsr(), fine


def _vertex_points(
    quads: np.ndarray, edges: np.ndarray, border: np.ndarray, middles: csr_matrix, face_points: csr_matrix, count: int
) -> csr_matrix:
    """(F + 2 R + (n - 3) P) / n inside; (edge middles + P) / 2 weighted 1/8, 6/8, 1/8 along borders."""
    faces, n = len(quads), len(edges)
    incident_faces = _matrix(quads.ravel(), np.repeat(np.arange(faces), 4), 1.0, (count, faces))
    incident_edges = _matrix(edges.ravel(), np.repeat(np.arange(n), 2), 1.0, (count, n))
    valence = np.maximum(np.asarray(incident_faces.sum(axis=1)).ravel(), 1)
    one = identity(count, format="csr")
    inner = (
        _scale(1 / valence**2, incident_faces @ face_points)
        + _scale(2 / valence / np.maximum(np.asarray(incident_edges.sum(axis=1)).ravel(), 1), incident_edges @ middles)
        + _scale((valence - 3) / valence, one)
    )
    border_edges = incident_edges @ _scale(border.astype(float), identity(n, format="csr"))
    on_border = np.asarray(border_edges.sum(axis=1)).ravel()
    along = _scale(np.where(on_border == 2, 0.25, 0.0), border_edges @ middles) + _scale(
        np.where(on_border == 2, 0.5, 1.0), one
    )
    return _scale((on_border == 0).astype(float), inner) + _scale((on_border > 0).astype(float), along)


def _matrix(rows: np.ndarray, columns: np.ndarray, value: float, shape: tuple[int, int]) -> csr_matrix:
    return coo_matrix((np.full(len(rows), value), (rows, columns)), shape=shape).tocsr()


def _scale(factors: np.ndarray, matrix: csr_matrix) -> csr_matrix:
    return (diags(factors) @ matrix).tocsr()
