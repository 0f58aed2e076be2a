"""What is compared: the truth, the rendered rows and the trivial opponents, on the same held-out frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.errors import DataError
from ua3dtalk.media.frames import frames_at
from ua3dtalk.metrics.opponents import nearest_by_audio, nearest_by_pose
from ua3dtalk.reading import is_name, map_npy, read_json, reading
from ua3dtalk.subject import FPS, Subject


@dataclass(frozen=True)
class Row:
    """Frames of one row, read when asked for.

    Attributes:
        name: ours, truth, static_mean, nearest_pose, nearest_audio.
        driven_by: what of the held-out frames the row has seen.
        source: uint8 [*, H, W, 3], memory-mapped.
        index: [n] rows of the source that are shown.
        codec: what the frames went through: none, or h264.
    """

    name: str
    driven_by: tuple[str, ...]
    source: np.ndarray
    index: np.ndarray
    codec: str = "none"

    def frame(self, k: int) -> np.ndarray:
        """uint8 [H, W, 3]"""
        return np.ascontiguousarray(self.source[self.index[k]])

    def frames(self) -> Iterator[np.ndarray]:
        return (self.frame(k) for k in range(len(self.index)))


def read_renders(subject: Subject, renders: Path) -> dict[str, Any]:
    """renders/test.json, checked against the bundle."""
    path = renders / "test.json"
    fix = "delete it and run the rendering again"
    document = read_json(path, fix)
    with reading(path, fix):
        frames, rows = document["frames"], document["rows"]
        complete = all({"name", "driven_by", "file"} <= row.keys() and is_name(row["file"]) for row in rows)
        whole = all(type(frame) is int for frame in frames)
        if not frames or not rows or not complete or not whole or min(frames) < 0 or max(frames) >= subject.frame_count:
            raise DataError(f"{path} does not fit the clips: {fix}")
    return document


def collect_rows(subject: Subject, renders: Path, document: dict[str, Any]) -> list[Row]:
    """The truth, then the rendered rows in their order, then the opponents made of training frames."""
    test = np.asarray(document["frames"], dtype=int)
    own = np.arange(len(test))
    rows = [Row("truth", (), subject.video, test)]
    for entry in document["rows"]:
        source = _load_frames(renders / entry["file"], (len(test), *subject.video.shape[1:]))
        rows.append(Row(entry["name"], tuple(entry["driven_by"]), source, own))
    train = subject.train_frames
    usable = train[subject.landmarks.valid[train]]
    train = usable if len(usable) else train
    rows.append(Row("nearest_pose", ("pose",), subject.video, nearest_by_pose(subject.tracking, train, test)))
    by_audio = nearest_by_audio(subject.speech, subject.clips, train, test)
    rows.append(Row("nearest_audio", ("audio",), subject.video, by_audio))
    return rows


def compressed_rows(renders: Path, rows: list[Row], folder: Path) -> list[Row]:
    """The truth and the first rendered row as they come back from their mp4 files; nothing where there are none.

    Args:
        renders: folder of truth.mp4 and test.mp4.
        rows: the uncompressed rows, the truth first.
        folder: for the decoded frames, which are read from there as long as the rows are used.
    """
    pairs = [(rows[0], renders / "truth.mp4"), (rows[1], renders / "test.mp4")]
    if not all(path.is_file() for _, path in pairs):
        return []
    return [
        replace(
            row, source=_decoded(path, row, folder / f"{path.stem}.npy"), index=np.arange(len(row.index)), codec="h264"
        )
        for row, path in pairs
    ]


def _decoded(path: Path, row: Row, out: Path) -> np.ndarray:
    """Frames of a clip of `row`, memory-mapped; what the encoder added to an odd side is taken off."""
    count, (height, width) = len(row.index), row.source.shape[1:3]
    frames = np.lib.format.open_memmap(out, "w+", np.uint8, (count, height, width, 3))
    found = 0
    for found, frame in enumerate(frames_at(path, FPS), start=1):
        if found > count or frame.shape[0] < height or frame.shape[1] < width:
            break
        frames[found - 1] = frame[:height, :width]
    if found != count:
        raise DataError(f"{path} does not hold the {count} frames of renders/test.json: render again")
    return frames


def own_frames(subject: Subject, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Source and index of rendered held-out frames."""
    count = len(subject.test_frames)
    return _load_frames(path, (count, *subject.video.shape[1:])), np.arange(count)


def _load_frames(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    with reading(path, "delete renders/test.json and run again"):
        frames = map_npy(path)
    if frames.shape != shape or frames.dtype != np.uint8:
        raise DataError(f"{path} holds {frames.dtype} {frames.shape} where uint8 {shape} belongs: render again")
    return frames
