"""Which source frame is shown when, and which pixels of it, for many kinds of clips."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.media.frames import Square, frames_at, sample_frames
from ua3dtalk.media.probe import probe
from ua3dtalk.settings import MediaSettings

MakeClip = Callable[..., Path]
ShownNumbers = Callable[[Path], list[int]]
NumberOf = Callable[[np.ndarray], int]
Numbered = Callable[[int, int, int], np.ndarray]


@pytest.fixture
def shown_numbers(number_of: Callable[[np.ndarray], int]) -> ShownNumbers:
    return lambda path: [number_of(frame) for frame in frames_at(path)]


def on_screen(times: np.ndarray, end: float) -> list[int]:
    """Independent reference: the last frame that has begun at i / 25 s."""
    count = int(np.ceil((end - 0.002) * 25))
    return [int(np.searchsorted(times, i / 25 + 0.0021, side="right")) - 1 for i in range(count)]


@pytest.mark.parametrize("fps", [10, 24, 25, 30000 / 1001, 50, 60])
def test_constant_rates_are_resampled_by_time(make_clip: MakeClip, fps: float, shown_numbers: ShownNumbers) -> None:
    times = np.arange(round(1.9 * fps)) / fps
    shown = shown_numbers(make_clip(times))
    assert shown == on_screen(times, len(times) / fps)
    assert abs(len(shown) - 1.9 * 25) <= 2


def test_twenty_five_frames_a_second_pass_through_one_by_one(make_clip: MakeClip, shown_numbers: ShownNumbers) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.mov"):
        codec = "libx264" if name != "a.avi" else "mpeg4"
        assert shown_numbers(make_clip(np.arange(40) / 25, name, codec=codec)) == list(range(40)), name


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_variable_rate_follows_the_time_stamps(make_clip: MakeClip, name: str, shown_numbers: ShownNumbers) -> None:
    steps = np.random.default_rng(3).choice([1 / 60, 1 / 30, 1 / 24, 0.1, 0.31], 40)
    times = np.round(np.cumsum(steps) - steps[0], 3)
    shown = shown_numbers(make_clip(times, name))
    expected = on_screen(times, times[-1] + 0.04)
    assert shown[: len(expected) - 8] == expected[: len(expected) - 8]  # how long the last frame stays is the file's


@pytest.mark.parametrize("codec, name", [("mpeg1video", "a.mpg"), ("libvpx-vp9", "a.webm"), ("mjpeg", "a.mov")])
def test_other_codecs_and_containers(make_clip: MakeClip, codec: str, name: str, shown_numbers: ShownNumbers) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make_clip(np.arange(30) / 25, name, codec=codec, pixel_format=pixel_format)
    assert shown_numbers(path) == list(range(30))


def quadrants(index: int, width: int, height: int) -> np.ndarray:
    """Red upper left, green upper right, blue lower left, white lower right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 220, 30, 30
    picture[: height // 2, width // 2 :] = 30, 220, 30
    picture[height // 2 :, : width // 2] = 30, 30, 220
    picture[height // 2 :, width // 2 :] = 225, 225, 225
    return picture


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_in_the_metadata_is_applied(make_clip: MakeClip, rotation: int) -> None:
    path = make_clip(np.arange(30) / 25, size=(160, 96), picture=quadrants, rotation=rotation)
    frame = next(frames_at(path))
    # PyAV's angle is that of ffmpeg's av_display_rotation_get: positive is counter-clockwise
    expected = np.rot90(quadrants(0, 160, 96), rotation // 90)
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 8
    found = probe(path, need_audio=False)
    assert (found.height, found.width) == expected.shape[:2]


def test_broad_pixels_become_square_ones(make_clip: MakeClip) -> None:
    path = make_clip(np.arange(30) / 25, size=(120, 96), aspect=Fraction(4, 3))
    assert next(frames_at(path)).shape == (96, 160, 3)
    assert probe(path, need_audio=False).width == 160


def test_odd_sizes(make_clip: MakeClip, shown_numbers: ShownNumbers) -> None:
    path = make_clip(np.arange(30) / 25, size=(161, 121), pixel_format="yuv444p")
    assert shown_numbers(path) == list(range(30))
    cut = next(frames_at(path, crop=Square(-20, -20, 200), size=100))
    assert cut.shape == (100, 100, 3)


def ramp(index: int, width: int, height: int) -> np.ndarray:
    """Grey rises from left to right, so a position can be read from a value."""
    row = 30 + 190 * (np.arange(width) + 0.5) / width
    return np.broadcast_to(row[None, :, None], (height, width, 3)).round().astype(np.uint8)


@pytest.mark.parametrize("size", [64, 120, 200])
def test_crop_keeps_pixel_centres(make_clip: MakeClip, size: int) -> None:
    path = make_clip(np.arange(30) / 25, size=(320, 240), picture=ramp)
    frame = next(frames_at(path, crop=Square(60, 40, 120), size=size)).mean((0, 2))
    source = 60 + (np.arange(size) + 0.5) * 120 / size
    assert np.abs(frame - (30 + 190 * source / 320))[2:-2].max() < 1.6  # one grey level is 1.7 px


def test_square_beyond_the_border_repeats_the_border(make_clip: MakeClip) -> None:
    path = make_clip(np.arange(30) / 25, size=(160, 120), picture=quadrants)
    frame = next(frames_at(path, crop=Square(-40, -60, 240), size=240)).astype(int)
    inside = next(frames_at(path)).astype(int)
    assert np.abs(frame[60:180, 40:200] - inside).mean() < 1.5
    assert np.abs(frame[:58, 40:200] - inside[:1]).mean() < 3
    assert np.abs(frame[60:180, :38] - inside[:, :1]).mean() < 3
    assert np.abs(frame[184:, 204:] - inside[-1, -1]).mean() < 3


def test_colours_survive(make_clip: MakeClip) -> None:
    path = make_clip(np.arange(30) / 25, size=(160, 96), picture=quadrants)
    assert np.abs(next(frames_at(path)).astype(int) - quadrants(0, 160, 96))[8:40, 8:72].mean() < 3


def test_samples_are_sparse_and_small(make_clip: MakeClip, number_of: NumberOf) -> None:
    path = make_clip(np.arange(75) / 25, size=(320, 200))
    samples = list(sample_frames(path, 0.5, 160))
    assert [time for time, _, _ in samples] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert samples[0][1].shape == (100, 160, 3) and samples[0][2] == 0.5
    assert [number_of(frame) for _, frame, _ in samples] == [0, 12, 25, 37, 50, 62]


def test_the_clip_may_start_late_on_its_clock(make_clip: MakeClip, shown_numbers: ShownNumbers) -> None:
    path = make_clip(5.0 + np.arange(30) / 25, "late.mkv")
    assert shown_numbers(path) == list(range(30))
    assert probe(path, need_audio=False).video_start == pytest.approx(5.0, abs=0.002)


def test_limits_are_checked(make_clip: MakeClip) -> None:
    path = make_clip(np.arange(50) / 25)
    with pytest.raises(InputError, match="max_seconds"):
        list(frames_at(path, settings=MediaSettings(max_seconds=1)))
    with pytest.raises(InputError, match="max_pixels"):
        next(frames_at(path, settings=MediaSettings(max_pixels=1000)))
    with pytest.raises(InputError, match="outside"):
        next(frames_at(path, crop=Square(400, 0, 20), size=20))


def test_numbered_pictures_are_readable(number_of: NumberOf, numbered: Numbered) -> None:
    assert [number_of(numbered(i, 160, 120)) for i in (0, 1, 513, 1023)] == [0, 1, 513, 1023]
