"""What the pictures of the face stages share: sheets of frames, lines and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ua3dtalk.workflow import atomic

CELL = 256


def spread(count: int, wanted: int) -> np.ndarray:
    """At most `wanted` indices spread evenly over ``0..count-1``, without the two ends' edges."""
    wanted = min(wanted, count)
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(int)


def cell(image: np.ndarray, side: int = CELL) -> Image.Image:
    """uint8 [H, W, 3] as a picture whose longer side is `side` px."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    return Image.fromarray(image).resize((max(1, round(width * scale)), max(1, round(height * scale))))


def polyline(
    draw: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, int, int], scale: float, closed: bool = True
) -> None:
    """points [n, 2] in px of the frame, joined by a line."""
    path = [(float(x * scale), float(y * scale)) for x, y in points[:, :2]]
    draw.line([*path, path[0]] if closed else path, fill=colour, width=1)


def label(image: Image.Image, text: str) -> None:
    """A line of small white text on black in the upper left corner."""
    draw = ImageDraw.Draw(image)
    box = draw.textbbox((3, 2), text)
    draw.rectangle((0, 0, box[2] + 3, box[3] + 2), fill=(0, 0, 0))
    draw.text((3, 2), text, fill=(255, 255, 255))


def sheet(rows: Sequence[Sequence[Image.Image]], gap: int = 4) -> Image.Image:
    """Pictures of equal height per row, laid out row by row on grey."""
    widths = [sum(p.width + gap for p in row) + gap for row in rows]
    heights = [max(p.height for p in row) + gap for row in rows]
    page = Image.new("RGB", (max(widths), sum(heights) + gap), (40, 40, 40))
    y = gap
    for row, height in zip(rows, heights, strict=True):
        x = gap
        for picture in row:
            page.paste(picture, (x, y))
            x += picture.width + gap
        y += height
    return page


def curves(values: Mapping[str, np.ndarray], borders: Sequence[int], width: int, fps: float) -> Image.Image:
    """One panel per entry (values [T] over time in seconds), dashed lines at the clips' borders."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 100, 1.3 * len(values) + 0.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, series) in zip(panels, values.items(), strict=True):
        panel.plot(np.arange(len(series)) / fps, series, linewidth=0.8)
        panel.set_ylabel(name, fontsize=8)
        panel.tick_params(labelsize=7)
        panel.margins(x=0)
        for border in borders:
            panel.axvline(border / fps, color="grey", linestyle="--", linewidth=0.8)
    panels[-1].set_xlabel("seconds", fontsize=8)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG; it takes its name only when it is complete."""
    with atomic(path) as temporary:
        picture.save(temporary, format="PNG")
