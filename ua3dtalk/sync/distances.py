"""From embeddings of what was seen and heard to distances over offsets, and from these to the figures.

Offsets have one sign everywhere, SyncNet's: an offset is how far the sound has to be moved to fit the lips. Positive:
the sound comes too early and has to be delayed; negative: it is late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ua3dtalk.subject import FPS

REACH = 15  # frames either way, as published
EPSILON = 1e-6  # torch's pairwise_distance adds it to every difference


@dataclass(frozen=True)
class SyncFigures:
    """confidence: median over offsets minus minimum; distance: the minimum; offset in frames, refined between them."""

    confidence: float
    distance: float
    offset_frames: float

    @property
    def offset_ms(self) -> float:
        return 1000 * self.offset_frames / FPS


def published_curve(seen: np.ndarray, heard: np.ndarray, reach: int = REACH) -> np.ndarray:
    """Mean distance at each shift, as SyncNet's evaluation computes it.

    Args:
        seen, heard: [n, D], one row a frame.
    Returns:
        [2 reach + 1]; entry k compares frame i with the sound of frame i + k - reach. Beyond the clip's ends the
        sound's embedding is zero.
    """
    padded = np.pad(heard, ((reach, reach), (0, 0)))
    return np.array(
        [
            np.linalg.norm(seen - padded[shift : shift + len(seen)] + EPSILON, axis=1).mean()
            for shift in range(2 * reach + 1)
        ]
    )


def curve(seen: np.ndarray, heard: np.ndarray, usable: np.ndarray, reach: int = REACH) -> np.ndarray:
    """Like `published_curve`, but over the pairs that exist: no padding, and only frames that are `usable` [n] bool.

    An offset that no pair exists for has nan.
    """
    sums, counts = pair_sums(seen, heard, usable, reach)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def pair_sums(
    seen: np.ndarray, heard: np.ndarray, usable: np.ndarray, reach: int = REACH
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of distances and number of pairs at each shift, so that clips can be put together: two [2 reach + 1]."""
    sums, counts = np.zeros(2 * reach + 1), np.zeros(2 * reach + 1)
    n = len(seen)
    for entry, shift in enumerate(range(-reach, reach + 1)):
        first, end = max(0, -shift), min(n, n - shift)
        chosen = np.flatnonzero(usable[first:end]) + first if end > first else np.zeros(0, int)
        sums[entry] = np.linalg.norm(seen[chosen] - heard[chosen + shift], axis=1).sum()
        counts[entry] = len(chosen)
    return sums, counts


def figures(distances: np.ndarray, *, refine: bool) -> SyncFigures:
    """What a curve [2 reach + 1] tells.

    Args:
        refine: place the minimum between frames by a parabola through it and its neighbours.
    """
    reach = len(distances) // 2
    least = int(np.nanargmin(distances))
    place = least + (_vertex(distances[least - 1 : least + 2]) if refine and 0 < least < 2 * reach else 0.0)
    return SyncFigures(
        confidence=float(np.nanmedian(distances) - distances[least]),
        distance=float(distances[least]),
        offset_frames=float(reach - place),
    )


def _vertex(three: np.ndarray) -> float:
    """Where the parabola through values at -1, 0, 1 is least; the middle one is the least of them."""
    left, middle, right = three
    bend = left - 2 * middle + right
    return float(0.5 * (left - right) / bend) if np.isfinite(bend) and bend > 1e-12 else 0.0
