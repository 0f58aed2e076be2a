"""Examples for the local sync net: pieces of clips, changed so that no voice and no face is learned by heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ua3dtalk.subject import TOKENS_PER_FRAME
from ua3dtalk.sync.talk import Talk

PIECE = 90  # frames of an example: 3.6 s, whose other moments are the negatives
SPEEDS = (0.8, 1.25)
GAIN = 0.3  # log deviation of how far somebody opens the mouth, of all measures together and of each
LIP_NOISE, LIP_DRIFT = (
    0.15,
    0.3,
)  # in deviations of the piece: the landmarker's, and expressions that speech has no part in
DRIFT_FRAMES = 12
TOKEN_NOISE = 0.3
BLIND = 0.15  # share of measures that an example lacks


def piece(talk: Talk, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """One changed piece of a clip of `in_deviations` at another speed.

    Returns:
        lips float32 [90, 11] and tokens float32 [180, K]; None where the clip at that speed is too short.
    """
    speed = rng.uniform(*SPEEDS)
    length = min(int(np.ceil(PIECE * speed)) + 1, len(talk))
    first = int(rng.integers(0, len(talk) - length + 1))
    if (length - 1) / speed < PIECE - 1:
        return None
    lips = talk.lips[first : first + length]
    tokens = talk.tokens[first * TOKENS_PER_FRAME : (first + length) * TOKENS_PER_FRAME]
    # Token k is centred at k / 2 frames; both are read at the same times.
    lips = at_times(lips, np.arange(PIECE) * speed)
    tokens = at_times(tokens, np.arange(PIECE * TOKENS_PER_FRAME) * speed)
    return _other_face(lips, rng).astype(np.float32), _other_sound(tokens, rng).astype(np.float32)


def at_times(rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rows [n, K] read between by a straight line at times [m] in rows; beyond the ends the last row."""
    times = np.clip(times, 0, len(rows) - 1)
    below = np.minimum(times.astype(int), len(rows) - 2)
    share = (times - below)[:, None]
    return rows[below] * (1 - share) + rows[below + 1] * share


def scales(talks: Sequence[Talk], components: int) -> tuple[np.ndarray, np.ndarray]:
    """Deviations of the measures [11], and the tokens' principal components over theirs [D, components]."""
    lips = np.concatenate([talk.lips for talk in talks]).std(axis=0) + 1e-4
    tokens = np.concatenate([talk.tokens for talk in talks]).astype(np.float64)
    variances, axes = np.linalg.eigh(tokens.T @ tokens / len(tokens))
    variances, axes = variances[::-1][:components], axes[:, ::-1][:, :components]
    # A component's sign is arbitrary; fixed, so that two machines agree.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return lips.astype(np.float32), (axes / (np.sqrt(variances) + 1e-4)).astype(np.float32)


def in_deviations(talk: Talk, lip_scale: np.ndarray, token_axes: np.ndarray) -> Talk:
    """Lips and tokens as the layers of the net take them."""
    return replace(talk, lips=talk.lips / lip_scale, tokens=talk.tokens @ token_axes)


def _other_face(lips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count = lips.shape[1]
    spread = lips.std(axis=0)
    lips = lips * np.exp(rng.normal(0, GAIN, (1, count))) * np.exp(rng.normal(0, GAIN))
    lips = lips + LIP_NOISE * spread * rng.normal(0, 1, lips.shape) + LIP_DRIFT * spread * drift(rng, lips.shape)
    return lips * (rng.random(count) >= BLIND)


def _other_sound(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return tokens + TOKEN_NOISE * rng.normal(0, 1, tokens.shape)


def drift(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random curves [n, K] of unit deviation that change within half a second."""
    taps = np.exp(-0.5 * (np.arange(-2 * DRIFT_FRAMES, 2 * DRIFT_FRAMES + 1) / DRIFT_FRAMES) ** 2)
    noise = rng.normal(0, 1, (shape[0] + len(taps) - 1, shape[1]))
    return np.stack([np.convolve(column, taps, "valid") for column in noise.T], axis=1) / np.linalg.norm(taps)
