"""Charts that are not over the time of a film: training, calibration, emotions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.reading import read_json, reading
from ua3dtalk.report.series import Chart, Line

BRANCHES = {"train_mouth": "Mouth branch", "train_face": "Face branch", "train_fuse": "Both together"}


def training_charts(folder: Path) -> list[Chart]:
    """Loss and number of Gaussians over iterations, of the stages that left a curve."""
    charts = []
    for stage, title in BRANCHES.items():
        path = folder / f"{stage}.json"
        if not path.exists():
            continue
        curve = read_json(path)
        with reading(path):
            loss, gaussians = np.array(curve["loss"], float), np.array(curve["gaussians"], float)
            steps = (np.arange(len(loss)) + 1) * float(curve["every"])
            if loss.ndim != 1 or gaussians.shape != loss.shape:
                raise ValueError("loss and gaussians are lists of one length")
        if not len(loss):
            continue
        about = f"Loss, mean over {curve['every']} steps each."
        lines = [Line("loss", loss, "ours")]
        # With the likelihood of a variance in it a loss may fall below 0.
        log = bool((loss > 0).all())
        charts.append(Chart(f"{stage}-loss", "steps", title, about, lines=lines, x=list(steps), log=log))
        if gaussians.max(initial=0) > 0:
            lines = [Line("Gaussians", gaussians, "rest")]
            about = "Number of Gaussians."
            charts.append(Chart(f"{stage}-gaussians", "steps", title, about, lines=lines, x=list(steps), low=0))
    return charts


def calibration_charts(document: Mapping[str, Any]) -> list[Chart]:
    """Predicted against observed deviation in ten bins of pixels, for a head with beliefs."""
    curve = document.get("uncertainty", {}).get("ours", {}).get("calibration")
    if not curve:
        return []
    points = [
        (predicted, observed, f"bin {number}")
        for number, (predicted, observed) in enumerate(zip(curve["predicted"], curve["observed"], strict=True), start=1)
    ]
    about = "Root mean squares in ten bins of equally many pixels. On the line the head is as wrong as it says."
    axes = ("predicted", "observed")
    return [Chart("calibration", "pairs", "Calibration", about, points=points, axes=axes, log=True)]


def emotion_charts(document: Mapping[str, Any]) -> list[Chart]:
    """Differences between emotions, blendshape by blendshape: rendered against true."""
    charts = []
    for number, (pair, found) in enumerate(document.get("emotions", {}).get("pairs", {}).items()):
        points = [(found["true"][name], value, name) for name, value in found["rendered"].items()]
        about = f"cosine {found['cosine']:.2f}, gain {found['gain']:.2f}"
        axes = ("true difference", "rendered difference")
        charts.append(Chart(f"emotion-{number}", "pairs", pair.replace(" - ", " − "), about, points=points, axes=axes))
    return charts
