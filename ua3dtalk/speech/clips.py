"""Small helpers over the clips of the frame index that every part of this room needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ua3dtalk.errors import DataError
from ua3dtalk.subject import SAMPLES_PER_FRAME, Clip


def clip_samples(samples: np.ndarray, clip: Clip) -> np.ndarray:
    """The samples of one clip out of the actor's audio: [length * 640]."""
    return samples[clip.first * SAMPLES_PER_FRAME : clip.end * SAMPLES_PER_FRAME]


def check_length(samples: np.ndarray, frames: int) -> None:
    """The audio of the bundle has exactly 640 samples a frame; anything else would shift lips against sound."""
    if len(samples) != frames * SAMPLES_PER_FRAME:
        raise DataError(
            f"audio.wav has {len(samples)} samples where {frames} frames need {frames * SAMPLES_PER_FRAME}: "
            "delete it and run the decode stage again"
        )


def borders(clips: Sequence[Clip], frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First frame and one past the last frame of the clip that each frame lies in: two int arrays [n]."""
    firsts = np.array([clip.first for clip in clips])
    ends = np.array([clip.end for clip in clips])
    frames = np.asarray(frames)
    if frames.size and (frames.min() < 0 or frames.max() >= ends[-1]):
        raise ValueError(f"frames must lie in 0..{ends[-1] - 1}")
    which = np.searchsorted(ends, frames, side="right")
    return firsts[which], ends[which]
