"""A picture of the speech features over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.subject import FPS, SAMPLES_PER_FRAME, Clip
from ua3dtalk.workflow import atomic

COLUMNS = 1400  # more would not be seen
COMPONENTS = 12


def principal_components(features: np.ndarray, count: int) -> np.ndarray:
    """The rows' leading principal components in units of each one's deviation: [S, count]."""
    centred = features.astype(np.float32) - features.mean(axis=0, dtype=np.float32)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    values = centred @ axes[:count].T
    return values / (values.std(axis=0) + 1e-6)


def thin(rows: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """At most `columns` rows, evenly taken."""
    return rows[np.linspace(0, len(rows) - 1, min(columns, len(rows))).round().astype(int)]


def draw_speech(
    path: Path, samples: np.ndarray, features: np.ndarray, mel: np.ndarray, clips: Sequence[Clip], encoder: str
) -> None:
    """Mel, loudness and the features' leading components on one time axis, with lines at the clips' borders."""
    from matplotlib.figure import Figure

    seconds = len(mel) / (4 * FPS)
    figure = Figure(figsize=(14, 7), dpi=90, layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 2))
    axes[0].imshow(
        thin(mel).T, origin="lower", aspect="auto", extent=(0, seconds, 0, mel.shape[1]), cmap="magma", vmin=-9, vmax=1
    )
    axes[0].set_ylabel("mel band")
    loudness = np.sqrt((samples.reshape(-1, SAMPLES_PER_FRAME // 2) ** 2).mean(axis=1))
    axes[1].plot(thin(np.arange(len(loudness)) / (2 * FPS)), thin(20 * np.log10(loudness + 1e-5)), linewidth=0.8)
    axes[1].set_ylabel("level, dB")
    axes[2].imshow(
        principal_components(thin(features), COMPONENTS).T,
        aspect="auto",
        extent=(0, seconds, min(COMPONENTS, features.shape[1]), 0),
        cmap="RdBu",
        vmin=-2.5,
        vmax=2.5,
    )
    axes[2].set_ylabel("principal component")
    axes[2].set_xlabel("seconds (solid line: a clip begins; dashed: its held-out part)")
    for axis in axes:
        for clip in clips:
            axis.axvline(clip.first / FPS, color="white" if axis is axes[0] else "black", linewidth=1)
            axis.axvline(clip.test_first / FPS, color="grey", linewidth=1, linestyle="--")
    figure.suptitle(f"{encoder}: {features.shape[0]} tokens of width {features.shape[1]}, {seconds:.1f} s")
    with atomic(path) as temporary:
        figure.savefig(temporary)
