"""The stage: renders in, `metrics.json` out. docs/metrics.md says what each figure means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ua3dtalk.config import MetricsSettings
from ua3dtalk.errors import DataError
from ua3dtalk.metrics.confidence import confidence_figures
from ua3dtalk.metrics.detect import detect_faces
from ua3dtalk.metrics.emotion import emotion_figures, true_means
from ua3dtalk.metrics.figures import (
    Figures,
    landmark_figures,
    perceptual_figures,
    pixel_figures,
    whole_squares,
)
from ua3dtalk.metrics.image import face_squares
from ua3dtalk.metrics.lips import head_pose
from ua3dtalk.metrics.picture import draw_metrics
from ua3dtalk.metrics.rows import Row, collect_rows, own_frames, read_renders
from ua3dtalk.metrics.units import openface_error, read_openface
from ua3dtalk.perceptual import load_perceptual
from ua3dtalk.subject import Subject
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
    picture: Path,
    landmarker: Path,
    perceptual: Path,
    settings: MetricsSettings,
    method: str,
    budget: str,
    seed: int,
    cost: Mapping[str, Any],
    state: str,
) -> None:
    """Compare the rendered held-out frames, and three trivial opponents, with the truth.

    Args:
        subject: video, clips, landmarks, tracking and speech are read.
        renders: folder with test.json and the rows' frames.
        out, picture: metrics.json and a png.
        landmarker: face_landmarker.task.
        perceptual: weights of `settings.perceptual`.
        method, budget, seed: of the run, for the record.
        cost: seconds and memory of the stages, for the record.
        state: stored in the result.
    """
    document = read_renders(subject, renders)
    rows = collect_rows(subject, renders, document)
    test = np.asarray(document["frames"], dtype=int)
    workers = torch.get_num_threads()  # what the rule was given
    faces = detect_faces(landmarker, rows, workers)
    if not faces[0].found.any():
        raise DataError(
            f"{subject.name}: no held-out frame has a face that can be measured: check the clip's last part"
        )
    squares = face_squares(faces[0].points, subject.video.shape[1:3])
    regions = {"frame": whole_squares(len(test), subject.video.shape[1:]), "face": squares}
    most = {"frame": settings.perceptual_frames_whole, "face": settings.perceptual_frames_face}
    distance = load_perceptual(settings.perceptual, perceptual)
    shared = landmark_figures(faces, head_pose(subject.tracking.world_to_camera[test]))
    shared = _with_openface(shared, rows, settings)
    entries = []
    for region, where in regions.items():
        pixels = pixel_figures(rows, where, workers)
        perceived = perceptual_figures(rows, where, distance, most[region])
        entries += [
            {"name": row.name, "region": region, "driven_by": list(row.driven_by), **_rounded(a | b | c)}
            for row, a, b, c in zip(rows, pixels, perceived, shared, strict=True)
        ]
    result = {
        "actor": subject.name,
        "method": method,
        "budget": budget,
        "seed": seed,
        "state": state,
        "frames": len(test),
        "test_frames": _ranges(test),
        "size": int(subject.video.shape[1]),
        "face_side": int(squares[0, 2]),
        "extractors": {
            "landmarks": "mediapipe face landmarker",
            "perceptual": distance.name,
            "aue": "blendshapes 0..1",
        },
        "notes": NOTES,
        "rows": entries,
        "speed": document.get("speed", {}),
        "cost": dict(cost),
    }
    if "uncertainty" in document:
        result["uncertainty"] = confidence_figures(rows[1], rows[0], squares, renders, document["uncertainty"])
    if "memory_entropy" in document:
        result["memory_entropy"] = [round(value, 4) for value in document["memory_entropy"]]
    if "emotions" in document:
        result["emotions"] = _emotions(subject, renders, document["emotions"], landmarker, workers)
    draw_metrics(picture, rows, faces, squares, result)
    with atomic(out) as temporary:
        temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")


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


def _with_openface(shared: Sequence[Figures], rows: Sequence[Row], settings: MetricsSettings) -> list[Figures]:
    """Add AUE of OpenFace where its csv files are given: one for the truth and one for each name that has one."""
    if not settings.openface_csv:
        return list(shared)
    truth = read_openface(Path(settings.openface_csv.replace("{row}", "truth")))
    result = []
    for figures, row in zip(shared, rows, strict=True):
        path = Path(settings.openface_csv.replace("{row}", row.name))
        result.append({**figures, **(openface_error(read_openface(path), truth) if path.exists() else {})})
    return result


def _rounded(figures: Figures) -> Figures:
    """Six significant digits: more is noise, and files of two runs compare by eye."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in figures.items()}


def _ranges(frames: np.ndarray) -> list[list[int]]:
    """Ascending indices as [first, last] pairs."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    return [[int(part[0]), int(part[-1])] for part in np.split(frames, breaks)]
