"""Intervals of means over frames: they cover, and they know how few frames there are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from ua3dtalk.report.bootstrap import LEAST_BLOCKS, Resampled, interval, resample, widening

BLOCK = 25
TRIALS = 300


def alike(rng: np.random.Generator, length: int, memory: float) -> np.ndarray:
    """A stationary series of unit deviation and mean 0 in which a frame keeps a share of the one before."""
    noise = rng.standard_normal(length) * np.sqrt(1 - memory**2)
    noise[0] = rng.standard_normal()
    return np.asarray(lfilter([1], [1, -memory], noise))


@pytest.mark.parametrize(
    ("lengths", "memory"),
    [
        ([125], 0.0),
        ([125], 0.8),
        ([500], 0.8),
        ([42, 42, 42], 0.8),
        ([7] * 30, 0.9),
        ([40] * 10, 0.8),
        ([10, 90, 200], 0.8),
    ],
)
def test_the_interval_covers_the_true_mean(lengths: list[int], memory: float) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(TRIALS):
        drawn = resample([3 + alike(rng, length, memory) for length in lengths], BLOCK, 200, rng)
        assert drawn is not None
        low, high = interval([drawn])
        covered += low <= 3 <= high
    # 95 % is asked for, 90 % promised where neighbours are alike; .035 is two deviations of 300 trials.
    assert covered / TRIALS >= 0.90 - 0.035


def test_drawing_single_frames_would_not_cover() -> None:
    """Why there are blocks: where neighbours are alike, intervals of single frames are far too narrow."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        drawn = resample([alike(rng, 250, 0.9)], 1, 200, rng)
        assert drawn is not None
        low, high = interval([drawn])
        covered += low <= 0 <= high
    assert covered / 100 < 0.5


def test_frames_that_were_not_looked_at_change_nothing_but_their_number() -> None:
    """A figure of every third frame: as sure as its values are, not as if frames were nearer to each other."""
    values = np.full(900, np.nan)
    values[::3] = np.random.default_rng(3).standard_normal(300)
    drawn = resample([values], 30, 4000, np.random.default_rng(4))
    dense = resample([values[::3]], 10, 4000, np.random.default_rng(5))
    assert drawn is not None and dense is not None
    assert drawn.mean == pytest.approx(dense.mean)
    assert drawn.deviations.std() == pytest.approx(dense.deviations.std(), rel=0.06)
    values[100:] = np.nan
    assert resample([values], 30, 100, np.random.default_rng(0)) is None, "a block without a value"


def test_identical_series_differ_by_nothing() -> None:
    drawn = resample([np.zeros(200)], BLOCK, 300, np.random.default_rng(0))
    assert drawn is not None
    assert interval([drawn]) == (0.0, 0.0)


def test_a_constant_difference_is_sure() -> None:
    drawn = resample([np.full(200, 1.5), np.full(30, 1.5)], BLOCK, 300, np.random.default_rng(0))
    assert drawn is not None and drawn.mean == 1.5
    assert interval([drawn]) == pytest.approx((1.5, 1.5), abs=1e-12)


def test_without_memory_it_is_the_textbook_interval() -> None:
    values = np.random.default_rng(3).standard_normal(4_000)
    drawn = resample([values], 10, 3000, np.random.default_rng(4))
    assert drawn is not None
    low, high = interval([drawn])
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_resampled_means_are_those_of_blocks_drawn_one_by_one() -> None:
    """Against a plain loop: the deviation of the means, for clips shorter and longer than a block."""
    rng = np.random.default_rng(5)
    clips = [alike(rng, length, 0.8) for length in (8, 60, 130)]
    drawn = resample(clips, BLOCK, 3000, np.random.default_rng(6))
    assert drawn is not None
    shares = np.array([max(len(clip) / BLOCK, 1) for clip in clips])
    blocks = round(shares.sum())
    means = []
    for _ in range(3000):
        taken: list[float] = []
        for _ in range(blocks):
            clip = clips[rng.choice(3, p=shares / shares.sum())]
            start = rng.integers(len(clip))
            taken += [clip[(start + k) % len(clip)] for k in range(min(BLOCK, len(clip)))]
        means.append(np.mean(taken))
    assert drawn.mean == pytest.approx(np.concatenate(clips).mean())
    assert drawn.deviations.std() == pytest.approx(widening(blocks) * np.std(means), rel=0.06)


def test_too_few_blocks_tell_nothing() -> None:
    rng = np.random.default_rng(0)
    assert resample([], BLOCK, 100, rng) is None
    assert resample([np.zeros(0)], BLOCK, 100, rng) is None
    assert resample([rng.standard_normal(LEAST_BLOCKS * BLOCK - 1)], BLOCK, 100, rng) is None
    assert resample([rng.standard_normal(LEAST_BLOCKS * BLOCK)], BLOCK, 100, rng) is not None


def test_few_blocks_widen_and_many_do_not() -> None:
    assert widening(3) > 2.5 > widening(5) > widening(20) > 1
    assert widening(2000) == pytest.approx(1, abs=2e-3)


def test_actors_are_independent_of_each_other() -> None:
    """The mean over four actors is known twice as well as that of one."""
    rng = np.random.default_rng(7)
    parts = [Resampled(1.0 + number, rng.standard_normal(20_000)) for number in range(4)]
    low, high = interval(parts)
    assert (low + high) / 2 == pytest.approx(2.5, abs=0.02)
    assert high - low == pytest.approx(2 * 1.96 / 2, rel=0.02)
