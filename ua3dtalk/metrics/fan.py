"""LMD as the field publishes it, on the 68 points of FAN (Bulat and Tzimiropoulos, ICCV 2017) by face-alignment.

Boxes of faces come from mediapipe's landmarks, as in `face.landmarks`, so that one weight is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ua3dtalk.errors import AssetError
from ua3dtalk.metrics.figures import evenly
from ua3dtalk.metrics.lips import eye_distance, lip_distance_68
from ua3dtalk.metrics.scene import Figures, Reading, Scene, shared_frames
from ua3dtalk.workflow import progress

FILE = "2DFAN4-11f355bf06.pth.tar"  # where face-alignment looks for it
REFERENCE_SCALE = 195.0  # px, of the boxes that FAN was trained on


def load_fan(weights: Path) -> Any:
    """face-alignment's 2D FAN with the given weights.

    Errors: AssetError where the package is missing or the file is not FAN's.
    """
    try:
        import face_alignment
    except ImportError as error:
        raise AssetError("metrics.fan68 needs the package: pip install face-alignment") from error
    with _hub_with(weights):
        try:
            fan = face_alignment.FaceAlignment(
                face_alignment.LandmarksType.TWO_D, device="cpu", face_detector="folder", compile=False
            )
        except Exception as error:  # torch and pickle raise kinds of their own
            raise AssetError(f"{weights} cannot be used as FAN's weights ({type(error).__name__})") from error
    fan.face_detector.__class__.reference_scale = property(lambda self: REFERENCE_SCALE)
    return fan


@contextmanager
def _hub_with(weights: Path) -> Iterator[None]:
    """torch's folder of downloads, replaced by one that holds the file under the name that is looked for."""
    before = torch.hub.get_dir()
    with TemporaryDirectory(prefix="ua3dtalk-") as folder:
        (Path(folder) / "checkpoints").mkdir()
        (Path(folder) / "checkpoints" / FILE).symlink_to(weights.resolve())
        torch.hub.set_dir(folder)
        try:
            yield
        finally:
            torch.hub.set_dir(before)


def points_68(fan: Any, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """FAN's points [68, 2] px in a frame uint8 [H, W, 3] with mediapipe's landmarks [478, >= 2]; nan without a face."""
    if not np.isfinite(points).all():
        return np.full((68, 2), np.nan)
    box = [*points[:468, :2].min(axis=0), *points[:468, :2].max(axis=0)]
    return np.asarray(fan.get_landmarks_from_image(np.ascontiguousarray(frame), detected_faces=[box])[0])


def fan_readings(scene: Scene, fan: Any, most: int) -> list[Reading]:
    """`lmd_fan68_px` and `lmd_fan68_normalised` of each row against its truth, over at most `most` frames."""
    shared, usable = shared_frames(scene)
    chosen = np.flatnonzero(shared)[evenly(int(shared.sum()), most)] if shared.any() else np.zeros(0, int)
    found: list[list[np.ndarray]] = [[] for _ in scene.rows]
    for k, frames in progress(scene.in_step(chosen), "fan68", len(chosen)):
        for number, frame in enumerate(frames):
            found[number].append(points_68(fan, frame, scene.faces[number].points[k]))
    readings = []
    for number in range(len(scene.rows)):
        truth = scene.truth_of(number)
        figures: Figures = {"lmd_fan68_px": None, "lmd_fan68_normalised": None}
        columns = {}
        if usable[number] and usable[truth] and len(chosen):
            distances = lip_distance_68(np.stack(found[number]), np.stack(found[truth]))
            size = eye_distance(scene.faces[truth].points[chosen])
            figures = {
                "lmd_fan68_px": float(distances.mean()),
                "lmd_fan68_normalised": float((distances / size).mean()),
            }
            columns["lmd_fan68_px"] = np.full(len(scene), np.nan)
            columns["lmd_fan68_px"][chosen] = distances
        readings.append(Reading(number, None, {**figures, "fan68_frames": len(chosen)}, columns))
    return readings
