"""Figures of lip sync for a row of metrics.json or for any frames with speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ua3dtalk.subject import SAMPLES_PER_FRAME, TOKENS_PER_FRAME, Speech
from ua3dtalk.sync.local import embed, measure
from ua3dtalk.sync.net import LocalSync
from ua3dtalk.sync.official import published_figures
from ua3dtalk.sync.syncnet import SyncNet
from ua3dtalk.sync.talk import ENCODER, Hear, talk

Figures = dict[str, float | int | None]

LOCAL = ("sync_local_confidence", "sync_local_distance", "sync_local_offset_ms")
PUBLISHED = ("sync_c", "sync_d", "sync_offset_frames")


def local_figures(net: LocalSync, points: np.ndarray, speech: Speech, frames: np.ndarray | None = None) -> Figures:
    """Confidence, distance and offset of the local sync net.

    Args:
        net: from `load_net`.
        points: landmarks [n, 478, >= 2] px of the shown frames, nan where no face was found.
        speech: what is heard; features of whisper-base.
        frames: of the speech's index, to which the n shown ones belong, ascending; where they do not follow one another
            a new stretch begins. 0 .. n - 1 where None.
    Returns:
        `LOCAL`; None where there is too little to measure, nothing at all where the speech has other features.
    """
    if speech.encoder != ENCODER:
        return {}
    frames = np.arange(len(points)) if frames is None else np.asarray(frames)
    talks = [
        talk(
            points[rows],
            speech.features[frames[rows[0]] * TOKENS_PER_FRAME : (frames[rows[-1]] + 1) * TOKENS_PER_FRAME],
        )
        for rows in stretches(frames)
    ]
    found = measure(embed(net, talks))
    if found is None:
        return dict.fromkeys(LOCAL)
    return dict(zip(LOCAL, (found.confidence, found.distance, found.offset_ms), strict=True))


def speech_of(samples: np.ndarray, frames: int, hear: Hear) -> Speech:
    """What `local_figures` hears in a sound that no bundle holds the features of.

    Args:
        samples: float [m], 16 kHz; what lacks of frames * 640 is silence.
        hear: from `talk.hearing`.
    """
    wanted = frames * SAMPLES_PER_FRAME
    sound = np.pad(samples[:wanted], (0, max(wanted - len(samples), 0))).astype(np.float32)
    return Speech(hear(sound), np.zeros((0, 0)), ENCODER)


def official_figures(
    net: SyncNet,
    frame: Callable[[int], np.ndarray],
    points: np.ndarray,
    samples: np.ndarray,
    frames: np.ndarray | None = None,
) -> Figures:
    """Sync-C, Sync-D and the offset as published, of the longest stretch with a face in every frame.

    Args:
        net: with the official weights.
        frame: gives shown picture k, uint8 [H, W, 3] RGB.
        points, frames: as in `local_figures`.
        samples: sound of the index that `frames` count in, float [T * 640].
    Returns:
        `PUBLISHED`; None where no stretch has six frames.
    """
    frames = np.arange(len(points)) if frames is None else np.asarray(frames)
    faces = np.flatnonzero(np.isfinite(points[:, 0, 0]))
    longest = max((faces[rows] for rows in stretches(frames[faces])), key=len)
    if not len(longest):
        return dict.fromkeys(PUBLISHED)
    first = int(longest[0])
    sound = samples[frames[first] * SAMPLES_PER_FRAME : (frames[longest[-1]] + 1) * SAMPLES_PER_FRAME]
    found = published_figures(net, lambda k: frame(first + k), points[longest], sound)
    if found is None:
        return dict.fromkeys(PUBLISHED)
    return dict(zip(PUBLISHED, (found.confidence, found.distance, round(found.offset_frames)), strict=True))


def stretches(frames: np.ndarray) -> Sequence[np.ndarray]:
    """Rows of ascending frames, cut where one does not follow the one before."""
    return np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) != 1) + 1)
