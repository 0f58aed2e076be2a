"""Teeth of the built-in actor: rounded crowns set side by side along the mesh's own dental arches, with gums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ua3dtalk.face.mesh import BLENDSHAPE_NAMES, HeadMesh

UPPER_WIDTHS = (8.6, 6.8, 7.6, 7.0, 6.8, 9.5)  # mm from the middle outwards
LOWER_WIDTHS = (5.6, 6.1, 6.9, 7.0, 7.1, 10.0)
UPPER_HEIGHTS = (10.2, 9.2, 9.8, 8.4, 8.0, 7.4)
LOWER_HEIGHTS = (8.6, 8.8, 9.2, 8.4, 8.0, 7.4)
ARCH = 0.80  # the mesh's arches are wider than a mouth's
AROUND, ALONG = 15, 10  # vertices of a crown's grid


@dataclass(frozen=True)
class Row:
    """One row of teeth with its gum: vertices [n, 3] m, quads [q, 4], deltas [52, n, 3], gum [n] 0 crown, 1 gum."""

    vertices: np.ndarray
    quads: np.ndarray
    deltas: np.ndarray
    gum: np.ndarray


def make_row(mesh: HeadMesh, upper: bool) -> Row:
    """The upper row hangs just below the resting lip's edge; the lower one bites behind it."""
    helper = np.unique(mesh.quads[mesh.part("helper-upper-teeth" if upper else "helper-lower-teeth")])
    points = mesh.vertices[helper].astype(np.float64)
    front = float(points[:, 2].min()) + (0.0 if upper else 0.0012)
    edge = float(mesh.vertices[mesh.regions["lips"] > 0.5, 1].mean()) + (0.0028 if upper else -0.0006)
    arch = _arch(points, front)
    widths, heights = (UPPER_WIDTHS, UPPER_HEIGHTS) if upper else (LOWER_WIDTHS, LOWER_HEIGHTS)
    way = -1.0 if upper else 1.0  # from the biting edge to the root
    vertices: list[np.ndarray] = []
    quads: list[np.ndarray] = []
    gum: list[np.ndarray] = []
    for side in (-1.0, 1.0):
        start = 0.0
        for number, (width, height) in enumerate(zip(widths, heights, strict=True)):
            middle = side * (start + width / 2) / 1000
            drop = (0.0, 0.9, 0.2, 0.7, 0.9, 1.2)[number] / 1000 if upper else 0.0
            crown, grid = _crown(arch, middle, width / 1000, height / 1000, number, edge + way * drop, way)
            quads.append(grid + sum(len(part) for part in vertices))
            vertices.append(crown)
            gum.append(np.zeros(len(crown)))
            start += width
    band, grid = _gum(arch, edge, way, 0.0078 if upper else 0.0068)
    quads.append(grid + sum(len(part) for part in vertices))
    vertices.append(band)
    gum.append(np.ones(len(band)))
    rest = np.concatenate(vertices)
    return Row(rest, np.concatenate(quads), _follow(mesh, helper, rest), np.concatenate(gum))


def _arch(points: np.ndarray, front: float) -> np.ndarray:
    """[n, 2] (x, z) of the arch's outer line from right to left, evenly spaced by length."""
    x = np.linspace(-1, 1, 401) * float(np.abs(points[:, 0]).max()) * ARCH
    depth = float(points[:, 2].max()) - front
    z = front + depth * np.abs(x / x.max()) ** 2.6
    steps = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    even = np.linspace(0, steps[-1], 401)
    return np.stack([np.interp(even, steps, x), np.interp(even, steps, z), even - even.mean()], axis=1)


def _on_arch(arch: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position [n, 2] and outward direction [n, 2] in (x, z) at signed lengths from the middle."""
    position = np.stack([np.interp(along, arch[:, 2], arch[:, axis]) for axis in (0, 1)], axis=1)
    ahead = np.stack([np.interp(along + 1e-3, arch[:, 2], arch[:, axis]) for axis in (0, 1)], axis=1)
    tangent = (ahead - position) / np.linalg.norm(ahead - position, axis=1, keepdims=True)
    return position, np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)


def _crown(
    arch: np.ndarray, middle: float, width: float, height: float, number: int, edge: float, way: float
) -> tuple[np.ndarray, np.ndarray]:
    """The front and sides of one tooth as a grid of AROUND x ALONG vertices."""
    turn = np.linspace(-np.pi / 2, np.pi / 2, AROUND)
    level = np.linspace(0, 1, ALONG) ** 1.3  # 0 biting edge, 1 root
    across = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.55
    bulge = np.cos(turn) ** 0.5
    point = (0.35, 0.4, 1.0, 0.5, 0.4, 0.2)[number]  # canines come to a point
    narrow = 1 - 0.10 * level - 0.12 * np.exp(-level / 0.05)
    thick = 0.0022 * np.minimum(1, 0.35 + 1.6 * level)
    lift = 0.0009 * np.abs(across) ** 3 * (0.5 + point)
    along = middle + 0.5 * width * 0.99 * across[:, None] * narrow
    place, outwards = _on_arch(arch, np.broadcast_to(middle, along.shape).ravel())
    tangent = np.stack([-outwards[:, 1], outwards[:, 0]], axis=1)
    push = (thick[None] * bulge[:, None] - 0.0022).ravel()
    flat = place + tangent * (along - middle).ravel()[:, None] + outwards * push[:, None]
    y = edge + way * (lift[:, None] * np.exp(-level / 0.25) + height * level)
    vertices = np.stack([flat[:, 0], y.ravel(), flat[:, 1]], axis=1)
    index = np.arange(AROUND * ALONG).reshape(AROUND, ALONG)
    grid = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=2).reshape(-1, 4)
    return vertices, grid if way < 0 else grid[:, ::-1]


def _gum(arch: np.ndarray, edge: float, way: float, from_edge: float) -> tuple[np.ndarray, np.ndarray]:
    """A pink band over the roots, scalloped a little."""
    along = np.linspace(arch[0, 2] * 0.9, arch[-1, 2] * 0.9, 121)
    rows = np.linspace(0, 1, 7)
    place, outwards = _on_arch(arch, along)
    push = -0.0012 + 0.0028 * np.sqrt(rows)
    flat = place[:, None] + outwards[:, None] * push[None, :, None]
    y = edge + way * (
        from_edge + 0.007 * rows[None, :] + 0.0006 * np.cos(along * 1000 * 2 * np.pi / 7.4)[:, None] * (1 - rows)
    )
    vertices = np.stack([flat[..., 0], y, flat[..., 1]], axis=2).reshape(-1, 3)
    index = np.arange(len(along) * len(rows)).reshape(len(along), len(rows))
    grid = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=2).reshape(-1, 4)
    return vertices, grid if way < 0 else grid[:, ::-1]


def _follow(mesh: HeadMesh, helper: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """[52, n, 3]: what the mesh's own teeth do under each shape, from the nearest of their vertices."""
    distance, near = cKDTree(mesh.vertices[helper]).query(rest, k=4)
    weight = 1 / (distance + 1e-3)
    weight /= weight.sum(axis=1, keepdims=True)
    shapes = (mesh.shapes[name][helper] for name in BLENDSHAPE_NAMES[1:])
    return np.stack([np.zeros_like(rest), *((shape[near] * weight[..., None]).sum(axis=1) for shape in shapes)])
