"""One frame of the built-in actor: bend, light, draw at twice the size, average down; and the regions as drawn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from ua3dtalk.demo.backdrop import backdrop
from ua3dtalk.demo.figure import LASH, Figure, figure_arrays, figure_from_arrays
from ua3dtalk.demo.hair import Strands
from ua3dtalk.demo.light import (
    LAMPS,
    face_crosses,
    incidence,
    neighbours,
    occlusion,
    shade_strands,
    shade_surface,
    shadow,
    vertex_normals,
)
from ua3dtalk.demo.mesh_raster import mesh_interpolate, mesh_rasterise
from ua3dtalk.demo.paint import Paint, paint
from ua3dtalk.demo.pose import ROW, apply, bend, camera, head_pose, project, soft_shape
from ua3dtalk.subject import Region

OVERSAMPLE = 2
SOFTEN = 4  # rounds of averaging that blur a shadow's edge
CASTING = 3  # every third hair casts a shadow, three times as wide
STRAND_REGION = {"hair": Region.HAIR, "brows": Region.BROWS}
STRAND_LOOK = {"hair": (1.0, 1.0), "brows": (1.15, 0.0)}  # brightness, sheen


@dataclass(frozen=True)
class Frame:
    """image uint8 [H, W, 3] RGB; regions uint8 [H, W]; world_to_camera [4, 4]."""

    image: np.ndarray
    regions: np.ndarray
    world_to_camera: np.ndarray


@dataclass(frozen=True)
class Scene:
    """The figure with what is worked out once: its colours and how much sky each point sees."""

    figure: Figure
    paint: Paint
    sky: np.ndarray
    strand_sky: dict[str, np.ndarray]

    @cached_property
    def normal_sums(self):  # type: ignore[no-untyped-def]
        return incidence(self.figure.triangles, len(self.figure.rest))

    @cached_property
    def means(self):  # type: ignore[no-untyped-def]
        return neighbours(self.figure.triangles, len(self.figure.rest))

    @cached_property
    def two_sided(self) -> np.ndarray:
        """[N] triangles that show both sides."""
        return self.figure.part[self.figure.triangles[:, 0]] == LASH

    @cached_property
    def ribbons(self) -> dict[str, np.ndarray]:
        return {name: ribbon_triangles(*strand.points.shape[:2]) for name, strand in self.figure.strands.items()}


def make_scene(figure: Figure, prune: bool = True) -> Scene:
    """Count the occlusion with a slightly open mouth, so that lips do not black out the teeth."""
    figure = prune_hair(figure) if prune else figure
    rest = figure.rest.copy()
    ajar = np.zeros(len(ROW))
    ajar[ROW["jawOpen"]] = 0.35
    rest[: figure.soft] = soft_shape(figure, ajar)
    hair = figure.strands["hair"]
    thin = hair.points[::CASTING, ::2]
    casters = np.concatenate([rest, ribbon(thin, 4 * hair.width[::2], np.array([0, 0, -1.0]))]).astype(np.float32)
    triangles = np.concatenate([figure.triangles, ribbon_triangles(*thin.shape[:2]) + len(rest)])
    normals = vertex_normals(face_crosses(rest, figure.triangles), incidence(figure.triangles, len(rest)))
    # hair lets light through: mix what the bare head sees with what it sees under hair
    bare = occlusion(rest, figure.triangles, rest, normals)
    covered = occlusion(casters, triangles, rest, normals)
    strand_sky = {name: np.ones(strand.points.shape[:2], np.float32) for name, strand in figure.strands.items()}
    strand_sky["hair"] = hair_sky(hair)
    return Scene(figure, paint(figure), (0.45 * bare + 0.55 * covered).astype(np.float32), strand_sky)


def prune_hair(figure: Figure) -> Figure:
    """Leave out the hairs that no pose of the head shows: inner layers and the back."""
    hair, size = figure.strands["hair"], 512
    triangles = ribbon_triangles(*hair.points.shape[:2])
    solid = np.concatenate([figure.triangles, triangles + len(figure.rest)])
    seen = np.zeros(len(hair.points), bool)
    for pitch, yaw in itertools.product((-0.2, 0.0, 0.2), (-0.5, -0.25, 0.0, 0.25, 0.5)):
        pose, _ = head_pose(figure, np.array([pitch, yaw, 0, 0, 0, 0]), np.zeros(6))
        points = apply(pose, hair.points.reshape(-1, 3)).reshape(hair.points.shape)
        vertices = np.concatenate([apply(pose, figure.rest), ribbon(points, hair.width)])
        ids, _, _ = mesh_rasterise(project(camera(size), vertices), solid, size, size)
        shown = np.unique(ids[ids >= len(figure.triangles)]) - len(figure.triangles)
        seen[shown // (len(triangles) // len(seen))] = True
    kept = Strands(hair.points[seen], hair.width, hair.shade[seen], hair.anchor[seen])
    return replace(figure, strands={**figure.strands, "hair": kept})


def hair_sky(hair: Strands) -> np.ndarray:
    """[C, P]: inner layers and roots see less light."""
    centre = np.array([0, -0.02, 0.06])
    radius = np.linalg.norm((hair.points - centre) * [1, 0.75, 0.9], axis=2)
    azimuth = np.arctan2(hair.points[..., 0], hair.points[..., 2] - 0.06)
    cell = (np.round(azimuth * 10).astype(int) + 40) * 1000 + np.round(hair.points[..., 1] * 125).astype(int) + 500
    order, inverse = np.unique(cell, return_inverse=True)
    top = np.zeros(len(order))
    np.maximum.at(top, inverse.ravel(), radius.ravel())
    depth = top[inverse].reshape(radius.shape) - radius
    return (0.25 + 0.75 * np.exp(-depth / 0.006)).astype(np.float32)


def ribbon_triangles(count: int, points: int) -> np.ndarray:
    """Triangles of `count` ribbons with 2 vertices at each of `points` points."""
    index = np.arange(count * points * 2).reshape(count, points, 2)
    a, b, c, d = index[:, :-1, 0], index[:, :-1, 1], index[:, 1:, 0], index[:, 1:, 1]
    return np.stack([a, b, d, a, d, c], axis=2).reshape(-1, 3).astype(np.int32)


def ribbon(points: np.ndarray, width: np.ndarray, eye: np.ndarray | None = None) -> np.ndarray:
    """[C * P * 2, 3]: both edges of each strand, turned towards a camera at the origin or along `eye`."""
    tangent = strand_tangents(points)
    (tx, ty, tz), (ex, ey, ez) = np.moveaxis(tangent, 2, 0), np.moveaxis(points, 2, 0) if eye is None else eye
    across = np.stack([ty * ez - tz * ey, tz * ex - tx * ez, tx * ey - ty * ex], axis=2)
    length = np.sqrt((across * across).sum(axis=2))
    offset = across * (width / np.maximum(length, 1e-12))[..., None]
    return np.stack([points - offset, points + offset], axis=2).reshape(-1, 3).astype(np.float32)


def strand_tangents(points: np.ndarray) -> np.ndarray:
    """[C, P, 3] unit directions; a strand that has ended keeps pointing down."""
    step = np.diff(points, axis=1)
    tangent = np.concatenate([step[:, :1], step[:, 1:] + step[:, :-1], step[:, -1:]], axis=1)
    length = np.linalg.norm(tangent, axis=2, keepdims=True)
    return np.where(length > 1e-7, tangent / np.maximum(length, 1e-12), np.array([0, 1, 0], points.dtype))


def draw(scene: Scene, blendshapes: np.ndarray, head: np.ndarray, torso: np.ndarray, size: int) -> Frame:
    """Draw one frame at `size` px.

    Args:
        blendshapes [52]; head, torso [6] of `performance.Motion`.
    """
    figure = scene.figure
    posed = bend(figure, blendshapes, head, torso)
    strands = {name: _place(figure, strand, blendshapes, posed.head) for name, strand in figure.strands.items()}
    crosses = face_crosses(posed.vertices, figure.triangles)
    normals = vertex_normals(crosses, scene.normal_sums)
    thin = strands["hair"][::CASTING, ::2]
    casters = np.concatenate([posed.vertices, ribbon(thin, CASTING * figure.strands["hair"].width[::2])])
    towards_lamp = figure.triangles[crosses @ LAMPS[0].direction > 0]
    caster_triangles = np.concatenate([towards_lamp, ribbon_triangles(*thin.shape[:2]) + len(posed.vertices)])
    key = LAMPS[0].direction
    centre = posed.head[:3, 3] + np.array([0, 0.02, 0.05])
    receivers = np.concatenate([posed.vertices + np.float32(0.0015) * normals, strands["hair"].reshape(-1, 3)])
    lit = shadow(casters, caster_triangles, receivers, key, centre, 0.004)
    surface_lit, hair_lit = lit[: len(posed.vertices)], lit[len(posed.vertices) :].reshape(strands["hair"].shape[:2])
    for _ in range(SOFTEN):
        surface_lit = scene.means @ surface_lit
    colours = [shade_surface(posed.vertices, normals, scene.paint, scene.sky, surface_lit, figure.eyes)]
    front = (crosses * posed.vertices[figure.triangles[:, 0]]).sum(axis=1) < 0
    front |= scene.two_sided
    vertices, triangles, regions = [posed.vertices], [figure.triangles[front]], [figure.region[front]]
    first = len(posed.vertices)
    for name, points in strands.items():
        strand = figure.strands[name]
        share = 0.25 + 0.75 * hair_lit if name == "hair" else np.ones(points.shape[:2], np.float32)
        share = share * scene.strand_sky[name]
        light = shade_strands(
            points, strand_tangents(points), strand.shade, scene.strand_sky[name], share, *STRAND_LOOK[name]
        )
        colours.append(np.repeat(light.reshape(-1, 3), 2, axis=0))
        edge = ribbon(points, strand.width)
        vertices.append(edge)
        triangles.append(scene.ribbons[name] + first)
        regions.append(np.full(len(scene.ribbons[name]), STRAND_REGION[name], np.uint8))
        first += len(edge)
    return _compose(
        np.concatenate(vertices),
        np.concatenate(triangles),
        np.concatenate(colours),
        np.concatenate(regions),
        size,
        posed.head,
    )


def _place(figure: Figure, strand: Strands, blendshapes: np.ndarray, to_camera: np.ndarray) -> np.ndarray:
    """[C, P, 3] camera space: strands follow their soft vertex and turn with the head."""
    points = strand.points
    if len(points) and strand.anchor[0] >= 0:
        used = np.flatnonzero(blendshapes)
        moved = np.tensordot(blendshapes[used].astype(np.float32), figure.deltas[used][:, strand.anchor], axes=1)
        points = points + moved[:, None]
    return apply(to_camera, points.reshape(-1, 3)).reshape(points.shape)


def _compose(
    vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray, regions: np.ndarray, size: int, head: np.ndarray
) -> Frame:
    large = size * OVERSAMPLE
    ids, weights, _ = mesh_rasterise(project(camera(large), vertices), triangles, large, large)
    light = mesh_interpolate(ids, weights, triangles, colours)
    small = (size, size)
    surface = cv2.resize(light, small, interpolation=cv2.INTER_AREA)
    share = cv2.resize((ids >= 0).astype(np.float32), small, interpolation=cv2.INTER_AREA)
    labels = np.append(regions, np.uint8(Region.BACKGROUND))[ids]  # -1, no triangle, is the last
    return Frame(encode(surface + (1 - share)[..., None] * backdrop_cached(size)), majority(labels), head)


def majority(labels: np.ndarray) -> np.ndarray:
    """[2 H, 2 W] -> [H, W]: the label that most of a pixel's samples have; of equals the larger."""
    samples = np.sort(np.stack([labels[dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)], axis=-1), axis=-1)
    first, second, third, last = np.moveaxis(samples, -1, 0)
    return np.where(third == last, last, np.where(first == second, first, np.where(second == third, second, last)))


