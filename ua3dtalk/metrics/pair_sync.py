"""Lip sync of any two videos, each with its own sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ua3dtalk.media.audio import aligned_audio
from ua3dtalk.media.probe import probe
from ua3dtalk.metrics.pair import VideoRow
from ua3dtalk.metrics.scene import Reading, Scene
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import FPS, SAMPLES_PER_FRAME
from ua3dtalk.sync.figures import local_figures, official_figures, speech_of
from ua3dtalk.sync.net import load_net
from ua3dtalk.sync.syncnet import load_syncnet
from ua3dtalk.sync.talk import hearing


def pair_sync_readings(
    scene: Scene, rows: tuple[VideoRow, VideoRow], local: Path | None, syncnet: Path | None, whisper: Path | None
) -> tuple[list[Reading], list[str]]:
    """Figures of lip sync for both videos, and in words what had to be done.

    Both nets see 25 frames a second: landmarks in between are interpolated, of the pictures the nearest is taken.

    Args:
        scene: whose faces are those of the rows.
        rows: truth and generated.
        local, syncnet: weights; None leaves out its figures.
        whisper: folder of the encoder that the local net hears by.
    """
    sounds, notes = _sounds(rows, int(len(scene) * FPS / scene.rate + 1e-6))
    if not sounds:
        return [], notes
    own = load_net(local) if local else None
    hear = hearing(whisper) if own and whisper else None
    official = load_syncnet(syncnet) if syncnet else None
    readings = []
    for number, (row, face, sound) in enumerate(zip(rows, scene.faces, sounds, strict=True)):
        points = at_25(face.points, scene.rate)
        figures = local_figures(own, points, speech_of(sound, len(points), hear)) if own and hear else {}
        if official:
            figures |= official_figures(official, _Reel(row).picture, points, sound)
        readings.append(Reading(number, None, figures, {}))
    return readings, notes


def _sounds(rows: tuple[VideoRow, VideoRow], frames: int) -> tuple[list[np.ndarray], list[str]]:
    """Samples [frames * 640] of each row, from its first picture on; a silent generated video has the truth's."""
    facts = [probe(row.path, MediaSettings(), need_audio=False) for row in rows]
    truth, generated = (fact.has_audio for fact in facts)
    if not truth and not generated:
        return [], ["neither video has sound: lip sync is left out"]
    notes, sources = [], [0, 1]
    if not generated:
        notes, sources = ["the generated video has no sound: its lips are compared with the truth's"], [0, 0]
    elif not truth:
        notes, sources = ["the truth has no sound: its lips are compared with the generated video's"], [1, 1]
    length = frames * SAMPLES_PER_FRAME
    return [np.concatenate(list(aligned_audio(rows[k].path, facts[k].video_start, length))) for k in sources], notes


def at_25(points: np.ndarray, rate: float) -> np.ndarray:
    """Points [n, ...] at `rate` frames a second, interpolated to 25; nan where a neighbour is nan."""
    position = np.arange(int(len(points) * FPS / rate + 1e-6)) * rate / FPS
    before = np.minimum(position.astype(int), len(points) - 1)
    after = np.minimum(before + 1, len(points) - 1)
    share = (position - before).reshape(-1, *[1] * (points.ndim - 1))
    found: np.ndarray = np.where(share < 1e-6, points[before], (1 - share) * points[before] + share * points[after])
    return found


class _Reel:
    """Pictures of a row at 25 frames a second, asked for in their order."""

    def __init__(self, row: VideoRow) -> None:
        self._row, self._frames = row, iter(row.frames())
        self._at, self._shown = -1, np.zeros(0)

    def picture(self, k: int) -> np.ndarray:
        """uint8 [H, W, 3] of frame k at 25; k never falls."""
        wanted = round(k * self._row.rate / FPS)
        while self._at < wanted:
            shown = next(self._frames, None)
            if shown is None:
                break
            self._at, self._shown = self._at + 1, shown
        return self._shown
