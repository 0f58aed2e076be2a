"""Sync-C, Sync-D and the offset as published, with the official weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ua3dtalk.sync.crops import face_boxes, face_crop
from ua3dtalk.sync.distances import SyncFigures, figures, published_curve
from ua3dtalk.sync.mfcc import mfcc
from ua3dtalk.sync.syncnet import FRAMES, MFCC_ROWS, SyncNet

BATCH = 20
MFCC_PER_FRAME = MFCC_ROWS // FRAMES
FULL_SCALE = 32768


def published_figures(
    net: SyncNet, frame: Callable[[int], np.ndarray], points: np.ndarray, samples: np.ndarray
) -> SyncFigures | None:
    """Sync-C (`confidence`), Sync-D (`distance`) and the offset in whole frames.

    Args:
        net: with the official weights.
        frame: gives picture i of a stretch at 25 fps, uint8 [H, W, 3] RGB.
        points: landmarks [n, 478, >= 2] px, finite: a face in every frame.
        samples: the stretch's sound, float [n * 640] in -1..1, 16 kHz.
    Returns:
        None for a stretch of less than six frames, which has no window.
    Source: Chung and Zisserman 2016 and their evaluation: a window for each of the first n - 5 frames, shifts of +-15.
    """
    count = len(points) - FRAMES
    if count < 1:
        return None
    seen = see_faces(net, frame, points, count)
    heard = hear_sound(net, samples, count)
    return figures(published_curve(seen, heard), refine=False)


@torch.inference_mode()
def see_faces(net: SyncNet, frame: Callable[[int], np.ndarray], points: np.ndarray, count: int) -> np.ndarray:
    """Embeddings [count, 1024] of windows of five face crops; memory does not grow with the length."""
    boxes = face_boxes(points)
    crops: dict[int, np.ndarray] = {}
    rows = []
    for first in range(0, count, BATCH):
        windows = range(first, min(first + BATCH, count))
        needed = range(first, windows[-1] + FRAMES)
        crops = {i: crops[i] if i in crops else face_crop(frame(i), boxes[i]) for i in needed}
        batch = np.stack([np.stack([crops[i + k] for k in range(FRAMES)]) for i in windows])
        rows.append(net.see(torch.from_numpy(batch).permute(0, 4, 1, 2, 3).float()))  # [n, 3, 5, 224, 224]
    return torch.cat(rows).numpy()


@torch.inference_mode()
def hear_sound(net: SyncNet, samples: np.ndarray, count: int) -> np.ndarray:
    """Embeddings [count, 1024] of windows of twenty MFCC rows."""
    levels = np.clip(np.rint(np.asarray(samples, float) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    coefficients = mfcc(levels)
    wanted = (count - 1) * MFCC_PER_FRAME + MFCC_ROWS
    coefficients = np.pad(coefficients, ((0, max(wanted - len(coefficients), 0)), (0, 0)), mode="edge")
    rows = []
    for first in range(0, count, BATCH):
        starts = np.arange(first, min(first + BATCH, count)) * MFCC_PER_FRAME
        windows = np.stack([coefficients[start : start + MFCC_ROWS].T for start in starts])
        rows.append(net.hear(torch.from_numpy(windows[:, None]).float()))
    return torch.cat(rows).numpy()
