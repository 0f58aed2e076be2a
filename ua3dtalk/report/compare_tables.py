"""A comparison as text: Markdown and LaTeX with the main figures of the face crop, CSV with everything."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ua3dtalk.report.figures import Reading, in_order, reading_of, shown
from ua3dtalk.report.tables import TITLES, figure_line, table_title

LATEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "±": r"$\pm$", "→": r"$\to$", "–": "--",
    "≈": r"$\approx$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
}  # fmt: skip
CSV_HEAD = (
    *("actor", "region", "codec", "row", "method", "driven_by", "figure", "better"),
    *("mean", "spread", "difference", "difference_spread", "low", "high"),
)

Table = Mapping[str, Any]


def row_title(row: Mapping[str, Any], several: bool = True) -> str:
    """The method's name for what it rendered, the row's own for the others."""
    if row["name"] == "ours":
        return str(row["method"]) + variant_of(row)
    title = TITLES.get(row["name"], row["name"])
    return f"{title} ({row['method']})" if row["method"] and several else title


def variant_of(row: Mapping[str, Any]) -> str:
    """What sets a row apart from the first of its name."""
    return ", modelled blinks" if "modelled_blinks" in row["driven_by"] else ""


def difference_title(row: Mapping[str, Any], first: str) -> str:
    """What is subtracted from what."""
    return f"{row['method']} − {first}{variant_of(row)}"


def main_keys(table: Table) -> list[str]:
    """The main figures of a table."""
    keys = in_order(key for row in table["rows"] for key in row["figures"])
    return [key for key in keys if reading_of(key).main]


def mean_and_spread(figure: Mapping[str, Any] | None, decimals: int) -> str:
    """30.12 ± 0.10"""
    if figure is None or figure["mean"] is None:
        return "–"
    spread = "" if figure["spread"] is None else f" ± {shown(figure['spread'], decimals)}"
    return shown(figure["mean"], decimals) + spread


def difference(figure: Mapping[str, Any] | None, decimals: int) -> str:
    """+1.20 [0.90, 1.50], the interval where there is one."""
    if figure is None or figure.get("difference") is None:
        return "–"
    sign = "+" if figure["difference"] > 0 else ""
    text = sign + shown(figure["difference"], decimals)
    if "interval" in figure:
        low, high = (shown(end, decimals) for end in figure["interval"])
        text += f" [{low}, {high}]"
    return text


def best_rows(table: Table, key: str) -> list[bool]:
    """Which rows are the best of those that are not the truth."""
    kinds = [row["name"] if row["name"] == "truth" else "other" for row in table["rows"]]
    values = [row["figures"].get(key, {}).get("mean") for row in table["rows"]]
    return [cell.best for cell in figure_line(key, values, kinds).cells]


def how_to_read(document: Mapping[str, Any]) -> str:
    """One paragraph that belongs below every table."""
    seeds, bootstrap = document["seeds"], document["bootstrap"]
    spread = f"± is the deviation over the seeds {', '.join(map(str, seeds))}. " if len(seeds) > 1 else ""
    seconds = bootstrap["block_frames"] / 25
    return (
        f"Mean over {'seeds' if len(seeds) > 1 else f'one seed ({seeds[0]})'}. {spread}"
        f"Differences are to {document['methods'][0]}, paired by seed; in brackets their 95 % intervals, from a "
        f"circular block bootstrap over frames within clips ({bootstrap['block_frames']} frames, {seconds:g} s, a "
        f"block; {bootstrap['resamples']} resamples), paired by frame. They tell what other frames would have given "
        "with these heads, not what other seeds would. Figures that are no mean over frames have none. "
        f"The head at rest is {document['methods'][0]}'s."
    )


def chosen(document: Mapping[str, Any]) -> list[Table]:
    """The tables of the face crop before any codec."""
    return [table for table in document["tables"] if table["region"] == "face" and table["codec"] == "none"]


def subject_of(table: Table) -> str:
    return "All actors" if table["actor"] is None else str(table["actor"])


def markdown(document: Mapping[str, Any]) -> str:
    """The page of tables."""
    lines = [f"# {' and '.join(document['methods'])} on {', '.join(document['actors'])}", ""]
    frames = ", ".join(f"{actor} {count}" for actor, count in document["frames"].items())
    lines += [f"Budget {', '.join(document['budgets'])}. Held-out frames: {frames}. {how_to_read(document)}", ""]
    for table in chosen(document):
        keys = main_keys(table)
        readings = [reading_of(key) for key in keys]
        lines += [f"## {subject_of(table)}, {table_title(table['region'], table['codec']).lower()}", ""]
        lines += [_markdown_row(["", *(_head(reading) for reading in readings)]), f"|---|{'---:|' * len(keys)}"]
        best = [best_rows(table, key) for key in keys]
        for number, row in enumerate(table["rows"]):
            cells = [mean_and_spread(row["figures"].get(k), r.decimals) for k, r in zip(keys, readings, strict=True)]
            cells = [f"**{cell}**" if column[number] else cell for cell, column in zip(cells, best, strict=True)]
            lines.append(_markdown_row([row_title(row), *cells]))
        for row in compared(table):
            cells = [difference(row["figures"].get(k), r.decimals) for k, r in zip(keys, readings, strict=True)]
            lines.append(_markdown_row([difference_title(row, document["methods"][0]), *cells]))
        lines.append("")
    return "\n".join(lines)


def compared(table: Table) -> list[Mapping[str, Any]]:
    """The rows that have differences."""
    return [row for row in table["rows"] if any("difference" in figure for figure in row["figures"].values())]


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _head(reading: Reading) -> str:
    return " ".join(filter(None, [reading.title, reading.unit and f"({reading.unit})", reading.arrow]))


def latex(document: Mapping[str, Any]) -> str:
    """One table per actor and one over all, for booktabs."""
    parts = ["% needs \\usepackage{booktabs}", ""]
    for table in chosen(document):
        caption = f"{subject_of(table)}, {table_title(table['region'], table['codec']).lower()}."
        parts += [r"\begin{table}", r"  \centering", f"  \\caption{{{escaped(f'{caption} {how_to_read(document)}')}}}"]
        parts += [*_tabular(table, document["methods"][0]), r"\end{table}", ""]
    return "\n".join(parts)


def _tabular(table: Table, first: str) -> list[str]:
    """The truth and the opponents, the methods, the differences, with rules between them."""
    keys = main_keys(table)
    readings = [reading_of(key) for key in keys]
    best = [best_rows(table, key) for key in keys]
    blocks: list[list[str]] = [[], [], []]
    for number, row in enumerate(table["rows"]):
        cells = [mean_and_spread(row["figures"].get(k), r.decimals) for k, r in zip(keys, readings, strict=True)]
        cells = [
            f"\\textbf{{{escaped(cell)}}}" if column[number] else escaped(cell)
            for cell, column in zip(cells, best, strict=True)
        ]
        blocks[row["name"] == "ours"].append(_latex_row([escaped(row_title(row)), *cells]))
    for row in compared(table):
        cells = [difference(row["figures"].get(k), r.decimals) for k, r in zip(keys, readings, strict=True)]
        blocks[2].append(_latex_row([escaped(cell) for cell in (difference_title(row, first), *cells)]))
    heads = [escaped(f"{r.title} {r.arrow}".strip()) for r in readings]
    lines = [f"  \\begin{{tabular}}{{l{'r' * len(keys)}}}", r"    \toprule", _latex_row(["", *heads])]
    for block in filter(None, blocks):
        lines += [r"    \midrule", *block]
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _latex_row(cells: Sequence[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def escaped(text: str) -> str:
    """Text without signs that mean something to LaTeX."""
    return "".join(LATEX_SIGNS.get(sign, sign) for sign in text)


def as_csv(document: Mapping[str, Any]) -> str:
    """One line per table, row and figure; the actor is empty for means over all."""
    memory = io.StringIO()
    writer = csv.writer(memory, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    for table in document["tables"]:
        for row in table["rows"]:
            place = [table["actor"] or "", table["region"], table["codec"], row["name"], row["method"]]
            for key, figure in row["figures"].items():
                low, high = figure.get("interval", ("", ""))
                values = [figure.get(name) for name in ("mean", "spread", "difference", "difference_spread")]
                better = reading_of(key).better or ""
                writer.writerow([*place, "+".join(row["driven_by"]), key, better, *values, low, high])
    return memory.getvalue()
