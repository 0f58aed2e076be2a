"""Triangle meshes to pixels, by the native z-buffer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ua3dtalk.native import library

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def mesh_rasterise(vertices: Floats, faces: Ints, width: int, height: int) -> tuple[Ints, Floats, Floats]:
    """The nearest face of each pixel; faces with a vertex at depth <= 0 are left out, both windings are drawn.

    Args:
        vertices: on the screen [V, 3]: x px, y px ((0.5, 0.5) is the centre of the first pixel), depth.
        faces: [F, 3] rows of vertices.
    Returns:
        Faces [height, width] (-1: none), their perspective-correct barycentric weights [height, width, 3], and
        1 / depth [height, width] (0: none).
    """
    vertices = np.ascontiguousarray(vertices, np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"vertices {vertices.shape} and faces {faces.shape}, expected [V, 3] and [F, 3]")
    ids = np.empty((height, width), np.int32)
    weights = np.empty((height, width, 3), np.float32)
    inverse_depth = np.empty((height, width), np.float32)
    library().ua3d_mesh_rasterise(
        len(vertices),
        vertices.ctypes.data,
        len(faces),
        faces.ctypes.data,
        width,
        height,
        ids.ctypes.data,
        weights.ctypes.data,
        inverse_depth.ctypes.data,
    )
    return ids, weights, inverse_depth


def mesh_interpolate(ids: Ints, weights: Floats, faces: Ints, attributes: Floats) -> Floats:
    """Attributes [V, D] at the pixels of ``mesh_rasterise``: [height, width, D], 0 where there is no face."""
    faces = np.ascontiguousarray(faces, np.int32)
    attributes = np.ascontiguousarray(attributes, np.float32)
    out = np.empty((*ids.shape, attributes.shape[1]), np.float32)
    library().ua3d_mesh_interpolate(
        ids.size,
        np.ascontiguousarray(ids, np.int32).ctypes.data,
        np.ascontiguousarray(weights, np.float32).ctypes.data,
        faces.ctypes.data,
        attributes.shape[1],
        attributes.ctypes.data,
        out.ctypes.data,
    )
    return out
