"""Frames of a clip at a fixed rate by time: which source frame is on screen at i / rate, upright, cut and resized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from ua3dtalk.errors import InputError
from ua3dtalk.media.source import (
    Shown,
    check_pixels,
    decoded_frames,
    open_source,
    orientation,
    shown_size,
    stored_size,
    video_stream,
)
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import FPS

# Containers round times to a millisecond or to 1/90000 s; a frame that begins this little too late is on time.
TIME_TOLERANCE = 0.002
HD_HEIGHT = 720  # untagged pictures of this height use the colour matrix of HD television, smaller ones that of SD
BORDER_FORMATS = ("yuv4", "yuvj4", "gbrp", "gray")  # pixel formats that ffmpeg's fillborders can work on
COLOUR_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}


@dataclass(frozen=True)
class Square:
    """A square of the upright picture in px, even numbers because colour comes for pairs of pixels.

    It may reach beyond the picture's border.
    """

    left: int
    top: int
    side: int

    @classmethod
    def near(cls, left: float, top: float, side: float) -> Square:
        """The even square next to the one that is wished for."""
        return cls(2 * round(left / 2), 2 * round(top / 2), max(2 * round(side / 2), 2))


def frames_at(
    path: Path | str,
    rate: float = FPS,
    crop: Square | None = None,
    size: int | None = None,
    settings: MediaSettings | None = None,
) -> Iterator[np.ndarray]:
    """Frames at 0, 1/rate, 2/rate ... s after the first shown frame, as long as the picture lasts.

    Args:
        path: local clip of any frame rate, constant or not.
        rate: frames a second of the result.
        crop: square to cut; beyond the border the border's pixels are repeated.
        size: side of the result in px (only with a crop).
        settings: limits of length and size.
    Yields:
        uint8 [H, W, 3] RGB; the same array object again while the source shows the same frame.
    Raises:
        InputError: unreadable, too long, or the picture changes its size on the way.
    """
    settings = settings or MediaSettings()
    with open_source(path, settings.max_bytes) as container:
        stream = video_stream(container, path, settings.max_pixels)
        converter = _Converter(stream, path, settings.max_pixels, crop, size)
        shown = None
        for frame in _on_screen(decoded_frames(container, stream), rate, settings.max_seconds, path):
            if shown is not frame:
                shown, picture = frame, converter.picture(frame)
            yield picture


def sample_frames(
    path: Path | str, every_seconds: float, max_side: int, settings: MediaSettings | None = None
) -> Iterator[tuple[float, np.ndarray, float]]:
    """Sparse small frames for looking at a whole clip.

    Args:
        path: local clip.
        every_seconds: distance of the samples in time.
        max_side: the longer side of a sample is at most this, px.
    Yields:
        (seconds after the first frame, uint8 [h, w, 3] RGB, px of the sample for one px of the upright source).
    """
    settings = settings or MediaSettings()
    with open_source(path, settings.max_bytes) as container:
        stream = video_stream(container, path, settings.max_pixels)
        converter = _Converter(stream, path, settings.max_pixels, max_side=max_side)
        frames = _on_screen(decoded_frames(container, stream), 1 / every_seconds, settings.max_seconds, path)
        for index, frame in enumerate(frames):
            picture = converter.picture(frame)
            yield index * every_seconds, picture, picture.shape[1] / shown_size(stream, frame)[0]


def _on_screen(shown: Iterator[Shown], rate: float, max_seconds: float, path: Path | str) -> Iterator[av.VideoFrame]:
    """The frame that is on screen at i / rate after the first one, for i = 0, 1, ... until the last one ends."""
    index, start, current, end = 0, 0.0, None, 0.0
    for item in shown:
        if current is None:
            start = item.time
        begins = item.time - start
        if begins > max_seconds:
            raise InputError(f"{path} lasts longer than media.max_seconds {max_seconds:.0f}: cut it or raise the limit")
        while current is not None and index / rate < begins - TIME_TOLERANCE:
            yield current
            index += 1
        current, end = item.frame, begins + item.duration
    while current is not None and index / rate < min(end, max_seconds) - TIME_TOLERANCE:
        yield current
        index += 1


class _Converter:
    """Turns decoded frames of one clip into upright RGB pictures, cut and resized.

    ffmpeg cuts and resizes before it converts colours, so the work does not grow with the picture.
    """

    def __init__(
        self,
        stream: VideoStream,
        path: Path | str,
        max_pixels: int,
        crop: Square | None = None,
        size: int | None = None,
        max_side: int | None = None,
    ) -> None:
        self.stream, self.path, self.max_pixels = stream, path, max_pixels
        self.crop, self.size, self.max_side = crop, size, max_side
        self.geometry: tuple[object, ...] | None = None
        self.shape: tuple[int, int] | None = None

    def picture(self, frame: av.VideoFrame) -> np.ndarray:
        """uint8 [H, W, 3] RGB."""
        geometry = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if geometry != self.geometry:  # rare inside a clip: colour tags that come late
            self._build(frame)
            self.geometry = geometry
        frame.pts = None  # the graph has no use for times and would refuse equal ones
        self.graph.push(frame)
        return self.graph.pull().to_ndarray()

    def _build(self, frame: av.VideoFrame) -> None:
        size = shown_size(self.stream, frame)
        if self.shape is not None and size != self.shape:
            raise InputError(
                f"{self.path} changes its picture from {self.shape[0]}x{self.shape[1]} to {size[0]}x{size[1]} "
                "on the way: cut it there into two clips"
            )
        check_pixels(self.path, size, self.max_pixels)
        self.shape = size
        graph = av.filter.Graph()
        nodes = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 90_000))
        ]
        nodes += [graph.add(name, arguments) for name, arguments in self._filters(frame, size)]
        nodes.append(graph.add("buffersink"))
        for before, after in pairwise(nodes):
            before.link_to(after)
        graph.configure()
        self.graph = graph

    def _filters(self, frame: av.VideoFrame, size: tuple[int, int]) -> list[tuple[str, str]]:
        """Names and arguments of the ffmpeg filters that make a frame upright, cut, resized and RGB."""
        filters = []
        square_pixels = stored_size(self.stream, frame)
        if square_pixels != (frame.width, frame.height):
            filters.append(("scale", f"{square_pixels[0]}:{square_pixels[1]}:flags=bicubic"))
        transposed, mirrored, upside_down = orientation(frame)
        filters += [("transpose", "0")] * transposed + [("hflip", "")] * mirrored + [("vflip", "")] * upside_down
        before = after = size
        if self.crop is not None:
            filters += self._cut(self.crop, frame, size)
            before = self.crop.side, self.crop.side
            after = (self.size, self.size) if self.size else before
        elif self.max_side is not None and max(size) > self.max_side:
            scale = self.max_side / max(size)
            after = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
        kernel = "area" if after < before else "bicubic"
        filters.append(("scale", f"{after[0]}:{after[1]}:flags={kernel}+accurate_rnd+full_chroma_int{_colours(frame)}"))
        filters.append(("format", "rgb24"))
        return filters

    def _cut(self, crop: Square, frame: av.VideoFrame, size: tuple[int, int]) -> list[tuple[str, str]]:
        """Cut the part of the square that lies in the picture, then repeat its border where the square goes on."""
        left, top = max(crop.left, 0), max(crop.top, 0)
        right, bottom = min(crop.left + crop.side, size[0]), min(crop.top + crop.side, size[1])
        if right <= left or bottom <= top:
            raise InputError(f"{self.path}: the {crop} lies outside the picture of {size[0]}x{size[1]} px")
        filters = [("crop", f"{right - left}:{bottom - top}:{left}:{top}:exact=1")]
        above, before = top - crop.top, left - crop.left
        below, behind = crop.top + crop.side - bottom, crop.left + crop.side - right
        if above or before or below or behind:
            if not frame.format.name.startswith(BORDER_FORMATS):
                filters.append(("format", "gbrp" if frame.format.is_rgb else "yuv444p"))
            filters.append(("pad", f"{crop.side}:{crop.side}:{before}:{above}"))
            filters.append(("fillborders", f"{before}:{behind}:{above}:{below}:mode=smear"))
        return filters


def _colours(frame: av.VideoFrame) -> str:
    """Arguments of ffmpeg's scale filter that name the frame's colour matrix and range."""
    if frame.format.is_rgb:
        return ""
    usual = "bt709" if min(frame.width, frame.height) >= HD_HEIGHT else "bt601"
    matrix = COLOUR_MATRICES.get(int(frame.colorspace), usual)
    full = int(frame.color_range) == 2 or frame.format.name.startswith("yuvj")
    return f":in_color_matrix={matrix}:in_range={'full' if full else 'limited'}"
