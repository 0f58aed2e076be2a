"""Strands of the built-in actor: a chin-long bob with a side part, and brows, grown by fixed rules.

A strand is a polyline of P points that is drawn as a ribbon facing the camera. Hair flows from the part over the
skull's convex hull, falls where the skull curves away and keeps clear of the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from ua3dtalk.demo.noise import fractal_noise, smoothstep, value_noise
from ua3dtalk.face.mesh import HeadMesh, quads_to_triangles

HAIRS, POINTS, STEP = 3300, 20, 0.0126  # count, points each, m between them
PART_LINE = 0.016  # m, x of the parting (the person's left)
LOCKS = 260
STRAY = 0.0100  # m above the skull
HAIRLINE = np.array(  # azimuth in degrees (0 front, 180 back), y of the hairline in m
    [[0, -0.0738], [15, -0.0735], [28, -0.0715], [40, -0.0645], [50, -0.052], [58, -0.036], [66, -0.016], [74, 0.002],
     [84, 0.012], [96, -0.012], [112, 0.0], [130, 0.035], [150, 0.060], [180, 0.066]]
)  # fmt: skip
AZIMUTH_AXIS = 0.055  # m, z of the vertical axis that azimuths are measured round


@dataclass(frozen=True)
class Strands:
    """points [C, P, 3] m; width [P] or [C, P] half-width in m; shade [C] tone of each strand in -1..1;
    anchor [C] soft vertex that the strand follows, -1 for rigid with the head."""

    points: np.ndarray
    width: np.ndarray
    shade: np.ndarray
    anchor: np.ndarray


def scalp_membership(points: np.ndarray) -> np.ndarray:
    """[N] metres above the hairline (positive: hair grows here)."""
    azimuth = np.degrees(np.arctan2(np.abs(points[:, 0]), -(points[:, 2] - AZIMUTH_AXIS)))
    line = np.interp(azimuth, HAIRLINE[:, 0], HAIRLINE[:, 1])
    return line + 0.0022 * value_noise(points, 0.006, 5) - points[:, 1]


class Skull:
    """The convex hull of head and ears with rounded edges: signed distance and outward normal."""

    def __init__(self, mesh: HeadMesh) -> None:
        body = np.unique(mesh.quads[mesh.part("body")])
        points = mesh.vertices[body]
        points = points[(points[:, 1] < 0.045) & (points[:, 2] > -0.055)].astype(np.float64)
        hull = ConvexHull(points[:: max(len(points) // 300, 1)])
        equations = hull.equations[hull.equations[:, 1] < 0.75]  # no lid below: hair falls through
        self.normals, self.offsets = equations[:, :3], equations[:, 3]

    def __call__(self, points: np.ndarray, sharpness: float = 500.0) -> tuple[np.ndarray, np.ndarray]:
        distance = points @ self.normals.T + self.offsets
        top = distance.max(axis=1, keepdims=True)
        weight = np.exp(np.maximum(sharpness * (distance - top), -40))
        normal = weight @ self.normals
        return top[:, 0], normal / np.linalg.norm(normal, axis=1, keepdims=True)


def grow_hair(mesh: HeadMesh, seed: int, detail: int = 2) -> Strands:
    """The bob; with detail 1 fewer and wider hairs."""
    rng = np.random.default_rng(seed + 101)
    skull = Skull(mesh)
    count = HAIRS if detail > 1 else HAIRS // 3
    roots = _scatter(mesh, rng, count)
    side = np.where(roots[:, 0] + 0.004 * rng.standard_normal(len(roots)) > PART_LINE, 1.0, -1.0)
    layer = 0.002 + 0.010 * rng.random(len(roots)) ** 1.2
    length = rng.uniform(0.90, 1.0, len(roots))
    points = _flow(roots, side, layer, length, skull)
    points = _even(_clump(points, roots, rng))
    width = np.interp(np.linspace(0, 1, POINTS), [0, 0.1, 0.7, 1], [0.6, 1, 0.9, 0.15]) * 0.00072 * HAIRS / count
    shade = np.clip(0.5 * fractal_noise(roots, 0.012, 3, 9) + 0.35 * rng.standard_normal(len(roots)), -1, 1)
    tame = _tame(points, skull)
    points, shade = points[tame], shade[tame]
    middle = points[:, POINTS // 2]
    order = np.argsort(np.arctan2(middle[:, 0], middle[:, 2] - AZIMUTH_AXIS))  # neighbours in memory draw faster
    return Strands(
        points[order].astype(np.float32),
        width.astype(np.float32),
        shade[order].astype(np.float32),
        np.full(len(points), -1, np.int32),
    )


def _scatter(mesh: HeadMesh, rng: np.random.Generator, count: int) -> np.ndarray:
    """[count, 3] roots spread evenly over the scalp's area, more of them along hairline and parting."""
    quads = mesh.quads[mesh.part("body")]
    triangles = mesh.vertices[quads_to_triangles(quads)].astype(np.float64)
    middle = triangles.mean(axis=1)
    near = scalp_membership(middle) > -0.02
    ears = mesh.regions["ears"][quads_to_triangles(quads)].mean(axis=1) > 0.3
    triangles = triangles[near & ~ears & (middle[:, 2] > -0.07)]
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    found: list[np.ndarray] = []
    while sum(map(len, found)) < count:
        pick = rng.choice(len(triangles), count, p=area / area.sum())
        u, v = rng.random((2, count, 1))
        flip = u + v > 1
        u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
        point = triangles[pick, 0] * (1 - u - v) + triangles[pick, 1] * u + triangles[pick, 2] * v
        above = scalp_membership(point)
        density = (
            0.55 + 0.45 * np.exp(-((above / 0.012) ** 2)) + 0.3 * np.exp(-(((point[:, 0] - PART_LINE) / 0.012) ** 2))
        )
        found.append(point[(above > 0) & (rng.random(count) < density)])
    return np.concatenate(found)[:count]


