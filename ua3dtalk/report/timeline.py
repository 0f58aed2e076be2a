"""The held-out frames of one actor over time: films of them, and the charts that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.errors import DataError
from ua3dtalk.metrics.image import crop, face_squares
from ua3dtalk.metrics.rows import read_renders
from ua3dtalk.reading import map_npy, reading
from ua3dtalk.rendering.uncertainty import FULL_SCALE
from ua3dtalk.report.media import Film, Panel, error_map, heat_picture, make_film
from ua3dtalk.report.series import Chart, FrameTable, Line, loudness
from ua3dtalk.report.tables import TITLES
from ua3dtalk.settings import ReportSettings
from ua3dtalk.subject import FPS, SAMPLES_PER_FRAME, Subject

MAIN = "main"
HEAT = f"black: 0, white: {FULL_SCALE:g} of the full range or more"


@dataclass(frozen=True)
class Shown:
    """The held-out frames that the page shows.

    Attributes:
        subject: the bundle; renders: its folder of renders; document: its test.json.
        frames: [n] absolute indices; all: how many are held out.
    """

    subject: Subject
    renders: Path
    document: Mapping[str, Any]
    frames: np.ndarray
    all: int

    @cached_property
    def marks(self) -> list[tuple[int, str]]:
        """Where a clip begins among the frames, with its label."""
        clips = self.subject.clips
        found = []
        for number, clip in enumerate(clips, start=1):
            inside = np.flatnonzero((self.frames >= clip.first) & (self.frames < clip.end))
            if len(inside):
                found.append((int(inside[0]), clip.emotion or (f"clip {number}" if len(clips) > 1 else "")))
        return found

    @cached_property
    def sound(self) -> np.ndarray:
        """float32 [n * 640]"""
        return self.subject.audio().reshape(-1, SAMPLES_PER_FRAME)[self.frames].reshape(-1)

    @cached_property
    def loudness(self) -> np.ndarray:
        """Level of the sound in each frame: [n], 0..1."""
        return loudness(self.subject, self.frames)

    def rendered(self, file: str, kind: str = "uint8") -> np.ndarray:
        """A file of the renders, memory-mapped: [all, H, W, ...]."""
        with reading(self.renders / file, "render again"):
            frames = map_npy(self.renders / file)
        if len(frames) != self.all or frames.dtype != kind:
            raise DataError(f"{self.renders / file} holds {frames.dtype} {frames.shape}: render again")
        return np.asarray(frames) if not isinstance(frames, np.memmap) else frames

    def truth(self, k: int) -> np.ndarray:
        """uint8 [H, W, 3]"""
        return np.asarray(self.subject.video[self.frames[k]])

    @cached_property
    def ours(self) -> np.ndarray:
        """The first rendered row."""
        return self.rendered(self.document["rows"][0]["file"])

    @cached_property
    def deviation(self) -> np.ndarray | None:
        """float16 [all, H, W], for a head with beliefs."""
        files = self.document.get("uncertainty")
        return self.rendered(files["deviation"], "float16") if files else None


def shown_frames(subject: Subject, renders: Path, settings: ReportSettings) -> Shown:
    """The first `video_seconds` of the held-out frames."""
    document = read_renders(subject, renders)
    frames = np.asarray(document["frames"], dtype=int)
    most = max(int(settings.video_seconds * FPS), 1)
    return Shown(subject, renders, document, frames[:most], len(frames))


def main_film(shown: Shown, settings: ReportSettings) -> Film:
    """Truth, render, error and uncertainty in step."""
    panels = [
        Panel("Truth", "what the camera saw; no part of it was trained on", shown.truth),
        Panel("Render", driven(shown.document["rows"][0]), lambda k: np.asarray(shown.ours[k])),
        Panel("Error", HEAT, lambda k: heat_picture(error_map(shown.ours[k], shown.truth(k))), heat=True),
    ]
    deviation = shown.deviation
    if deviation is not None:
        panels.append(Panel("Uncertainty", f"predicted; {HEAT}", lambda k: heat_picture(deviation[k]), heat=True))
    return film(MAIN, panels, shown, settings)


def driven(row: Mapping[str, Any]) -> str:
    """What drove a row, in words."""
    return "driven by " + ", ".join(source.replace("_", " ") for source in row["driven_by"])


def emotion_films(shown: Shown, settings: ReportSettings) -> list[Film]:
    """The same speech, asked for in each emotion, beside the truth; nothing where no emotion was asked for."""
    files = shown.document.get("emotions")
    if not files:
        return []
    panels = [Panel("Truth", "as it was said", shown.truth)]
    for label, file in files.items():
        frames = shown.rendered(file)
        panels.append(Panel(label, "asked for", lambda k, frames=frames: np.asarray(frames[k])))  # type: ignore[misc]
    return [film("emotions", panels, shown, settings)]


def film(ident: str, panels: Sequence[Panel], shown: Shown, settings: ReportSettings) -> Film:
    """Panels of the shown frames with their sound."""
    return make_film(
        ident,
        panels,
        len(shown.frames),
        settings.video_side,
        FPS,
        shown.sound,
        shown.marks,
        settings.video_crf,
    )


def time_charts(shown: Shown, table: FrameTable | None) -> list[Chart]:
    """What changes from frame to frame: mouth, error and doubt, emotion."""
    charts = [*mouth_chart(shown, table), error_chart(shown)]
    if (shown.subject.root / "emotion.npz").exists():
        emotion = shown.subject.emotion
        lines = [
            Line(label, emotion.probabilities[shown.frames, k], f"label{k % 6}")
            for k, label in enumerate(emotion.labels)
        ]
        about = "Probability of each label, heard in the voice alone."
        charts.append(Chart(f"{MAIN}.emotion", "time", "Emotion", about, lines=lines, low=0, high=1))
    return charts


def mouth_chart(shown: Shown, table: FrameTable | None) -> list[Chart]:
    """Mouth opening of the truth, the renders and the head at rest."""
    if table is None:
        return []
    lines = []
    for name, role in (("truth", "truth"), ("ours", "ours"), ("static_mean", "rest")):
        for number, key in enumerate(table.find(name, "face")):
            title = TITLES[name] + (", modelled blinks" if "modelled_blinks" in key.driven_by else "")
            lines.append(Line(title, table.series(key, "mouth_opening", shown.frames), role, dashed=number > 0))
    lines = [line for line in lines if np.isfinite(line.values).any()]
    if not lines:
        return []
    about = "Distance of the inner lips over the distance of the eyes; shaded: how loud it is."
    return [
        Chart(f"{MAIN}.mouth", "time", "Mouth opening", about, lines=lines, low=0, shade=shown.loudness),
    ]


def error_chart(shown: Shown) -> Chart:
    """Mean error of the face in each frame, and what the head predicted."""
    squares = face_squares(shown.subject.landmarks.points[shown.frames], shown.subject.video.shape[1:3])
    count = range(len(shown.frames))
    errors = [error_map(crop(shown.ours[k], squares[k]), crop(shown.truth(k), squares[k])).mean() for k in count]
    lines = [Line("error", np.array(errors), "error")]
    about = "Mean over the face crop of the deviation of colours, 0 to 1."
    deviation = shown.deviation
    if deviation is not None:
        doubts = [np.asarray(crop(deviation[k], squares[k]), np.float32).mean() for k in count]
        lines.append(Line("predicted", np.array(doubts), "doubt"))
        about += " Predicted: what the head itself expects."
    title = "Error and doubt" if deviation is not None else "Error"
    return Chart(f"{MAIN}.error", "time", title, about, lines=lines, low=0)
