"""A picture of what was heard of the emotion over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.speech.emotion.model import EmotionTrack
from ua3dtalk.subject import FPS, Clip
from ua3dtalk.workflow import atomic

COLOURS = {
    "neutral": "#808080", "happy": "#e6a800", "angry": "#d62728", "sad": "#1f77b4", "fear": "#9467bd",
    "surprise": "#17becf", "disgust": "#2ca02c",
}  # fmt: skip


def draw_emotion(
    path: Path, track: EmotionTrack, wanted: np.ndarray, labels: Sequence[str], clips: Sequence[Clip]
) -> None:
    """Probabilities over time, below them label or teacher, the embedding, and how evenly the attention was spread."""
    from matplotlib.figure import Figure

    seconds = np.arange(len(wanted)) / FPS
    spare = iter(("#8c564b", "#e377c2", "#bcbd22", "#393b79"))
    colours = [COLOURS.get(label) or next(spare, "black") for label in labels]
    figure = Figure(figsize=(14, 8), dpi=90, layout="constrained")
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(3, 1, 2, 1))
    for column, (label, colour) in enumerate(zip(labels, colours, strict=True)):
        axes[0].plot(seconds, track.probabilities[:, column], color=colour, label=label, linewidth=1.2)
    axes[0].set_ylabel("heard")
    axes[0].set_ylim(-0.02, 1.02)
    axes[0].legend(loc="upper right", ncols=len(labels), fontsize="small")
    axes[1].stackplot(seconds, wanted.T, colors=colours)
    axes[1].set_ylabel("label or face")
    axes[1].set_ylim(0, 1)
    shown = track.embedding[:, np.argsort(-track.embedding.std(0))[:40]]
    axes[2].imshow(
        (shown / (shown.max(0) + 1e-6)).T, aspect="auto", extent=(0, len(shown) / FPS, shown.shape[1], 0), cmap="magma"
    )
    axes[2].set_ylabel("embedding")
    axes[3].plot(seconds, track.attention_entropy, color="black", linewidth=0.8)
    axes[3].set_ylim(0, 1.02)
    axes[3].set_ylabel("attention's\nentropy")
    axes[3].set_xlabel("seconds (solid line: a clip begins; dashed: its held-out part)")
    for axis in axes:
        for clip in clips:
            axis.axvline(clip.first / FPS, color="black", linewidth=1)
            axis.axvline(clip.test_first / FPS, color="grey", linewidth=1, linestyle="--")
    with atomic(path) as temporary:
        figure.savefig(temporary)
