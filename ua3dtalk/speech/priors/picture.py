"""A picture of the priors: what was read of held-out frames, and how well, beside ridge regression."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ua3dtalk.speech.priors.fit import Priors
from ua3dtalk.speech.priors.targets import OPENING
from ua3dtalk.subject import FPS, Subject
from ua3dtalk.workflow import atomic

CURVES = (OPENING, "jawOpen", "mouthPucker", "mouthSmileLeft")


def draw_priors(path: Path, subject: Subject, priors: Priors) -> None:
    """Curves of a few coefficients over the held-out frames, novelty, and bars of correlation."""
    from matplotlib.figure import Figure

    names, test = priors.targets.names, subject.test_frames
    shown = [name for name in CURVES if name in names]
    figure = Figure(figsize=(14, 3 * len(shown) + 6), dpi=80, layout="constrained")
    axes = figure.subplots(len(shown) + 2, 1, height_ratios=(*[2] * len(shown), 1, 3))
    held_out, by_blocks = priors.correlations(priors.track.mixed)
    ridge_held_out, ridge_by_blocks = priors.correlations(priors.ridge)
    places = np.arange(len(test)) / FPS
    for axis, name in zip(axes, shown, strict=False):
        column = names.index(name)
        mixed, spread = priors.track.mixed[test, column], np.sqrt(priors.track.variance[test, column])
        axis.fill_between(places, mixed - spread, mixed + spread, color="tab:orange", alpha=0.15, linewidth=0)
        axis.plot(places, priors.targets.values[test, column], "k", linewidth=1.2, label="truth")
        axis.plot(places, mixed, "tab:orange", linewidth=1.2, label=f"mixed, r = {held_out[column]:.2f}")
        label = f"ridge regression, r = {ridge_held_out[column]:.2f}"
        axis.plot(places, priors.ridge[test, column], "tab:blue", linewidth=0.8, label=label)
        axis.set_ylabel(name)
        axis.legend(fontsize=8, ncol=3, loc="upper right")
    axes[-2].plot(places, priors.track.novelty[test], "tab:red", linewidth=0.8)
    axes[-2].set_ylabel("novelty")
    axes[-2].set_xlabel("seconds of held-out speech, clips end to end")
    mouth = np.flatnonzero(priors.targets.mouth)
    bars = np.arange(len(mouth))
    for offset, values, colour, label in (
        (-0.2, held_out, "tab:orange", "mixed, held out"),
        (0.2, ridge_held_out, "tab:blue", "ridge regression, held out"),
    ):
        axes[-1].bar(bars + offset, values[mouth], 0.4, color=colour, label=f"{label}: {values[mouth].mean():.3f}")
    for values, sign, label in ((by_blocks, "k_", "mixed"), (ridge_by_blocks, "b_", "ridge regression")):
        mean = f"{label}, blocks of training frames: {values[mouth].mean():.3f}"
        axes[-1].plot(bars, values[mouth], sign, markersize=9, label=mean)
    axes[-1].set_xticks(bars, [names[column] for column in mouth], rotation=90, fontsize=7)
    axes[-1].set_ylabel("correlation")
    axes[-1].grid(axis="y", alpha=0.3)
    axes[-1].legend(fontsize=8, ncol=2)
    with atomic(path) as temporary:
        figure.savefig(temporary)
