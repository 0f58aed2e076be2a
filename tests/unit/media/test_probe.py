"""Bad input ends as one line that names the file, what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.probe import probe
from ua3dtalk.settings import MediaSettings

MakeClip = Callable[..., Path]


def complaint(path: Path, **settings: float) -> str:
    with pytest.raises(InputError) as caught:
        probe(path, MediaSettings(**settings))
    line = str(caught.value)
    assert "\n" not in line and str(path) in line and len(line) < 400
    return line


def tone(seconds: float, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    return np.tile(0.3 * np.sin(np.arange(round(seconds * rate)) * 0.2).astype(np.float32), (channels, 1))


def test_a_good_clip(make_clip: MakeClip) -> None:
    found = probe(make_clip(np.arange(60) / 30, size=(320, 240), sound=tone(2)))
    assert (found.width, found.height, found.has_audio, found.codec) == (320, 240, True, "h264")
    assert found.fps == pytest.approx(30, rel=0.01) and found.duration == pytest.approx(2, abs=0.04)


def test_missing_file(tmp_path: Path) -> None:
    assert "No such file" in complaint(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("address", ["https://example.org/a.mp4", "concat:a.mp4|b.mp4", "rtsp://127.0.0.1/x"])
def test_addresses_are_not_opened(address: str) -> None:
    with pytest.raises(InputError, match="No such file"):
        probe(address)


def test_folder(tmp_path: Path) -> None:
    assert "folder" in complaint(tmp_path)


@pytest.mark.parametrize("text", [b"", b"This is not a video.\n" * 50, b"\x00" * 4000])
def test_text_and_empty_files_named_mp4(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(text)
    assert "not a video" in complaint(path) or "empty" in complaint(path)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        "ffconcat version 1.0\nfile {0.name}\n",
    ],
)
def test_playlists_do_not_lead_to_other_files(make_clip: MakeClip, tmp_path: Path, text: str) -> None:
    other = make_clip(np.arange(50) / 25, sound=tone(2))
    for name in ("list.mp4", "list.m3u8"):
        path = tmp_path / name
        path.write_text(text.format(other))
        complaint(path)


def test_no_audio_track(make_clip: MakeClip) -> None:
    path = make_clip(np.arange(50) / 25)
    assert "no audio track" in complaint(path)
    assert not probe(path, need_audio=False).has_audio


def test_no_video_track(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "voice.wav", tone(2)[0], 16_000)
    assert "no video track" in complaint(tmp_path / "voice.wav")


def test_a_fifth_of_a_second(make_clip: MakeClip) -> None:
    assert "at least 1 s" in complaint(make_clip(np.arange(5) / 25, sound=tone(0.2)))


@pytest.mark.parametrize("name, faststart", [("a.mp4", False), ("a.mp4", True), ("a.mkv", False)])
def test_truncated_files(make_clip: MakeClip, name: str, faststart: bool) -> None:
    def noise(index: int, width: int, height: int) -> np.ndarray:
        return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)

    path = make_clip(np.arange(100) / 25, name, picture=noise, sound=tone(4), faststart=faststart)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    line = complaint(path)
    assert "truncated" in line or "its end is missing" in line


def test_limits(make_clip: MakeClip) -> None:
    path = make_clip(np.arange(50) / 25, sound=tone(2))
    assert "max_seconds" in complaint(path, max_seconds=1)
    assert "max_pixels" in complaint(path, max_pixels=10_000)


def test_sound_of_a_silent_clip_cannot_be_read(make_clip: MakeClip) -> None:
    with pytest.raises(InputError, match="no readable sound"):
        read_audio(make_clip(np.arange(50) / 25))


def test_garbage_inside_a_clip_never_crashes(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = bytearray(make_clip(np.arange(50) / 25, sound=tone(2)).read_bytes())
    rng = np.random.default_rng(0)
    for trial in range(20):
        broken = bytearray(whole)
        for place in rng.integers(0, len(whole), 30):
            broken[place] = rng.integers(0, 256)
        path = tmp_path / f"broken{trial}.mp4"
        path.write_bytes(broken)
        try:
            probe(path)
        except InputError as error:
            assert "\n" not in str(error)
