"""Any file's sound on disk: whole frames, read in parts, never more of it in memory than asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ua3dtalk.errors import InputError
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.samples import store_sound


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """440 Hz of amplitude .5, [n, channels]."""
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave[:, None], (1, channels))


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("a.wav", 16_000, 1, "PCM_16"),
        ("a.wav", 8_000, 1, "PCM_U8"),
        ("a.wav", 44_100, 2, "PCM_24"),
        ("a.wav", 48_000, 6, "FLOAT"),
        ("a.flac", 96_000, 1, "PCM_16"),
        ("a.ogg", 22_050, 1, "VORBIS"),
    ],
)
def test_any_rate_and_any_number_of_channels(tmp_path: Path, name: str, rate: int, channels: int, subtype: str) -> None:
    soundfile.write(tmp_path / name, tone(1.01, rate, channels), rate, subtype)
    sound = store_sound(tmp_path / name, tmp_path / "out.wav")
    assert (len(sound), sound.frames) == (26 * 640, 26), "whole frames"
    heard = sound[0:16_000]
    assert heard.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(16_000)))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    if channels <= 2:
        assert abs(np.abs(heard[1000:15_000]).max() - 0.5) < 0.02
    assert np.abs(sound[round(1.03 * 16_000) : len(sound)]).max() < 0.01, "the rest of the last frame is silence"


def test_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 5000)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="PCM_16")
    sound = store_sound(tmp_path / "a.wav", tmp_path / "out.wav")
    whole = np.pad(read_audio(tmp_path / "a.wav"), (0, 120))
    assert len(sound) == len(whole) == 5120
    for part in (slice(None), slice(17, 1400), slice(4000, 9000), slice(7, 7), slice(600, 20)):
        np.testing.assert_array_equal(sound[part], whole[part])


def test_the_shortest_and_the_quietest_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(7, 0.5), 16_000)
    sound = store_sound(tmp_path / "short.wav", tmp_path / "out.wav")
    assert sound.frames == 1 and np.count_nonzero(sound[:]) == 7
    soundfile.write(tmp_path / "still.wav", np.zeros(16_000), 16_000)
    sound = store_sound(tmp_path / "still.wav", tmp_path / "out.wav")
    assert sound.frames == 25 and not sound[:].any()


def test_the_sound_of_a_film(tmp_path: Path) -> None:
    frames = (np.zeros((32, 32, 3), np.uint8) for _ in range(50))
    write_video(tmp_path / "film.mp4", frames, audio=tone(2, 16_000)[:, 0].astype(np.float32))
    sound = store_sound(tmp_path / "film.mp4", tmp_path / "out.wav")
    assert 50 <= sound.frames <= 53, "AAC may add a packet of silence"
    assert abs(np.abs(sound[4000:28_000]).max() - 0.5) < 0.05


def test_what_has_no_sound_is_one_line(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4", (np.zeros((32, 32, 3), np.uint8) for _ in range(5)))
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.where(np.arange(9000) == 4000, np.nan, 0.1), 16_000, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound at all")
    for name, cause in (
        ("mute.mp4", "no readable sound"),
        ("empty.wav", "no readable sound"),
        ("nan.wav", "not numbers"),
        ("text.wav", "not a video or sound file"),
        ("absent.wav", "cannot be read"),
    ):
        with pytest.raises(InputError, match=cause) as error:
            store_sound(tmp_path / name, tmp_path / "out.wav")
        assert "\n" not in str(error.value) and name in str(error.value)
        assert not (tmp_path / "out.wav").exists(), "half-written"


def test_a_film_is_written_in_step_with_a_sound_on_disk(tmp_path: Path) -> None:
    """A click in the middle of every tenth frame, and that frame is white."""
    samples = np.zeros(100 * 640, np.float32)
    samples[320 :: 10 * 640] = 0.9
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    sound = store_sound(tmp_path / "a.wav", tmp_path / "clicks.wav")
    frames = (np.full((32, 32, 3), 255 if k % 10 == 0 else 0, np.uint8) for k in range(100))
    write_video(tmp_path / "film.mp4", frames, audio=sound)
    heard = read_audio(tmp_path / "film.mp4")
    for click in range(320, len(samples), 10 * 640):
        near = heard[max(click - 3200, 0) : click + 3200]
        assert abs(int(np.abs(near).argmax()) + max(click - 3200, 0) - click) <= 320, "more than half a frame off"


def test_make_clip_with_a_late_sound_track_begins_with_its_first_sample(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    sound = np.full((1, 16_000), 0.3, np.float32)
    path = make_clip(np.arange(50) / 25, "late.mkv", sound=sound, sound_start=0.6)
    stored = store_sound(path, tmp_path / "out.wav")
    assert abs(stored.frames - 25) <= 2
    assert np.abs(stored[0:640]).max() > 0.1
