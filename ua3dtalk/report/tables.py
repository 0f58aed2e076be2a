"""Rows of figures as tables that a page can show: one line per figure, one column per row of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ua3dtalk.report.figures import GROUPS, NO_FIGURES, Reading, ends_of, in_order, is_end, merit, reading_of, shown

TITLES = {
    "truth": "Truth",
    "ours": "Render",
    "static_mean": "Head at rest",
    "nearest_pose": "Nearest pose",
    "nearest_audio": "Nearest sound",
}
ABOUT = {
    "truth": "the held-out frames, measured by the same extractors: the best that any figure can be",
    "ours": "the trained head",
    "static_mean": "the trained head with its deformation switched off",
    "nearest_pose": "the training frame whose head stands most alike",
    "nearest_audio": "the training frame that sounds most alike",
}
REGIONS = {"face": "Face crop", "frame": "Whole frame"}
CODECS = {"none": "", "h264": "after H.264"}


@dataclass(frozen=True)
class Column:
    """Head of a column: title, what drove the row, what it is; kind is truth, ours or opponent."""

    title: str
    driven_by: str
    about: str
    kind: str


@dataclass(frozen=True)
class Cell:
    """A figure as text, and its interval; best: of the columns other than the truth."""

    text: str
    best: bool = False
    interval: str = ""


@dataclass(frozen=True)
class Line:
    """One figure over all columns."""

    key: str
    reading: Reading
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Lines in groups, under one region and codec."""

    title: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]


def figure_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Tables of the rows of metrics.json: the face crop first, frames as rendered before those after a codec."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["region"], row.get("codec", "none")), []).append(row)
    order = sorted(found, key=lambda key: (list(REGIONS).index(key[0]) if key[0] in REGIONS else 9, key[1] != "none"))
    return [_table(table_title(*key), found[key]) for key in order]


def table_title(region: str, codec: str) -> str:
    """Region and codec in words."""
    return ", ".join(filter(None, [REGIONS.get(region, region), CODECS.get(codec, f"after {codec}")]))


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = tuple(column_of(row) for row in rows)
    keys = in_order(key for row in rows for key in row if key not in NO_FIGURES)
    groups: dict[str, list[Line]] = {group: [] for group in GROUPS}
    for key in (key for key in keys if not is_end(key, keys)):
        line = figure_line(key, [row.get(key) for row in rows], [column.kind for column in columns])
        line = replace(line, cells=tuple(_with_interval(*pair, line) for pair in zip(line.cells, rows, strict=True)))
        groups[line.reading.group].append(line)
    return Table(title, columns, tuple((group, tuple(lines)) for group, lines in groups.items() if lines))


def _with_interval(cell: Cell, row: Mapping[str, Any], line: Line) -> Cell:
    """The cell, with the ends that stand beside its figure."""
    low, high = (row.get(end) for end in ends_of(line.key))
    if low is None or high is None:
        return cell
    return replace(cell, interval=f"{shown(low, line.reading.decimals)} to {shown(high, line.reading.decimals)}")


def figure_line(key: str, values: Sequence[Any], kinds: Sequence[str]) -> Line:
    """One figure of all columns, the best of those that are not the truth marked; a tie at what is shown marks both."""
    reading = reading_of(key)
    truth = next((value for value, kind in zip(values, kinds, strict=True) if kind == "truth"), None)
    merits = [
        None if kind == "truth" else merit(value, reading.better, truth)
        for value, kind in zip(values, kinds, strict=True)
    ]
    texts = [shown(value, reading.decimals) for value in values]
    ranked = [(value, text) for value, text in zip(merits, texts, strict=True) if value is not None]
    best = max(ranked)[1] if len(ranked) > 1 and len({text for _, text in ranked}) > 1 else None
    cells = [Cell(text, value is not None and text == best) for text, value in zip(texts, merits, strict=True)]
    return Line(key, reading, tuple(cells))


def kind_of(row: Mapping[str, Any]) -> str:
    """truth, ours or opponent."""
    return {"truth": "truth", "ours": "ours"}.get(str(row["name"]), "opponent")


def column_of(row: Mapping[str, Any]) -> Column:
    """What stands above a row's figures."""
    name = str(row["name"])
    driven = ", ".join(str(source).replace("_", " ") for source in row.get("driven_by", ()))
    kind = kind_of(row)
    title = TITLES.get(name, name)
    if "modelled blinks" in driven:
        title += ", modelled blinks"
    return Column(title, driven, ABOUT.get(name, ""), kind)
