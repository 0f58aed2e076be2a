"""What a clip holds, found by reading its packets rather than by trusting its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.video.stream import VideoStream

from ua3dtalk.errors import InputError
from ua3dtalk.media.source import check_pixels, decode_packet, open_source, packets, shown_size, video_stream
from ua3dtalk.settings import MediaSettings

MIN_SECONDS = 1.0
SLOWEST, QUICKEST = 5.0, 1000.0  # pictures a second; slower, few bytes stand for hours
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
    if not SLOWEST <= found.fps <= QUICKEST:
        raise InputError(
            f"{path} shows {found.fps:.3g} pictures a second: a talking head needs {SLOWEST:g} to {QUICKEST:g}; "
            "export it again at a usual rate"
        )
    return found


def _read(path: Path | str, settings: MediaSettings) -> Probe:
    """Decode one frame, then only read the packets' times; headers announce what the file may not hold."""
    with open_source(path, settings.max_bytes) as container:
        stream = video_stream(container, path, settings.max_pixels)
        times = _Times(1 / float(stream.average_rate or 25))
        first = None
        for packet in packets(container, stream):
            times.add(packet)
            if first is None:
                first = next(iter(decode_packet(stream, packet)), None)
        if first is None:
            raise InputError(f"{path} has a video track without a single readable frame: export it again")
        announced = _announced_seconds(stream)
        held = max(times.end - times.start, times.end)  # Matroska announces the end, others the length
        if announced - held > max(MISSING_SECONDS, MISSING_SHARE * announced):
            raise InputError(
                f"{path} is truncated: its header announces {announced:.1f} s, the file holds {held:.1f} s; "
                "copy or export it again"
            )
        start = times.start if first.time is None else first.time
        seconds = times.end - start
        width, height = shown_size(stream, first)
        check_pixels(path, (width, height), settings.max_pixels)
        fps = times.count / seconds if seconds > 0 else 0.0
        return Probe(width, height, fps, seconds, bool(container.streams.audio), start, stream.codec_context.name)


def _announced_seconds(stream: VideoStream) -> float:
    """Length of the stream by its header (mp4, avi) or its tags (Matroska); 0 when nothing is said."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    except ValueError:
        return 0.0


class _Times:
    """Count, start and end (seconds) of the packets of a stream."""

    def __init__(self, usual_length: float) -> None:
        self.count, self.start, self.end, self.usual_length = 0, float("inf"), float("-inf"), usual_length

    def add(self, packet: av.Packet | None) -> None:
        """Count one packet; those without a time (the last, empty one) are passed over."""
        if packet is None or packet.size == 0 or packet.time_base is None:
            return
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            return
        seconds = float(time * packet.time_base)
        length = float(packet.duration * packet.time_base) if packet.duration else self.usual_length
        self.count += 1
        self.start, self.end = min(self.start, seconds), max(self.end, seconds + length)
