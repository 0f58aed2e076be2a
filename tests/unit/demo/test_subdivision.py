"""Catmull-Clark: affine, local, and right on meshes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.demo.subdivision import subdivide

CUBE = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(side * side).reshape(side, side)
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=2).reshape(-1, 4)
    rows, columns = np.mgrid[0:side, 0:side].astype(float)
    return np.stack([columns.ravel(), rows.ravel(), (0.3 * columns - 0.2 * rows).ravel()], axis=1), quads


@pytest.mark.parametrize("levels", [1, 2])
def test_every_new_vertex_is_a_weighted_mean(levels: int) -> None:
    matrix, fine, parent = subdivide(CUBE, 8, levels)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    assert len(fine) == 6 * 4**levels
    assert sorted(np.bincount(parent)) == [4**levels] * 6
    assert fine.max() == matrix.shape[0] - 1


def test_a_cube_becomes_what_the_rules_say() -> None:
    matrix, _, _ = subdivide(CUBE, 8, 1)
    vertices = matrix @ CORNERS
    np.testing.assert_allclose(vertices[:8], CORNERS * 5 / 9, atol=1e-12)  # (F + 2 R + 0 P) / 3 with F = 1/3, R = 2/3
    np.testing.assert_allclose(np.abs(vertices[8:20]).max(axis=1), 0.75, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(vertices[20:], axis=1), 1, atol=1e-12)


def test_a_plane_stays_a_plane_and_keeps_its_border() -> None:
    vertices, quads = grid(5)
    matrix, fine, _ = subdivide(quads, len(vertices), 2)
    new = matrix @ vertices
    np.testing.assert_allclose(new[:, 2], 0.3 * new[:, 0] - 0.2 * new[:, 1], atol=1e-12)
    assert new[:, 0].min() == pytest.approx(0)
    assert new[:, 0].max() == pytest.approx(4)
    corners = new[fine]
    area = np.cross(corners[:, 2, :2] - corners[:, 0, :2], corners[:, 3, :2] - corners[:, 1, :2]) / 2
    assert (area > 0).all()  # the order of corners is kept
    assert 15.5 < area.sum() < 16  # the four corners become round
