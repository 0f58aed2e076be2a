"""A stretch of somebody talking, as the local sync net takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ua3dtalk.media.sound import clip_sound
from ua3dtalk.speech.whisper import encode_clip, load_encoder, position_share
from ua3dtalk.subject import TOKENS_PER_FRAME, Clip, Subject
from ua3dtalk.sync.lips import lip_measures, visible

ENCODER = "whisper-base"  # whose tokens the net hears

Hear = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Talk:
    """lips float32 [n, 11] of `visible`; tokens float32 [2 n, D], their mean taken off; usable bool [n]: a face."""

    lips: np.ndarray
    tokens: np.ndarray
    usable: np.ndarray

    def __len__(self) -> int:
        return len(self.lips)


def talk(points: np.ndarray, tokens: np.ndarray) -> Talk:
    """A stretch without cuts.

    Args:
        points: landmarks [n, 478, 3] px, nan in frames without a face.
        tokens: speech features [2 n, D] of whisper-base.
    """
    if len(tokens) != TOKENS_PER_FRAME * len(points):
        raise ValueError(f"{len(points)} frames need {TOKENS_PER_FRAME * len(points)} tokens, not {len(tokens)}")
    lips, found = visible(lip_measures(points))
    return Talk(lips, centred(tokens), found)


def clip_talk(subject: Subject, clip: Clip, offset: float, hear: Hear, most: int | None = None) -> Talk:
    """One clip of an actor with the sound of its source, which need not be the one that the bundle's audio.wav has.

    Args:
        subject: clips.json and landmarks.npz are read.
        offset: seconds by which the source's sound is moved.
        hear: from `hearing`.
        most: frames to look at from the clip's first one on; all where None.
    """
    length = min(clip.length, most or clip.length)
    here = slice(clip.first, clip.first + length)
    landmarks = subject.landmarks
    points = np.where(landmarks.valid[here, None, None], landmarks.points[here], np.nan)
    return talk(points, hear(clip_sound(clip, length, offset)))


def centred(tokens: np.ndarray) -> np.ndarray:
    """Tokens without their mean, which is the voice, the room and the microphone."""
    tokens = np.asarray(tokens, np.float32)
    return tokens - tokens.mean(axis=0) if len(tokens) else tokens


def hearing(model: Path) -> Hear:
    """A function from samples float32 [n * 640] to tokens float [2 n, D].

    Args:
        model: folder of the Whisper weights.
    """
    encode = load_encoder(model)
    position = position_share(encode)
    return lambda samples: encode_clip(encode, samples, position)
