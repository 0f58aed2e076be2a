"""The figures of every row: pixels, perceptual distance, lips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.image import crop, psnr, ssim
from ua3dtalk.metrics.lips import eye_distance, gain, lip_distance, mouth_opening, partial_correlation
from ua3dtalk.metrics.rows import Row
from ua3dtalk.metrics.units import blendshape_error
from ua3dtalk.perceptual import PerceptualDistance, limit_side
from ua3dtalk.workflow import progress

BATCH = 8

Figures = dict[str, float | int | None]


def whole_squares(count: int, shape: Sequence[int]) -> np.ndarray:
    """Squares (left, top, side) that take all of square frames: [count, 3]."""
    return np.tile([0, 0, min(shape[:2])], (count, 1))


def pixel_figures(rows: Sequence[Row], squares: np.ndarray, workers: int) -> list[Figures]:
    """Mean PSNR and SSIM of each row against the first one, inside the squares [n, 3]; infinity is None."""
    truth = rows[0]

    def one(row: Row) -> Figures:
        if row is truth:
            return {"psnr": None, "ssim": 1.0}
        values = []
        for k, square in enumerate(squares):
            shown, wanted = crop(row.frame(k), square), crop(truth.frame(k), square)
            values.append((psnr(shown, wanted), ssim(shown, wanted)))
        mean_psnr, mean_ssim = np.mean(values, axis=0)
        return {"psnr": float(mean_psnr) if math.isfinite(mean_psnr) else None, "ssim": float(mean_ssim)}

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, rows))


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers 0..count-1, evenly taken."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def perceptual_figures(
    rows: Sequence[Row], squares: np.ndarray, distance: PerceptualDistance, most: int
) -> list[Figures]:
    """Mean perceptual distance of each row to the first one over at most `most` frames, evenly taken."""
    chosen = evenly(len(squares), most)
    sums = np.zeros(len(rows))
    batches = [chosen[first : first + BATCH] for first in range(0, len(chosen), BATCH)]
    for batch in progress(batches, distance.name):
        truth = distance.features(_cut(rows[0], squares, batch))
        for number, row in enumerate(rows[1:], start=1):
            sums[number] += distance.between(distance.features(_cut(row, squares, batch)), truth).sum()
    return [{distance.name: float(total / len(chosen)), "perceptual_frames": len(chosen)} for total in sums]


def _cut(row: Row, squares: np.ndarray, frames: np.ndarray) -> np.ndarray:
    return np.stack([limit_side(crop(row.frame(k), squares[k])) for k in frames])


def landmark_figures(faces: Sequence[Faces], poses: np.ndarray) -> list[Figures]:
    """Lips and units of each row against the first one, on the frames where all rows have a face.

    Args:
        faces: of each row; the truth's first.
        poses: yaw, pitch, roll, distance of the held-out frames [n, 4].
    Returns:
        figures of each row. A row without a face in more than half of its frames gets None and does not take frames
        from the others.
    """
    usable = [face.found.mean() > 0.5 for face in faces]
    shared = np.isfinite(poses).all(axis=1)
    for face, good in zip(faces, usable, strict=True):
        shared &= face.found | (not good)
    return [
        {
            **_against_truth(face, faces[0], shared, poses, good and usable[0]),
            "landmark_frames": int(shared.sum()) if good and usable[0] else 0,
            "frames_without_face": int((~face.found).sum()),
        }
        for face, good in zip(faces, usable, strict=True)
    ]


def _against_truth(face: Faces, truth: Faces, frames: np.ndarray, poses: np.ndarray, good: bool) -> Figures:
    names = ("lmd_px", "lmd_normalised", "aue", "aue_upper", "aue_lower")
    correlations = ("mouth_opening_correlation", "mouth_opening_correlation_plain", "mouth_opening_gain")
    if not good or not frames.any():
        return dict.fromkeys((*names, *correlations))
    points, wanted = face.points[frames], truth.points[frames]
    distances = lip_distance(points, wanted)
    opening, wanted_opening = mouth_opening(points), mouth_opening(wanted)
    return {
        "lmd_px": float(distances.mean()),
        "lmd_normalised": float((distances / eye_distance(wanted)).mean()),
        **blendshape_error(face.blendshapes[frames], truth.blendshapes[frames], truth.names),
        "mouth_opening_correlation": partial_correlation(opening, wanted_opening, poses[frames]),
        "mouth_opening_correlation_plain": partial_correlation(opening, wanted_opening, poses[frames][:, :0]),
        "mouth_opening_gain": gain(opening, wanted_opening, poses[frames]),
    }
