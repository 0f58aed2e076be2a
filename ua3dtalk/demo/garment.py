"""The jumper of the built-in actor: the body's own surface, smoothed, lifted, cut at a tilted plane, with a collar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_matrix, diags

from ua3dtalk.demo.subdivision import subdivide
from ua3dtalk.face.mesh import HeadMesh, quads_to_triangles

LIFT = 0.006  # m, cloth above skin
SLOPE = 0.42  # the neckline falls by this much per metre towards the front


@dataclass(frozen=True)
class Garment:
    """vertices [n, 3] m, triangles [m, 3], turn [n] (share of the head's turn)."""

    vertices: np.ndarray
    triangles: np.ndarray
    turn: np.ndarray


def neckline(mesh: HeadMesh, points: np.ndarray) -> np.ndarray:
    """[N] metres below the neckline: a tilted plane that curls up over the shoulders (negative: bare skin)."""
    local = points - mesh.joints["neck"] - [0, 0.004, 0]
    plane = local @ (np.array([0.0, 1.0, SLOPE]) / np.hypot(1, SLOPE))
    return plane + 0.9 * np.maximum(np.hypot(local[:, 0], 0.8 * local[:, 2]) - 0.070, 0)


def faces_away(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """[Q] True for quads that a camera in front never sees, even when the head turns by 30 degrees."""
    a, b, c, d = (vertices[quads[:, corner]] for corner in range(4))
    normal = np.cross(c - a, d - b)
    return normal[:, 2] > 0.65 * np.linalg.norm(normal, axis=1)


def make_garment(mesh: HeadMesh, head: np.ndarray, detail: int) -> Garment:
    """Cut and lift the torso's surface, add the collar."""
    depth = neckline(mesh, mesh.vertices)
    quads = mesh.part("body")
    quads = quads[depth[mesh.quads[quads]].max(axis=1) > -0.012]
    deep = depth[mesh.quads[quads]].min(axis=1) > 0.05
    quads = quads[~(deep & faces_away(mesh.vertices, mesh.quads[quads]))]
    used, local = np.unique(mesh.quads[quads], return_inverse=True)
    smooth = _smooth(mesh.vertices[used], local.reshape(-1, 4), 12)
    matrix, fine, _ = subdivide(local.reshape(-1, 4), len(used), detail)
    surface = matrix @ smooth
    surface = surface + LIFT * _normals(surface, fine)
    below = neckline(mesh, surface)
    fine = fine[(below[fine] > 0).any(axis=1)]
    normal = np.array([0.0, 1.0, SLOPE]) / np.hypot(1, SLOPE)
    surface = surface - np.maximum(np.minimum(below, 0), -0.02)[:, None] * normal  # the rim lies on the neckline
    turn = np.clip(matrix @ head[used], 0, 1) * 0.5
    collar, ring = _collar(mesh, surface[np.unique(fine)], neckline(mesh, surface[np.unique(fine)]))
    return Garment(
        np.concatenate([surface, collar]),
        np.concatenate([quads_to_triangles(fine), quads_to_triangles(ring) + len(surface)]),
        np.concatenate([turn, np.full(len(collar), 0.04)]),
    )


def _collar(mesh: HeadMesh, surface: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A ribbed tube along the rim: vertices and quads."""
    rim = surface[below < 0.002]
    centre = rim.mean(axis=0)
    axis = np.array([0.0, 1.0, SLOPE]) / np.hypot(1, SLOPE)
    forward = np.array([0.0, SLOPE, -1.0]) / np.hypot(1, SLOPE)
    side = np.array([1.0, 0.0, 0.0])
    angle = np.arctan2((rim - centre) @ side, (rim - centre) @ forward)
    radius = np.hypot((rim - centre) @ side, (rim - centre) @ forward)
    bins = 96
    sums = np.bincount(((angle + np.pi) / (2 * np.pi) * bins).astype(int) % bins, radius, bins)
    counts = np.bincount(((angle + np.pi) / (2 * np.pi) * bins).astype(int) % bins, minlength=bins)
    known = np.flatnonzero(counts)
    around = np.interp(np.arange(bins), known, sums[known] / counts[known], period=bins)
    around = gaussian_filter1d(around, 2.0, mode="wrap")
    segments, section = 384, 14
    theta = np.linspace(-np.pi, np.pi, segments, endpoint=False)
    r = np.interp((theta + np.pi) / (2 * np.pi) * bins - 0.5, np.arange(bins), around, period=bins)
    ribs = 0.0006 * np.cos(theta * 96)
    phi = np.linspace(0, 2 * np.pi, section, endpoint=False)
    out = (0.0034 + ribs)[:, None] * np.cos(phi) - 0.001 + 0.0025 * np.sin(phi)[None, :] * -1
    up = -0.0085 * np.sin(phi) - 0.003
    direction = np.sin(theta)[:, None] * side + np.cos(theta)[:, None] * forward
    points = (
        centre
        + (r[:, None] + out)[..., None] * direction[:, None, :]
        + np.broadcast_to(up, out.shape)[..., None] * axis
    )
    index = np.arange(segments * section).reshape(segments, section)
    right, down = np.roll(index, -1, axis=0), np.roll(index, -1, axis=1)
    quads = np.stack([index, right, np.roll(right, -1, axis=1), down], axis=2).reshape(-1, 4)
    return points.reshape(-1, 3), quads


def _smooth(vertices: np.ndarray, quads: np.ndarray, rounds: int) -> np.ndarray:
    """Laplacian smoothing; cloth does not show what lies under it."""
    pairs = (
        np.concatenate([quads, np.roll(quads, 1, axis=1)]).ravel(),
        np.concatenate([np.roll(quads, -1, axis=1), quads]).ravel(),
    )
    links = coo_matrix((np.ones(len(pairs[0])), pairs), shape=(len(vertices),) * 2).tocsr()
    mean = diags(1 / np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1)) @ links
    for _ in range(rounds):
        vertices = 0.5 * vertices + 0.5 * (mean @ vertices)
    return vertices


def _normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """[n, 3] unit, outwards for the mesh's order of corners."""
    cross = np.cross(vertices[quads[:, 2]] - vertices[quads[:, 0]], vertices[quads[:, 3]] - vertices[quads[:, 1]])
    total = np.zeros_like(vertices)
    for corner in range(4):
        for axis in range(3):
            total[:, axis] += np.bincount(quads[:, corner], cross[:, axis], len(vertices))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
