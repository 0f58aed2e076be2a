"""Mel-frequency cepstral coefficients as the package python_speech_features computes them by default.

SyncNet was trained on these, so its figures need exactly them: rectangular windows of 25 ms every 10 ms, pre-emphasis
.97, a power spectrum of 512 points, 26 triangular filters from 0 Hz to half the rate with edges on whole bins, the
orthonormal DCT-II of their logarithms, liftering by 22, and the energy's logarithm in place of the first.
"""

from __future__ import annotations

import numpy as np

from ua3dtalk.subject import AUDIO_RATE

COEFFICIENTS = 13
WINDOW = AUDIO_RATE // 40
HOP = AUDIO_RATE // 100
POINTS = 512
FILTERS = 26
EMPHASIS = 0.97
LIFTER = 22


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Coefficients of sound at 16 kHz.

    Args:
        samples: [n] in the range of 16 bit numbers: the energy's logarithm depends on it.
    Returns:
        float64 [rows, 13]; row k is the window that begins at 10 k ms, the last ones filled up with silence.
    """
    power = _power(_windows(np.asarray(samples, np.float64)))
    bands = np.log(_positive(power @ mel_filters().T))
    order = np.arange(COEFFICIENTS)
    # orthonormal DCT-II: sqrt(2 / F) cos(pi k (2 f + 1) / (2 F)), the first row over sqrt(2)
    basis = np.sqrt(2 / FILTERS) * np.cos(np.pi * order[:, None] * (2 * np.arange(FILTERS) + 1) / (2 * FILTERS))
    cepstra = bands @ basis.T * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))
    cepstra[:, 0] = np.log(_positive(power.sum(axis=1)))
    return cepstra


def mel_filters() -> np.ndarray:
    """Triangles [26, 257] whose corners are even steps on the mel scale, 2595 log10(1 + f / 700)."""
    mels = np.linspace(0, 2595 * np.log10(1 + AUDIO_RATE / 2 / 700), FILTERS + 2)
    corners = np.floor((POINTS + 1) * 700 * (10 ** (mels / 2595) - 1) / AUDIO_RATE)
    bins = np.arange(POINTS // 2 + 1)
    filters = np.zeros((FILTERS, len(bins)))
    for row, (left, middle, right) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        rising, falling = (bins >= left) & (bins < middle), (bins >= middle) & (bins < right)
        filters[row, rising] = (bins[rising] - left) / (middle - left)
        filters[row, falling] = (right - bins[falling]) / (right - middle)
    return filters


def _windows(samples: np.ndarray) -> np.ndarray:
    """Rows of 400 samples after pre-emphasis, [rows, 400]."""
    emphasised = np.append(samples[:1], samples[1:] - EMPHASIS * samples[:-1])
    count = 1 + max(int(np.ceil((len(samples) - WINDOW) / HOP)), 0)
    padded = np.zeros((count - 1) * HOP + WINDOW)
    padded[: min(len(samples), len(padded))] = emphasised[: len(padded)]
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]


def _power(windows: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft(windows, POINTS, axis=1)) ** 2 / POINTS


def _positive(values: np.ndarray) -> np.ndarray:
    """Zeros, which have no logarithm, become the smallest step of float64."""
    return np.where(values == 0, np.finfo(float).eps, values)
