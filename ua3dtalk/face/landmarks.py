"""Landmarks and blendshapes of every frame.

The 478 points and 52 blendshapes always come from mediapipe's face landmarker: tracking, expression and the mouth
branch are built on that layout. ``landmarks: face-alignment`` adds the 68 points of 300-W (FAN, 2D) under the key
`points68`, for metrics in the literature's own definition; it needs the official weights of FAN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageDraw

from ua3dtalk.errors import AssetError, InputError
from ua3dtalk.face import pictures
from ua3dtalk.face.landmarker import (
    FACE_OVAL,
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    OUTER_LIPS,
    POINT_COUNT,
    RIGHT_BROW,
    RIGHT_EYE,
    FaceLandmarker,
)
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import FPS, Clip, Subject
from ua3dtalk.workflow import atomic, progress

# mediapipe's VIDEO mode smooths with a One-Euro filter that lags by 0.3 to 0.6 frames and takes up to a fifth of the
# mouth's amplitude. Its time constant is in seconds: time stamps 100 s apart switch it off and keep the tracking.
TIMESTAMP_STEP_MS = 100_000

FAN_WEIGHTS = "2DFAN4-11f355bf06.pth.tar"
FAN_ADDRESS = f"https://www.adrianbulat.com/downloads/python-fan/{FAN_WEIGHTS}"


def extract_landmarks(
    *, subject: Subject, model: Path, out: Path, picture: Path, settings: FaceSettings, state: str
) -> None:
    """Find the face in every frame of the bundle.

    Args:
        subject: reads clips.json and video.npy.
        model: mediapipe's `face_landmarker.task`.
        out: landmarks.npz: points float32 [T, 478, 3] px, blendshapes float32 [T, 52], valid [T], names [52],
            state; with face-alignment also points68 float32 [T, 68, 2] px (NaN where not valid).
        picture: frames with the landmarks drawn, curves of jaw and eyes below.
    Errors: InputError when a clip shows its face in less than half of its frames.
    """
    video, total = subject.video, subject.frame_count
    points = np.zeros((total, POINT_COUNT, 3), np.float32)
    blendshapes = np.zeros((total, 52), np.float32)
    valid = np.zeros(total, bool)
    names: tuple[str, ...] = ()
    fan = _fan() if settings.landmarks == "face-alignment" else None

    ticks = progress(range(total), "landmarks")
    for clip in subject.clips:
        # A landmarker of its own for each clip: its tracking and smoothing must not look across the border.
        with FaceLandmarker(model, video=True) as landmarker:
            for i in range(clip.first, clip.end):
                next(ticks)
                found = landmarker(video[i], (i - clip.first) * TIMESTAMP_STEP_MS)
                if found is not None:
                    points[i], blendshapes[i], valid[i] = found.points, found.blendshapes, True
            names = names or landmarker.names
        span = slice(clip.first, clip.end)
        _check(clip, valid[span])
        points[span] = interpolate(points[span], valid[span])
        blendshapes[span] = interpolate(blendshapes[span], valid[span])

    arrays: dict[str, Any] = {
        "points": points,
        "blendshapes": blendshapes,
        "valid": valid,
        "names": np.array(names),
        "state": np.array(state),
    }
    if fan is not None:
        arrays["points68"] = _points68(fan, video, points, valid)
    with atomic(out) as temporary:
        np.savez(temporary, **arrays)
    pictures.save(_draw(subject, points, blendshapes, valid, names), picture)


def interpolate(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Rows that are not valid become a linear blend in time of their valid neighbours; the ends repeat the nearest.

    Args:
        values [T, ...], valid [T] bool with at least one True.
    """
    known = np.flatnonzero(valid)
    if known.size == 0:
        raise ValueError("no valid row to interpolate from")
    frames = np.arange(len(values))
    after = known[np.clip(np.searchsorted(known, frames), 0, known.size - 1)]
    before = known[np.clip(np.searchsorted(known, frames, side="right") - 1, 0, known.size - 1)]
    share = np.where(after > before, (frames - before) / np.maximum(after - before, 1), 0.0)
    share = np.clip(share, 0, 1).reshape(-1, *[1] * (values.ndim - 1))
    return ((1 - share) * values[before] + share * values[after]).astype(values.dtype)


