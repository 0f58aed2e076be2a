"""The picture of the figures: faces side by side, mouth opening over time, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.image import crop
from ua3dtalk.metrics.lips import mouth_opening
from ua3dtalk.metrics.rows import Row
from ua3dtalk.subject import FPS
from ua3dtalk.workflow import atomic

COLUMNS = 8
TILE = 160
COLOURS = {"truth": "black", "ours": "tab:blue", "static_mean": "tab:orange"}
TABLE = (
    ("psnr", "PSNR dB ↑", "{:.2f}"),
    ("ssim", "SSIM ↑", "{:.3f}"),
    ("perceptual", "", "{:.4f}"),
    ("lmd_px", "LMD px ↓", "{:.2f}"),
    ("aue", "AUE ↓", "{:.3f}"),
    ("mouth_opening_correlation", "opening corr. ↑", "{:.2f}"),
    ("mouth_opening_gain", "opening gain → 1", "{:.2f}"),
)


def draw_metrics(
    path: Path, rows: Sequence[Row], faces: Sequence[Faces], squares: np.ndarray, result: Mapping[str, Any]
) -> None:
    """Write the png: rows as in `result`, the truth first."""
    from matplotlib.figure import Figure

    height = len(rows) * TILE / 100
    figure = Figure(figsize=(15, height + 6.2), dpi=90, layout="constrained")
    pictures, curves, table = figure.subplots(3, 1, height_ratios=(height, 2.6, 3.0))
    pictures.imshow(face_sheet(rows, squares, faces[0]))
    pictures.set_yticks([TILE * (k + 0.5) for k in range(len(rows))], [row_label(row) for row in rows])
    pictures.set_xticks([])
    _draw_curves(curves, rows, faces)
    _draw_table(table, rows, result)
    figure.suptitle(
        f"{result['actor']}: {result['method']}, {result['budget']} budget, seed {result['seed']}, "
        f"{result['frames']} held-out frames of {result['size']} px"
    )
    with atomic(path) as temporary:
        figure.savefig(temporary)


def row_label(row: Row) -> str:
    """Name and what drives it, on lines short enough to stand beside the pictures."""
    return "\n".join([row.name, *(f"+ {name}" for name in row.driven_by)])


def telling_frames(truth: Faces, count: int) -> np.ndarray:
    """Frames from the most closed to the most open mouth of the truth, in order of time: at most `count`."""
    found = np.flatnonzero(truth.found)
    order = found[np.argsort(mouth_opening(truth.points[found]), kind="stable")]
    return np.sort(order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))])


def face_sheet(rows: Sequence[Row], squares: np.ndarray, truth: Faces) -> np.ndarray:
    """Faces of every row at the same moments: uint8 [rows * TILE, columns * TILE, 3]."""
    import cv2

    moments = telling_frames(truth, COLUMNS)

    def tile(row: Row, k: int) -> np.ndarray:
        return cv2.resize(crop(row.frame(k), squares[k]), (TILE, TILE), interpolation=cv2.INTER_CUBIC)

    return np.concatenate([np.concatenate([tile(row, k) for k in moments], axis=1) for row in rows])


def _draw_curves(axes: Any, rows: Sequence[Row], faces: Sequence[Faces]) -> None:
    seconds = np.arange(len(faces[0].points)) / FPS
    seen: set[str] = set()
    for row, face in zip(rows, faces, strict=True):
        if row.name in COLOURS:
            style = "--" if row.name in seen else "-"
            label = f"{row.name}, {', '.join(row.driven_by)}" if row.driven_by else row.name
            axes.plot(seconds, mouth_opening(face.points), style, color=COLOURS[row.name], linewidth=1.2, label=label)
            seen.add(row.name)
    axes.set_ylabel("mouth opening\n/ eye distance")
    axes.set_xlabel("seconds of held-out frames")
    axes.legend(loc="upper right", fontsize=8)
    axes.margins(x=0)


def _draw_table(axes: Any, rows: Sequence[Row], result: Mapping[str, Any]) -> None:
    axes.axis("off")
    perceptual = result["extractors"]["perceptual"]
    header = ["row", *(f"{perceptual} ↓" if key == "perceptual" else title for key, title, _ in TABLE)]
    cells = []
    for entry in result["rows"]:
        if (entry["region"], entry["codec"]) == ("face", "none") and entry["name"] != "truth":
            values = [(entry[perceptual if key == "perceptual" else key], form) for key, _, form in TABLE]
            name = f"{entry['name']} ({', '.join(entry['driven_by'])})"
            cells.append([name, *("-" if value is None else form.format(value) for value, form in values)])
    table = axes.table(cells, colLabels=header, loc="center", cellLoc="center", colWidths=[0.34] + [0.094] * len(TABLE))
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.4)
    axes.set_title(f"face crop of {result['face_side']} px", fontsize=10)
