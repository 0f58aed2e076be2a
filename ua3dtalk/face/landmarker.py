"""mediapipe's face landmarker (Tasks) behind one small class.

Points are px of the picture that goes in, (0.5, 0.5) the centre of its first pixel; z has the scale of x and is
smaller nearer to the camera. VIDEO mode tracks from frame to frame and smooths a little: one landmarker per clip.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ua3dtalk.errors import AssetError

POINT_COUNT = 478

# Indices into the 478 points (mediapipe's canonical face mesh); "left" and "right" are the person's own.
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
EYE_CORNERS = (33, 263)


@dataclass(frozen=True)
class Detection:
    """points [478, 3] px, blendshapes [52] in 0..1, matrix [4, 4] (mediapipe's metric pose, cm, OpenGL axes)."""

    points: np.ndarray
    blendshapes: np.ndarray
    matrix: np.ndarray

    @property
    def box(self) -> tuple[float, float, float, float]:
        """left, top, right, bottom of the face (forehead to chin, without hair) in px."""
        left, top = self.points[:468, :2].min(axis=0)
        right, bottom = self.points[:468, :2].max(axis=0)
        return float(left), float(top), float(right), float(bottom)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the C++ library's chatter out of the log: it writes to file descriptor 2 by itself."""
    sys.stderr.flush()
    kept = os.dup(2)
    silent = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silent, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)


class FaceLandmarker:
    """478 points, 52 blendshapes and the metric pose of the faces in a picture or a video.

    Args:
        model: `face_landmarker.task`.
        video: VIDEO mode (one clip, timestamps grow) instead of independent pictures.
        faces: at most so many are looked for.
    Errors: AssetError where the model or mediapipe's libraries are missing.
    """

    def __init__(self, model: Path, video: bool, faces: int = 1) -> None:
        self._video = video
        self.names: tuple[str, ...] = ()
        if not Path(model).is_file():
            raise AssetError(f"{model} is missing: it is the face landmarker's model; fetch the assets first")
        try:
            from mediapipe.tasks.python import BaseOptions, vision
        except (ImportError, OSError) as error:
            raise AssetError(f"mediapipe cannot be loaded ({error}): install libegl1 and libgles2") from error
        mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=mode,
            num_faces=faces,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        try:
            with quiet():
                self._landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:
            first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise AssetError(
                f"{model} is no face landmarker's model ({first_line}): delete it, fetch it again"
            ) from error
        self._first_call = True

    def __enter__(self) -> FaceLandmarker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._landmarker.close()

    def __call__(self, rgb: np.ndarray, timestamp_ms: int = 0) -> Detection | None:
        """The largest face, or None.

        Args:
            rgb: uint8 [H, W, 3].
            timestamp_ms: in VIDEO mode greater than the last one's.
        """
        found = self.all(rgb, timestamp_ms)
        return found[0] if found else None

    def all(self, rgb: np.ndarray, timestamp_ms: int = 0) -> list[Detection]:
        """Every face that is found, the largest first."""
        import mediapipe

        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        # The first call initialises the delegates, which is when the library talks.
        with quiet() if self._first_call else contextlib.nullcontext():
            if self._video:
                result = self._landmarker.detect_for_video(image, int(timestamp_ms))
            else:
                result = self._landmarker.detect(image)
        self._first_call = False
        faces = [self._detection(result, k, rgb.shape) for k in range(len(result.face_landmarks))]
        return sorted(faces, key=lambda face: face.box[1] - face.box[3])

    def _detection(self, result: Any, k: int, shape: Sequence[int]) -> Detection:
        height, width = shape[:2]
        points = np.array([(p.x, p.y, p.z) for p in result.face_landmarks[k]], np.float32)
        shapes = result.face_blendshapes[k]
        if not self.names:
            self.names = tuple(shape.category_name for shape in shapes)
        return Detection(
            points=points * np.array([width, height, width], np.float32),
            blendshapes=np.array([shape.score for shape in shapes], np.float32),
            matrix=np.asarray(result.facial_transformation_matrixes[k], np.float64),
        )
