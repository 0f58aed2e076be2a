"""The coefficients are those of python_speech_features with its defaults."""

from __future__ import annotations

import numpy as np
import pytest
import python_speech_features

from ua3dtalk.sync.mfcc import mel_filters, mfcc


def voice(seconds: float) -> np.ndarray:
    """A buzz whose pitch and loudness move, in the range of 16 bit numbers."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 3 * time)) / 16_000
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    noise = np.random.default_rng(0).normal(0, 20, len(time))
    return np.rint(4000 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * time)) + noise)


@pytest.mark.parametrize("seconds", [0.02, 0.025, 0.0251, 1.0, 2.345])
def test_as_the_package_computes_them(seconds: float) -> None:
    samples = voice(seconds).astype(np.int16)
    expected = python_speech_features.mfcc(samples, 16_000)
    found = mfcc(samples)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_silence_has_finite_coefficients() -> None:
    silence = np.zeros(16_000, np.int16)
    np.testing.assert_allclose(mfcc(silence), python_speech_features.mfcc(silence, 16_000), atol=1e-9)


def test_filters_are_triangles() -> None:
    filters = mel_filters()
    np.testing.assert_allclose(filters, python_speech_features.get_filterbanks(26, 512, 16_000), atol=1e-12)
    assert filters.shape == (26, 257) and filters.max() == 1
