"""What the local sync net says of talk: the curve over offsets, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ua3dtalk.sync.distances import REACH, SyncFigures, figures, pair_sums
from ua3dtalk.sync.net import LocalSync
from ua3dtalk.sync.talk import Talk

FEWEST_PAIRS = 10  # of frames and sounds at an offset, for its mean distance to count
FEWEST_OFFSETS = REACH  # of the 31, for a median to mean anything
SHUFFLES = 40
TRUSTED = 0.95  # share of shuffled sounds that the true one has to beat
BLOCK = 25  # frames left out at a time, for the offset's error

Embedded = tuple[np.ndarray, np.ndarray, np.ndarray]  # seen [n, D], heard [n, D], usable [n]


@dataclass(frozen=True)
class Verdict:
    """figures; curve [31] of mean distances; offset_error: one standard error of the offset in frames, by leaving out
    seconds; beats_shuffled: share of wrong sounds over which the true one is more confident, None in under 2.5 s."""

    figures: SyncFigures
    curve: np.ndarray
    offset_error: float
    beats_shuffled: float | None

    @property
    def trusted(self) -> bool:
        """Whether the offset is that of these lips and this sound, and no accident."""
        return self.beats_shuffled is not None and self.beats_shuffled >= TRUSTED


def embed(net: LocalSync, talks: Sequence[Talk]) -> list[Embedded]:
    """What is seen and heard in each stretch."""
    return [(*net.embed(talk), talk.usable) for talk in talks if len(talk)]


def pooled_curve(stretches: Sequence[Embedded]) -> np.ndarray:
    """Mean distance at each offset over all stretches, [31]; nan where there are too few pairs."""
    sums, counts = np.zeros(2 * REACH + 1), np.zeros(2 * REACH + 1)
    for seen, heard, usable in stretches:
        more, pairs = pair_sums(seen, heard, usable)
        sums, counts = sums + more, counts + pairs
    return np.where(counts >= FEWEST_PAIRS, sums / np.maximum(counts, 1), np.nan)


def measure(stretches: Sequence[Embedded]) -> SyncFigures | None:
    """Confidence, distance and offset, as published but on the local net's distances; None for too short a stretch."""
    distances = pooled_curve(stretches)
    return figures(distances, refine=True) if np.isfinite(distances).sum() >= FEWEST_OFFSETS else None


def judge(stretches: Sequence[Embedded], seed: int = 0) -> Verdict | None:
    """`measure`, and how far it can be trusted; None for too short a stretch."""
    found = measure(stretches)
    if found is None:
        return None
    return Verdict(found, pooled_curve(stretches), offset_error(stretches), beats_shuffled(stretches, seed))


def beats_shuffled(stretches: Sequence[Embedded], seed: int = 0) -> float | None:
    """Share of wrong sounds over which the true one is more confident.

    A wrong sound is the same speech turned round by more than the offsets that are looked at (the end goes on with the
    beginning), forwards and backwards in time: the same sounds, the same loudness, other moments.
    """
    rng = np.random.default_rng(seed)
    long = [stretch for stretch in stretches if len(stretch[0]) > 4 * REACH + 2]
    own = measure(long)
    if own is None:
        return None
    beaten = 0
    for number in range(SHUFFLES):
        wrong = measure([_turned(stretch, rng, backwards=number % 2 == 1) for stretch in long])
        beaten += wrong is None or wrong.confidence < own.confidence
    return beaten / SHUFFLES


def offset_error(stretches: Sequence[Embedded]) -> float:
    """Standard error of the offset in frames: jackknife over blocks of a second; infinite for less than two."""
    blocks = [
        (number, first)
        for number, (seen, _, _) in enumerate(stretches)
        for first in range(0, max(len(seen) - BLOCK // 2, 1), BLOCK)
    ]
    found = []
    for number, first in blocks:
        seen, heard, usable = stretches[number]
        kept = usable.copy()
        kept[first : first + BLOCK] = False
        without = [*stretches[:number], (seen, heard, kept), *stretches[number + 1 :]]
        figure = measure(without)
        if figure is not None:
            found.append(figure.offset_frames)
    count = len(found)
    return float(np.sqrt((count - 1) * np.var(found))) if count > 1 else float("inf")


def _turned(stretch: Embedded, rng: np.random.Generator, *, backwards: bool) -> Embedded:
    seen, heard, usable = stretch
    shift = int(rng.integers(2 * REACH + 1, len(heard) - 2 * REACH))
    return seen, np.roll(heard[::-1] if backwards else heard, shift, axis=0), usable
