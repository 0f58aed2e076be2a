"""Blocks of time for cross-validation: what is judged on a block was fitted on frames well away from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCKS = 5
GAP = 12  # frames left out on either side of a block: speech and lips are alike over about half a second
LEAST_CORRELATION = 0.25  # what is read from speech worse than this would only tremble: it is not followed


@dataclass(frozen=True)
class Blocks:
    """fitted: the frames that models are fitted on, ascending [n]; of_frame [T]: block of each training frame, whether
    fitted or not, -1 for held-out frames, whose model is the one of all fitted frames."""

    fitted: np.ndarray
    of_frame: np.ndarray

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each block and, last, of the held-out frames: the frames [n_k] to fit on and those [m_k] to read."""
        for block in range(BLOCKS):
            inside = self.fitted[self.of_frame[self.fitted] == block]
            near = (self.fitted >= inside[0] - GAP) & (self.fitted <= inside[-1] + GAP)
            yield self.fitted[~near], np.flatnonzero(self.of_frame == block)
        yield self.fitted, np.flatnonzero(self.of_frame < 0)

    def centred(self, series: np.ndarray) -> np.ndarray:
        """The fitted frames' rows [n, K] of a series [T, K], each block without its mean.

        A block's mean is set by mood and posture, of which speech says nothing; a model that reads only the mean of the
        other blocks would be said to read the opposite of it.
        """
        rows = series[self.fitted].astype(np.float64)
        for block in range(BLOCKS):
            inside = self.of_frame[self.fitted] == block
            rows[inside] -= rows[inside].mean(0)
        return rows


def cut_blocks(frame_count: int, train: np.ndarray, fitted: np.ndarray) -> Blocks:
    """Cut the fitted frames into blocks of equal length.

    Args:
        frame_count: T.
        train: all training frames, ascending; each goes to the block of the fitted frame that is nearest in time.
        fitted: those of them that models may be fitted on, ascending, at least BLOCKS.
    """
    of_frame = np.full(frame_count, -1)
    of_fitted = np.repeat(np.arange(BLOCKS), [len(part) for part in np.array_split(fitted, BLOCKS)])
    middles = (fitted[1:] + fitted[:-1]) / 2
    of_frame[train] = of_fitted[np.searchsorted(middles, train)]
    return Blocks(fitted, of_frame)


def correlation(series: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Correlation of columns [n, K] -> [K]; 0 where one of them stands still."""
    series = series.astype(np.float64) - series.mean(0)
    truth = truth.astype(np.float64) - truth.mean(0)
    scale = np.sqrt((series**2).sum(0) * (truth**2).sum(0))
    moved = scale > 1e-9
    return np.where(moved, (series * truth).sum(0) / np.where(moved, scale, 1), 0.0)
