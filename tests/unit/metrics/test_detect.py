"""Landmarks of frames out of order, on a real clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError
from ua3dtalk.metrics.detect import detect_faces
from ua3dtalk.metrics.lips import lip_distance
from ua3dtalk.metrics.rows import Row


@pytest.fixture(scope="module")
def model() -> Path:
    try:
        return fetch("face_landmarker")
    except AssetError as error:
        pytest.skip(f"face_landmarker cannot be had here: {error}")


@pytest.fixture(scope="module")
def frames(clips: Path) -> np.ndarray:
    """Every twelfth frame of 10 s, 256 px."""
    import cv2

    capture = cv2.VideoCapture(str(clips / "video" / "obama.mp4"))
    taken = []
    for number in range(240):
        good, frame = capture.read()
        if good and number % 12 == 0:
            side = min(frame.shape[:2])
            square = frame[:side, (frame.shape[1] - side) // 2 :][:, :side, ::-1]
            taken.append(cv2.resize(square, (256, 256), interpolation=cv2.INTER_AREA))
    return np.stack(taken)


def test_order_does_not_matter_and_a_missing_face_is_said(model: Path, frames: np.ndarray) -> None:
    order = np.random.default_rng(0).permutation(len(frames))
    blank = np.concatenate([frames[:2], np.full_like(frames[:1], 90), frames[2:3]])
    rows = [
        Row("truth", (), frames, np.arange(len(frames))),
        Row("ours", (), frames, order),
        Row("ours", (), blank, np.arange(4)),
    ]
    ordered, shuffled, with_blank = detect_faces(model, rows, workers=2)
    assert ordered.found.all() and shuffled.found.all()
    apart = lip_distance(shuffled.points, ordered.points[order]).mean()
    moving = lip_distance(ordered.points[1:], ordered.points[:-1]).mean()
    assert apart < 0.25 * moving
    assert with_blank.found.tolist() == [True, True, False, True]
    assert len(ordered.names) == 52
