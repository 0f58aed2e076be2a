"""How sure a mean over frames is: the block bootstrap of a paired difference.

Neighbouring frames are alike, so frames cannot be drawn one by one: whole blocks are. A block is a stretch of frames
of one clip; it may begin anywhere in it and goes on at the clip's beginning when it comes to its end, so that every
frame is drawn equally often. A clip that is not longer than a block is drawn as a whole.

Source: Künsch, "The jackknife and the bootstrap for general stationary observations", 1989 (blocks); Politis and
Romano, "A circular block-resampling procedure for stationary data", 1992 (circular blocks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

LEAST_BLOCKS = 3  # fewer tell nothing of how they scatter


@dataclass(frozen=True)
class Resampled:
    """Means of resampled frames.

    Attributes:
        mean: of all frames.
        deviations: [R] of the resampled means from it, widened for the number of blocks.
    """

    mean: float
    deviations: np.ndarray


def resample(clips: Sequence[np.ndarray], block: int, resamples: int, rng: np.random.Generator) -> Resampled | None:
    """Resample the mean over the frames of all clips.

    Args:
        clips: values [n_c] of each clip's frames in order, NaN where a frame was not looked at.
        block: frames of a block, those that were not looked at among them.
    Returns:
        None where the clips hold fewer than LEAST_BLOCKS blocks, or a block can be empty.
    """
    clips = [clip for clip in clips if len(clip)]
    blocks = sum(max(len(clip) / block, 1.0) for clip in clips)
    if not clips or blocks < LEAST_BLOCKS:
        return None
    sums, counts, weights = (np.concatenate(parts) for parts in zip(*(_blocks(c, block) for c in clips), strict=True))
    if not counts.all():
        return None
    drawn = rng.choice(len(sums), size=(resamples, round(blocks)), p=weights / weights.sum())
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    mean = float(np.nanmean(np.concatenate(clips)))
    return Resampled(mean, widening(round(blocks)) * (means - mean))


def _blocks(clip: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the block that begins at each frame of a clip: sum and number of its values, and how often it is to be drawn;
    each [n]."""
    length = min(block, len(clip))
    share = max(len(clip) / block, 1.0) / len(clip)
    known = np.isfinite(clip)

    def over_blocks(values: np.ndarray) -> np.ndarray:
        turns = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: length - 1]]))])
        return np.asarray(turns[length:] - turns[:-length])

    counts = np.rint(over_blocks(known.astype(np.float64)))
    return over_blocks(np.where(known, clip, 0.0)), counts, np.full(len(clip), share)


def widening(blocks: int) -> float:
    """What makes up for few blocks.

    They scatter less around their own mean than around the true one (n over n - 1), and how much they scatter is itself
    known from few (Student's t over the normal deviate, at 95 %).
    """
    return float(np.sqrt(blocks / (blocks - 1)) * t.ppf(0.975, blocks - 1) / norm.ppf(0.975))


def interval(parts: Sequence[Resampled], level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean over several independent parts (actors), each with its own frames.

    A basic interval of the percentiles: mean minus the deviations' upper and lower ones.
    """
    mean = float(np.mean([part.mean for part in parts]))
    deviations = np.mean([part.deviations for part in parts], axis=0)
    low, high = np.quantile(deviations, [(1 + level) / 2, (1 - level) / 2])
    return mean - float(low), mean - float(high)
