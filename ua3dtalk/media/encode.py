"""Writing a clip that any player shows: H.264 and AAC in mp4, frame by frame; or its sound alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace

from ua3dtalk.errors import InputError
from ua3dtalk.media.samples import Samples
from ua3dtalk.subject import AUDIO_RATE, FPS
from ua3dtalk.workflow import atomic

ENCODER_THREADS = 2  # fixed: the bytes depend on the number of threads
AUDIO_BIT_RATE = 128_000


def write_video(
    path: Path | str,
    frames: Iterable[np.ndarray],
    fps: float = FPS,
    audio: Samples | None = None,
    rate: int = AUDIO_RATE,
    crf: float = 18,
    preset: str = "veryfast",
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Encode frames as they come, each while the next one is made; memory does not grow with their number.

    Args:
        path: .mp4, written atomically.
        frames: uint8 [H, W, 3] RGB of one size, each an array of its own; an odd side grows by one repeated row or
            column.
        fps: frames a second.
        audio: float32 [n] mono in -1..1 (an array, or a `Sound` on disk), or None; longer than the picture it is cut,
            shorter it ends early.
        rate: of the audio.
        crf: constant quality, 0 lossless .. 51; preset: of libx264.
        metadata: of the file; mp4 knows title, artist, comment, description and a few more.
    Returns:
        number of frames written.
    Raises:
        InputError: no frames at all.
    """
    count = 0
    with (
        atomic(path) as temporary,
        av.open(temporary, "w", format="mp4", options=_muxer()) as container,
        ThreadPoolExecutor(1) as encoder,
    ):
        container.metadata.update(metadata or {})
        film, before = None, None
        for count, frame in enumerate(frames, 1):
            if film is None or before is None:
                video = _video_stream(container, frame, fps, crf, preset)
                sound = _Sound(container, audio, rate) if audio is not None and len(audio) else None
                film = _Film(container, video, sound, fps)
            else:
                before.result()
            before = encoder.submit(film.add, frame, count - 1)
        if film is None or before is None:
            raise InputError(f"{path}: there is no frame to write")
        before.result()
        film.finish()
    return count


def write_sound(path: Path | str, samples: Samples, rate: int) -> None:
    """Encode a sound alone, as AAC in mp4, which every browser plays.

    Args:
        path: .m4a, written atomically. samples: float32 [n] mono in -1..1, n > 0; rate: of them.
    """
    with atomic(path) as temporary, av.open(temporary, "w", format="mp4", options=_muxer()) as container:
        sound = _Sound(container, samples, rate)
        for end in range(rate, len(samples) + rate, rate):
            sound.write_until(end / rate)
        sound.finish()


@dataclass(frozen=True)
class _Film:
    """Picture and sound of a file that is being written."""

    container: OutputContainer
    video: av.video.stream.VideoStream
    sound: _Sound | None
    fps: float

    def add(self, frame: np.ndarray, index: int) -> None:
        """The frame of this index, and the sound up to its end."""
        self.container.mux(self.video.encode(_picture(frame, index)))
        if self.sound is not None:
            self.sound.write_until((index + 1) / self.fps)

    def finish(self) -> None:
        """What the encoders still hold."""
        self.container.mux(self.video.encode())
        if self.sound is not None:
            self.sound.finish()


def _muxer() -> dict[str, str]:
    """The index comes first, so that a browser can start; no version strings, so that equal input gives equal bytes."""
    return {"movflags": "+faststart", "fflags": "+bitexact"}


def _video_stream(
    container: OutputContainer, frame: np.ndarray, fps: float, crf: float, preset: str
) -> av.video.stream.VideoStream:
    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
    stream.height, stream.width = (side + side % 2 for side in frame.shape[:2])
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": str(crf), "preset": preset}
    context = stream.codec_context
    context.thread_count = ENCODER_THREADS
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = 1, 1  # BT.709, as the matrix
    return stream


def _picture(frame: np.ndarray, index: int) -> av.VideoFrame:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    picture = picture.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )  # fmt: skip
    picture.pts = index
    return picture


class _Sound:
    """The sound track, written as far as the picture has come."""

    def __init__(self, container: OutputContainer, samples: Samples, rate: int) -> None:
        self.container, self.samples, self.rate, self.done = container, samples, rate, 0
        self.stream = container.add_stream("aac", rate=rate, layout="mono")
        self.stream.bit_rate = AUDIO_BIT_RATE

    def write_until(self, seconds: float) -> None:
        """Encode the samples before a time."""
        end = min(round(seconds * self.rate), len(self.samples))
        block = np.ascontiguousarray(self.samples[self.done : end], np.float32)
        if not len(block):
            return
        frame = av.AudioFrame.from_ndarray(np.clip(block, -1, 1)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self.done, Fraction(1, self.rate)
        self.container.mux(self.stream.encode(frame))
        self.done = end

    def finish(self) -> None:
        """Give out what the encoder holds."""
        self.container.mux(self.stream.encode())
