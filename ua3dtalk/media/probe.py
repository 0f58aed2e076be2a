"""What a clip holds, found by reading its packets rather than by trusting its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

from ua3dtalk.config import MediaSettings
from ua3dtalk.errors import InputError
from ua3dtalk.media.source import decoded_frames, open_source, shown_size, video_stream

MIN_SECONDS = 1.0
# A header may announce this much more than the packets hold (the last frame's length, priming, edit lists).
MISSING_SECONDS = 0.5
MISSING_SHARE = 0.02


@dataclass(frozen=True)
class Probe:
    """One clip as it is shown.

    Attributes:
        width, height: px after rotation and with square pixels.
        fps: average frames a second.
        duration: seconds that the picture lasts.
        has_audio: whether there is a sound track.
        video_start: time of the first shown frame on the file's clock, seconds; sound is aligned to it.
        codec: name of the video codec.
    """

    width: int
    height: int
    fps: float
    duration: float
    has_audio: bool
    video_start: float
    codec: str


def probe(path: Path | str, settings: MediaSettings | None = None, need_audio: bool = True) -> Probe:
    """Look at a clip and refuse what cannot train a talking head.

    Args:
        path: local file.
        settings: limits of length and size.
        need_audio: whether a clip without a sound track is refused.
    Raises:
        InputError: one line that names the file, what is wrong and what to do.
    """
    settings = settings or MediaSettings()
    found = _read(path, settings)
    if need_audio and not found.has_audio:
        raise InputError(f"{path} has no audio track: a talking head needs the speech that belongs to the picture")
    if found.duration < MIN_SECONDS:
        raise InputError(f"{path} lasts {found.duration:.2f} s: a clip needs at least {MIN_SECONDS:.0f} s")
    if found.duration > settings.max_seconds:
        raise InputError(
            f"{path} lasts {found.duration:.0f} s, more than media.max_seconds {settings.max_seconds:.0f}: "
            "cut it or raise the limit"
        )
    return found


def _read(path: Path | str, settings: MediaSettings) -> Probe:
    with open_source(path) as container:
        stream = video_stream(container, path, settings.max_pixels)
        first = next(decoded_frames(container, stream), None)
        if first is None:
            raise InputError(f"{path} has a video track without a single readable frame: export it again")
        width, height = shown_size(stream, first.frame)
        has_audio = bool(container.streams.audio)
        announced = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        codec = stream.codec_context.name
    count, start, end = _packet_times(path, settings)
    seconds = end - max(start, first.time)
    missing = announced - (end - start)
    if missing > max(MISSING_SECONDS, MISSING_SHARE * announced):
        raise InputError(
            f"{path} is truncated: its header announces {announced:.1f} s, the file holds {end - start:.1f} s; "
            "copy or export it again"
        )
    return Probe(width, height, count / seconds if seconds > 0 else 0.0, seconds, has_audio, first.time, codec)


def _packet_times(path: Path | str, settings: MediaSettings) -> tuple[int, float, float]:
    """Count, start and end (seconds) of the video packets; reads the file but decodes nothing."""
    count, start, last, length = 0, float("inf"), float("-inf"), 0.0
    with open_source(path) as container:
        stream = video_stream(container, path, settings.max_pixels)
        usual = 1 / float(stream.average_rate or 25)
        try:
            for packet in container.demux(stream):
                time = packet.pts if packet.pts is not None else packet.dts
                if time is None or packet.size == 0 or packet.time_base is None:
                    continue
                count += 1
                seconds = float(time * packet.time_base)
                start = min(start, seconds)
                if seconds > last:
                    last = seconds
                    length = float(packet.duration * packet.time_base) if packet.duration else usual
        except (av.FFmpegError, OSError):
            pass  # cut in the middle of a packet: what came before counts
    return count, start, last + length
