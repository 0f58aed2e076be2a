"""Reading any local clip with ffmpeg's libraries (PyAV): frames and sound with their times.

Clips are not trusted. A file is opened here and handed to ffmpeg as a stream of bytes, and ffmpeg may open
nothing itself: playlists, concat lists and network addresses inside a file lead nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from ua3dtalk.errors import InputError

READ_BUFFER = 1 << 18
DECODER_THREADS = min(os.cpu_count() or 1, 4)  # each holds frames in memory


@contextmanager
def open_source(path: Path | str) -> Iterator[InputContainer]:
    """Open a local file for reading; everything ffmpeg says against it becomes one line.

    Raises:
        InputError: missing, unreadable or not a media file.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the video file itself")
    try:
        stream = path.open("rb")
    except OSError as error:
        hint = "check the path in config.yaml" if isinstance(error, FileNotFoundError) else "check its permissions"
        raise InputError(f"{path} cannot be read ({error.strerror}): {hint}") from error
    with stream:
        if not stream.read(1):
            raise InputError(f"{path} is empty: copy or export it again")
        stream.seek(0)
        try:
            container = av.open(
                stream,
                mode="r",
                buffer_size=READ_BUFFER,
                options={"protocol_whitelist": "pipe"},  # the bytes come from us; nothing else may be opened
                metadata_errors="ignore",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not a video or sound file that ffmpeg can read, or its end is missing: "
                "check that it plays, or export it again as mp4"
            ) from error
        with container:
            yield container


def video_stream(container: InputContainer, path: Path | str, max_pixels: int) -> VideoStream:
    """The clip's moving picture, set up for decoding with bounded memory."""
    pictures = [
        stream
        for stream in container.streams.video
        if "ATTACHED_PIC" not in str(stream.disposition)  # cover art of a sound file
    ]
    if not pictures:
        raise InputError(f"{path} has no video track: name a clip that shows the speaker")
    stream = pictures[0]
    if stream.width * stream.height > max_pixels:
        raise InputError(
            f"{path} has {stream.width}x{stream.height} pixels, more than media.max_pixels {max_pixels}: "
            "make it smaller or raise the limit"
        )
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = DECODER_THREADS
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    return stream


@dataclass(frozen=True)
class Shown:
    """A decoded frame and the time it is on screen, seconds on the file's own clock."""

    time: float
    duration: float
    frame: av.VideoFrame


def decoded_frames(container: InputContainer, stream: VideoStream) -> Iterator[Shown]:
    """Decode in order of presentation; a damaged packet is passed over, a frame without a time follows the last one."""
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    usual = 1 / rate if 0.1 < rate < 1000 else 1 / 25
    latest = None
    for frame in _decode(container, stream):
        time = frame.time
        if time is None:
            time = 0.0 if latest is None else latest + usual
        if latest is not None and time <= latest:
            continue  # two frames for one moment: the first stays
        latest = time
        duration = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        yield Shown(time, duration or usual, frame)


def _decode(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
    for packet in packets(container, stream):
        yield from decode_packet(stream, packet)


def packets(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[av.Packet | None]:
    """Packets of one stream; where the file breaks off, None follows, which makes a decoder give out what it holds."""
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            return
        except (av.FFmpegError, OSError):
            yield None
            return
        yield packet


def decode_packet(stream: VideoStream | AudioStream, packet: av.Packet | None) -> Iterator[Any]:
    """Frames of one packet; what a damaged one does not give is left out (lengths are checked later)."""
    with suppress(av.error.InvalidDataError):
        yield from stream.decode(packet)


def decoded_audio(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    """Decode the sound track in order; damaged packets are passed over."""
    yield from _decode(container, stream)


def orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """How stored pixels become upright: (transpose, then flip left-right, then flip upside down).

    Source: ffmpeg's display matrix; a stored point (x, y) is shown at (a x + c y, b x + d y).
    """
    data = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    if data is None:
        return False, False, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(data, np.int32)[:5])
    if abs(a) + abs(d) < abs(b) + abs(c):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def stored_size(stream: VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height in square px before it is turned upright: broad pixels widen the picture."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return (round(frame.width * ratio) if 0.1 < ratio < 10 else frame.width), frame.height


def shown_size(stream: VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height in square px, upright."""
    width, height = stored_size(stream, frame)
    return (height, width) if orientation(frame)[0] else (width, height)
