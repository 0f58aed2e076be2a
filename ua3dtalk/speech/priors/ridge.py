"""Ridge regression on a plain window of tokens and mel: the trivial opponent, and one voice of the lip expert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ua3dtalk.speech.priors.blocks import Blocks
from ua3dtalk.speech.priors.hearing import CHUNK, evenly
from ua3dtalk.speech.windows import mel_windows, token_windows
from ua3dtalk.subject import Clip, Speech

TOKENS, MEL = 4, 6  # rows on either side
PENALTIES = np.logspace(-3, 3, 13)
STILL = 1e-4


@dataclass(frozen=True)
class Ridge:
    """mean, scale [F] of the windows; weights [F, 64]; bias [64]."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def read(self, speech: Speech, clips: Sequence[Clip], frames: np.ndarray) -> np.ndarray:
        """Expressions [n, 64] float32 around frames [n]."""
        parts = [(part - self.mean) * self.scale @ self.weights + self.bias for part in _windows(speech, clips, frames)]
        return np.concatenate(parts).astype(np.float32)


def ridge_by_blocks(
    speech: Speech, clips: Sequence[Clip], targets: np.ndarray, blocks: Blocks, most: int
) -> tuple[np.ndarray, Ridge]:
    """Cross-validated ridge regression, a penalty for each coefficient.

    Args:
        targets: [T, 64].
        blocks: of the training frames.
        most: at most so many frames to fit on, evenly taken.
    Returns:
        what is read of each frame by a regression that did not see it [T, 64] float32, and the one of all fitted ones.
    """
    supports = evenly(blocks.fitted, most)
    windows = np.concatenate(list(_windows(speech, clips, supports)))
    mean = windows.mean(0)
    scale = 1 / ((windows.std(0) + STILL) * np.sqrt(len(mean)))
    standard = (windows - mean) * scale
    everything = _windows(speech, clips, np.arange(len(targets)))
    kernel = np.concatenate([(part - mean) * scale @ standard.T for part in everything]).astype(np.float64)
    read = np.zeros((len(PENALTIES), *targets.shape), np.float32)
    for rows, frames in blocks:
        chosen = np.flatnonzero(np.isin(supports, rows))
        own = supports[chosen]
        values, vectors = np.linalg.eigh(kernel[np.ix_(own, chosen)])
        bias = targets[own].mean(0)
        rotated = vectors.T @ (targets[own] - bias)
        duals = [vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None]) for penalty in PENALTIES]
        for index, dual in enumerate(duals):
            read[index, frames] = kernel[np.ix_(frames, chosen)] @ dual + bias
    truth = blocks.centred(targets)
    best = np.argmin([((blocks.centred(guess) - truth) ** 2).mean(0) for guess in read], axis=0)
    columns = np.arange(targets.shape[1])
    weights = standard[chosen].T @ np.stack(duals)[best, :, columns].T
    parts = (part.astype(np.float32) for part in (mean, scale, weights, bias))
    return read[best, :, columns].T.copy(), Ridge(*parts)


def _windows(speech: Speech, clips: Sequence[Clip], frames: np.ndarray) -> Iterator[np.ndarray]:
    """Windows [n, F] float32, some frames at a time."""
    for part in np.array_split(frames, len(frames) // CHUNK + 1):
        tokens = token_windows(speech, clips, part, TOKENS).reshape(len(part), -1)
        mel = mel_windows(speech, clips, part, MEL).reshape(len(part), -1)
        yield np.hstack([tokens, mel]).astype(np.float32)
