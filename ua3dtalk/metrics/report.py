"""The stage: renders in, `metrics.json` out. docs/metrics.md says what each figure means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ua3dtalk.errors import DataError
from ua3dtalk.metrics.confidence import confidence_figures
from ua3dtalk.metrics.detect import detect_faces
from ua3dtalk.metrics.emotion import emotion_figures, true_means
from ua3dtalk.metrics.figures import landmark_readings, pixel_readings
from ua3dtalk.metrics.image import face_squares, whole
from ua3dtalk.metrics.lips import head_pose
from ua3dtalk.metrics.networks import network_readings
from ua3dtalk.metrics.person import motion_readings
from ua3dtalk.metrics.picture import draw_metrics
from ua3dtalk.metrics.rows import Row, collect_rows, compressed_rows, own_frames, read_renders
from ua3dtalk.metrics.scene import EXTRACTORS, Reading, Scene, entries, write_table
from ua3dtalk.metrics.sets import expression_readings
from ua3dtalk.metrics.sync import read_offsets, sync_readings
from ua3dtalk.metrics.units import openface_error, read_openface
from ua3dtalk.settings import MetricsSettings
from ua3dtalk.subject import FPS, Subject
from ua3dtalk.workflow import atomic

NOTES = {
    "psnr": "null where images are equal (the truth against itself): infinite",
    "landmarks": "found anew on every row's frames, the truth's too; frames in which a row has no face leave all rows",
    "correlation": "partial: given the head's yaw, pitch, roll and distance; the plain one is beside it",
}


def write_metrics(
    *,
    subject: Subject,
    renders: Path,
    out: Path,
    frames: Path,
    picture: Path,
    landmarker: Path,
    weights: Mapping[str, Path],
    settings: MetricsSettings,
    method: str,
    budget: str,
    seed: int,
    cost: Mapping[str, Any],
    state: str,
    sync: Path | None = None,
    audio_offset: Path | None = None,
    syncnet: Path | None = None,
) -> None:
    """Compare the rendered held-out frames, and three trivial opponents, with the truth.

    Args:
        subject: video, clips, landmarks, tracking and speech are read.
        renders: folder with test.json, the rows' frames, test.mp4 and truth.mp4.
        out, frames, picture: metrics.json, metrics_frames.csv and a png.
        landmarker: face_landmarker.task.
        weights: files by figure, as `provenance.metric_weights` names them.
        method, budget, seed: of the run, for the record.
        cost: seconds and memory of the stages, for the record.
        state: stored in the result.
        sync, audio_offset: the local sync net and what it says of the source clips; None leaves the figures out.
        syncnet: SyncNet's official weights; None leaves its figures out.
    """
    document = read_renders(subject, renders)
    with TemporaryDirectory(prefix="ua3dtalk-") as folder:
        rows = collect_rows(subject, renders, document)
        uncompressed = len(rows)
        rows += compressed_rows(renders, rows, Path(folder))
        scene = look(subject, rows, np.asarray(document["frames"], dtype=int), landmarker)
        readings = [
            *pixel_readings(scene),
            *landmark_readings(scene),
            *motion_readings(scene),
            *expression_readings(scene, seed, settings.resamples),
            *network_readings(scene, weights, settings, seed),
            *openface_readings(scene, settings),
            *sync_readings(scene, rows, subject, sync, syncnet),
        ]
        result = {
            "actor": subject.name,
            "method": method,
            "budget": budget,
            "seed": seed,
            "state": state,
            **facts(scene, settings.perceptual),
            "rows": entries(scene, readings),
            "speed": document.get("speed", {}),
            "cost": dict(cost),
            **_head_figures(subject, renders, document, scene, rows, landmarker),
            **({} if audio_offset is None else {"audio_offset": read_offsets(audio_offset)}),
        }
        draw_metrics(picture, rows[:uncompressed], scene.faces[:uncompressed], scene.regions["face"], result)
        write_table(frames, scene, readings)
        with atomic(out) as temporary:
            temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")


def look(subject: Subject, rows: list[Row], test: np.ndarray, landmarker: Path) -> Scene:
    """Find the faces of all rows and lay the regions around the truth's.

    Raises:
        DataError: the truth shows no face.
    """
    workers = torch.get_num_threads()  # what the rule was given
    faces = detect_faces(landmarker, rows, workers)
    if not faces[0].found.any():
        raise DataError(
            f"{subject.name}: no held-out frame has a face that can be measured: check the clip's last part"
        )
    size = subject.video.shape[1:3]
    squares = face_squares(faces[0].points, (size[0], size[1]))
    regions = {"frame": whole(len(test), size), "face": squares}
    return Scene(rows, test, faces, regions, head_pose(subject.tracking.world_to_camera[test]), FPS, workers)


def facts(scene: Scene, perceptual: str) -> dict[str, Any]:
    """What was compared and by whom, for the head of the file."""
    return {
        "frames": len(scene),
        "test_frames": _ranges(scene.numbers),
        "size": int(scene.regions["frame"][0, 3]),
        "face_side": int(scene.regions["face"][0, 2]),
        "extractors": {**EXTRACTORS, "perceptual": perceptual},
        "notes": NOTES,
    }


def _head_figures(
    subject: Subject,
    renders: Path,
    document: Mapping[str, Any],
    scene: Scene,
    rows: Sequence[Row],
    landmarker: Path,
) -> dict[str, Any]:
    """Figures of the head that are not a row's: how well it knows its errors, what it makes of emotions."""
    figures: dict[str, Any] = {}
    if "uncertainty" in document:
        squares = scene.regions["face"]
        figures["uncertainty"] = confidence_figures(rows[1], rows[0], squares, renders, document["uncertainty"])
    if "memory_entropy" in document:
        figures["memory_entropy"] = [round(value, 4) for value in document["memory_entropy"]]
    if "emotions" in document:
        figures["emotions"] = _emotions(subject, renders, document["emotions"], landmarker, scene.workers)
    return figures


def _emotions(
    subject: Subject, renders: Path, files: Mapping[str, str], landmarker: Path, workers: int
) -> dict[str, Any]:
    """The same speech in every emotion, against the true clips."""
    rows = [Row(label, (), *own_frames(subject, renders / file)) for label, file in files.items()]
    faces = detect_faces(landmarker, rows, workers)
    labels = [clip.emotion for clip in subject.clips for _ in range(clip.length)]
    true = true_means(subject.landmarks.blendshapes, subject.landmarks.valid, labels)
    rendered = {
        row.name: np.nanmean(face.blendshapes, 0) for row, face in zip(rows, faces, strict=True) if face.found.any()
    }
    return emotion_figures(rendered, true, subject.landmarks.names)


def openface_readings(scene: Scene, settings: MetricsSettings) -> list[Reading]:
    """AUE of OpenFace where its csv files are given: one for the truth and one for each name that has one."""
    if not settings.openface_csv:
        return []
    truth = read_openface(Path(settings.openface_csv.replace("{row}", "truth")))
    paths = [Path(settings.openface_csv.replace("{row}", row.name)) for row in scene.rows]
    return [
        Reading(number, None, dict(openface_error(read_openface(path), truth)))
        for number, path in enumerate(paths)
        if path.exists() and scene.rows[number].codec == "none"
    ]


def _ranges(frames: np.ndarray) -> list[list[int]]:
    """Ascending indices as [first, last] pairs."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    return [[int(part[0]), int(part[-1])] for part in np.split(frames, breaks)]