def _check(clip: Clip, valid: np.ndarray) -> None:
    if valid.mean() < 0.5:
        missing = np.flatnonzero(~valid)
        raise InputError(
            f"{clip.path}: a face was found in only {valid.mean():.0%} of the frames (first missing at "
            f"{missing[0] / FPS:.1f} s): use a clip that shows the face throughout, or cut it"
        )


def _fan() -> Any:
    """face-alignment's 2D FAN without its detector: mediapipe's box is used instead, so one weight is enough."""
    import torch

    weights = Path(torch.hub.get_dir()) / "checkpoints" / FAN_WEIGHTS
    if not weights.is_file():
        raise AssetError(
            f"landmarks: face-alignment needs {weights} (from {FAN_ADDRESS}): put it there or set landmarks: mediapipe"
        )
    try:
        import face_alignment
    except ImportError as error:
        raise AssetError("landmarks: face-alignment needs `pip install face-alignment`") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = face_alignment.LandmarksType.TWO_D
    return face_alignment.FaceAlignment(kind, device=device, face_detector="folder", compile=False)


def _points68(fan: Any, video: np.ndarray, points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """FAN's 68 points [T, 68, 2] px in the faces' boxes; NaN where no face was found."""
    # The library's own detector (S3FD) gives a reference scale of 195 px for its boxes; its other detectors keep it.
    fan.face_detector.__class__.reference_scale = property(lambda self: 195)
    result = np.full((len(points), 68, 2), np.nan, np.float32)
    for i in progress(np.flatnonzero(valid), "face-alignment"):
        box = [*points[i, :468, :2].min(axis=0), *points[i, :468, :2].max(axis=0)]
        result[i] = fan.get_landmarks_from_image(np.ascontiguousarray(video[i]), detected_faces=[box])[0]
    return result


def _draw(
    subject: Subject, points: np.ndarray, blendshapes: np.ndarray, valid: np.ndarray, names: tuple[str, ...]
) -> Any:
    parts = (
        (FACE_OVAL, (90, 200, 255)),
        (RIGHT_EYE, (80, 255, 80)),
        (LEFT_EYE, (80, 255, 80)),
        (RIGHT_BROW, (255, 200, 60)),
        (LEFT_BROW, (255, 200, 60)),
        (OUTER_LIPS, (255, 90, 90)),
        (INNER_LIPS, (255, 255, 255)),
    )
    side = 2 * pictures.CELL - 100
    cells = []
    for i in pictures.spread(subject.frame_count, 6):
        frame = pictures.cell(subject.video[i], side)
        draw, scale = ImageDraw.Draw(frame), side / max(subject.video.shape[1:3])
        for x, y in points[i, :, :2] * scale:
            draw.point((x, y), fill=(200, 200, 200))
        for indices, colour in parts:
            polygon = points[i, list(indices)]
            pictures.polyline(draw, polygon, colour, scale)
        pictures.label(frame, f"{i / FPS:.1f} s" + ("" if valid[i] else " (no face: interpolated)"))
        cells.append(frame)
    column = {name: k for k, name in enumerate(names)}
    page = pictures.sheet([cells[:3], cells[3:]] if len(cells) > 3 else [cells])
    shown = {
        "jawOpen": blendshapes[:, column["jawOpen"]],
        "eyeBlink": blendshapes[:, [column["eyeBlinkLeft"], column["eyeBlinkRight"]]].mean(axis=1),
        "mouthSmile": blendshapes[:, [column["mouthSmileLeft"], column["mouthSmileRight"]]].mean(axis=1),
        "found": valid.astype(float),
    }
    borders = [clip.first for clip in subject.clips[1:]]
    return pictures.sheet([[page], [pictures.curves(shown, borders, page.width, FPS)]], gap=0)
