"""The built-in actor's body: every surface and strand as arrays that a frame only has to bend, light and draw.

Soft vertices (skin, teeth, tongue, lashes, brows) follow the 52 shapes; eyeballs turn; hair is rigid with the head;
cloth stays with the shoulders. All in the contract's head axes, metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.demo.garment import faces_away, make_garment, neckline
from ua3dtalk.demo.hair import Strands, grow_brows, grow_hair, scalp_membership
from ua3dtalk.demo.lashes import make_lashes
from ua3dtalk.demo.mouth import make_row
from ua3dtalk.demo.subdivision import subdivide
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES, HeadMesh, load_head_mesh, quads_to_triangles
from ua3dtalk.subject import Region

# A blend of three populations' means and a few taste targets: nobody's face.
IDENTITY: Mapping[str, float] = {
    "macrodetails/caucasian-female-young": 0.45,
    "macrodetails/asian-female-young": 0.30,
    "macrodetails/african-female-young": 0.25,
    "eyes/l-eye-scale-incr": 0.25,
    "eyes/r-eye-scale-incr": 0.25,
    "eyes/l-eye-height2-incr": 0.22,
    "eyes/r-eye-height2-incr": 0.22,
    "mouth/mouth-angles-up": 0.6,
    "head/head-oval": 0.3,
    "chin/chin-width-decr": 0.2,
}

# Parts of the figure, the value of `part` of each vertex.
SKIN, MOUTH, EYE, TOOTH, TONGUE, CLOTH, GUM, LASH = range(8)
LIP_OVERLAP = 0.0006  # m
NOT_HEAD_BONES = ("neck", "spine", "clavicle", "shoulder", "upperarm", "lowerarm", "breast", "wrist")
NECK_SHARE = {"neck01": 0.12, "neck02": 0.38, "neck03": 0.72}  # how far each bone of the neck turns with the head


@dataclass(frozen=True)
class Figure:
    """Everything that does not change from frame to frame.

    Attributes:
        rest: [F, 3] m. The first S vertices are soft; then two eyeballs of E vertices each; then cloth.
        deltas: [52, S, 3] m, rows as `BLENDSHAPE_NAMES`.
        turn: [F] how much of the head's turn a vertex takes, 0 shoulders, 1 head.
        triangles: [N, 3]; region: [N] label of `Region`; part: [F] SKIN, MOUTH, ...
        masks: name -> [F] soft membership (lips, nose, ears, eyelids, inside_mouth).
        eye_centres: [2, 3] m, left and right; eye_first: first vertex of the left eyeball; eye_count: E.
        pivot: [3] m, where the head turns on the neck.
        strands: name -> strands of hair, brows, lashes.
    """

    rest: np.ndarray
    deltas: np.ndarray
    turn: np.ndarray
    triangles: np.ndarray
    region: np.ndarray
    part: np.ndarray
    masks: Mapping[str, np.ndarray]
    eye_centres: np.ndarray
    eye_first: int
    eye_count: int
    pivot: np.ndarray
    strands: Mapping[str, Strands]

    @property
    def soft(self) -> int:
        """S, how many vertices follow the shapes."""
        return self.deltas.shape[1]


@dataclass
class _Parts:
    """Vertices gathered part by part."""

    rest: list[np.ndarray]
    triangles: list[np.ndarray]
    region: list[np.ndarray]
    part: list[np.ndarray]
    turn: list[np.ndarray]
    masks: list[Mapping[str, np.ndarray]]
    count: int = 0

    def add(
        self,
        rest: np.ndarray,
        triangles: np.ndarray,
        region: np.ndarray,
        part: np.ndarray,
        turn: np.ndarray,
        masks: Mapping[str, np.ndarray] | None = None,
    ) -> int:
        first = self.count
        self.rest.append(rest)
        self.triangles.append(triangles + first)
        self.region.append(np.broadcast_to(region, len(triangles)).astype(np.uint8))
        self.part.append(np.broadcast_to(part, len(rest)).astype(np.uint8))
        self.turn.append(np.broadcast_to(turn, len(rest)).astype(np.float32))
        self.masks.append(masks or {})
        self.count += len(rest)
        return first


MASKS = ("lips", "nose", "ears", "eyelids", "inside_mouth")


def build_figure(mesh_source: Path, seed: int = 0, detail: int = 2) -> Figure:
    """Make the figure from the open mesh's wheel (or its unpacked folder).

    Args:
        detail: rounds of subdivision of skin and cloth; 1 is enough for pictures of 200 px.
    Raises:
        AssetError: the mesh is not there or not whole.
    """
    mesh = close_lips(load_head_mesh(mesh_source, IDENTITY, lowest=3.2))
    head = head_weight(mesh)
    gathered = _Parts([], [], [], [], [], [])
    deltas = [_add_skin(gathered, mesh, head, detail)]
    for upper in (True, False):
        row = make_row(mesh, upper)
        gathered.add(
            row.vertices,
            quads_to_triangles(row.quads),
            np.array(Region.MOUTH),
            np.where(row.gum > 0, GUM, TOOTH),
            np.array(1.0),
        )
        deltas.append(row.deltas)
    deltas.append(_add_tongue(gathered, mesh))
    lashes = make_lashes(mesh)
    gathered.add(lashes.vertices, lashes.triangles, np.array(Region.EYES), np.array(LASH), np.array(1.0))
    deltas.append(lashes.deltas)
    soft_deltas = np.concatenate(deltas, axis=1).astype(np.float32)
    centres, eye_first, eye_count = _add_eyes(gathered, mesh)
    cloth = make_garment(mesh, head, detail)
    gathered.add(cloth.vertices, cloth.triangles, np.array(Region.CLOTH), np.array(CLOTH), cloth.turn)
    masks = {
        name: np.concatenate(
            [m.get(name, np.zeros(len(r))) for m, r in zip(gathered.masks, gathered.rest, strict=True)]
        )
        for name in MASKS
    }
    rest = np.concatenate(gathered.rest).astype(np.float32)
    skin = slice(0, len(gathered.rest[0]))
    strands = {
        "hair": grow_hair(mesh, seed, detail),
        "brows": grow_brows(rest[skin], soft_deltas[:, skin], mesh, seed),
    }
    return Figure(
        rest=rest,
        deltas=soft_deltas,
        turn=np.concatenate(gathered.turn),
        triangles=np.concatenate(gathered.triangles).astype(np.int32),
        region=np.concatenate(gathered.region),
        part=np.concatenate(gathered.part),
        masks={name: values.astype(np.float32) for name, values in masks.items()},
        eye_centres=centres,
        eye_first=eye_first,
        eye_count=eye_count,
        pivot=0.45 * mesh.joints["neck"] + 0.55 * mesh.joints["head"],
        strands=strands,
    )


def close_lips(mesh: HeadMesh) -> HeadMesh:
    """The blend of identities leaves the lips ajar; the neutral face has them closed."""
    lips = np.flatnonzero((mesh.regions["lips"] > 0.5) & (np.abs(mesh.vertices[:, 0]) < 0.0015))
    falls = mesh.shapes["jawOpen"][lips, 1] > 0.5 * mesh.shapes["jawOpen"][lips, 1].max()
    upper, lower = lips[~falls], lips[falls]
    front = mesh.vertices[:, 2] < mesh.vertices[lips, 2].min() + 0.0085
    gap = mesh.vertices[lower[front[lower]], 1].min() - mesh.vertices[upper[front[upper]], 1].max()
    rise = -mesh.shapes["mouthClose"][lower, 1].mean()
    share = np.clip((gap + LIP_OVERLAP) / rise, 0, 0.2)
    return replace(mesh, vertices=mesh.vertices + np.float32(share) * mesh.shapes["mouthClose"])


def head_weight(mesh: HeadMesh) -> np.ndarray:
    """[V] in 0..1: 1 where a vertex turns fully with the head, 0 at the shoulders."""
    total = np.zeros(len(mesh.vertices))
    turning = np.zeros(len(mesh.vertices))
    for bone, weight in mesh.weights.items():
        total += weight
        share = NECK_SHARE.get(bone, 0.0 if bone.startswith(NOT_HEAD_BONES) else 1.0)
        turning += share * weight
    return turning / np.maximum(total, 1e-6)


def _add_skin(gathered: _Parts, mesh: HeadMesh, head: np.ndarray, detail: int) -> np.ndarray:
    """Skin above the collar, without the back of head and neck that no pose shows; returns its deltas."""
    quads = mesh.part("body")
    depth = neckline(mesh, mesh.vertices)[mesh.quads[quads]].min(axis=1)
    quads, depth = quads[depth < 0.015], depth[depth < 0.015]
    ears = mesh.regions["ears"][mesh.quads[quads]].max(axis=1) > 0
    quads = quads[(depth > -0.06) | ears | ~faces_away(mesh.vertices, mesh.quads[quads])]
    return _add_soft(gathered, mesh, quads, SKIN, None, levels=detail, head=head)


def _add_tongue(gathered: _Parts, mesh: HeadMesh) -> np.ndarray:
    """The mesh's tongue, laid lower and further back so that it does not fill the mouth."""
    quads = mesh.part("helper-tongue")
    deltas = _add_soft(gathered, mesh, quads, TONGUE, Region.MOUTH, levels=1)
    tongue = gathered.rest[-1]
    middle = tongue.mean(axis=0)
    gathered.rest[-1] = middle + (tongue - middle) * [0.85, 0.7, 0.9] + [0, 0.0065, 0.005]
    return deltas


