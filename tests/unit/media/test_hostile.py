"""Clips whose times, sizes and rates stand for far more than their bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.media.audio import sound_blocks
from ua3dtalk.media.frames import frames_at
from ua3dtalk.media.probe import probe
from ua3dtalk.settings import MediaSettings


def refused(path: Path, match: str, **limits: float) -> None:
    with pytest.raises(InputError, match=match) as caught:
        probe(path, MediaSettings(**limits), need_audio=False)
    assert "\n" not in str(caught.value)


def test_a_slide_show_is_one_line(make_clip: Callable[..., Path]) -> None:
    refused(make_clip(list(np.arange(20) * 1.0), "a.mkv"), "pictures a second: a talking head needs 5 to 1000")


def test_times_that_jump_by_years_are_one_line(make_clip: Callable[..., Path]) -> None:
    path = make_clip([*np.arange(30) / 25, 20_000.0], "a.mkv")
    refused(path, "more than media.max_seconds 3600")
    with pytest.raises(InputError, match="lasts longer than"):
        for _ in frames_at(path, settings=MediaSettings()):
            pass


def test_a_frame_that_claims_to_last_for_ever_ends_with_the_limit(
    make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from ua3dtalk.media import frames

    honest = frames.decoded_frames
    monkeypatch.setattr(
        frames, "decoded_frames", lambda *given: (replace(each, duration=1e12) for each in honest(*given))
    )
    path = make_clip(list(np.arange(40) / 25), "a.mp4")
    assert sum(1 for _ in frames_at(path, settings=MediaSettings(max_seconds=4))) == 100


def gif(width: int, height: int) -> bytes:
    """A moving picture of that canvas whose frames are a pixel."""
    frame = b"\x21\xf9\x04\x00\x04\x00\x00\x00\x2c" + struct.pack("<4H", 0, 0, 1, 1) + b"\x00\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<2H", width, height) + b"\x80\x00\x00" + bytes(6) + 40 * frame + b"\x3b"


def test_a_canvas_of_four_billion_pixels_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif(65_535, 65_535))
    refused(tmp_path / "a.gif", "pixels, more than media.max_pixels|cannot|damaged|without a single")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_pictures_are_no_clips(tmp_path: Path) -> None:
    header = struct.pack(">2I5B", 30_000, 30_000, 8, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png", "is not a video or sound file|pixels")


def test_broad_pixels_count_as_they_are_shown(make_clip: Callable[..., Path]) -> None:
    from fractions import Fraction

    path = make_clip(list(np.arange(40) / 25), "a.mp4", aspect=Fraction(4))
    assert probe(path, need_audio=False).width == 640
    refused(path, "640x120 pixels, more than media.max_pixels 30000", max_pixels=30_000)


def test_silence_of_hours_between_two_packets_is_one_line(
    make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ua3dtalk.media import audio

    blocks = [(0, np.ones(100, np.float32)), (16_000 * 3000, np.ones(100, np.float32))]
    monkeypatch.setattr(audio, "_timed_blocks", lambda path, rate: iter(blocks))
    with pytest.raises(InputError, match="has no sound for 3000 s"):
        list(sound_blocks("a.ogg"))
