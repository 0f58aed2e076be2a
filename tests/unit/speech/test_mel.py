"""Log-mel rows: four to a frame, each at its own time, the same in blocks as in one piece."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.speech import mel as mel_module
from ua3dtalk.speech.mel import FLOOR, log_mel
from ua3dtalk.subject import AUDIO_RATE, SAMPLES_PER_FRAME


def test_four_rows_a_frame_and_silence_at_the_floor() -> None:
    rows = log_mel(np.zeros(7 * SAMPLES_PER_FRAME, np.float32))
    assert rows.shape == (28, 80)
    np.testing.assert_allclose(rows, np.log(FLOOR), rtol=1e-6)


@pytest.mark.parametrize("onset", [0.2, 0.41, 0.733])
def test_a_click_peaks_in_the_row_of_its_time(onset: float) -> None:
    samples = np.zeros(25 * SAMPLES_PER_FRAME, np.float32)
    samples[round(onset * AUDIO_RATE)] = 0.9
    energy = log_mel(samples).sum(axis=1)
    assert abs(int(energy.argmax()) - onset * 100) <= 1


def test_a_tone_lights_the_band_of_its_frequency() -> None:
    import librosa

    time = np.arange(25 * SAMPLES_PER_FRAME) / AUDIO_RATE
    centres = librosa.mel_frequencies(82, fmin=0, fmax=AUDIO_RATE / 2)[1:-1]
    for band in (20, 50, 70):
        rows = log_mel(0.5 * np.sin(2 * np.pi * centres[band] * time).astype(np.float32))
        assert abs(int(rows[20:80].mean(axis=0).argmax()) - band) <= 1


def test_the_same_rows_as_librosas() -> None:
    import librosa

    samples = np.random.default_rng(1).normal(0, 0.1, 50 * SAMPLES_PER_FRAME).astype(np.float32)
    padded = np.pad(samples, mel_module.WINDOW // 2)
    theirs = librosa.feature.melspectrogram(
        y=padded, sr=AUDIO_RATE, n_fft=400, hop_length=160, n_mels=80, power=1.0, center=False
    )
    np.testing.assert_allclose(log_mel(samples), np.log(theirs.T)[:200], atol=1e-5)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 40 * SAMPLES_PER_FRAME).astype(np.float32)
    whole = log_mel(samples)
    monkeypatch.setattr(mel_module, "BLOCK", 37)
    np.testing.assert_allclose(log_mel(samples), whole, atol=1e-5)
