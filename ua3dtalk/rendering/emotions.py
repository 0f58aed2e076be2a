"""A head that is asked for an emotion: what speech says stays, how the face says it changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.rendering.controls import Track, evened, lip_shapes_of, told
from ua3dtalk.rendering.upper_face import fit_emotion
from ua3dtalk.subject import Subject


def shown_emotions(subject: Subject) -> tuple[str, ...]:
    """Labels of the actor's clips, in their order."""
    return tuple(dict.fromkeys(clip.emotion for clip in subject.clips if clip.emotion is not None))


def ask(subject: Subject, track: Track, label: str, seed: int, strength: float = 1.0) -> Track:
    """The track of the actor's own frames with the face in an emotion that the actor has shown.

    Args:
        track: what drives the frames without asking; strength: 0 leaves it as it is, 1 is as the actor showed it.
    Raises:
        InputError: no clip of the actor has the label.
    """
    check_label(subject, label)
    model = fit_emotion(subject.expression.action_units.astype(np.float64), subject.clips, label)
    rng = np.random.default_rng(seed)
    units = np.concatenate([model.sample(clip.length, rng) for clip in subject.clips])
    return in_emotion(subject, track, label, strength, subject.emotion.probabilities, units)


def check_label(subject: Subject, label: str) -> None:
    """Refuse a label that no clip of the actor has."""
    if label not in shown_emotions(subject):
        known = ", ".join(shown_emotions(subject)) or "none"
        raise InputError(f"{subject.name} has no clip labelled {label!r} (labels: {known}): label one in the config")


def in_emotion(
    subject: Subject, track: Track, label: str, strength: float, probabilities: np.ndarray, units: np.ndarray
) -> Track:
    """The track of any speech with the face in an emotion that the actor has shown.

    The emotion view gets the label's prototype. The expression and the action units keep what speech and chance tell,
    around the mean of the label's training frames instead of the mean of the emotion that was heard.

    Args:
        track: what drives T frames without asking.
        probabilities: [T, L] of the labels, heard; units: action units [T, 6] of a face in the emotion.
    """
    if track.emotion is None:
        raise InputError(f"the head of {subject.name} has no view of emotion: train it with the method ua3dtalk")
    prototype = subject.emotion.prototypes[[subject.emotion.labels.index(label)]]
    prototype = evened(subject, prototype, like=subject.emotion.embedding)
    emotion = track.emotion + strength * (prototype - track.emotion)
    changed = replace(
        track,
        emotion=emotion.astype(np.float32),
        action_units=track.action_units + strength * (units - track.action_units),
    )
    if track.lip_expression is not None:
        lips = lip_shapes_of(subject.priors.expression, track.lips.shape[1])
        changed = replace(
            changed,
            lip_expression=track.lip_expression + strength * _way(subject, told(subject), label, probabilities),
            lips=track.lips + strength * _way(subject, lips, label, probabilities),
        )
    return changed


def _way(subject: Subject, values: np.ndarray, label: str, probabilities: np.ndarray) -> np.ndarray:
    """From the mean of the emotion that is heard to the label's, both of the actor's values [T, D]: float32 [n, D].

    Args: probabilities [n, L], heard.
    """
    means = _means(subject, values)
    anyone = np.mean(list(means.values()), 0)
    table = np.array([means.get(each, anyone) for each in subject.emotion.labels])
    found: np.ndarray = (means[label] - probabilities @ table).astype(np.float32)
    return found


def _means(subject: Subject, values: np.ndarray) -> dict[str, np.ndarray]:
    """Mean [D] of values [T, D] over the training frames of each label."""
    return {
        label: np.concatenate(
            [values[clip.first : clip.test_first] for clip in subject.clips if clip.emotion == label]
        ).mean(0)
        for label in shown_emotions(subject)
    }
