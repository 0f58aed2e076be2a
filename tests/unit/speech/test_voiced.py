"""The voice detector tells speech from noise and silence, frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.media.audio import read_audio
from ua3dtalk.speech.voiced import speech_probability


@pytest.mark.parametrize("frames", [1, 2, 25, 101])
def test_a_probability_for_every_frame(frames: int) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(frames * 640).astype(np.float32)
    before = samples.copy()
    found = speech_probability(samples)
    assert found.shape == (frames,) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    assert np.array_equal(samples, before), "the detector must not write into the sound"


@pytest.mark.parametrize("level", [0.0, 0.002, 0.1])
def test_neither_silence_nor_noise_speaks(level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal(100 * 640).astype(np.float32)
    assert speech_probability(noise)[10:].max() < 0.2


def test_speech_speaks_and_its_pauses_do_not(clips: Path) -> None:
    speech = read_audio(clips / "audio" / "jfk_inaugural_11s.wav")[: 270 * 640]
    spoken = speech_probability(np.concatenate([np.zeros(50 * 640, np.float32), speech]))
    assert spoken[5:45].max() < 0.1
    assert spoken[60:100].mean() > 0.7, "the first words"
    assert spoken[50 + 63 : 50 + 78].max() < 0.1, "the pause after them"
