"""Lip sync of every row, on the landmarks that were found for the other figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.metrics.rows import Row
from ua3dtalk.metrics.scene import Reading, Scene
from ua3dtalk.reading import read_json, reading
from ua3dtalk.subject import Subject
from ua3dtalk.sync.figures import local_figures, official_figures
from ua3dtalk.sync.net import load_net
from ua3dtalk.sync.syncnet import load_syncnet


def sync_readings(
    scene: Scene, rows: Sequence[Row], subject: Subject, local: Path | None, syncnet: Path | None
) -> list[Reading]:
    """Figures of the local sync net and of SyncNet for each row, where their weights are given.

    Args:
        scene: whose faces and frame numbers are those of the actor's frame index.
        rows: the scene's, whose frames can be asked for by number.
        local, syncnet: weights.
    """
    own = load_net(local) if local else None
    official = load_syncnet(syncnet) if syncnet else None
    sound = subject.audio() if official else np.zeros(0)
    readings = []
    for number, (row, face) in enumerate(zip(rows, scene.faces, strict=True)):
        figures = local_figures(own, face.points, subject.speech, scene.numbers) if own else {}
        if official:
            figures |= official_figures(official, row.frame, face.points, sound, scene.numbers)
        readings.append(Reading(number, None, figures, {}))
    return readings


def read_offsets(path: Path) -> list[dict[str, Any]]:
    """The clips of audio_offset.json."""
    with reading(path):
        clips: list[dict[str, Any]] = read_json(path)["clips"]
        if not isinstance(clips, list) or not all(isinstance(clip, dict) for clip in clips):
            raise ValueError("clips is no list of objects")
        return clips