def _add_soft(
    gathered: _Parts,
    mesh: HeadMesh,
    quads: np.ndarray,
    part: int,
    region: Region | None,
    levels: int,
    head: np.ndarray | None = None,
) -> np.ndarray:
    """Refine one part and gather it; returns its deltas [52, n, 3]."""
    used, local = np.unique(mesh.quads[quads], return_inverse=True)
    matrix, fine, _ = subdivide(local.reshape(-1, 4), len(used), levels)
    masks = {name: np.clip(matrix @ mesh.regions[name][used], 0, 1) for name in MASKS} if part == SKIN else {}
    triangles = quads_to_triangles(fine)
    parts = np.full(matrix.shape[0], part)
    labels = np.full(len(triangles), int(region or 0))
    if part == SKIN:
        parts[masks["inside_mouth"] > 0.5] = MOUTH
        labels = skin_regions(masks, matrix @ mesh.vertices[used], triangles, mesh)
    turn = np.ones(matrix.shape[0]) if head is None else matrix @ head[used]
    gathered.add(matrix @ mesh.vertices[used], triangles, labels, parts, np.clip(turn, 0, 1), masks)
    shapes = [np.zeros((len(used), 3)), *(mesh.shapes[name][used] for name in BLENDSHAPE_NAMES[1:])]
    return np.stack([matrix @ shape for shape in shapes])


