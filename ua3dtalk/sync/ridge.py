"""The trivial opponent of the sync net: mouth opening as a linear function of speech, correlated with the one seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ua3dtalk.subject import TOKENS_PER_FRAME
from ua3dtalk.sync.distances import REACH, SyncFigures, figures
from ua3dtalk.sync.talk import Talk

OPENING = 0  # column of the measures
RADIUS = 2  # frames either side of a frame's own
PENALTY = 3.0  # of the mean diagonal entry


class Ridge:
    """Weights from windows of tokens to mouth opening, fitted by least squares with a penalty."""

    def __init__(self, talks: Sequence[Talk]) -> None:
        inputs = np.concatenate([_windows(talk.tokens) for talk in talks])
        opening = np.concatenate([talk.lips[:, OPENING] for talk in talks])
        self.scale = inputs.std(axis=0) + 1e-6
        inputs /= self.scale
        gram = inputs.T @ inputs
        gram[np.diag_indices_from(gram)] += PENALTY * len(inputs)
        self.weights = np.linalg.solve(gram, inputs.T @ opening)

    def measure(self, talk: Talk) -> SyncFigures:
        """Figures of one minus the correlation at each offset."""
        heard = _windows(talk.tokens) / self.scale @ self.weights
        seen, n = talk.lips[:, OPENING], len(talk)
        curve = []
        for shift in range(-REACH, REACH + 1):
            first, end = max(0, -shift), min(n, n - shift)
            chosen = np.flatnonzero(talk.usable[first:end]) + first if end > first else np.zeros(0, int)
            known = len(chosen) > REACH
            curve.append(1 - np.corrcoef(seen[chosen], heard[chosen + shift])[0, 1] if known else np.nan)
        return figures(np.array(curve), refine=True)


def _windows(tokens: np.ndarray) -> np.ndarray:
    """Tokens [2 n, D] as windows of five frames' means, [n, 5 D]."""
    means = tokens.reshape(-1, TOKENS_PER_FRAME, tokens.shape[1]).mean(axis=1)
    index = np.arange(len(means))[:, None] + np.arange(-RADIUS, RADIUS + 1)
    return means[np.clip(index, 0, len(means) - 1)].reshape(len(index), -1)
