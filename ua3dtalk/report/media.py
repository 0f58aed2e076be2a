"""Moving and still pictures that lie inside the page: small, encoded anew, as data URIs."""

from __future__ import annotations

import base64
import io
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ua3dtalk.media.encode import write_video
from ua3dtalk.rendering.uncertainty import FULL_SCALE, heat

COLUMNS = 4  # panels beside each other in the film
GRAIN = 16  # panels begin where blocks of the codec begin, so that they do not bleed into each other


@dataclass(frozen=True)
class Panel:
    """One of the pictures that are shown in step.

    Attributes:
        title, about: shown beside it.
        frame: k -> uint8 [H, W, 3].
        heat: whether it is a map in colours of heat.
    """

    title: str
    about: str
    frame: Callable[[int], np.ndarray]
    heat: bool = False


@dataclass(frozen=True)
class Film:
    """Panels in one film: they cannot run out of step, and one decoder does for all.

    Attributes:
        ident: of the player; source: data URI of the mp4, with the sound.
        side: of a panel in px; columns: panels beside each other.
        marks: (frame, label) where a clip begins.
    """

    ident: str
    source: str
    panels: tuple[Panel, ...]
    frames: int
    side: int
    columns: int
    fps: float
    marks: tuple[tuple[int, str], ...]

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


def make_film(
    ident: str,
    panels: Sequence[Panel],
    frames: int,
    side: int,
    fps: float,
    sound: np.ndarray | None,
    marks: Sequence[tuple[int, str]] = (),
    crf: float = 26,
) -> Film:
    """Encode the panels as one film.

    Args:
        frames: how many; side: largest side of a panel, px; sound: float32 [n] at 16 kHz or None.
        marks: where clips begin.
    """
    size = min(side, *panels[0].frame(0).shape[:2]) // GRAIN * GRAIN or GRAIN
    columns = min(COLUMNS, len(panels))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_video(path, _sheets(panels, frames, size, columns), fps, sound, crf=crf, preset="medium")
        source = data_uri(path.read_bytes(), "video/mp4")
    return Film(ident, source, tuple(panels), frames, size, columns, fps, tuple(marks))


def _sheets(panels: Sequence[Panel], frames: int, side: int, columns: int) -> Iterator[np.ndarray]:
    rows = math.ceil(len(panels) / columns)
    for k in range(frames):
        sheet = np.zeros((rows * side, columns * side, 3), np.uint8)
        for place, panel in enumerate(panels):
            top, left = (part * side for part in divmod(place, columns))
            sheet[top : top + side, left : left + side] = shrunk(panel.frame(k), side)
        yield sheet


def shrunk(frame: np.ndarray, side: int) -> np.ndarray:
    """uint8 [H, W, 3] as a square of `side` px."""
    import cv2

    if frame.shape[:2] == (side, side):
        return frame
    return cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)


def error_map(shown: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Root mean square over the channels of the difference of two uint8 pictures: [H, W], 0..1."""
    difference = (shown.astype(np.float32) - truth) / 255
    return np.asarray(np.sqrt((difference**2).mean(-1)))


def heat_picture(values: np.ndarray) -> np.ndarray:
    """A map [H, W] in 0..1 in the colours of heat: white is FULL_SCALE or more."""
    return heat(np.asarray(values, np.float32) / FULL_SCALE)


def picture_uri(path: Path, width: int) -> str:
    """A picture as small WebP of at most that width."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    picture.save(memory, "WEBP", quality=72, method=4)
    return data_uri(memory.getvalue(), "image/webp")


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
