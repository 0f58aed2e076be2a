"""The z-buffer against a loop over pixels and faces in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from splat_scenes import few_examples

from ua3dtalk import native
from ua3dtalk.demo.mesh_raster import mesh_interpolate, mesh_rasterise

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native kernels are not built")


def slow(vertices: np.ndarray, faces: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest face of each pixel, and 1 / depth."""
    ids, inverse = np.full((height, width), -1), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for f, face in enumerate(faces):
                corners = vertices[face].astype(np.float64)
                system = np.vstack([corners[:, :2].T, np.ones(3)])
                if (corners[:, 2] <= 0).any() or abs(np.linalg.det(system)) < 1e-9:
                    continue
                shares = np.linalg.solve(system, [x + 0.5, y + 0.5, 1])
                here = shares @ (1 / corners[:, 2])
                if (shares >= 0).all() and here > inverse[y, x]:
                    ids[y, x], inverse[y, x] = f, here
    return ids, inverse


@few_examples
@given(seed=st.integers(0, 2**31), width=st.integers(1, 12), height=st.integers(1, 10))
def test_nearest_faces_are_found(seed: int, width: int, height: int) -> None:
    g = np.random.default_rng(seed)
    vertices = g.uniform([-5, -5, -0.3], [17, 15, 3], (12, 3)).astype(np.float32)
    faces = g.integers(0, 12, (8, 3)).astype(np.int32)
    ids, weights, inverse = mesh_rasterise(vertices, faces, width, height)
    expected_ids, expected = slow(vertices, faces, width, height)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_allclose(inverse, expected, rtol=1e-4)
    covered = ids >= 0
    np.testing.assert_allclose(weights.sum(-1), covered, atol=1e-5)
    # Perspective-correct weights give back depth itself.
    depths = mesh_interpolate(ids, weights, faces, vertices[:, 2:])[..., 0]
    np.testing.assert_allclose(depths[covered] * inverse[covered], 1, rtol=1e-4)
    assert not depths[~covered].any()


def test_shared_edges_leave_no_hole_and_no_overlap() -> None:
    """A square of two triangles covers every pixel; each pixel's position is its interpolated position."""
    vertices = np.array([[0, 0, 1], [8, 0, 1], [8, 8, 1], [0, 8, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    ids, weights, _ = mesh_rasterise(vertices, faces, 8, 8)
    assert (ids >= 0).all() and set(ids.flat) == {0, 1}
    where = mesh_interpolate(ids, weights, faces, vertices[:, :2])
    y, x = np.mgrid[:8, :8] + 0.5
    np.testing.assert_allclose(where, np.stack([x, y], -1), atol=1e-5)


def test_strange_vertices_are_left_out() -> None:
    vertices = np.array([[0, 0, 1], [np.nan, 0, 1], [8, 8, 1], [np.inf, 8, 1], [1e30, 0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 3, 2], [0, 2, 99], [0, -1, 2], [0, 0, 2]], np.int32)
    ids, _, _ = mesh_rasterise(vertices, faces, 8, 8)
    assert (ids == -1).all()
    mesh_rasterise(vertices, np.array([[0, 4, 2]], np.int32), 8, 8)
    with pytest.raises(ValueError, match="expected"):
        mesh_rasterise(vertices[:, :2], faces, 8, 8)
