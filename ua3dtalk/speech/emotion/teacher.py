"""What the small net learns from: the clip's label where it has one, and what the face shows.

The face is summed up over the same 3 s windows that the net hears: the mean of the facial-expression probabilities,
the mean and the deviation of the blendshapes. A window never reaches over a clip's border nor over the border between
its training and its held-out frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ua3dtalk.errors import ConfigError
from ua3dtalk.face.emotion import FACIAL_EMOTIONS
from ua3dtalk.speech.emotion.inputs import RADIUS, held_out_part, training_part
from ua3dtalk.subject import Clip, Landmarks

SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


@dataclass(frozen=True)
class Lesson:
    """What the face shows of one actor's clips: probabilities [T, 7] and feature [T, 7 + 2 * 52] over windows, both
    NaN where a window has no face; emotions: the label of each frame, empty where there is none."""

    probabilities: np.ndarray
    feature: np.ndarray
    emotions: np.ndarray


def lesson(facial: np.ndarray, landmarks: Landmarks, clips: Sequence[Clip]) -> Lesson:
    """Sum up what the face shows.

    Args:
        facial: probabilities [T, 7] of each frame, NaN without a face.
        landmarks: blendshapes [T, 52] and valid [T].
        clips: the actor's clips.
    """
    seen = landmarks.valid & np.isfinite(facial).all(1)
    rows = np.concatenate([facial, landmarks.blendshapes], 1).astype(np.float64)
    rows = np.where(seen[:, None], rows, 0)
    mean = np.full(rows.shape, np.nan)
    square = np.full(rows.shape, np.nan)
    for part in (*training_part(clips), *held_out_part(clips)):
        inside = slice(part.first, part.end)
        count = _window_sum(seen[inside, None].astype(float))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean[inside] = _window_sum(rows[inside]) / count
            square[inside] = _window_sum(rows[inside] ** 2) / count
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    kinds = facial.shape[1]
    feature = np.concatenate([mean, deviation[:, kinds:]], 1).astype(np.float32)
    emotions = np.concatenate([np.full(clip.length, clip.emotion or "") for clip in clips])
    return Lesson(mean[:, :kinds].astype(np.float32), feature, emotions)


def feature_names(blendshapes: Sequence[str]) -> tuple[str, ...]:
    """Names of the feature's columns."""
    return (*FACIAL_EMOTIONS, *(f"mean {name}" for name in blendshapes), *(f"deviation {name}" for name in blendshapes))


def _window_sum(rows: np.ndarray) -> np.ndarray:
    """Sums over the rows at most `RADIUS` away: [n, D] -> [n, D]."""
    total = np.concatenate([np.zeros((1, rows.shape[1])), rows.cumsum(0)])
    index = np.arange(len(rows))
    return total[np.minimum(index + RADIUS + 1, len(rows))] - total[np.maximum(index - RADIUS, 0)]


def label_names(emotions: np.ndarray) -> tuple[str, ...]:
    """The classes of some training frames: their labels, or, where some frame has none, the facial expressions first,
    under the names that labels give them, then what other labels there are.

    Args:
        emotions: label of each frame, empty where there is none.
    """
    given = list(dict.fromkeys(emotions.tolist()))
    if "" not in given:
        return tuple(given)
    names = list(FACIAL_EMOTIONS)
    for name in filter(None, given):
        usual = SYNONYMS.get(name, name)
        if usual in names:
            names[names.index(usual)] = name
        else:
            names.append(name)
    return tuple(names)


def targets(taught: Lesson, labels: Sequence[str]) -> np.ndarray:
    """What the discriminator should say: [T, L], rows sum to 1, zero where neither label nor face tells.

    One for the clip's label; without a label the face's probabilities.

    Args:
        labels: of `label_names`.
    """
    out = np.zeros((len(taught.emotions), len(labels)), np.float32)
    for column, name in enumerate(labels):
        out[taught.emotions == name, column] = 1
    silent = taught.emotions == ""
    kinds = len(FACIAL_EMOTIONS)
    if silent.any() and [SYNONYMS.get(name, name) for name in labels[:kinds]] == list(FACIAL_EMOTIONS):
        out[silent, :kinds] = np.nan_to_num(taught.probabilities[silent])
    return out


def check_targets(wanted: np.ndarray, frames: np.ndarray, name: str) -> None:
    """There must be something to learn."""
    if not (wanted[frames].sum(1) > 0).any():
        raise ConfigError(
            f"emotion: the training frames of {name} show no face and have no label: give its clips a label of emotion"
        )
