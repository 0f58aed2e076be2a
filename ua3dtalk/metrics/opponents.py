"""Trivial opponents: show a training frame. Whatever is learned has to beat them on the same frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ua3dtalk.speech.windows import row_windows
from ua3dtalk.subject import TOKENS_PER_FRAME, Clip, Speech, Tracking

POINT_STEP = 8  # of the 478 landmarks every eighth describes a pose well enough
AUDIO_COMPONENTS = 32
AUDIO_RADIUS = 4  # tokens on either side of the frame's own two


def nearest_by_pose(tracking: Tracking, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """For each test frame the training frame whose head stands most like it: absolute indices [n].

    Args:
        tracking: cameras of all frames (finite), the neutral landmarks.
        train, test: absolute frame indices.
    Poses differ by the root mean square distance, in px, between the neutral landmarks seen under both.
    """
    points = tracking.neutral[::POINT_STEP].astype(np.float64)
    cameras = tracking.world_to_camera.astype(np.float64)
    seen = np.einsum("tij,pj->tpi", cameras[:, :3, :3], points) + cameras[:, None, :3, 3]
    pixels = np.einsum("tij,tpj->tpi", tracking.K[:, :2, :2], seen[..., :2] / np.maximum(seen[..., 2:], 1e-6))
    flat = (pixels + tracking.K[:, None, :2, 2]).reshape(len(pixels), -1)
    return train[nearest_rows(flat[test], flat[train])]


def nearest_by_audio(speech: Speech, clips: Sequence[Clip], train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """For each test frame the training frame that sounds most like it: absolute indices [n].

    Windows of 10 tokens (200 ms), each token reduced to the 32 leading principal components of the training frames.
    """
    own = (train[:, None] * TOKENS_PER_FRAME + np.arange(TOKENS_PER_FRAME)).reshape(-1)
    sample = speech.features[own[:: max(len(own) // 5000, 1)]].astype(np.float32)
    mean = sample.mean(axis=0)
    _, _, axes = np.linalg.svd(sample - mean, full_matrices=False)
    reduced = speech.features @ axes[:AUDIO_COMPONENTS].T - mean @ axes[:AUDIO_COMPONENTS].T

    def windows(frames: np.ndarray) -> np.ndarray:
        return row_windows(reduced, TOKENS_PER_FRAME, clips, frames, AUDIO_RADIUS).reshape(len(frames), -1)

    return train[nearest_rows(windows(test), windows(train))]


def nearest_rows(wanted: np.ndarray, rows: np.ndarray, block: int = 256) -> np.ndarray:
    """Index of the row [m, D] that is nearest to each wanted one [n, D]: [n]."""
    squares = (rows**2).sum(axis=1)
    blocks = [wanted[first : first + block] for first in range(0, len(wanted), block)]
    return np.concatenate([np.argmin(squares - 2 * piece @ rows.T, axis=1) for piece in blocks])
