"""One frame of the built-in actor: bend, light, draw at twice the size, average down; and the regions as drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from ua3dtalk.demo.backdrop import backdrop
from ua3dtalk.demo.figure import CLOTH, EYE, LASH, Figure, figure_arrays, figure_from_arrays
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
from ua3dtalk.demo.pose import ROW, Posed, apply, bend, camera, head_frame, head_pose, project, soft_shape
from ua3dtalk.subject import Region

OVERSAMPLE = 2
LIFT_OFF = np.float32(0.0015)  # m that a surface is lifted off itself before it looks for the lamp
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
    def eyeballs(self) -> np.ndarray:
        """[F] True for the vertices of the eyes."""
        return self.figure.part == EYE

    @cached_property
    def two_sided(self) -> np.ndarray:
        """[N] triangles that show both sides."""
        return np.isin(self.figure.part[self.figure.triangles[:, 0]], (LASH, CLOTH))

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


@dataclass(frozen=True)
class _Drawn:
    """vertices [n, 3] camera space, their colours [n, 3], triangles [m, 3] and their regions [m]."""

    vertices: np.ndarray
    colours: np.ndarray
    triangles: np.ndarray
    regions: np.ndarray


def draw(scene: Scene, blendshapes: np.ndarray, head: np.ndarray, torso: np.ndarray, size: int) -> Frame:
    """Draw one frame at `size` px.

    Args:
        blendshapes [52]; head, torso [6] of `performance.Motion`.
    """
    figure = scene.figure
    posed = bend(figure, blendshapes, head, torso)
    strands = {name: _place(figure, strand, blendshapes, posed.head) for name, strand in figure.strands.items()}
    crosses = face_crosses(posed.vertices, figure.triangles)
    front = (crosses * posed.vertices[figure.triangles[:, 0]]).sum(axis=1) < 0
    triangles, regions = (array[front | scene.two_sided] for array in (figure.triangles, figure.region))
    seen = np.zeros(len(posed.vertices), bool)
    seen[triangles.ravel()] = True
    normals = vertex_normals(crosses, scene.normal_sums)
    lit, hair_lit = _lamp_light(scene, posed, strands["hair"], crosses, normals, seen)
    colours = np.zeros_like(posed.vertices)
    colours[seen] = shade_surface(
        posed.vertices[seen], normals[seen], scene.paint.of(seen), scene.sky[seen], lit[seen], scene.eyeballs[seen]
    )
    drawn = [_Drawn(posed.vertices, colours, triangles, regions)]
    drawn += [
        _draw_strands(scene, name, points, hair_lit if name == "hair" else None) for name, points in strands.items()
    ]
    return Frame(*_compose(drawn, size), posed.head @ head_frame())


def _lamp_light(
    scene: Scene, posed: Posed, hair: np.ndarray, crosses: np.ndarray, normals: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the key lamp that reaches the surface [F] and the hair [C, P]; every few hairs cast, but wider."""
    figure, key = scene.figure, LAMPS[0].direction
    thin = hair[::CASTING, ::2]
    casters = np.concatenate([posed.vertices, ribbon(thin, CASTING * figure.strands["hair"].width[::2])])
    towards = figure.triangles[crosses @ key > 0]
    triangles = np.concatenate([towards, ribbon_triangles(*thin.shape[:2]) + len(posed.vertices)])
    receivers = np.concatenate([posed.vertices[seen] + LIFT_OFF * normals[seen], hair.reshape(-1, 3)])
    centre = posed.head[:3, 3] + np.array([0, 0.02, 0.05])
    light = shadow(casters, triangles, receivers, key, centre, 0.004)
    count = int(seen.sum())
    surface = np.ones(len(seen), np.float32)
    surface[seen] = light[:count]
    for _ in range(SOFTEN):
        surface = scene.means @ surface
    return surface, light[count:].reshape(hair.shape[:2])


def _draw_strands(scene: Scene, name: str, points: np.ndarray, lit: np.ndarray | None) -> _Drawn:
    """Strands [C, P, 3] as ribbons; lit [C, P] is the key lamp's share, None: all of it."""
    strand, sky = scene.figure.strands[name], scene.strand_sky[name]
    share = sky if lit is None else sky * (0.25 + 0.75 * lit)  # light also comes through hair
    light = shade_strands(points, strand_tangents(points), strand.shade, sky, share, *STRAND_LOOK[name])
    triangles = scene.ribbons[name]
    regions = np.full(len(triangles), STRAND_REGION[name], np.uint8)
    return _Drawn(ribbon(points, strand.width), np.repeat(light.reshape(-1, 3), 2, axis=0), triangles, regions)


def _place(figure: Figure, strand: Strands, blendshapes: np.ndarray, to_camera: np.ndarray) -> np.ndarray:
    """[C, P, 3] camera space: strands follow their soft vertex and turn with the head."""
    points = strand.points
    if len(points) and strand.anchor[0] >= 0:
        used = np.flatnonzero(blendshapes)
        moved = np.tensordot(blendshapes[used].astype(np.float32), figure.deltas[used][:, strand.anchor], axes=1)
        points = points + moved[:, None]
    return apply(to_camera, points.reshape(-1, 3)).reshape(points.shape)


def _compose(drawn: Sequence[_Drawn], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 [size, size, 3] and regions uint8 [size, size]."""
    large, small = size * OVERSAMPLE, (size, size)
    firsts = np.cumsum([0, *(len(part.vertices) for part in drawn)])
    vertices = project(camera(large), np.concatenate([part.vertices for part in drawn]))
    triangles = np.concatenate(
        [part.triangles + np.int32(first) for part, first in zip(drawn, firsts[:-1], strict=True)]
    )
    ids, weights, _ = mesh_rasterise(vertices, triangles, large, large)
    light = mesh_interpolate(ids, weights, triangles, np.concatenate([part.colours for part in drawn]))
    surface = cv2.resize(light, small, interpolation=cv2.INTER_AREA)
    share = cv2.resize((ids >= 0).astype(np.float32), small, interpolation=cv2.INTER_AREA)
    regions = np.concatenate([*(part.regions for part in drawn), np.array([Region.BACKGROUND], np.uint8)])
    image = encode(surface + (1 - share)[..., None] * backdrop_cached(size))
    return image, majority(regions[ids])  # -1, no triangle, is the last


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
