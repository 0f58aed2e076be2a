"""The actor's motion follows its phonemes and emotions; no voice is needed for that."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ua3dtalk.demo.performance import blink_curve, emotion_presence, head_motion, lip_channels, move
from ua3dtalk.demo.script import Performance
from ua3dtalk.demo.voice import Phoneme
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES
from ua3dtalk.subject import FPS

ROW = {name: index for index, name in enumerate(BLENDSHAPE_NAMES)}


def spoken(symbols: str, length: float = 0.16) -> tuple[Phoneme, ...]:
    parts = symbols.split()
    return tuple(Phoneme(symbol, i * length, (i + 1) * length, float(i % 2)) for i, symbol in enumerate(parts))


def performance(symbols: str = "_ m a p i w u _ f A: b oU _", repeat: int = 12) -> Performance:
    phonemes = spoken(" ".join([symbols] * repeat))
    frames = round(phonemes[-1].end * FPS)
    emotion = np.minimum(np.arange(frames) * 3 // frames, 2)
    borders = [int(np.searchsorted(emotion, k)) for k in range(3)] + [frames]
    stretches = tuple(pairwise(borders))
    return Performance(np.zeros(100, np.float32), 22050, phonemes, emotion, ("neutral", "happy", "angry"), stretches)


def at(phonemes: tuple[Phoneme, ...], symbol: str, values: np.ndarray) -> np.ndarray:
    """Values in the middle of each sound of that symbol."""
    times = [(p.start + p.end) / 2 for p in phonemes if p.symbol == symbol]
    return np.interp(times, (np.arange(len(values)) + 0.5) / FPS, values)


def test_lips_close_for_p_b_m_and_open_for_a() -> None:
    given = performance()
    lips = lip_channels(given.phonemes, len(given.emotion))
    closed = np.concatenate([at(given.phonemes, symbol, lips["jawOpen"]) for symbol in "pbm"])
    assert closed.max() < 0.12
    assert at(given.phonemes, "a", lips["jawOpen"]).min() > 0.3
    assert at(given.phonemes, "u", lips["mouthPucker"]).min() > 0.4
    assert at(given.phonemes, "i", lips["mouthPucker"]).max() < 0.25
    assert at(given.phonemes, "f", lips["mouthRollLower"]).min() > 0.2


def test_silence_rests() -> None:
    lips = lip_channels((Phoneme("_", 0, 2, 0.0),), 50)
    assert max(values.max() for values in lips.values()) < 0.06


def test_an_unknown_sound_is_a_schwa() -> None:
    lips = lip_channels((Phoneme("?", 0, 1, 0.0),), 25)
    assert 0.1 < lips["jawOpen"].max() < 0.4


def test_everything_is_within_bounds_and_repeats() -> None:
    given = performance()
    one, two, other = move(given, 3), move(given, 3), move(given, 4)
    assert one.blendshapes.min() >= 0
    assert one.blendshapes.max() <= 1
    np.testing.assert_array_equal(one.blendshapes, two.blendshapes)
    np.testing.assert_array_equal(one.head, two.head)
    assert not np.array_equal(one.head, other.head)
    assert (one.blendshapes[:, ROW["_neutral"]] == 0).all()


def test_emotions_show_where_they_are_spoken() -> None:
    given = performance()
    shapes = move(given, 0).blendshapes
    clips = [slice(first, end) for first, end in given.stretches]
    smile, frown = shapes[:, ROW["mouthSmileLeft"]], shapes[:, ROW["browDownRight"]]
    assert smile[clips[1]].mean() > 4 * smile[clips[0]].mean()
    assert frown[clips[2]].min() > 0.4
    assert frown[clips[0]].max() < 0.1
    np.testing.assert_allclose(sum(emotion_presence(given).values()), 1, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_head_turns_within_25_degrees_and_uses_them(seed: int) -> None:
    given = performance()
    turn = np.rad2deg(head_motion(np.random.default_rng(seed), 600, given)[:, :3])
    assert np.abs(turn[:, 1]).max() <= 25
    assert np.ptp(turn[:, 1]) > 20
    assert np.abs(turn[:, 0]).max() <= 11
    assert np.abs(np.diff(turn, axis=0)).max() < 4  # degrees a frame: no jumps


@pytest.mark.parametrize("seed", range(4))
def test_blinks_close_fully_and_briefly(seed: int) -> None:
    blink = blink_curve(np.random.default_rng(seed), 600)
    assert blink.max() > 0.9
    assert blink[:25].max() > 0.5  # a short clip has one, too
    assert (blink > 0.5).mean() < 0.12
    starts = np.flatnonzero((blink[1:] > 0.5) & (blink[:-1] <= 0.5))
    assert 5 <= len(starts) <= 15


def test_gaze_goes_against_the_turn() -> None:
    given = performance()
    motion = move(given, 1)
    yaw = motion.head[:, 1]  # positive: the nose goes to the person's right
    eyes = motion.blendshapes[:, ROW["eyeLookOutLeft"]] - motion.blendshapes[:, ROW["eyeLookInLeft"]]
    assert np.corrcoef(yaw, eyes)[0, 1] > 0.7
