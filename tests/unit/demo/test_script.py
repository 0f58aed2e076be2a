"""The voice: times of the sounds cover the clip, and the same samples come every time."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.actors import BUILTIN_EMOTIONS
from ua3dtalk.demo.script import SCRIPT, Performance, perform
from ua3dtalk.demo.voice import Manner, colour
from ua3dtalk.subject import FPS

pytest.importorskip(
    "espeakng_loader", reason="the voice of the built-in actor is not installed: pip install -e .[demo]"
)


@pytest.fixture(scope="module")
def whole() -> Performance:
    return perform(600)


def test_phonemes_cover_the_sound_without_gaps(whole: Performance) -> None:
    assert len(whole.sound) == round(24 * whole.rate)
    assert whole.phonemes[0].start == 0
    assert whole.phonemes[-1].end == pytest.approx(24)
    ends = np.array([phoneme.end for phoneme in whole.phonemes])
    starts = np.array([phoneme.start for phoneme in whole.phonemes])
    np.testing.assert_allclose(starts[1:], ends[:-1], atol=1e-6)
    assert (ends > starts).all()


def test_sounds_are_loud_and_pauses_silent(whole: Performance) -> None:
    times = np.arange(len(whole.sound)) / whole.rate
    index = np.searchsorted([phoneme.end for phoneme in whole.phonemes], times, side="right")
    pause = np.array([phoneme.symbol == "_" for phoneme in whole.phonemes])[np.minimum(index, len(whole.phonemes) - 1)]
    energy = whole.sound**2
    assert energy[pause].mean() < 0.01 * energy[~pause].mean()
    vowels = np.array([phoneme.symbol[0] in "aAeEoOuiV03" for phoneme in whole.phonemes])
    vowel = vowels[np.minimum(index, len(whole.phonemes) - 1)]
    assert energy[vowel].mean() > 2 * energy[~vowel & ~pause].mean()


def test_the_three_stretches_are_full_of_speech_and_differ(whole: Performance) -> None:
    levels = []
    for first, end in whole.stretches:
        inside = [p for p in whole.phonemes if p.symbol != "_" and first / FPS <= p.start < end / FPS]
        assert sum(p.end - p.start for p in inside) > 0.7 * (end - first) / FPS
        part = whole.sound[round(first / FPS * whole.rate) : round(end / FPS * whole.rate)]
        levels.append(float(np.sqrt((part**2).mean())))
    assert whole.emotions == BUILTIN_EMOTIONS
    assert levels[2] > 1.3 * levels[0]


def test_the_same_samples_every_time() -> None:
    one, two = perform(40), perform(40)
    np.testing.assert_array_equal(one.sound, two.sound)
    assert one.phonemes == two.phonemes
    assert one.stretches == ((0, 13), (13, 27), (27, 40))


def test_a_longer_clip_says_its_sentences_again() -> None:
    long = perform(1500)
    stretch = [p for p in long.phonemes if p.symbol != "_" and p.start < 20]
    assert stretch[-1].end > 17
    assert len(SCRIPT[0].sentences) == 2


def test_colour_sets_the_peak_and_the_tilt() -> None:
    noise = np.random.default_rng(0).standard_normal(22050).astype(np.float32)
    dull = colour(noise, Manner(150, 50, 50, 0.5), 22050)
    bright = colour(noise, Manner(150, 50, 50, 0.5, brightness=6.0), 22050)
    assert np.abs(dull).max() == pytest.approx(0.5, abs=1e-3)
    spectra = [np.abs(np.fft.rfft(sound)) for sound in (dull, bright)]
    ratio = [spectrum[8000:].mean() / spectrum[:1000].mean() for spectrum in spectra]
    assert ratio[1] > 5 * ratio[0]