def skin_regions(
    masks: Mapping[str, np.ndarray], vertices: np.ndarray, triangles: np.ndarray, mesh: HeadMesh
) -> np.ndarray:
    """[N] labels of the skin's triangles: later ones win."""
    middle = vertices[triangles].mean(axis=1)
    mean = {name: values[triangles].mean(axis=1) for name, values in masks.items()}
    labels = np.full(len(triangles), int(Region.SKIN), np.uint8)
    chin = mesh.joints["jaw"]
    # The neck starts under a plane that falls from the jaw's corner to the chin's underside.
    below = middle[:, 1] > chin[1] - 0.004 - 0.28 * np.maximum(middle[:, 2] - chin[2] - 0.020, 0)
    labels[below & (middle[:, 2] > chin[2] + 0.004)] = Region.NECK
    labels[(scalp_membership(middle) > 0.002) & (labels == Region.SKIN)] = Region.HAIR
    labels[mean["nose"] > 0.6] = Region.NOSE
    labels[mean["ears"] > 0.5] = Region.EARS
    labels[mean["lips"] > 0.5] = Region.LIPS
    labels[mean["inside_mouth"] > 0.5] = Region.MOUTH
    return labels


def _add_eyes(gathered: _Parts, mesh: HeadMesh) -> tuple[np.ndarray, int, int]:
    """Two balls, finely ringed round the pupil; returns centres, first vertex and vertices of each."""
    angles = np.concatenate([np.linspace(0, 0.62, 34), np.linspace(0.66, 1.9, 22)])
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    sphere = np.stack(
        [
            np.sin(angles)[:, None] * np.cos(turns),
            np.sin(angles)[:, None] * np.sin(turns),
            -np.cos(angles)[:, None] * np.ones_like(turns),
        ],
        axis=2,
    ).reshape(-1, 3)
    bulge = 1 + 0.035 * np.clip(1 - (np.repeat(angles, len(turns)) / 0.55) ** 2, 0, 1)
    index = np.arange(len(sphere)).reshape(len(angles), len(turns))
    following = np.roll(index, -1, axis=1)
    quads = np.stack([index[:-1], following[:-1], following[1:], index[1:]], axis=2).reshape(-1, 4)
    centres, first = [], gathered.count
    for side in ("l", "r"):
        ball = mesh.vertices[np.unique(mesh.quads[mesh.part(f"helper-{side}-eye")])]
        centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
        radius = 0.5 * float((ball[:, 0].max() - ball[:, 0].min() + ball[:, 1].max() - ball[:, 1].min()) / 2)
        centre[2] = ball[:, 2].min() + 1.035 * radius
        centres.append(centre)
        gathered.add(
            centre + radius * sphere * bulge[:, None],
            quads_to_triangles(quads),
            np.array(Region.EYES),
            np.array(EYE),
            np.array(1.0),
        )
    return np.array(centres, np.float32), first, len(sphere)


def figure_arrays(figure: Figure) -> dict[str, np.ndarray]:
    """Plain arrays by dotted names, for the processes that draw."""
    arrays: dict[str, np.ndarray] = {}
    for item in fields(Figure):
        value = getattr(figure, item.name)
        if item.name == "masks":
            arrays |= {f"masks.{name}": array for name, array in value.items()}
        elif item.name == "strands":
            arrays |= {
                f"strands.{name}.{key}": array for name, strand in value.items() for key, array in vars(strand).items()
            }
        else:
            arrays[item.name] = np.asarray(value)
    return arrays


def figure_from_arrays(arrays: Mapping[str, np.ndarray]) -> Figure:
    """The counterpart of `figure_arrays`."""
    own: dict[str, Any] = {item.name: arrays[item.name] for item in fields(Figure) if item.name in arrays}
    strands: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        if key.startswith("strands."):
            _, name, attribute = key.split(".")
            strands.setdefault(name, {})[attribute] = array
    own["eye_first"], own["eye_count"] = int(own["eye_first"]), int(own["eye_count"])
    own["masks"] = {key.removeprefix("masks."): array for key, array in arrays.items() if key.startswith("masks.")}
    own["strands"] = {name: Strands(**parts) for name, parts in strands.items()}
    return Figure(**own)
