"""Training at a glance: the curve, and renders beside their targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ua3dtalk.face.pictures import cell, label, save, sheet, spread
from ua3dtalk.rendering.compose import draw, to_bytes
from ua3dtalk.subject import FPS, Subject
from ua3dtalk.training.branch import BranchTrainer, Example
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.fuse import FuseTrainer
from ua3dtalk.training.listening import Listening
from ua3dtalk.training.settings import BranchTraining
from ua3dtalk.workflow import atomic

EVERY = 20  # steps that one point of a curve averages


class Curve:
    """Mean loss and number of Gaussians over blocks of steps."""

    def __init__(self) -> None:
        self._points: list[list[float]] = []
        self._block: list[float] = []

    def add(self, loss: float, gaussians: int = 0) -> None:
        self._block.append(loss)
        if len(self._block) == EVERY:
            self._points.append([float(np.mean(self._block)), float(gaussians)])
            self._block = []

    def to_list(self) -> list[Any]:
        return [self._points, self._block]

    @classmethod
    def from_list(cls, content: list[Any]) -> Curve:
        curve = cls()
        curve._points, curve._block = [list(point) for point in content[0]], list(content[1])
        return curve

    def write(self, path: Path, state: str) -> None:
        """The curve as data: loss and number of Gaussians of each block of EVERY steps."""
        document = {
            "state": state,
            "every": EVERY,
            "loss": [float(f"{loss:.5g}") for loss, _ in self._points],
            "gaussians": [int(gaussians) for _, gaussians in self._points],
        }
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(document) + "\n")

    def picture(self, width: int) -> Image.Image:
        """The curve as a picture."""
        points = np.array(self._points or [[np.nan, 0]])
        return plot({"loss": points[:, 0], "Gaussians": points[:, 1]}, width, "iterations", EVERY, log={"loss"})


def plot(
    series: dict[str, np.ndarray | list[np.ndarray]], width: int, axis: str, step: float, log: set[str] | None = None
) -> Image.Image:
    """Panels above each other, one per entry; an entry may hold several lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 100, 1.6 * len(series) + 0.3), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, lines) in zip(panels, series.items(), strict=True):
        for line in lines if isinstance(lines, list) else [lines]:
            panel.plot(np.arange(len(line)) * step, line, linewidth=0.9)
        panel.set_ylabel(name, fontsize=8)
        panel.margins(x=0)
        if log and name in log:
            panel.set_yscale("log")
    panel.set_xlabel(axis, fontsize=8)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def branch_picture(
    frames: Frames,
    trainer: BranchTrainer,
    example: Callable[[Frames, int, int, BranchTraining], Example],
    own: BranchTraining,
    curve: Curve,
    picture: Path,
) -> None:
    """Targets and renders of six training frames above the training curve."""
    train = frames.subject.train_frames
    order = train[np.argsort(frames.subject.expression.mouth_opening[train])]
    targets, renders = [], []
    for index in spread(len(order), 6):
        shown = example(frames, int(order[index]), 0, own)
        with torch.no_grad():
            edits = trainer.edits(shown.frame) if trainer.moving else None
            layer = draw(trainer.cloud, edits, shown.camera, trainer.settings.sh_degree, trainer.settings.rasteriser)
            pictured = layer.over(shown.background)
            if shown.ignore is not None:
                pictured = torch.where(shown.ignore[..., None], shown.background, pictured)
        targets.append(cell(to_bytes(shown.target).cpu().numpy()))
        renders.append(cell(to_bytes(pictured).cpu().numpy()))
    label(targets[0], "targets, mouth closed to open")
    label(renders[0], "renders")
    page = sheet([targets, renders])
    save(sheet([targets, renders, [curve.picture(page.width)]]), picture)


def fuse_picture(subject: Subject, trainer: FuseTrainer, curve: Curve, picture: Path) -> None:
    """Training frames and their composed renders above the curve."""
    chosen = subject.train_frames[spread(len(subject.train_frames), 6)]
    truths = [cell(subject.video[frame]) for frame in chosen]
    with torch.no_grad():
        renders = [cell(to_bytes(trainer.picture(int(frame))).cpu().numpy()) for frame in chosen]
    label(truths[0], "training frames")
    label(renders[0], "renders")
    page = sheet([truths, renders])
    save(sheet([truths, renders, [curve.picture(page.width)]]), picture)


def listening_picture(subject: Subject, listening: Listening, picture: Path) -> None:
    """True lip shapes and what is read from speech, with the held-out frames at the end of each clip."""
    test = subject.test_frames
    series: dict[str, np.ndarray | list[np.ndarray]] = {
        f"shape {index + 1}, r = {listening.correlation[index]:.2f}": [
            listening.teacher[test, index],
            listening.read[test, index],
        ]
        for index in range(min(4, listening.teacher.shape[1]))
    } or {"no lip shapes are read": np.zeros(len(test))}
    save(plot(series, 1200, "seconds of held-out frames (true, read)", 1 / FPS), picture)
