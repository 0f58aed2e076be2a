"""Lighting of the built-in actor: three lamps and a sky, one shadow map, occlusion counted once at rest.

Everything is per vertex and in camera space; the mesh is about as fine as the picture's pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags

from ua3dtalk.demo.mesh_raster import mesh_rasterise
from ua3dtalk.demo.paint import HAIR_TONE, Paint


@dataclass(frozen=True)
class Lamp:
    """direction from the scene to the lamp (camera axes: y down, z away), linear colour, casts: with shadows."""

    direction: np.ndarray
    colour: np.ndarray
    casts: bool = False


def _unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


LAMPS = (
    Lamp(_unit(-0.55, -0.62, -0.75), np.array([1.62, 1.50, 1.36], np.float32), casts=True),
    Lamp(_unit(0.85, -0.15, -0.60), np.array([0.34, 0.40, 0.50], np.float32)),
    Lamp(_unit(0.62, -0.55, 0.62), np.array([0.95, 0.90, 0.85], np.float32)),
)
SKY, GROUND = np.array([0.36, 0.38, 0.42], np.float32), np.array([0.20, 0.17, 0.15], np.float32)
WRAP = np.array([0.24, 0.13, 0.09], np.float32)  # how far red, green, blue bleed past the terminator in skin
CATCH = _unit(-0.30, -0.34, -0.9)  # the window that eyes reflect: near the camera, so that it shows on the iris
SHADOW_SIDE, SHADOW_SPAN = 640, 0.46  # px, m


def incidence(triangles: np.ndarray, count: int) -> csr_matrix:
    """[count, N] sums the triangles' normals at each vertex."""
    ones = np.ones(triangles.size, np.float32)
    return coo_matrix(
        (ones, (triangles.ravel(), np.repeat(np.arange(len(triangles)), 3))), shape=(count, len(triangles))
    ).tocsr()


def neighbours(triangles: np.ndarray, count: int) -> csr_matrix:
    """[count, count] mean over the vertices that share an edge with each one, itself included: softens shadows."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1], np.repeat(np.arange(count)[:, None], 2, axis=1)])
    links = coo_matrix((np.ones(len(pairs), np.float32), pairs.T), shape=(count, count)).tocsr()
    return (diags(1 / np.asarray(links.sum(axis=1)).ravel()) @ links).astype(np.float32).tocsr()


def face_crosses(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[N, 3] outward normals of the triangles, twice their area long."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    u, v = b - a, c - a
    return np.stack(
        [
            u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1],
            u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2],
            u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0],
        ],
        axis=1,
    )


def vertex_normals(crosses: np.ndarray, sums: csr_matrix) -> np.ndarray:
    """[F, 3] unit normals, area-weighted, from `face_crosses` and `incidence`."""
    normals = sums @ crosses
    return normals / np.maximum(np.sqrt((normals * normals).sum(axis=1, keepdims=True)), 1e-20)


def _lamp_axes(direction: np.ndarray) -> np.ndarray:
    """[3, 3] rows: two axes across, one along the light's way (away from the lamp)."""
    away = -direction
    across = np.cross(away, [0.0, 1.0, 0.0])
    across = across / np.linalg.norm(across)
    return np.stack([across, np.cross(away, across), away]).astype(np.float32)