def _wish(points: np.ndarray, side: np.ndarray) -> np.ndarray:
    """[N, 3] where hair wants to go: from the part sideways and back over the brow, then down, in at the ends."""
    front = smoothstep(0.055, -0.01, points[:, 2]) * smoothstep(-0.005, -0.06, points[:, 1])
    fallen = smoothstep(-0.02, 0.06, points[:, 1])
    lateral = side * (0.30 + 0.75 * front - 0.36 * fallen)
    down = 0.75 - 0.35 * front + 0.25 * fallen
    back = 0.05 + 0.75 * front + 0.55 * smoothstep(0.02, -0.02, points[:, 2]) * (1 - fallen)
    return np.stack([lateral, down, back], axis=1)


def _flow(roots: np.ndarray, side: np.ndarray, layer: np.ndarray, length: np.ndarray, skull: Skull) -> np.ndarray:
    """[C, P, 3]: march each strand along its wish, on its layer above the skull."""
    points = [roots]
    _, normal = skull(roots)
    heading = 0.2 * normal + _wish(roots, side)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    bottom = 0.074 + 0.008 * (length - 0.95) / 0.05
    for step in range(1, POINTS):
        here = points[-1]
        heading = 0.55 * heading + 0.45 * _wish(here, side)
        _, normal = skull(here)
        inward = np.minimum((heading * normal).sum(axis=1, keepdims=True), 0)
        heading = heading - inward * normal
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        room = np.clip((bottom - here[:, 1]) / STEP, 0, 1)  # strands end at the bob's rim
        there = here + STEP * room[:, None] * heading
        distance, normal = skull(there)
        height = layer * min(1.0, step / 3)
        lift = np.maximum(height - distance, 0) - 0.25 * np.maximum(distance - height, 0) * (there[:, 1] < 0)
        there = there + lift[:, None] * normal
        keep = np.minimum(np.abs(there[:, 0]) - face_half_width(there), 0)
        there[:, 0] -= np.sign(there[:, 0]) * keep * smoothstep(0.03, -0.005, there[:, 2])
        points.append(there)
    return np.stack(points, axis=1)


def _even(points: np.ndarray) -> np.ndarray:
    """Spread each strand's points evenly over its length (a strand that ended early has many at its tip)."""
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
    length = np.concatenate([np.zeros((len(points), 1)), np.cumsum(steps, axis=1)], axis=1)
    target = np.linspace(0, 1, points.shape[1]) * length[:, -1:]
    out = np.empty_like(points)
    for row in range(len(points)):
        for axis in range(3):
            out[row, :, axis] = np.interp(target[row], length[row], points[row, :, axis])
    return out


def _tame(points: np.ndarray, skull: Skull) -> np.ndarray:
    """[C] False for hairs that stand off the crown like a wire."""
    crown = points[..., 1] < -0.105
    standing = np.zeros(crown.shape, bool)
    standing[crown] = skull(points[crown])[0] > STRAY
    return np.logical_not(standing.any(axis=1))


