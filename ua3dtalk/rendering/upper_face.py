"""Blinks and brows that nobody gave: a small generative model of the training frames' action units.

Blinks are a renewal process: real blinks of the training frames, placed at the intervals that were seen there. The
other units wander around their mean as an autoregressive process with the training frames' deviation and persistence.
Nothing of a held-out frame enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.subject import FPS, Clip

BLINK = 5  # column of AU45
HALF_WIDTH = 5  # frames before and after a blink's peak that belong to it
USUAL_INTERVAL = 4.0  # seconds between blinks where the training frames show fewer than two


@dataclass(frozen=True)
class UpperFaceModel:
    """mean [6], deviation [6] and persistence [6] of the units; blinks [B, 11] AU45 around their peaks;
    intervals [B'] in frames between them; rest: AU45 between blinks."""

    mean: np.ndarray
    deviation: np.ndarray
    persistence: np.ndarray
    blinks: np.ndarray
    intervals: np.ndarray
    rest: float

    def sample(self, length: int, rng: np.random.Generator) -> np.ndarray:
        """Action units [length, 6]."""
        units = np.empty((length, len(self.mean)))
        state = rng.standard_normal(len(self.mean))
        step = np.sqrt(1 - self.persistence**2)
        for frame in range(length):
            state = self.persistence * state + step * rng.standard_normal(len(state))
            units[frame] = self.mean + self.deviation * state
        units[:, BLINK] = self.rest
        # Begin in the middle of an interval, or every clip would open with the same pause.
        peak = int(rng.uniform(0, 1) * rng.choice(self.intervals))
        while peak - HALF_WIDTH < length:
            shape = self.blinks[rng.integers(len(self.blinks))]
            first, last = max(peak - HALF_WIDTH, 0), min(peak + HALF_WIDTH + 1, length)
            if last > first:
                offset = first - (peak - HALF_WIDTH)
                units[first:last, BLINK] = np.maximum(units[first:last, BLINK], shape[offset : offset + last - first])
            peak += max(int(rng.choice(self.intervals)), 2 * HALF_WIDTH)
        return np.clip(units, 0, 5)


def fit_upper_face(units: np.ndarray, runs: list[np.ndarray]) -> UpperFaceModel:
    """Fit the model on training frames.

    Args:
        units: action units [T, 6] of the whole actor.
        runs: frame indices of each unbroken stretch of training frames.
    """
    train = units[np.concatenate(runs)]
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    products, count = np.zeros(units.shape[1]), 0
    blinks, intervals = [], []
    rest = float(np.median(train[:, BLINK]))
    threshold = rest + 0.5 * max(float(train[:, BLINK].max()) - rest, 1e-6)
    for run in runs:
        z = (units[run] - mean) / deviation
        products += (z[1:] * z[:-1]).sum(0)
        count += max(len(run) - 1, 0)
        track = units[run, BLINK]
        peaks = _peaks(track, threshold)
        padded = np.pad(track, HALF_WIDTH, constant_values=rest)
        blinks += [padded[peak : peak + 2 * HALF_WIDTH + 1] for peak in peaks]
        intervals += [after - before for before, after in pairwise(peaks)]
    if not blinks:
        blinks = [np.full(2 * HALF_WIDTH + 1, rest)]
    if not intervals:
        intervals = [round(USUAL_INTERVAL * FPS)]
    persistence = np.clip(products / max(count, 1), 0, 0.995)
    return UpperFaceModel(mean, deviation, persistence, np.stack(blinks), np.array(intervals), rest)


def fit_emotion(units: np.ndarray, clips: Sequence[Clip], emotion: str) -> UpperFaceModel:
    """Fit the model on the training frames of one label of emotion, so that an angry head has angry brows.

    Blinks are those of all training frames: a clip of a few seconds has too few.

    Args:
        units: action units [T, 6] of the whole actor.
        clips: the actor's clips. emotion: a label that one of them has.
    Raises:
        InputError: no clip has the label.
    """
    every = [np.arange(clip.first, clip.test_first) for clip in clips]
    own = [run for run, clip in zip(every, clips, strict=True) if clip.emotion == emotion]
    if not own:
        known = ", ".join(dict.fromkeys(clip.emotion for clip in clips if clip.emotion)) or "none"
        raise InputError(f"no clip is labelled {emotion!r} (labels: {known}): label one in the config")
    usual = fit_upper_face(units, every)
    return replace(fit_upper_face(units, own), blinks=usual.blinks, intervals=usual.intervals, rest=usual.rest)


def _peaks(track: np.ndarray, threshold: float) -> list[int]:
    """Highest frame of every stretch above the threshold."""
    above = np.concatenate([[False], track > threshold, [False]])
    edges = np.flatnonzero(np.diff(above.astype(int)))
    return [int(start + track[start:stop].argmax()) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
