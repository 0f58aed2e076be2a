"""What the groups of figures share: the rows that are compared, where to look, and the form of what they find."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.image import crop
from ua3dtalk.workflow import atomic

Figures = dict[str, float | int | None]
Columns = dict[str, np.ndarray]


EXTRACTORS = {
    "landmarks": "mediapipe face landmarker",
    "aue": "blendshapes 0..1",
    "efid": "Ledoit-Wolf covariances; interval: 95 %, moving blocks of half a second",
    "identity": "dlib face recognition, 128 numbers",
}


class Frames(Protocol):
    """One row's frames in their order, however they are stored.

    Attributes:
        name: truth, ours, static_mean, ...
        driven_by: what of the held-out frames the row has seen.
        codec: what the frames went through: none, h264, ...
    """

    @property
    def name(self) -> str: ...
    @property
    def driven_by(self) -> tuple[str, ...]: ...
    @property
    def codec(self) -> str: ...

    def frames(self) -> Iterator[np.ndarray]:
        """uint8 [H, W, 3] one after the other."""
        ...


@dataclass(frozen=True)
class Scene:
    """Rows that are compared frame by frame.

    Attributes:
        rows: the truth first.
        numbers: [n] of the frames, for the table.
        faces: of each row; empty where nobody looked.
        regions: rectangles (left, top, width, height) [n, 4] px by the region's name.
        poses: yaw, pitch, roll (radians) and distance of the truth's head, [n, 4].
        rate: frames a second.
        workers: threads.
    """

    rows: Sequence[Frames]
    numbers: np.ndarray
    faces: Sequence[Faces]
    regions: Mapping[str, np.ndarray]
    poses: np.ndarray
    rate: float
    workers: int = 1

    def __len__(self) -> int:
        return len(self.numbers)

    def in_step(self, chosen: Iterable[int] | None = None) -> Iterator[tuple[int, list[np.ndarray]]]:
        """(k, frame k of every row) for all k, or for the chosen ones; nothing is kept in memory."""
        wanted = set(range(len(self)) if chosen is None else (int(k) for k in chosen))
        last = max(wanted, default=-1)
        for k, frames in enumerate(zip(*(row.frames() for row in self.rows), strict=False)):
            if k in wanted:
                yield k, list(frames)
            if k >= last:
                return

    @property
    def breaks(self) -> np.ndarray:
        """Frames that do not follow the one before them, as where one clip's held-out frames end."""
        return np.flatnonzero(np.diff(self.numbers) != 1) + 1

    def inside_runs(self, values: np.ndarray) -> np.ndarray:
        """Values [n] that look at both neighbours, nan where one of those is no neighbour in time."""
        result = values.copy()
        result[self.breaks] = result[self.breaks - 1] = np.nan
        return result

    def cut(self, region: str, k: int, frame: np.ndarray) -> np.ndarray:
        """The part of frame k that lies in the region."""
        return crop(frame, self.regions[region][k])

    def truth_of(self, number: int) -> int:
        """The row that row `number` is compared with.

        The truth after the same codec; the compressed truth itself is compared with the truth as it was, so that its
        figures say what the codec costs.
        """
        row = self.rows[number]
        if row.name == self.rows[0].name:
            return 0
        same = (k for k, other in enumerate(self.rows) if (other.name, other.codec) == (self.rows[0].name, row.codec))
        return next(same, 0)


@dataclass(frozen=True)
class Reading:
    """What one group of figures says of one row.

    Attributes:
        row: number of the row.
        region: frame, face, or None for figures that do not depend on it.
        figures: by name.
        columns: values of every frame by name, [n], nan where not computed.
    """

    row: int
    region: str | None = None
    figures: Figures = field(default_factory=dict)
    columns: Columns = field(default_factory=dict)


def shared_frames(scene: Scene) -> tuple[np.ndarray, list[bool]]:
    """Frames on which figures from landmarks are computed: all rows have a face there.

    Returns:
        bool [n]; whether each row has a face in more than half of its frames: one that has not gets no figures and
        takes no frames from the others.
    """
    usable = [bool(face.found.mean() > 0.5) for face in scene.faces]
    shared = np.isfinite(scene.poses).all(axis=1)
    for face, good in zip(scene.faces, usable, strict=True):
        shared &= face.found | (not good)
    return shared, usable


def entries(scene: Scene, readings: Sequence[Reading]) -> list[dict[str, object]]:
    """The rows of metrics.json: uncompressed ones first, then region by region."""
    result: list[dict[str, object]] = []
    for codec in dict.fromkeys(row.codec for row in scene.rows):
        for region in scene.regions:
            for number, row in enumerate(scene.rows):
                if row.codec == codec:
                    head: dict[str, object] = {
                        "name": row.name,
                        "region": region,
                        "codec": codec,
                        "driven_by": list(row.driven_by),
                    }
                    result.append({**head, **rounded(_merged(readings, number, region))})
    return result


def _merged(readings: Sequence[Reading], number: int, region: str) -> Figures:
    merged: Figures = {}
    for reading in readings:
        if reading.row == number and reading.region in (region, None):
            merged |= reading.figures
    return merged


def rounded(figures: Figures) -> Figures:
    """Six significant digits: more is noise, and files of two runs compare by eye."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in figures.items()}


def write_table(path: Path, scene: Scene, readings: Sequence[Reading]) -> None:
    """metrics_frames.csv: one line for each row, region, codec and frame; empty where a figure was not computed."""
    keys = list(dict.fromkeys(key for reading in readings for key in reading.columns))
    with atomic(path) as temporary, temporary.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["name", "driven_by", "region", "codec", "frame", *keys])
        for number, row in enumerate(scene.rows):
            for region in scene.regions:
                columns: Columns = {}
                for reading in readings:
                    if reading.row == number and reading.region in (region, None):
                        columns |= reading.columns
                head = [row.name, "+".join(row.driven_by), region, row.codec]
                for k, frame in enumerate(scene.numbers):
                    table.writerow([*head, int(frame), *(_cell(columns, key, k) for key in keys)])


def _cell(columns: Columns, key: str, k: int) -> str:
    value = columns[key][k] if key in columns else np.nan
    return f"{value:.6g}" if np.isfinite(value) else ""
