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
    """The track of a face in an emotion that the actor has shown.

    The emotion view gets the label's prototype. The expression and the action units keep what speech and chance tell,
    around the mean of the label's training frames instead of the mean of the emotion that was heard.

    Args:
        track: what drives the frames without asking; strength: 0 leaves it as it is, 1 is as the actor showed it.
    Raises:
        InputError: no clip of the actor has the label.
    """
    if label not in shown_emotions(subject):
        known = ", ".join(shown_emotions(subject)) or "none"
        raise InputError(f"{subject.name} has no clip labelled {label!r} (labels: {known}): label one in the config")
    if track.emotion is None:
        raise InputError(f"the head of {subject.name} has no view of emotion: train it with the method ua3dtalk")
    prototype = subject.emotion.prototypes[[subject.emotion.labels.index(label)]]
    prototype = evened(subject, prototype, like=subject.emotion.embedding)
    emotion = track.emotion + strength * (prototype - track.emotion)
    changed = replace(
        track,
        emotion=emotion.astype(np.float32),
        action_units=_units(subject, track.action_units, label, seed, strength),
    )
    if track.lip_expression is not None:
        lips = lip_shapes_of(subject.priors.expression, track.lips.shape[1])
        changed = replace(
            changed,
            lip_expression=_moved(subject, track.lip_expression, told(subject), label, strength),
            lips=_moved(subject, track.lips, lips, label, strength),
        )
    return changed


def _moved(subject: Subject, values: np.ndarray, like: np.ndarray, label: str, strength: float) -> np.ndarray:
    """Values [T, D] moved from the mean of the emotion that is heard to the label's, both of the actor's `like`."""
    means = _means(subject, like)
    return (values + strength * (means[label] - _heard_means(subject, means))).astype(np.float32)


def _heard_means(subject: Subject, means: dict[str, np.ndarray]) -> np.ndarray:
    """[T, D]: the labels' means, weighted by how probable the speech makes each."""
    anyone = np.mean(list(means.values()), 0)
    table = np.array([means.get(label, anyone) for label in subject.emotion.labels])
    return np.asarray(subject.emotion.probabilities @ table)


def _means(subject: Subject, values: np.ndarray) -> dict[str, np.ndarray]:
    """Mean [D] of values [T, D] over the training frames of each label."""
    return {
        label: np.concatenate(
            [values[clip.first : clip.test_first] for clip in subject.clips if clip.emotion == label]
        ).mean(0)
        for label in shown_emotions(subject)
    }


def _units(subject: Subject, units: np.ndarray, label: str, seed: int, strength: float) -> np.ndarray:
    """Action units [T, 6] that a model of the label's training frames makes up."""
    model = fit_emotion(subject.expression.action_units.astype(np.float64), subject.clips, label)
    rng = np.random.default_rng(seed)
    sampled = np.concatenate([model.sample(clip.length, rng) for clip in subject.clips])
    return np.asarray(units + strength * (sampled - units))
