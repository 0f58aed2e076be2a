"""Renders beside the truth, for a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ua3dtalk.face.pictures import cell, label, save, sheet, spread
from ua3dtalk.rendering.uncertainty import FULL_SCALE, columns
from ua3dtalk.subject import Subject

COLUMNS = 6


class Rendered(Protocol):
    """A row of rendered frames and where they lie."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def driven_by(self) -> tuple[str, ...]: ...


def side_by_side(
    subject: Subject,
    folder: Path,
    rows: Sequence[Rendered],
    picture: Path,
    uncertain: bool = False,
    emotions: Mapping[str, str] | None = None,
) -> None:
    """One line of frames for the truth, for each row, for the predicted deviation where the head has one, and for the
    same speech in each emotion (label -> file) that was asked for."""
    chosen = spread(len(subject.test_frames), COLUMNS)
    lines = [[cell(subject.video[subject.test_frames[i]]) for i in chosen]]
    label(lines[0][0], "truth")
    for row in rows:
        frames = np.load(folder / row.file, mmap_mode="r")
        lines.append([cell(frames[i]) for i in chosen])
        label(lines[-1][0], f"{row.name}, driven by {', '.join(row.driven_by)}")
    if uncertain:
        lines.append([cell(heat) for heat in columns(folder / "test", chosen)])
        label(lines[-1][0], f"predicted deviation, white: {FULL_SCALE} or more")
    for emotion, file in (emotions or {}).items():
        frames = np.load(folder / file, mmap_mode="r")
        lines.append([cell(frames[i]) for i in chosen])
        label(lines[-1][0], f"asked for {emotion}, the same speech")
    save(sheet(lines), picture)
