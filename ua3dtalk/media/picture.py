"""What was decoded, at a glance: frames through time and the crop in its source; the sound's envelope."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ua3dtalk.media.frames import Square
from ua3dtalk.workflow import atomic

COLUMNS, ROWS, TILE = 6, 2, 200
WAVE_HEIGHT = 90
SOURCE_HEIGHT = 240
INK, PAPER, ACCENT = (40, 44, 52), (250, 250, 248), (214, 90, 49)


def contact_sheet(
    path: Path,
    video: np.ndarray,
    sources: Sequence[tuple[np.ndarray, float, Square]],
) -> None:
    """Write one png.

    Args:
        video: uint8 [T, H, W, 3].
        sources: for up to four clips (small upright frame, px of it for one source px, crop).
    """
    sheet = Image.new("RGB", (COLUMNS * TILE, SOURCE_HEIGHT + ROWS * TILE), PAPER)
    draw = ImageDraw.Draw(sheet)
    x = 0
    for picture, scale, crop in sources:
        tile = _source(picture, scale, crop)
        sheet.paste(tile, (x, 0))
        x += tile.width + 8
    count = COLUMNS * ROWS
    indices = np.unique(np.linspace(0, len(video) - 1, count).round().astype(int))
    for place, index in enumerate(indices):
        tile = Image.fromarray(video[index]).resize((TILE, TILE), Image.Resampling.BILINEAR)
        left, top = place % COLUMNS * TILE, SOURCE_HEIGHT + place // COLUMNS * TILE
        sheet.paste(tile, (left, top))
        draw.text((left + 4, top + 4), str(index), fill=ACCENT)
    with atomic(path) as temporary:
        sheet.save(temporary)


def sound_sheet(path: Path, envelope: np.ndarray, starts: Sequence[int], moves: Sequence[float]) -> None:
    """Write one png of the sound over time.

    Args:
        envelope: [T] peak of the sound in each frame, 0..1.
        starts: first frame of each clip.
        moves: seconds by which each clip's sound was moved.
    """
    width = COLUMNS * TILE
    sheet = Image.new("RGB", (width, WAVE_HEIGHT), PAPER)
    draw = ImageDraw.Draw(sheet)
    columns = np.linspace(0, len(envelope), width + 1).astype(int)
    for x in range(width):
        peak = float(envelope[columns[x] : max(columns[x + 1], columns[x] + 1)].max(initial=0))
        draw.line((x, WAVE_HEIGHT * (0.5 - 0.45 * peak), x, WAVE_HEIGHT * (0.5 + 0.45 * peak) + 1), fill=INK)
    for first, move in zip(starts, moves, strict=True):
        border = first / len(envelope) * width
        draw.line((border, 0, border, WAVE_HEIGHT), fill=ACCENT, width=2)
        draw.text((border + 5, 2), f"moved by {move:+.3f} s" if move else "as it is", fill=ACCENT)
    with atomic(path) as temporary:
        sheet.save(temporary)


def _source(picture: np.ndarray, scale: float, crop: Square) -> Image.Image:
    """The whole source frame with the crop as a frame on it."""
    zoom = SOURCE_HEIGHT / picture.shape[0]
    image = Image.fromarray(picture).resize((max(round(picture.shape[1] * zoom), 1), SOURCE_HEIGHT))
    left, top, side = (value * scale * zoom for value in (crop.left, crop.top, crop.side))
    ImageDraw.Draw(image).rectangle((left, top, left + side, top + side), outline=ACCENT, width=2)
    return image
