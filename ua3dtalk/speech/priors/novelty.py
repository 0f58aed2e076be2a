"""How unlike the training speech a sound is: distances to its nearest windows of mel.

Of mel alone: the encoder's tokens are made to be much the same for all speakers, so they hardly tell a foreign voice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ua3dtalk.speech.priors.blocks import Blocks
from ua3dtalk.speech.priors.hearing import CHUNK, evenly
from ua3dtalk.speech.priors.kernel import squared_distances

SUPPORTS = 600  # training windows that sounds are compared with
NEIGHBOURS = 5


@dataclass(frozen=True)
class Novelty:
    """supports [n, F]: windows of mel of training frames; usual []: mean squared distance of speech that they hold
    nothing of but that is the actor's."""

    supports: np.ndarray
    usual: np.ndarray

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Novelty [m] of windows [m, F]: about 1 for the actor's own speech, more for other sounds."""
        return nearest(windows, self.supports) / float(self.usual)


def nearest(windows: np.ndarray, supports: np.ndarray) -> np.ndarray:
    """Mean squared distance [m] of windows [m, F] to the few nearest of the supports [n, F]."""
    count = min(NEIGHBOURS, len(supports))
    parts = np.array_split(windows, len(windows) // CHUNK + 1)
    near = [np.partition(squared_distances(part, supports), count - 1, axis=1)[:, :count].mean(1) for part in parts]
    return np.concatenate(near)


def fit_novelty(windows: np.ndarray, blocks: Blocks) -> tuple[Novelty, np.ndarray]:
    """From the windows of all frames [T, F].

    Returns:
        what measures new speech, and the novelty [T] of every frame's, training frames' by the other blocks.
    """
    distance = np.zeros(len(windows))
    for rows, frames in blocks:
        supports = windows[evenly(rows, SUPPORTS)]
        distance[frames] = nearest(windows[frames], supports)
    usual = float(distance[blocks.fitted].mean()) or 1.0  # zero where a clip is silent throughout
    return Novelty(supports.astype(np.float32), np.array(usual, np.float32)), distance / usual
