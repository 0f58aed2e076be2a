"""The stage: runs in, `results/compare.*` out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.report.compare_tables import (
    as_csv,
    compared,
    difference_title,
    how_to_read,
    latex,
    markdown,
    mean_and_spread,
    row_title,
    subject_of,
)
from ua3dtalk.report.compare_tables import difference as difference_text
from ua3dtalk.report.comparison import Run, comparison, load_runs
from ua3dtalk.report.figures import COUNTS, GROUPS, Reading, in_order, reading_of
from ua3dtalk.report.media import Film, Panel
from ua3dtalk.report.page import write_page
from ua3dtalk.report.series import Chart, Line
from ua3dtalk.report.tables import Cell, Column, figure_line, kind_of, table_title
from ua3dtalk.report.tables import Line as TableLine
from ua3dtalk.report.tables import Table as FigureTable
from ua3dtalk.report.timeline import Shown, film, shown_frames
from ua3dtalk.settings import CompareSettings, ReportSettings
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import atomic

COLOURS = 6  # roles label0 .. label5 of report.css


@dataclass(frozen=True)
class Outputs:
    """Where the comparison goes."""

    table: Path
    markdown: Path
    csv: Path
    latex: Path
    page: Path


@dataclass(frozen=True)
class Difference:
    """A figure's difference to the first method: as text, and where it stands in a strip around 0 (percent)."""

    text: str
    place: float | None
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class DifferenceLine:
    """One figure's differences, one for each compared row."""

    key: str
    reading: Reading
    cells: tuple[Difference, ...]


@dataclass(frozen=True)
class Compared:
    """What the page shows of one actor, or of all together (without film and charts)."""

    ident: str
    title: str
    film: Film | None
    charts: tuple[Chart, ...]
    heads: tuple[str, ...]
    differences: tuple[DifferenceLine, ...]
    tables: tuple[FigureTable, ...]


def write_compare(
    *,
    runs: Sequence[Path],
    results: Path,
    out: Outputs,
    settings: CompareSettings,
    sizes: ReportSettings,
    state: str,
) -> None:
    """Compare runs.

    Args:
        runs: metrics.json of each; metrics_frames.csv and renders/ lie beside it.
        results: folder of the actors' bundles.
        out: json, Markdown, CSV, LaTeX and the page.
        settings: of the bootstrap; sizes: of the films.
        state: stored in json and page.
    """
    loaded = load_runs(runs)
    document = comparison(loaded, settings, state)
    texts = {
        out.table: json.dumps(document, indent=1, allow_nan=False) + "\n",
        out.markdown: markdown(document),
        out.csv: as_csv(document),
        out.latex: latex(document),
    }
    for path, text in texts.items():
        with atomic(path) as temporary:
            temporary.write_text(text)
    actors: list[str | None] = [*([None] if len(document["actors"]) > 1 else []), *document["actors"]]
    shown = [compared_actor(actor, document, loaded, results, sizes) for actor in actors]
    write_page(
        out.page,
        "compare.html",
        [one.film for one in shown if one.film],
        [chart for one in shown for chart in one.charts],
        title=f"{', '.join(document['methods'])}: a comparison",
        state=state,
        document=document,
        how=how_to_read(document),
        shown=shown,
    )


def compared_actor(
    actor: str | None, document: Mapping[str, Any], runs: Sequence[Run], results: Path, sizes: ReportSettings
) -> Compared:
    """Film, charts and tables of one actor; of all of them where `actor` is None."""
    tables = [table for table in document["tables"] if table["actor"] == actor]
    first, rows = tables[0], compared(tables[0])
    heads = tuple(difference_title(row, document["methods"][0]) for row in rows)
    keys = in_order(key for row in rows for key, figure in row["figures"].items() if "difference" in figure)
    keys = [key for key in keys if reading_of(key).better is not None and reading_of(key).group != COUNTS]
    lines = tuple(DifferenceLine(key, reading_of(key), difference_cells(rows, key)) for key in keys)
    title = subject_of(first)
    figures = tuple(figure_table(table) for table in tables)
    if actor is None:
        return Compared("all", title, None, (), heads, lines, figures)
    own = [run for run in runs if run.actor == actor and run.seed == document["seeds"][0]]
    parts = {run.method: shown_frames(Subject(results / actor), run.path.parent / "renders", sizes) for run in own}
    ident = f"actor-{actor}"
    return Compared(
        ident, title, methods_film(ident, parts, sizes), tuple(mouth_charts(ident, own, parts)), heads, lines, figures
    )