def shadow(
    casters: np.ndarray,
    triangles: np.ndarray,
    receivers: np.ndarray,
    direction: np.ndarray,
    centre: np.ndarray,
    bias: float,
    side: int = SHADOW_SIDE,
) -> np.ndarray:
    """[R] share of the lamp that reaches each receiver: an orthographic depth map, nine taps.

    Args:
        casters [V, 3], receivers [R, 3] m; bias: m.
    """
    axes = _lamp_axes(direction)
    scale = side / SHADOW_SPAN

    def to_map(points: np.ndarray) -> np.ndarray:
        local = (points - centre.astype(np.float32)) @ axes.T
        local[:, :2] = local[:, :2] * scale + side / 2
        local[:, 2] += 10
        return local

    _, _, inverse = mesh_rasterise(to_map(casters), triangles, side, side)
    depth = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-6), np.float32(1e6))
    seen = to_map(receivers)
    column, row = seen[:, 0].astype(int), seen[:, 1].astype(int)
    total = np.zeros(len(receivers), np.float32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            taps = depth[np.clip(row + dy, 0, side - 1), np.clip(column + dx, 0, side - 1)]
            total += taps > seen[:, 2] - bias
    return total / 9


def occlusion(
    vertices: np.ndarray, triangles: np.ndarray, receivers: np.ndarray, normals: np.ndarray, rays: int = 32
) -> np.ndarray:
    """[R] cosine-weighted share of the sky that a point sees, from depth maps along `rays` even directions."""
    index = np.arange(rays) + 0.5
    height, turn = 1 - 2 * index / rays, np.pi * (1 + 5**0.5) * index
    circle = np.sqrt(1 - height**2)
    centre = np.array([0, 0.0, 0.03], np.float32)
    seen, possible = np.zeros(len(receivers), np.float32), np.zeros(len(receivers), np.float32)
    for direction in np.stack([circle * np.cos(turn), height, circle * np.sin(turn)], axis=1).astype(np.float32):
        facing = np.maximum(normals @ direction, 0) if len(normals) else np.ones(len(receivers), np.float32)
        seen += facing * shadow(vertices, triangles, receivers, direction, centre, 0.0035, SHADOW_SIDE // 2)
        possible += facing
    return seen / np.maximum(possible, 1e-6)


def shade_surface(
    vertices: np.ndarray,
    normals: np.ndarray,
    paint: Paint,
    sky_share: np.ndarray,
    lamp_share: np.ndarray,
    eyes: np.ndarray,
) -> np.ndarray:
    """[F, 3] linear light towards the camera.

    Args:
        sky_share [F]: from `occlusion`; lamp_share [F]: from `shadow`, for the lamps that cast;
        eyes [F]: True on the eyeballs.
    """
    view = -vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    sky_share = sky_share[:, None]
    up = 0.5 - 0.5 * normals[:, 1:2]
    bounce = sky_share ** (1 - 0.35 * paint.through[:, None] * np.array([1, 0.4, 0.2], np.float32))
    diffuse = (GROUND + (SKY - GROUND) * up) * bounce
    shine = np.zeros_like(diffuse)
    wrap = WRAP * paint.through[:, None]
    facing = np.maximum((normals * view).sum(axis=1), 0)
    fresnel = 0.35 + 0.65 * (1 - facing) ** 3
    for lamp in LAMPS:
        cosine = normals @ lamp.direction
        share = lamp_share if lamp.casts else 0.25 + 0.75 * sky_share[:, 0]
        soft = np.maximum((cosine[:, None] + wrap) / (1 + wrap), 0)
        diffuse = diffuse + lamp.colour * soft * share[:, None]
        half = view + lamp.direction
        half = half / np.linalg.norm(half, axis=1, keepdims=True)
        peak = np.maximum((normals * half).sum(axis=1), 0) ** paint.power
        shine = shine + lamp.colour * (paint.gloss * fresnel * peak * share * np.sqrt(np.maximum(cosine, 0)))[:, None]
    light = paint.albedo * diffuse + shine
    light[eyes] += catchlight(normals[eyes], view[eyes])
    return light


def catchlight(normals: np.ndarray, view: np.ndarray) -> np.ndarray:
    """[E, 3]: a window mirrored in the eyes."""
    half = view + CATCH
    half = half / np.linalg.norm(half, axis=1, keepdims=True)
    return 0.9 * np.maximum((normals * half).sum(axis=1, keepdims=True), 0) ** 900 * np.ones(3, np.float32)


def shade_strands(
    points: np.ndarray,
    tangents: np.ndarray,
    shade: np.ndarray,
    sky_share: np.ndarray,
    lamp_share: np.ndarray,
    bright: float = 1.0,
    sheen: float = 1.0,
) -> np.ndarray:
    """[C, P, 3] linear light of hair after Kajiya and Kay: sheen along circles round the strand.

    Args:
        points, tangents [C, P, 3]; shade [C] tone; sky_share, lamp_share [C, P]; sheen scales the highlights.
    """
    view = -points / np.linalg.norm(points, axis=2, keepdims=True)
    tone = HAIR_TONE.astype(np.float32) * (1 + 0.42 * shade[:, None, None]) * bright
    light = (0.5 * SKY + 0.5 * GROUND) * sky_share[..., None]
    shine = np.zeros_like(points)
    along_view = (tangents * view).sum(axis=2)
    across_view = np.sqrt(np.maximum(1 - along_view**2, 0))
    for lamp in LAMPS:
        along = tangents @ lamp.direction
        across = np.sqrt(np.maximum(1 - along**2, 0))
        share = lamp_share if lamp.casts else sky_share
        light = light + lamp.colour * (0.55 * across * share)[..., None]
        for shift, power, strength, colour in (
            (0.06, 80, 0.016, np.ones(3)),
            (-0.10, 18, 0.10, HAIR_TONE / HAIR_TONE.max()),
        ):
            front = 1.0 if lamp.direction[2] < 0 else 0.12  # a lamp behind shows as a rim only
            peak = (
                front
                * np.maximum(across * across_view - (along + shift + 0.05 * shade[:, None]) * along_view, 0) ** power
            )
            shine = shine + lamp.colour * colour.astype(np.float32) * (sheen * strength * peak * share)[..., None]
    return tone * light + shine