def encode(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB bytes with a soft shoulder."""
    light = np.where(light > 0.7, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)), np.maximum(light, 0))
    table = _srgb_table()
    return table[(light * (len(table) - 1) + 0.5).astype(np.int32)]


_tables: dict[str, np.ndarray] = {}


def _srgb_table() -> np.ndarray:
    if "srgb" not in _tables:
        x = np.linspace(0, 1, 16384)
        curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
        _tables["srgb"] = np.clip(np.round(255 * curve), 0, 255).astype(np.uint8)
    return _tables["srgb"]


def backdrop_cached(size: int) -> np.ndarray:
    if f"backdrop{size}" not in _tables:
        _tables[f"backdrop{size}"] = backdrop(size)
    return _tables[f"backdrop{size}"]


def save_scene(path: Path, scene: Scene) -> None:
    """For the processes that draw; plain arrays."""
    arrays = figure_arrays(scene.figure)
    arrays |= {f"paint.{name}": array for name, array in vars(scene.paint).items()}
    arrays |= {f"strand_sky.{name}": array for name, array in scene.strand_sky.items()}
    np.savez(path, allow_pickle=False, **arrays, sky=scene.sky)


def load_scene(path: Path) -> Scene:
    """The counterpart of `save_scene`."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}

    def part(prefix: str) -> dict[str, np.ndarray]:
        return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}

    return Scene(figure_from_arrays(arrays), Paint(**part("paint.")), arrays["sky"], part("strand_sky."))