def difference_cells(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[Difference, ...]:
    """A figure's differences on one scale, so that rows can be compared by eye."""
    reading = reading_of(key)
    figures = [row["figures"].get(key, {}) for row in rows]
    ends = [abs(end) for figure in figures for end in (figure.get("difference"), *figure.get("interval", ())) if end]
    reach = 1.08 * max(ends, default=1.0)

    def percent(value: float) -> float:
        return round(50 + 50 * value / reach, 2)

    cells = []
    for figure in figures:
        value = figure.get("difference")
        if value is None:
            cells.append(Difference("–", None, 50, 50, ""))
            continue
        low, high = figure.get("interval", (value, value))
        cells.append(
            Difference(difference_text(figure, reading.decimals), percent(value), percent(low), percent(high),
                       verdict(figure, reading)),
        )  # fmt: skip
    return tuple(cells)


def verdict(figure: Mapping[str, Any], reading: Reading) -> str:
    """sure-good or sure-bad where the interval leaves out 0 and a direction is better; else nothing."""
    low, high = figure.get("interval", (0.0, 0.0))
    if low <= 0 <= high or reading.better not in ("up", "down"):
        return ""
    return "sure-good" if (low > 0) == (reading.better == "up") else "sure-bad"


def figure_table(table: Mapping[str, Any]) -> FigureTable:
    """All figures of a table of the comparison: one line per figure, one column per row."""
    columns = tuple(
        Column(row_title(row), ", ".join(row["driven_by"]).replace("_", " "), "", kind_of(row)) for row in table["rows"]
    )
    keys = in_order(key for row in table["rows"] for key in row["figures"])
    groups: dict[str, list[TableLine]] = {group: [] for group in GROUPS}
    for key in keys:
        figures = [row["figures"].get(key) for row in table["rows"]]
        line = figure_line(key, [figure and figure["mean"] for figure in figures], [column.kind for column in columns])
        texts = [mean_and_spread(figure, line.reading.decimals) for figure in figures]
        cells = tuple(Cell(text, cell.best) for text, cell in zip(texts, line.cells, strict=True))
        groups[line.reading.group].append(TableLine(key, line.reading, cells))
    shown = tuple((group, tuple(lines)) for group, lines in groups.items() if lines)
    return FigureTable(table_title(table["region"], table["codec"]), columns, shown)


def methods_film(ident: str, parts: Mapping[str, Shown], sizes: ReportSettings) -> Film:
    """The truth and what each method rendered, in step."""
    first = next(iter(parts.values()))
    panels = [Panel("Truth", "what the camera saw", first.truth)]
    for method, part in parts.items():
        panels.append(Panel(method, "render", lambda k, part=part: np.asarray(part.ours[k])))  # type: ignore[misc]
    return film(ident, panels, first, sizes)


def mouth_charts(ident: str, runs: Sequence[Run], parts: Mapping[str, Shown]) -> list[Chart]:
    """Mouth opening and distance of the lips over time, of the truth and each method."""
    charts = []
    frames = next(iter(parts.values())).frames
    for figure, title, about in (
        ("mouth_opening", "Mouth opening", "Distance of the inner lips over the distance of the eyes."),
        ("lmd_px", "Distance of the lips", "LMD of each frame, px."),
    ):
        lines = []
        for number, run in enumerate(runs):
            if run.frames is None:
                continue
            names = [("truth", "truth")] if number == 0 and figure == "mouth_opening" else []
            for name, role in [*names, ("ours", f"label{(number + 1) % COLOURS}")]:
                for key in run.frames.find(name, "face")[:1]:
                    values = run.frames.series(key, figure, frames)
                    lines.append(Line("truth" if name == "truth" else run.method, values, role))
        lines = [line for line in lines if np.isfinite(line.values).any()]
        if lines:
            charts.append(Chart(f"{ident}.{figure}", "time", title, about, lines=lines, low=0))
    return charts
