"""The picture of cross-driving: frames in their order, then mouth and sound over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.face.pictures import cell, sheet, spread
from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.lips import mouth_opening
from ua3dtalk.subject import FPS
from ua3dtalk.workflow import atomic

COLUMNS, LINES = 8, 2


def draw_cross(
    path: Path,
    frames: np.ndarray,
    faces: Faces,
    heard: Mapping[str, np.ndarray],
    usual: tuple[float, float],
    result: Mapping[str, Any],
) -> None:
    """Write the png; usual: the actor's own range of the mouth's opening."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9), dpi=90, layout="constrained")
    pictures, mouth, sound = figure.subplots(3, 1, height_ratios=(5.2, 2.2, 1.6))
    chosen = spread(len(frames), COLUMNS * LINES)
    cells = [cell(frames[k]) for k in chosen]
    pictures.imshow(np.asarray(sheet([cells[k : k + COLUMNS] for k in range(0, len(cells), COLUMNS)])))
    pictures.axis("off")
    seconds = np.arange(len(frames)) / FPS
    mouth.axhspan(*usual, color="0.9", label="usual range of the actor")
    mouth.plot(seconds, mouth_opening(faces.points), linewidth=1.2, label="mouth opening / eye distance")
    for k in chosen:
        mouth.axvline(seconds[k], color="0.7", linewidth=0.5)
    mouth.legend(loc="upper right", fontsize=8)
    sound.plot(seconds, 20 * np.log10(heard["loudness"] + 1e-4), linewidth=0.8, color="tab:grey")
    sound.set_ylabel("level, dB")
    beside = sound.twinx()
    beside.plot(seconds, heard["spoken"], linewidth=1.0, color="tab:green")
    beside.set_ylabel("speech, 0..1")
    beside.set_ylim(0, 1.02)
    sound.set_xlabel("seconds")
    for axis in (mouth, sound):
        axis.margins(x=0)
    figure.suptitle(f"{result['actor']} says {Path(result['voice']['path']).name}: {_told(result)}")
    with atomic(path) as temporary:
        figure.savefig(temporary)


def _told(result: Mapping[str, Any]) -> str:
    """What was heard, in a few words."""
    emotions = sorted(result["emotions"].items(), key=lambda item: -item[1])[:2]
    words = [f"{result['method']}, {result['frames']} frames"]
    words += [f"heard as {' and '.join(f'{label} {share:.2f}' for label, share in emotions)}"] if emotions else []
    novelty = result["figures"].get("novelty")
    return ", ".join([*words, *([f"novelty {novelty:.1f}"] if novelty is not None else [])])
