"""Landmarks on frames that need not follow each other, with little noise.

Measured on two clips (100 frames, JPEG quality 60 against the frames themselves, px of LMD at 256 px): independent
pictures .26; the landmarker's tracking mode .19, but that drags each frame towards the one before it (.71 between
ordered and shuffled frames). Showing each frame twice, far apart in time, gives .19 and .17. Enlarging the face first
changes neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ua3dtalk.face.landmarker import POINT_COUNT, Detection, FaceLandmarker
from ua3dtalk.metrics.rows import Row

SHOWN = 2
APART_MS = 1000
SHAPE_COUNT = 52


@dataclass(frozen=True)
class Faces:
    """points [n, 478, >= 2] px and blendshapes [n, 52], nan where no face was found; names of the blendshapes."""

    points: np.ndarray
    blendshapes: np.ndarray
    names: tuple[str, ...]

    @property
    def found(self) -> np.ndarray:
        """bool [n]"""
        return np.isfinite(self.points[:, 0, 0])


def settle(landmarker: FaceLandmarker, frames: Iterable[np.ndarray], clock: int = 0) -> Faces:
    """Landmarks of frames uint8 [H, W, 3]; the landmarker is in VIDEO mode and has seen nothing after `clock` ms."""
    points, shapes = [], []
    for k, frame in enumerate(frames):
        detection = look_at(landmarker, frame, clock + k * SHOWN * APART_MS)
        points.append(detection.points if detection else np.full((POINT_COUNT, 3), np.nan, np.float32))
        shapes.append(detection.blendshapes if detection else np.full(SHAPE_COUNT, np.nan, np.float32))
    return Faces(np.stack(points), np.stack(shapes), landmarker.names)


def look_at(landmarker: FaceLandmarker, frame: np.ndarray, clock: int) -> Detection | None:
    """The face of one frame, shown twice; the clock then stands `SHOWN * APART_MS` later."""
    detection = None
    for number in range(1, SHOWN + 1):
        detection = landmarker(frame, clock + number * APART_MS)
    return detection


def detect_faces(model: Path, rows: list[Row], workers: int) -> list[Faces]:
    """Landmarks of every row's frames, rows side by side."""
    with ExitStack() as stack:
        landmarkers = [stack.enter_context(FaceLandmarker(model, video=True)) for _ in rows]
        for landmarker, row in zip(landmarkers, rows, strict=True):
            landmarker(row.frame(0), 0)  # one after the other: the first call redirects the process' error stream
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        return list(pool.map(lambda pair: settle(pair[0], pair[1].frames()), zip(landmarkers, rows, strict=True)))
