"""Speech features that another tool has written: DeepSpeech, HuBERT, wav2vec2 and their like, as .npy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.errors import ConfigError, InputError
from ua3dtalk.reading import map_npy, reading
from ua3dtalk.subject import FPS, TOKENS_PER_FRAME, Clip

TOLERANCE_FRAMES = 2  # encoders drop or add a token at the end of an audio file
CLIP_FIELD = "{clip}"


def read_features(pattern: str, clips: Sequence[Clip]) -> np.ndarray:
    """Features of all clips from the file or files that the config names.

    Args:
        pattern: a .npy over the whole actor, or one per clip with ``{clip}`` in place of the clip's file name
            without suffix.
        clips: the actor's clips.
    Returns:
        float16 [2 T, D].
    """
    if CLIP_FIELD not in pattern:
        if len(clips) > 1:
            raise ConfigError(
                f"speech.features_file: {len(clips)} clips need a file each: write {CLIP_FIELD} for the clip's name"
            )
        return fit_length(load_tokens(Path(pattern), clips[0].length), clips[0].length, pattern)
    parts = []
    for clip in clips:
        path = Path(pattern.replace(CLIP_FIELD, Path(clip.path).stem))
        parts.append(fit_length(load_tokens(path, clip.length), clip.length, str(path)))
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise InputError(f"{pattern}: the clips' features have different widths {sorted(widths)}: use one encoder")
    return np.concatenate(parts)


def load_tokens(path: Path, frames: int) -> np.ndarray:
    """Read one file as tokens at 50 Hz: float16 [S, D].

    Args:
        path: .npy with [S, D] at 50 Hz, or [N, W, D] with one window of W tokens a frame: W = 2 are the frame's own
            tokens (HuBERT style), wider windows hold them in the middle (DeepSpeech style, W = 16).
        frames: frames of the clip, for the message only.
    """
    if not path.exists():
        raise InputError(f"{path} is missing: speech.features_file must name a .npy file")
    with reading(path, "it is not a .npy file of numbers, export it again", InputError):
        data = map_npy(path)
    if data.dtype.kind != "f" or data.ndim not in (2, 3) or 0 in data.shape:
        raise InputError(
            f"{path} holds {data.dtype} {list(data.shape)}: expected floats [{2 * frames}, D] at 50 Hz "
            f"or [{frames}, W, D] at {FPS} fps"
        )
    if data.ndim == 3:
        data = middle_tokens(data, path)
    tokens = np.asarray(data, dtype=np.float16)
    if not np.isfinite(tokens).all():
        raise InputError(f"{path} holds values that are not finite, or beyond 65504")
    return tokens


def middle_tokens(windows: np.ndarray, path: Path) -> np.ndarray:
    """The two tokens that belong to the frame itself: [N, W, D] -> [2 N, D].

    A window of 16 over frame i holds tokens 2 i - 8 .. 2 i + 7, so its own stand at 8 and 9.
    Source: AD-NeRF's DeepSpeech features, which the field still uses.
    """
    count, width, channels = windows.shape
    if width % 2:
        raise InputError(f"{path} has windows of {width} tokens: an even number is needed, two tokens make a frame")
    left = 0 if width == TOKENS_PER_FRAME else width // 2
    return windows[:, left : left + TOKENS_PER_FRAME].reshape(count * TOKENS_PER_FRAME, channels)


def fit_length(tokens: np.ndarray, frames: int, name: str) -> np.ndarray:
    """Cut or repeat the last token to fill exactly 2 tokens a frame; more than 2 frames apart is an error."""
    wanted = frames * TOKENS_PER_FRAME
    if abs(len(tokens) - wanted) > TOLERANCE_FRAMES * TOKENS_PER_FRAME:
        raise InputError(
            f"{name} covers {len(tokens) / TOKENS_PER_FRAME:g} frames of {FPS} fps, the video has {frames}: "
            "compute the features from this clip's own sound at 50 tokens a second"
        )
    tokens = tokens[:wanted]
    return np.concatenate([tokens, np.repeat(tokens[-1:], wanted - len(tokens), axis=0)])
