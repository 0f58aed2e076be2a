"""Sound: one rate, mono, in step with the picture, exactly as long as it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.media.audio import aligned_audio, read_audio, write_wav
from ua3dtalk.media.frames import frames_at
from ua3dtalk.media.probe import probe

MakeClip = Callable[..., Path]
FLASH = 1.0


def flash(index: int, width: int, height: int) -> np.ndarray:
    """Light for frames that are on screen in the fifth of a second after FLASH, at 25 a second; else dark."""
    light = FLASH <= index / 25 + 1e-9 < FLASH + 0.2
    return np.full((height, width, 3), 230 if light else 20, np.uint8)


def beep(seconds: float, rate: int, channels: int, start: float = 0.0) -> np.ndarray:
    """1 kHz in the same fifth of a second, for a track that begins at `start`."""
    time = start + np.arange(round((seconds - start) * rate)) / rate
    sound = np.where((time >= FLASH) & (time < FLASH + 0.2), 0.5 * np.sin(2 * np.pi * 1000 * time), 0)
    return np.tile(sound.astype(np.float32), (channels, 1))


def first_light(path: Path) -> float:
    return next(i for i, frame in enumerate(frames_at(path)) if frame.mean() > 120) / 25


def first_sound(samples: np.ndarray, rate: int = 16_000) -> float:
    return int(np.argmax(np.abs(samples) > 0.1)) / rate


@pytest.mark.parametrize("rate, channels", [(48_000, 2), (44_100, 2), (16_000, 1), (8_000, 1)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_flash_and_beep_stay_together(make_clip: MakeClip, name: str, rate: int, channels: int) -> None:
    path = make_clip(np.arange(50) / 25, name, picture=flash, sound=beep(2, rate, channels), rate=rate)
    samples = np.concatenate(list(aligned_audio(path, probe(path).video_start, 32_000)))
    assert samples.shape == (32_000,) and samples.dtype == np.float32
    assert first_light(path) == FLASH
    assert abs(first_sound(samples) - FLASH) < 0.02
    assert 0.35 < np.abs(samples).max() < 0.65


@pytest.mark.parametrize("video_start, sound_start", [(0.0, 0.4), (0.4, 0.0), (3.0, 3.2), (0.3, 0.0)])
def test_different_starts_are_respected(make_clip: MakeClip, video_start: float, sound_start: float) -> None:
    """The file's clock says when each track begins; the flash is at FLASH after the picture's own begin."""
    track = beep(FLASH + 1, 16_000, 1, start=sound_start - video_start)
    path = make_clip(video_start + np.arange(50) / 25, "a.mkv", picture=flash, sound=track, sound_start=sound_start)
    samples = np.concatenate(list(aligned_audio(path, probe(path).video_start, 32_000)))
    assert abs(first_sound(samples) - first_light(path)) < 0.02


@pytest.mark.parametrize("seconds", [0.7, 5.0])
def test_shorter_and_longer_sound(make_clip: MakeClip, seconds: float) -> None:
    tone = 0.3 * np.sin(np.arange(round(seconds * 16_000)) * 0.3).astype(np.float32)[None]
    path = make_clip(np.arange(50) / 25, sound=tone)
    samples = np.concatenate(list(aligned_audio(path, 0.0, 32_000)))
    assert len(samples) == 32_000
    heard = np.abs(samples) > 0.05
    assert heard[: round(min(seconds, 2) * 16_000) - 400].mean() > 0.7
    assert not heard[round(seconds * 16_000) + 2000 :].any()


def test_a_hole_in_the_sound_becomes_silence(tmp_path: Path) -> None:
    from fractions import Fraction

    import av

    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for start in [*range(0, 16_000, 1600), *range(32_000, 48_000, 1600)]:
            block = (0.3 * np.sin((start + np.arange(1600)) * 0.3) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    samples = read_audio(path)
    assert abs(len(samples) - 48_000) < 50
    expected = 0.3 * np.sin(np.arange(48_000) * 0.3)
    expected[16_000:32_000] = 0
    assert np.abs(samples[:47_900] - expected[:47_900]).mean() < 0.002


def test_stereo_is_averaged(make_clip: MakeClip) -> None:
    one = 0.6 * np.sin(np.arange(32_000) * 0.2).astype(np.float32)
    path = make_clip(np.arange(50) / 25, sound=np.stack([one, 0 * one]))
    assert np.abs(read_audio(path)[4000:28_000]).max() == pytest.approx(0.3, abs=0.05)


def test_resampling_against_a_reference(tmp_path: Path) -> None:
    import soundfile

    time = np.arange(96_000) / 48_000
    sound = 0.4 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 3000 * time)
    soundfile.write(tmp_path / "a.wav", sound, 48_000, subtype="FLOAT")
    slow = np.arange(32_000) / 16_000
    expected = 0.4 * np.sin(2 * np.pi * 440 * slow) + 0.2 * np.sin(2 * np.pi * 3000 * slow)
    samples = read_audio(tmp_path / "a.wav")
    assert abs(len(samples) - 32_000) <= 1
    assert np.abs(samples[200:31_800] - expected[200:31_800]).max() < 0.01


def test_wav_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "a.wav"
    assert write_wav(path, iter([np.zeros(640, np.float32), np.full(640, 0.5, np.float32)])) == 1280
    assert soundfile.info(path).frames == 1280

    def breaks() -> object:
        yield np.zeros(640, np.float32)
        raise RuntimeError

    other = tmp_path / "b.wav"
    with pytest.raises(RuntimeError):
        write_wav(other, breaks())  # type: ignore[arg-type]
    assert sorted(tmp_path.iterdir()) == [path]
