"""Windows of speech around video frames, never across a clip's border."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ua3dtalk.speech.clips import borders
from ua3dtalk.subject import TOKENS_PER_FRAME, Clip, Speech

MEL_PER_FRAME = 4


def token_windows(speech: Speech, clips: Sequence[Clip], frames: np.ndarray, radius: int) -> np.ndarray:
    """Speech tokens around each frame.

    Args:
        speech: the actor's speech; features [2 T, D].
        clips: the actor's clips, ascending.
        frames: absolute frame indices [n], in any order.
        radius: tokens (20 ms each) on either side of the frame's own two.
    Returns:
        [n, 2 radius + 2, D] in the features' dtype; rows beyond the clip repeat its first or last token.
    """
    return row_windows(speech.features, TOKENS_PER_FRAME, clips, frames, radius)


def mel_windows(speech: Speech, clips: Sequence[Clip], frames: np.ndarray, radius: int) -> np.ndarray:
    """Mel rows (10 ms each) around each frame: [n, 2 radius + 4, 80]; else like `token_windows`."""
    return row_windows(speech.mel, MEL_PER_FRAME, clips, frames, radius)


def heard_alone(frames: np.ndarray, clips: Sequence[Clip], reach: int) -> np.ndarray:
    """The training frames among `frames` [n] whose windows of `reach` frames either side hear no held-out frame."""
    return np.concatenate([frames[(frames >= clip.first) & (frames < clip.test_first - reach)] for clip in clips])


def row_windows(rows: np.ndarray, per_frame: int, clips: Sequence[Clip], frames: np.ndarray, radius: int) -> np.ndarray:
    """Windows over rows that come `per_frame` to a frame.

    Args:
        rows: [per_frame * T, D].
        per_frame: rows of one frame.
        clips, frames, radius: as in `token_windows`, the radius in rows.
    Returns:
        [n, 2 radius + per_frame, D].
    """
    if radius < 0:
        raise ValueError("radius must not be negative")
    frames = np.asarray(frames)
    first, end = borders(clips, frames)
    offsets = np.arange(-radius, per_frame + radius)
    index = frames[:, None] * per_frame + offsets
    return rows[np.clip(index, first[:, None] * per_frame, end[:, None] * per_frame - 1)]
