"""What is written can be read back: pictures, colours, times and sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.media.audio import aligned_audio
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.frames import frames_at
from ua3dtalk.media.probe import probe

Numbered = Callable[[int, int, int], np.ndarray]
NumberOf = Callable[[np.ndarray], int]


def patches() -> np.ndarray:
    """Sixteen colours in blocks of 32 px."""
    colours = np.random.default_rng(5).integers(20, 236, (4, 4, 3), np.uint8)
    return np.repeat(np.repeat(colours, 32, 0), 32, 1)


def test_colours_come_back(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [patches()] * 30, crf=8)
    frame = next(frames_at(tmp_path / "a.mp4")).astype(int)
    inner = (np.arange(128) % 32 > 4) & (np.arange(128) % 32 < 27)
    assert np.abs(frame - patches())[inner][:, inner].mean() < 2.5


def test_frames_and_sound_come_back_in_step(tmp_path: Path, numbered: Numbered, number_of: NumberOf) -> None:
    time = np.arange(48_000) / 16_000
    sound = np.where((time > 1) & (time < 1.2), 0.5 * np.sin(2 * np.pi * 900 * time), 0).astype(np.float32)
    assert write_video(tmp_path / "a.mp4", (numbered(i, 160, 128) for i in range(50)), audio=sound) == 50
    assert [number_of(frame) for frame in frames_at(tmp_path / "a.mp4")] == list(range(50))
    found = probe(tmp_path / "a.mp4")
    assert (found.fps, found.duration, found.codec) == (pytest.approx(25), pytest.approx(2), "h264")
    samples = np.concatenate(list(aligned_audio(tmp_path / "a.mp4", found.video_start, 32_000)))
    assert abs(np.argmax(np.abs(samples) > 0.1) / 16_000 - 1) < 0.02


def test_odd_sizes_grow_by_one(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [np.full((33, 47, 3), 90, np.uint8)] * 30)
    assert next(frames_at(tmp_path / "a.mp4")).shape == (34, 48, 3)


def test_same_input_same_bytes(tmp_path: Path, numbered: Numbered) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, [numbered(i, 96, 96) for i in range(50)], audio=sound)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_index_comes_first(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [patches()] * 30)
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_an_interrupted_film_leaves_no_file(tmp_path: Path) -> None:
    def breaks() -> Iterator[np.ndarray]:
        yield patches()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_video(tmp_path / "a.mp4", breaks())
    with pytest.raises(InputError, match="no frame"):
        write_video(tmp_path / "a.mp4", [])
    assert list(tmp_path.iterdir()) == []
