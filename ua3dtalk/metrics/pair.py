"""Two videos laid side by side: at one rate, one size, one length, and what had to be done for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.media.frames import frames_at
from ua3dtalk.media.probe import Probe, probe
from ua3dtalk.settings import MediaSettings

SAME_RATE = 0.01  # relative: headers round 29.97 and counts are off by a frame
SAME_SHAPE = 0.02  # relative difference of width over height
SAME_LENGTH = 0.1  # s


@dataclass(frozen=True)
class VideoRow:
    """One of the two videos as a row of figures; frames are decoded as they are asked for.

    Attributes:
        name: truth or generated.
        path: of the file.
        codec: of the file.
        fps: frames a second of the file.
        rate: frames a second that are compared, at most `fps`: of the file's the nearest in time is taken.
        size: (height, width) px that frames are shrunk to.
        count: frames, or None as many as there are.
    """

    name: str
    path: Path
    codec: str
    fps: float
    rate: float
    size: tuple[int, int]
    count: int | None = None
    driven_by: tuple[str, ...] = ()

    def frames(self) -> Iterator[np.ndarray]:
        """uint8 [H, W, 3]"""
        shown = picture = None
        for frame in islice(self._nearest(), self.count):
            if picture is None or shown is not frame:
                shown, picture = frame, self._fitted(frame)
            yield picture

    def _nearest(self) -> Iterator[np.ndarray]:
        """The file's frame whose time is nearest to 0, 1/rate, 2/rate ... s."""
        index = 0
        for k, frame in enumerate(frames_at(self.path, self.fps)):
            while int(index * self.fps / self.rate + 0.5) == k:
                yield frame
                index += 1

    def _fitted(self, frame: np.ndarray) -> np.ndarray:
        import cv2

        if frame.shape[:2] != self.size:
            frame = cv2.resize(frame, self.size[::-1], interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(frame)


@dataclass(frozen=True)
class Pair:
    """The truth and the generated video, ready to be compared, and in words what was done to them."""

    truth: VideoRow
    generated: VideoRow
    notes: tuple[str, ...]


def lay_side_by_side(generated: Path, truth: Path, strict: bool = False) -> Pair:
    """Look at both files and settle on a rate, a size and a length.

    The lower rate (of the quicker one the frames nearest in time), the smaller size (the larger one is shrunk by
    averaging areas), the common length from the start.
    Args:
        strict: refuse whatever would have to be adapted.
    Raises:
        InputError: one line: a file cannot be read, the pictures have different shapes, or `strict` and a difference.
    """
    facts = {"generated": _probe(generated), "truth": _probe(truth)}
    a, b = facts["generated"], facts["truth"]
    if abs(a.width * b.height / (a.height * b.width) - 1) > SAME_SHAPE:
        raise InputError(
            f"{generated} is {a.width}x{a.height} and {truth} is {b.width}x{b.height}: pictures of different shape "
            "do not show the same; crop one like the other"
        )
    notes = list(_differences(a, b))
    if strict and notes:
        raise InputError(f"{generated} and {truth} differ: {'; '.join(notes)}; adapt one, or leave --strict out")
    rate = _rate(a, b)
    smaller = min((a, b), key=lambda each: each.width * each.height)
    size = (smaller.height, smaller.width)
    rows = {
        name: VideoRow(name, path, facts[name].codec, _own_rate(facts[name], rate), rate, size)
        for name, path in (("generated", generated), ("truth", truth))
    }
    return Pair(rows["truth"], rows["generated"], tuple(notes))


def _probe(path: Path) -> Probe:
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    return probe(path, MediaSettings(), need_audio=False)


def _rate(a: Probe, b: Probe) -> float:
    """The lower rate."""
    return _even(min(a.fps, b.fps))


def _own_rate(facts: Probe, rate: float) -> float:
    """A file's own rate, the compared one where they are the same."""
    return rate if abs(facts.fps - rate) <= SAME_RATE * rate else _even(facts.fps)


def _even(rate: float) -> float:
    """A whole number where it is one but for a frame at the end."""
    return float(round(rate)) if round(rate) and abs(rate - round(rate)) < SAME_RATE * rate / 2 else rate


def _differences(a: Probe, b: Probe) -> Iterator[str]:
    """What has to be adapted, one sentence each."""
    if abs(a.fps - b.fps) > SAME_RATE * min(a.fps, b.fps):
        yield f"{a.fps:.4g} frames a second against the truth's {b.fps:.4g}: compared by time at {_rate(a, b):.4g}"
    if (a.width, a.height) != (b.width, b.height):
        side = "the generated video" if a.width * a.height > b.width * b.height else "the truth"
        smaller = min((a, b), key=lambda each: each.width * each.height)
        yield (
            f"{a.width}x{a.height} px against the truth's {b.width}x{b.height}: {side} shrunk to "
            f"{smaller.width}x{smaller.height} by averaging areas"
        )
    if abs(a.duration - b.duration) > SAME_LENGTH:
        common = min(a.duration, b.duration)
        yield f"{a.duration:.2f} s against the truth's {b.duration:.2f}: the first {common:.2f} s are compared"
