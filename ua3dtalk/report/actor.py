"""The page of one actor: everything that was measured of it, with the pictures to judge it by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ua3dtalk.provenance import STAGES
from ua3dtalk.reading import read_json, reading
from ua3dtalk.report.cross import read_cross
from ua3dtalk.report.curves import calibration_charts, emotion_charts, training_charts
from ua3dtalk.report.figures import Reading, merit, reading_of, shown
from ua3dtalk.report.media import picture_uri
from ua3dtalk.report.page import write_page
from ua3dtalk.report.record import clip_records, stage_costs, versions, weights
from ua3dtalk.report.series import FrameTable, read_frames
from ua3dtalk.report.tables import TITLES, Line, figure_line, figure_tables
from ua3dtalk.report.timeline import emotion_films, main_film, shown_frames, time_charts
from ua3dtalk.settings import ReportSettings
from ua3dtalk.subject import FPS, Subject

# Figures of the page's top in the order of their weight; as many as are there, at most TILES.
GLANCE = ("psnr", "perceptual", "lmd_px", "mouth_opening_correlation", "sync_c", "sync_local_confidence", "aue")
TILES = 5


@dataclass(frozen=True)
class Tile:
    """One figure at a glance: the render's, the best opponent's, and how many opponents it beats."""

    reading: Reading
    value: str
    best_opponent: str
    beaten: str


@dataclass(frozen=True)
class Picture:
    """A stage's picture inside the page."""

    stage: str
    source: str


def write_report(
    *,
    subject: Subject,
    metrics: Path,
    out: Path,
    settings: ReportSettings,
    config: Mapping[str, Any],
    state: str,
) -> None:
    """Write the page of an actor.

    Args:
        subject: the bundle; renders, pictures, curves, logs and benchmarks lie in its folder.
        metrics: metrics.json; metrics_frames.csv is read where it lies beside it.
        out: the page.
        settings: sizes of films and pictures.
        config: all sections of the config, for the record.
        state: stored in the page.
    """
    document = read_metrics(metrics)
    shown_part = shown_frames(subject, subject.root / "renders", settings)
    voices = read_cross(subject.root / "cross", settings)
    films = [main_film(shown_part, settings), *emotion_films(shown_part, settings), *(v.film for v in voices)]
    emotions = emotion_charts(document)
    training = training_charts(subject.root / "curves")
    calibration = calibration_charts(document)
    time = time_charts(shown_part, frame_table(metrics))
    stages = stage_costs(subject.root)
    write_page(
        out,
        "actor.html",
        films,
        [*time, *training, *calibration, *emotions],
        title=f"{document['actor']}, {document['method']}",
        state=state,
        document=document,
        facts=facts(document),
        cut=f"the first {len(shown_part.frames) / FPS:g} s" if len(shown_part.frames) < shown_part.all else "",
        tiles=tiles(document),
        time=time,
        tables=figure_tables(document["rows"]),
        uncertainty=uncertainty_lines(document),
        calibration=calibration,
        emotions=emotions,
        voices=voices,
        training=training,
        stages=stages,
        seconds=sum(stage.seconds for stage in stages),
        clips=clip_records(subject),
        weights=weights([stage.stage for stage in stages], config),
        versions=versions(),
        config=json.dumps(config, indent=1, ensure_ascii=False),
        pictures=gallery(subject.root / "pictures", settings.picture_width),
    )


def read_metrics(path: Path) -> dict[str, Any]:
    """metrics.json.

    Raises:
        DataError: it is missing or no such file.
    """
    document = read_json(path)
    with reading(path):
        if not all({"name", "region"} <= row.keys() for row in document["rows"]):
            raise ValueError("a row has no name or no region")
        return document


def frame_table(metrics: Path) -> FrameTable | None:
    """The per-frame figures beside metrics.json, where they are."""
    path = metrics.with_name("metrics_frames.csv")
    return read_frames(path) if path.exists() else None


def facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the page is about, in a few words each."""
    speed = document.get("speed", {})
    gaussians = sum(speed.get("gaussians", {}).values())
    found = [
        ("method", document["method"]),
        ("budget", document["budget"]),
        ("seed", str(document["seed"])),
        ("held out", f"{document['frames']} frames, {document['frames'] / FPS:.1f} s"),
        ("frames", f"{document['size']} px; face crop {document['face_side']} px"),
    ]
    if gaussians:
        found.append(("Gaussians", f"{gaussians:,}".replace(",", " ")))
    if "frames_per_second" in speed:
        found.append(("speed", f"{speed['frames_per_second']:g} frames a second on {speed.get('device', '?')}"))
    return found


def tiles(document: Mapping[str, Any]) -> list[Tile]:
    """The figures of the first render on the face crop, beside the opponents'."""
    rows = [row for row in document["rows"] if row["region"] == "face" and row.get("codec", "none") == "none"]
    ours = next((row for row in rows if row["name"] == "ours"), None)
    opponents = [row for row in rows if row["name"] not in ("ours", "truth")]
    keys = [document["extractors"]["perceptual"] if key == "perceptual" else key for key in GLANCE]
    if ours is None:
        return []
    return [_tile(key, ours, opponents) for key in keys if ours.get(key) is not None][:TILES]


def _tile(key: str, ours: Mapping[str, Any], opponents: list[Mapping[str, Any]]) -> Tile:
    reading = reading_of(key)
    own = merit(ours[key], reading.better)
    theirs = [
        (merit(row.get(key), reading.better), TITLES.get(row["name"], row["name"]), row.get(key)) for row in opponents
    ]
    ranked = [(value, title, figure) for value, title, figure in theirs if value is not None]
    best = max(ranked, key=lambda one: one[0], default=None)
    beaten = sum(own is not None and own > value for value, _, _ in ranked)
    return Tile(
        reading,
        shown(ours[key], reading.decimals),
        f"{best[1]} has {shown(best[2], reading.decimals)}" if best else "",
        f"better than {beaten} of {len(ranked)} trivial opponents" if ranked else "",
    )


def uncertainty_lines(document: Mapping[str, Any]) -> list[Line]:
    """Quality of the head's own doubt, of the training frames' mean error, and of no knowledge."""
    found = document.get("uncertainty")
    if not found:
        return []
    known = {"random": {"ause": found.get("random_ause"), "spearman_pixels": 0.0, "spearman_frames": 0.0}}
    columns = (found["ours"], found.get("training_residual_map", {}), known["random"])
    keys = ("spearman_pixels", "spearman_frames", "ause")
    lines = [figure_line(key, [column.get(key) for column in columns], ["ours"] * 3) for key in keys]
    ence = found["ours"].get("calibration", {}).get("ence")
    return [*lines, figure_line("ence", [ence, None, None], ["ours"] * 3)]


def gallery(folder: Path, width: int) -> list[Picture]:
    """The stages' pictures, in the order in which data walks."""
    names = [path.stem for path in sorted(folder.glob("*.png"))]
    order = [*(name for name in STAGES if name in names), *(name for name in names if name not in STAGES)]
    return [Picture(name, picture_uri(folder / f"{name}.png", width)) for name in order]
