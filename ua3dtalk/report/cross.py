"""Foreign speech through the trained head: what results/{actor}/cross/ holds, where it exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.frames import frames_at
from ua3dtalk.reading import floats, is_name, map_npy, read_json, reading
from ua3dtalk.report.figures import NO_FIGURES
from ua3dtalk.report.media import Film, Panel, heat_picture, make_film
from ua3dtalk.report.tables import Line, figure_line
from ua3dtalk.settings import ReportSettings
from ua3dtalk.subject import FPS

OWN = "_own"


@dataclass(frozen=True)
class Voice:
    """One foreign voice: its name, what it was, the film and the figures; `heads` are those of the figures' columns."""

    name: str
    about: str
    film: Film
    heads: tuple[str, ...]
    lines: tuple[Line, ...]


def read_cross(folder: Path, settings: ReportSettings) -> list[Voice]:
    """All voices that lie in the folder, by name."""
    return [_voice(path, settings) for path in sorted(folder.glob("*/cross.json"))]


def _voice(path: Path, settings: ReportSettings) -> Voice:
    document = read_json(path)
    with reading(path):
        figures, count = document["figures"], int(document["frames"])
        maps = document.get("files", {}).get("deviation", "deviation.npy")
        if not is_name(maps):
            raise ValueError("its map lies in another folder")
        about = f"{document['voice']['seconds']:.1f} s, sha256 {document['voice']['sha256'][:12]}"
    name = path.parent.name
    most = min(count, max(int(settings.video_seconds * FPS), 1))
    film = _film(f"cross-{name}", path.parent, path.parent / maps, most, settings)
    return Voice(name, about, film, *figure_lines(figures))


def figure_lines(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    """The figures of a voice, in a second column those that end in _own: what is usual for the actor."""
    keys = [key for key in figures if key not in NO_FIGURES and not (key.endswith(OWN) and key[: -len(OWN)] in figures)]
    lines = [figure_line(key, [figures[key], figures.get(key + OWN)], ["ours", "truth"]) for key in keys]
    return ("Driven", "Usual for the actor"), tuple(lines)


def _film(ident: str, folder: Path, maps: Path, frames: int, settings: ReportSettings) -> Film:
    """The driven head, and where it is unsure if there is a map."""
    path = folder / "driven.mp4"
    panels = [Panel("Driven", "by foreign speech; there is no truth to compare with", InOrder(frames_at(path)))]
    if maps.exists():
        with reading(maps):
            deviation = map_npy(maps, floats("T", "H", "W"))
        frames = min(frames, len(deviation))
        panels.append(Panel("Uncertainty", "predicted", lambda k: heat_picture(deviation[k]), heat=True))
    return make_film(ident, panels, frames, settings.video_side, FPS, read_audio(path), crf=settings.video_crf)


class InOrder:
    """Pictures that come one after the other, asked for by ascending numbers; the last one may be asked for again, and
    stays where no more come."""

    def __init__(self, pictures: Iterator[np.ndarray]) -> None:
        self._pictures = pictures
        self._number, self._last = -1, np.zeros((0, 0, 3), np.uint8)

    def __call__(self, k: int) -> np.ndarray:
        while self._number < k:
            self._number, self._last = self._number + 1, next(self._pictures, self._last)
        return self._last
