"""Pictures of sync: distance over offset, with the offset that fits best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.subject import FPS
from ua3dtalk.sync.distances import REACH
from ua3dtalk.sync.local import Verdict
from ua3dtalk.workflow import atomic

COLUMNS = 3
SMOOTHED_OVER = 20  # iterations


def draw_training(path: Path, losses: Sequence[float], held_out: Mapping[str, Verdict]) -> None:
    """Loss over iterations beside one curve for each held-out part."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), dpi=90, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(losses, linewidth=0.4, color="0.75")
    if len(losses) > SMOOTHED_OVER:
        smooth = np.convolve(losses, np.ones(SMOOTHED_OVER) / SMOOTHED_OVER, "valid")
        left.plot(np.arange(len(smooth)) + SMOOTHED_OVER // 2, smooth, color="C0")
    left.set(xlabel="iteration", ylabel="loss (InfoNCE)", title="training", ylim=(0, None))
    for name, verdict in held_out.items():
        _curve(right, verdict, f"{name}: {verdict.figures.offset_ms:+.0f} ms")
    right.set_title("held-out parts")
    right.legend(fontsize=8)
    with atomic(path) as temporary:
        figure.savefig(temporary)


def draw_offsets(path: Path, verdicts: Sequence[tuple[str, Verdict | None]]) -> None:
    """One panel for each clip."""
    from matplotlib.figure import Figure

    rows = -(-len(verdicts) // COLUMNS)
    figure = Figure(figsize=(4.2 * min(len(verdicts), COLUMNS), 3.2 * rows), dpi=90, layout="constrained")
    panels = figure.subplots(rows, min(len(verdicts), COLUMNS), squeeze=False).ravel()
    for panel, (name, verdict) in zip(panels, verdicts, strict=False):
        if verdict is None:
            panel.set_title(f"{name}\ntoo short to be measured", fontsize=9)
            continue
        _curve(panel, verdict, None)
        trust = "" if verdict.trusted else ", not trusted"
        panel.set_title(
            f"{name}\noffset {verdict.figures.offset_ms:+.0f} ± {1000 * verdict.offset_error / FPS:.0f} ms{trust}",
            fontsize=9,
        )
    for panel in panels[len(verdicts) :]:
        panel.set_axis_off()
    with atomic(path) as temporary:
        figure.savefig(temporary)


def _curve(panel: Any, verdict: Verdict, label: str | None) -> None:
    # Entry k of the curve belongs to the offset reach - k.
    offsets = 1000 * (REACH - np.arange(2 * REACH + 1)) / FPS
    (line,) = panel.plot(offsets, verdict.curve, marker=".", linewidth=1, label=label)
    panel.axvline(verdict.figures.offset_ms, color=line.get_color(), linewidth=0.8, linestyle="--")
    panel.axvline(0, color="0.7", linewidth=0.8)
    panel.set(xlabel="move the sound by, ms (left: it is late)", ylabel="mean distance")
