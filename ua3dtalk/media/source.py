"""Reading any local clip with ffmpeg's libraries (PyAV): frames and sound with their times.

Clips are not trusted. A regular file is opened here and handed to ffmpeg as a stream of bytes; ffmpeg may open nothing
itself and takes no playlists: network addresses and names of files inside a file lead nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from ua3dtalk.errors import InputError, UserError
from ua3dtalk.reading import cause, open_regular

READ_BUFFER = 1 << 18
DECODER_THREADS = min(os.cpu_count() or 1, 4)  # each holds frames in memory
PIXELS_PER_THREAD = 4096 * 2304  # of larger frames one is held at a time
MAX_BYTES = 20 * 10**9  # of what has no setting of its own: voices, other persons' clips
# Containers of moving pictures and sound. ffmpeg knows ten times as many: playlists and lists of files, which lead
# elsewhere, pictures, and what nobody has tested for decades.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,gif,apng,mxf,nut,ivf,m4v,h264,hevc,"
    "av1,obu,vc1,dv,wtv,yuv4mpegpipe,gxf,rm,wav,w64,mp3,flac,aac,loas,ac3,eac3,dts,aiff,caf,amr,au,voc,ape,wv,tta,"
    "tak,mpc,mpc8,mlp,truehd,dsf,sox,qcp,xwma,nistsphere"
)


@contextmanager
def open_source(path: Path | str, max_bytes: int = MAX_BYTES) -> Iterator[InputContainer]:
    """Open a local file for reading; everything ffmpeg says against it becomes one line.

    Raises:
        InputError: missing, unreadable, no regular file, too large, or not a media file.
    """
    path = Path(path)
    with _opened(path, max_bytes) as stream:
        try:
            container = av.open(
                stream,
                mode="r",
                buffer_size=READ_BUFFER,
                # The bytes come from us: there is no protocol by which anything else could be opened.
                options={"protocol_whitelist": "none", "format_whitelist": FORMATS},
                metadata_errors="ignore",
            )
        except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
            raise InputError(
                f"{path} is not a video or sound file that ffmpeg can read, or its end is missing: "
                "check that it plays, or export it again as mp4"
            ) from error
        with container:
            try:
                yield container
            except UserError:
                raise
            except Exception as error:  # ffmpeg's errors have many kinds, and foreign numbers break arithmetic
                raise InputError(f"{path} is damaged ({cause(error)}): copy or export it again") from error


def _opened(path: Path, max_bytes: int) -> BinaryIO:
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder: name the video file itself")
    try:
        stream = open_regular(path)
    except OSError as error:
        hint = "check the path in config.yaml" if isinstance(error, FileNotFoundError) else "check its permissions"
        raise InputError(f"{path} cannot be read ({error.strerror}): {hint}") from error
    except ValueError as error:  # a pipe, a device, a name that none can have
        raise InputError(f"{path} cannot be read ({cause(error)}): name the video file itself") from error
    size = os.fstat(stream.fileno()).st_size
    if 0 < size <= max_bytes:
        return stream
    stream.close()
    if size:
        raise InputError(f"{path} has {size} bytes, more than media.max_bytes {max_bytes}: cut it or raise the limit")
    raise InputError(f"{path} is empty: copy or export it again")


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
    check_pixels(path, (stream.width, stream.height), max_pixels)
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = DECODER_THREADS if stream.width * stream.height <= PIXELS_PER_THREAD else 1
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    return stream


def check_pixels(path: Path | str, size: tuple[int, int], max_pixels: int) -> None:
    """Refuse a picture of more pixels; broad ones count as they are shown.

    Raises:
        InputError: one line.
    """
    if size[0] * size[1] > max_pixels:
        raise InputError(
            f"{path} has {size[0]}x{size[1]} pixels, more than media.max_pixels {max_pixels}: "
            "make it smaller or raise the limit"
        )


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
    try:
        yield from stream.decode(packet)
    except MemoryError:
        raise
    except av.FFmpegError:  # decoders have many words for damage
        return


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
    return (max(round(frame.width * ratio), 1) if 0.1 < ratio < 10 else frame.width), frame.height


def shown_size(stream: VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height in square px, upright."""
    width, height = stored_size(stream, frame)
    return (height, width) if orientation(frame)[0] else (width, height)
