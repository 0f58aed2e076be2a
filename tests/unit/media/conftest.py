"""Clips made on the spot: every frame carries its own number, sound is known sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

BITS = 10
CLOCK = 90_000


def _numbered(index: int, width: int, height: int) -> np.ndarray:
    """Grey picture whose upper half shows the number as dark and light columns, lowest bit on the left."""
    picture = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        picture[: height // 2, left:right] = 235 if index >> bit & 1 else 20
    return picture


def _number_of(picture: np.ndarray) -> int:
    """The number that a (resized) numbered picture shows."""
    height, width = picture.shape[:2]
    centres = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    row = picture[height // 4 - 1 : height // 4 + 2].mean((0, 2))
    return sum(int(row[centre] > 128) << bit for bit, centre in enumerate(centres))


@pytest.fixture(scope="session")
def numbered() -> Callable[[int, int, int], np.ndarray]:
    return _numbered


@pytest.fixture(scope="session")
def number_of() -> Callable[[np.ndarray], int]:
    return _number_of


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a clip; see its arguments."""

    def make(
        times: Sequence[float],
        name: str = "clip.mp4",
        size: tuple[int, int] = (160, 120),
        codec: str = "libx264",
        picture: Callable[[int, int, int], np.ndarray] = _numbered,
        rotation: int = 0,
        aspect: Fraction | None = None,
        sound: np.ndarray | None = None,
        rate: int = 16_000,
        sound_start: float = 0.0,
        faststart: bool = False,
        pixel_format: str = "yuv420p",
    ) -> Path:
        """times: seconds of each frame; sound: float32 [channels, n] from sound_start seconds on."""
        path = tmp_path / name
        options = {"movflags": "+faststart"} if faststart else {}
        with av.open(str(path), "w", options=options) as container:
            steps = np.diff(times) if len(times) > 1 else np.array([0.04])
            video = container.add_stream(codec, rate=Fraction(float(1 / np.median(steps))).limit_denominator(1001))
            video.width, video.height = size
            video.pix_fmt = pixel_format
            if codec not in ("mpeg1video", "mpeg4"):  # these two know fixed rates only
                video.codec_context.time_base = Fraction(1, CLOCK)
            if codec == "libx264":
                video.options = {"preset": "ultrafast", "crf": "10", "bf": "2"}
            if rotation:
                video.set_display_rotation(rotation)
            if aspect:
                video.codec_context.sample_aspect_ratio = aspect
            audio = None
            if sound is not None:
                audio = container.add_stream(
                    "mp2" if name.endswith("mpg") else "aac",
                    rate=rate,
                    layout="mono" if len(sound) == 1 else "stereo",
                )
            for index, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24").reformat(format=pixel_format)
                frame.pts, frame.time_base = round(time * CLOCK), Fraction(1, CLOCK)
                container.mux(video.encode(frame))
            container.mux(video.encode())
            if audio is not None:
                block = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(sound, np.float32), format="fltp", layout=audio.layout.name
                )
                block.sample_rate, block.pts, block.time_base = rate, round(sound_start * rate), Fraction(1, rate)
                resampler = av.AudioResampler(format=audio.format, layout=audio.layout.name, rate=rate)
                for part in [*resampler.resample(block), *resampler.resample(None)]:
                    container.mux(audio.encode(part))
                container.mux(audio.encode())
        return path

    return make
