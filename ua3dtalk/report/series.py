"""What changes from frame to frame: `metrics_frames.csv`, and charts that follow the video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.reading import reading, table_rows
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject

KEYS = ("name", "driven_by", "region", "codec", "frame")


@dataclass(frozen=True)
class FrameKey:
    """Which row of metrics.json a per-frame series belongs to."""

    name: str
    driven_by: str
    region: str
    codec: str


@dataclass(frozen=True)
class FrameTable:
    """Per-frame figures: for each row, frame -> value of each figure; NaN where it was not computed."""

    rows: Mapping[FrameKey, Mapping[str, Mapping[int, float]]]

    def series(self, key: FrameKey, figure: str, frames: Iterable[int]) -> np.ndarray:
        """Values of one figure at the frames: [n], NaN where there is none."""
        values = self.rows.get(key, {}).get(figure, {})
        return np.array([values.get(int(frame), math.nan) for frame in frames])

    def find(self, name: str, region: str, codec: str = "none") -> list[FrameKey]:
        """Keys of the rows of a name, in the file's order."""
        return [key for key in self.rows if (key.name, key.region, key.codec) == (name, region, codec)]


def read_frames(path: Path) -> FrameTable:
    """Read metrics_frames.csv.

    Raises:
        DataError: it is missing, or its columns or numbers are not what they should be.
    """
    rows: dict[FrameKey, dict[str, dict[int, float]]] = {}
    with reading(path, "delete it and run metrics again"):
        lines = table_rows(path)
        header = next(lines, [])
        figures = [name for name in header if name not in KEYS]
        for words in lines:
            line = dict(zip(header, words, strict=True))
            key = FrameKey(*(line[name] or "" for name in KEYS[:-1]))
            row = rows.setdefault(key, {name: {} for name in figures})
            frame = int(line["frame"])
            for name in figures:
                if line[name]:
                    row[name][frame] = float(line[name])
    return FrameTable(rows)


@dataclass(frozen=True)
class Line:
    """One line of a chart; `role` decides its colour, `dashed` a variant of the same role."""

    name: str
    values: np.ndarray
    role: str
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """What the page draws.

    Attributes:
        ident: of the element it is drawn into.
        kind: time (over the frames of a player), steps (over iterations) or pairs (two values against each other).
        title, about, unit: in words.
        lines: of `time` and `steps`; `x` are the iterations of `steps`.
        points: of `pairs`: (predicted, observed, label).
        log: whether the y axis is logarithmic; low, high: its limits where they should not follow the data.
    """

    ident: str
    kind: str
    title: str
    about: str
    unit: str = ""
    lines: Sequence[Line] = ()
    x: Sequence[float] = ()
    points: Sequence[tuple[float, float, str]] = ()
    axes: tuple[str, str] = ("", "")
    log: bool = False
    low: float | None = None
    high: float | None = None
    shade: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def data(self) -> dict[str, Any]:
        """What the script reads; numbers with four digits, null where there is none."""
        return {
            "id": self.ident,
            "kind": self.kind,
            "unit": self.unit,
            "lines": [
                {"name": line.name, "role": line.role, "dashed": line.dashed, "values": numbers(line.values)}
                for line in self.lines
            ],
            "x": numbers(self.x),
            "points": [[*numbers(point[:2]), point[2]] for point in self.points],
            "axes": list(self.axes),
            "log": self.log,
            "low": self.low,
            "high": self.high,
            "shade": numbers(self.shade),
        }


def numbers(values: Iterable[Any]) -> list[float | None]:
    """Four significant digits; null where a number is not finite."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in map(float, values)]


def loudness(subject: Subject, frames: np.ndarray) -> np.ndarray:
    """Level of the sound in each frame, 0 (60 dB below the loudest) .. 1: [n]."""
    sound = subject.audio().reshape(-1, SAMPLES_PER_FRAME)[frames]
    power = np.mean(sound.astype(np.float64) ** 2, axis=1)
    decibels = 10 * np.log10(np.maximum(power, 1e-12) / max(float(power.max()), 1e-12))
    return np.asarray(np.clip(1 + decibels / 60, 0, 1))
