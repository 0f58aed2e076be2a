"""Blinks: how often and how long, from the curve of closed eyes (0 open, 1 closed)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

PROMINENCE = 0.25  # of the landmarker's eyeBlink; looking down raises it slowly and by less in between
LONGEST = 0.7  # s at half height: longer ones are closed eyes, not a blink
SHORTEST_GAP = 0.12  # s between the middles of two blinks
NAMES = ("eyeBlinkLeft", "eyeBlinkRight")


@dataclass(frozen=True)
class Blinks:
    """Middles (frames) and durations at half height (s) of the blinks, and the seconds that were looked at."""

    frames: np.ndarray
    durations: np.ndarray
    seconds: float

    @property
    def per_minute(self) -> float | None:
        return 60 * len(self.frames) / self.seconds if self.seconds > 0 else None

    @property
    def mean_duration(self) -> float | None:
        return float(self.durations.mean()) if len(self.durations) else None


def eye_closure(blendshapes: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Mean of both eyes' closure [n] from blendshapes [n, 52]."""
    return np.asarray(blendshapes[:, [names.index(name) for name in NAMES]].mean(axis=1, dtype=np.float64))


def find_blinks(closure: np.ndarray, rate: float) -> Blinks:
    """Blinks of a curve [n] at `rate` frames a second; frames without a face (nan) end what is looked at.

    A blink is a peak that rises by `PROMINENCE` above the higher of the two valleys beside it and is at most `LONGEST`
    wide at half of that height.
    """
    frames, durations = [], []
    known = np.isfinite(closure)
    for first, end in _runs(known):
        curve = closure[first:end]
        peaks, found = find_peaks(
            curve,
            prominence=PROMINENCE,
            distance=max(round(SHORTEST_GAP * rate), 1),
            width=(0, LONGEST * rate),
            rel_height=0.5,
        )
        frames += [first + int(peak) for peak in peaks]
        durations += [float(width) / rate for width in found["widths"]]
    return Blinks(np.array(frames, int), np.array(durations), float(known.sum()) / rate)


def _runs(known: np.ndarray) -> list[tuple[int, int]]:
    """First and end of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
