"""Synthetic talkers for tests: lips that follow some of the speech, as late as one likes."""

from __future__ import annotations

import numpy as np
from tiny_subject import smooth

from ua3dtalk.sync.lips import MEASURES
from ua3dtalk.sync.talk import Talk, centred

SOURCES, WIDTH = 4, 24


def talker(frames: int, seed: int, *, late: float = 0.0, still: bool = False) -> Talk:
    """Lips [n, 11] and tokens [2 n, 24] made of the same curves; the sound is `late` frames after the lips."""
    language = np.random.default_rng(99)  # how curves sound and look is the same for everybody
    sounds, shapes = language.normal(size=(SOURCES, WIDTH)), language.normal(size=(SOURCES, MEASURES))
    rng = np.random.default_rng(seed)
    margin = 40
    curves = smooth(rng, frames + 2 * margin, SOURCES, 1.5)
    now = margin + np.arange(frames)
    heard = margin + np.arange(2 * frames) / 2 - late
    at = np.arange(len(curves))
    seen = np.stack([np.interp(now, at, curve) for curve in curves.T], axis=1)
    spoken = np.stack([np.interp(heard, at, curve) for curve in curves.T], axis=1)
    lips = seen @ shapes * rng.uniform(0.7, 1.4, MEASURES) + 0.3 * rng.normal(size=(frames, MEASURES))
    tokens = spoken @ sounds + 0.3 * rng.normal(size=(2 * frames, WIDTH)) + rng.normal(size=WIDTH)
    if still:
        lips = 0.3 * rng.normal(size=lips.shape)
    return Talk((lips - np.median(lips, axis=0)).astype(np.float32), centred(tokens), np.ones(frames, bool))