def face_half_width(points: np.ndarray) -> np.ndarray:
    """[N] m from the middle that hair leaves free, by height."""
    return np.interp(points[:, 1], [-0.08, -0.05, -0.02, 0.03, 0.08], [0.0, 0.045, 0.060, 0.064, 0.058])


def _clump(points: np.ndarray, roots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gather strands into locks with a soft wave; towards the ends more."""
    guides = rng.choice(len(points), LOCKS, replace=False)
    _, lock = cKDTree(roots[guides]).query(roots)
    along = np.linspace(0, 1, points.shape[1])
    pull = (0.55 * smoothstep(0.1, 0.9, along))[None, :, None]
    gathered = points + pull * (points[guides][lock] - points) * 0.8
    phase = rng.uniform(0, 2 * np.pi, LOCKS)[lock][:, None]
    wave = 0.0028 * smoothstep(0.25, 0.8, along) * np.sin(along * 9.0 + phase)
    outwards = gathered - np.array([0.0, 0.0, AZIMUTH_AXIS])
    across = np.cross(outwards / np.linalg.norm(outwards, axis=2, keepdims=True), [0.0, 1.0, 0.0])
    stray = 0.0012 * rng.standard_normal((len(points), 1, 3)) * along[None, :, None]
    return gathered + wave[..., None] * across + stray


def grow_brows(skin: np.ndarray, deltas: np.ndarray, mesh: HeadMesh, seed: int) -> Strands:
    """Short hairs along an arch over each eye; each follows the skin vertex it grows from."""
    rng = np.random.default_rng(seed + 202)
    points, shade, anchor = [], [], []
    tree = cKDTree(skin)
    for side, eye in ((1.0, mesh.joints["l-eye"]), (-1.0, mesh.joints["r-eye"])):
        count = 420
        along = rng.random(count) ** 0.9
        across = rng.uniform(-1, 1, count) * np.interp(along, [0, 0.12, 0.55, 1], [0.75, 1.0, 0.8, 0.15])
        arch = brow_arch(along)
        x = side * (arch[:, 0] + abs(float(eye[0])))
        y = arch[:, 1] + float(eye[1]) + 0.0028 * across
        root = _on_face(skin, tree, x, y)
        vertex = tree.query(root)[1]
        tilt = (
            np.deg2rad(np.interp(along, [0, 0.25, 0.6, 1], [80, 40, 12, -20]))
            + 0.2 * rng.standard_normal(count)
            - 0.3 * across
        )
        size = np.interp(along, [0, 0.3, 1], [0.0055, 0.0075, 0.005]) * rng.uniform(0.8, 1.2, count)
        steps = np.linspace(0, 1, 4)
        bend = tilt[:, None] - 0.35 * steps
        dx = side * np.cos(bend) * size[:, None] * steps
        dy = -np.sin(bend) * size[:, None] * steps
        flat = _on_face(skin, tree, (x[:, None] + dx).ravel(), (y[:, None] + dy).ravel()).reshape(count, 4, 3)
        flat[..., 2] -= 0.0006
        points.append(flat)
        shade.append(np.clip(0.4 * rng.standard_normal(count), -1, 1))
        anchor.append(vertex)
    width = np.array([0.00016, 0.00018, 0.00015, 0.00006])
    return Strands(
        np.concatenate(points).astype(np.float32),
        width.astype(np.float32),
        np.concatenate(shade).astype(np.float32),
        np.concatenate(anchor).astype(np.int32),
    )


def brow_arch(along: np.ndarray) -> np.ndarray:
    """[N, 2] (outwards, down) in m from the eye's centre to the brow's middle line, 0 inner end, 1 outer end."""
    x = np.interp(along, [0, 0.3, 0.65, 1], [-0.0175, -0.006, 0.010, 0.0235])
    y = np.interp(along, [0, 0.3, 0.65, 1], [-0.0165, -0.0195, -0.0218, -0.0165])
    return np.stack([x, y], axis=1)


def _on_face(skin: np.ndarray, tree: cKDTree, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[N, 3]: the front of the face at (x, y), from the nearest skin vertices in the plane."""
    front = np.flatnonzero((skin[:, 2] < 0.02) & (skin[:, 1] < 0.0) & (skin[:, 1] > -0.09))
    distance, near = cKDTree(skin[front, :2]).query(np.stack([x, y], axis=1), k=4)
    weight = 1 / (distance + 1e-5)
    z = (skin[front, 2][near] * weight).sum(axis=1) / weight.sum(axis=1)
    return np.stack([x, y, z], axis=1)
