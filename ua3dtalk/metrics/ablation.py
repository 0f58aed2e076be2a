"""The table of methods over seeds: mean, spread, and what each gains over the first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.reading import read_json
from ua3dtalk.workflow import atomic

# Figure, whether more is better, decimals in the table.
FIGURES = {
    "psnr": (True, 2),
    "ssim": (True, 4),
    "perceptual": (False, 4),
    "lmd_px": (False, 3),
    "mouth_opening_correlation": (True, 3),
    "mouth_opening_gain": (None, 2),
    "aue": (False, 4),
    "aue_lower": (False, 4),
    "training_seconds": (False, 0),
}
TRAINING = ("train_mouth", "train_face", "train_fuse")


def write_ablation(*, runs: Sequence[Path], table: Path, page: Path, state: str) -> None:
    """Read the metrics.json of every run; write ablation.json and the same as a page of Markdown.

    The rows are the face crop's, driven as the settings say; the gains are paired by seed against the first method.
    Raises:
        DataError: a run cannot be read.
    """
    documents = [read_run(path) for path in runs]
    methods = list(dict.fromkeys(document["method"] for document in documents))
    found = {method: {int(d["seed"]): _figures(d) for d in documents if d["method"] == method} for method in methods}
    first = found[methods[0]]
    rows = [{"method": method, **_summary(found[method], first)} for method in methods]
    result = {
        "actor": documents[0]["actor"],
        "budget": documents[0]["budget"],
        "region": "face",
        "seeds": sorted({int(d["seed"]) for d in documents}),
        "frames": documents[0]["frames"],
        "state": state,
        "rows": rows,
    }
    with atomic(table) as temporary:
        temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    with atomic(page) as temporary:
        temporary.write_text(markdown(result))


def read_run(path: Path) -> dict[str, Any]:
    """The metrics.json of a run.

    Raises:
        DataError: it cannot be read.
    """
    return read_json(path)


def _figures(document: dict[str, Any]) -> dict[str, float | None]:
    """The figures of the first row of ours on the face crop."""
    row = next(row for row in document["rows"] if row["name"] == "ours" and row["region"] == "face")
    perceptual = document["extractors"]["perceptual"]
    stages = document["cost"].get("stages", {})
    more = {
        "perceptual": row[perceptual],
        "training_seconds": sum(stages[name]["seconds"] for name in TRAINING if name in stages),
    }
    return {name: {**row, **more}.get(name) for name in FIGURES}


def _summary(runs: dict[int, dict[str, float | None]], first: dict[int, dict[str, float | None]]) -> dict[str, Any]:
    """Per figure the mean, the deviation over seeds, and mean and deviation of the gain over the first method."""
    summary: dict[str, Any] = {}
    for name in FIGURES:
        values = [value for figures in runs.values() if (value := figures[name]) is not None]
        pairs = [(figures[name], first[seed][name]) for seed, figures in runs.items() if seed in first]
        gains = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
        summary[name] = {
            "mean": mean_of(values),
            "spread": spread_of(values),
            "gain": mean_of(gains),
            "gain_spread": spread_of(gains),
        }
    return summary


def mean_of(values: Sequence[float]) -> float | None:
    """Mean over seeds; None without any."""
    return round(float(np.mean(values)), 6) if values else None


def spread_of(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None for one seed alone."""
    return round(float(np.std(values, ddof=1)), 6) if len(values) > 1 else None


def markdown(result: dict[str, Any]) -> str:
    """The table as a page; an arrow says which way is better."""
    arrows = {True: " ↑", False: " ↓", None: ""}
    head = ["method", *(f"{name}{arrows[better]}" for name, (better, _) in FIGURES.items())]
    lines = [
        f"# {result['actor']}: methods on the same {result['frames']} held-out frames",
        "",
        f"Face crop, budget {result['budget']}, mean ± deviation over seeds {result['seeds']}.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    for row in result["rows"]:
        cells = [_cell(row[name], decimals) for name, (_, decimals) in FIGURES.items()]
        lines.append(f"| {' | '.join([row['method'], *cells])} |")
    return "\n".join(lines) + "\n"


def _cell(figure: dict[str, float | None], decimals: int) -> str:
    if figure["mean"] is None:
        return "-"
    spread = "" if figure["spread"] is None else f" ± {figure['spread']:.{decimals}f}"
    return f"{figure['mean']:.{decimals}f}{spread}"
