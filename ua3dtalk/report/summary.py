"""One page, and the same as a table, about all actors of a config: how far each came, figures, cost, why one failed."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ua3dtalk.outcomes import cause_of, cost
from ua3dtalk.provenance import States, below
from ua3dtalk.report.figures import in_order, reading_of
from ua3dtalk.report.page import write_page
from ua3dtalk.subject import FPS
from ua3dtalk.workflow import atomic

# What an actor is, the worst first.
FAILED, UNFINISHED, STALE, DONE = STATUSES = ("failed", "unfinished", "stale", "done")
MEANING = {
    FAILED: "a stage ended with an error; run again after its cause is mended",
    UNFINISHED: "a run ended, or was stopped, before all was made",
    STALE: "figures are there, but of other settings, code or clips than today's",
    DONE: "all stages are as the config asks",
}
FIGURES_BESIDES = ("lmd_px", "mouth_opening_correlation", "sync_local_confidence", "aue")


@dataclass(frozen=True)
class Summary:
    """One actor.

    Attributes:
        status: one of STATUSES.
        reached: the last stage, in the order in which data walks, that has a result.
        share: of the actor's stages whose result is as the config asks.
        failed, reason: the stage that failed and why, empty where none did.
        clips, seconds_of_video: source clips, and frames on the frame index over 25; None before decoding.
        figures: of the render of the face crop, by name.
        cost_seconds, peak_memory_mb: of all stages that ran, one after the other.
        disk_mb: what the actor's folder holds.
        page: whether the actor's own page is there.
    """

    actor: str
    status: str
    reached: str
    share: float
    failed: str
    reason: str
    clips: int
    seconds_of_video: float | None
    budget: str
    figures: dict[str, float]
    cost_seconds: float
    peak_memory_mb: float
    disk_mb: float
    page: bool


def summarise(states: States, results: Path) -> list[Summary]:
    """A row for each actor of the config, the worst first, otherwise in the config's order."""
    rows = [_summarise(states, results / actor, actor) for actor in states.config.actors]
    return sorted(rows, key=lambda row: STATUSES.index(row.status))


def write_summary(states: States, results: Path, state: str) -> str:
    """Write `summary.html` and `summary.csv`.

    Args:
        states: of the config whose actors are shown.
        results: folder of all actors, where the files are written.
        state: of what the page shows.
    Returns:
        how many actors are done, failed and so on, in words.
    """
    rows = summarise(states, results)
    figures = in_order(key for row in rows for key in row.figures)
    with atomic(results / "summary.csv") as temporary:
        temporary.write_text(_table(rows, figures), encoding="utf-8")
    counts = Counter(row.status for row in rows)
    words = ", ".join(f"{counts[status]} of {len(rows)} actors {status}" for status in STATUSES if counts[status])
    write_page(
        results / "summary.html",
        "summary.html",
        films=[],
        charts=[],
        title="All actors",
        state=state,
        rows=rows,
        counts=[(status, counts[status], MEANING[status]) for status in STATUSES],
        method=states.config.method,
        seed=states.config.seed,
        readings=[(key, reading_of(key)) for key in figures],
        seconds=sum(row.cost_seconds for row in rows),
        disk_mb=sum(row.disk_mb for row in rows),
    )
    return words


def _summarise(states: States, folder: Path, actor: str) -> Summary:
    wanted = states.leading_to("metrics", actor)
    found = {stage: _state(folder / "logs" / f"{stage}.json") for stage in wanted}
    current = {stage for stage in wanted if found[stage] == states.of(stage, actor)}
    # What came out of a cache left no record of its own; what was made of it tells.
    current |= {stage for stage in wanted if current & below(stage)}
    failed = next((stage for stage in wanted if stage not in current and _failed(folder, stage)), "")
    metrics = _read(folder / "metrics.json")
    clips = _read(folder / "clips.json")
    if failed:
        status = FAILED
    elif "metrics" in current:
        status = DONE
    else:
        status = STALE if metrics and found["metrics"] else UNFINISHED
    spent = cost(folder, without=()) if folder.is_dir() else {"seconds": 0.0, "peak_memory_mb": 0}
    return Summary(
        actor=actor,
        status=status,
        reached=next((stage for stage in reversed(wanted) if found[stage] or stage in current), ""),
        share=len(current) / len(wanted),
        failed=failed,
        reason=cause_of(folder / "logs" / f"{failed}.log") if failed else "",
        clips=len(states.config.actors[actor].emotions),
        seconds_of_video=sum(clip["length"] for clip in clips["clips"]) / FPS if clips else None,
        budget=states.config.of(actor).budget,
        figures=_figures(metrics),
        cost_seconds=spent["seconds"],
        peak_memory_mb=spent["peak_memory_mb"],
        disk_mb=round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1),
        page=(folder / "report.html").exists(),
    )


def _failed(folder: Path, stage: str) -> bool:
    """A job that began left a log, one that ended well a record beside it."""
    log = folder / "logs" / f"{stage}.log"
    return log.exists() and not log.with_suffix(".json").exists()


def _state(record: Path) -> str:
    return str(_read(record).get("state", ""))


def _read(path: Path) -> dict[str, Any]:
    """A document of the bundle; nothing where it is not there or damaged, which a run will say."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _figures(metrics: dict[str, Any]) -> dict[str, float]:
    """The main figures of the render, of the face crop before coding."""
    rows = [
        row
        for row in metrics.get("rows", [])
        if (row["name"], row["region"], row.get("codec", "none")) == ("ours", "face", "none")
    ]
    if not rows:
        return {}
    return {
        key: value
        for key, value in rows[0].items()
        if isinstance(value, int | float)
        and (key in FIGURES_BESIDES or reading_of(key).main)
        and not key.startswith("efid_")  # of different numbers of frames, which do not compare
    }


def _table(rows: Sequence[Summary], figures: Sequence[str]) -> str:
    out = io.StringIO()
    names = [name for name in Summary.__dataclass_fields__ if name != "figures"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, *figures])
    for row in sorted(rows, key=lambda row: row.actor):
        writer.writerow([*(getattr(row, name) for name in names), *(row.figures.get(key, "") for key in figures)])
    return out.getvalue()
