"""A head that is asked for an emotion: what speech says stays, how the face says it changes."""

from __future__ import annotations

from collections.abc import Mapping
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
    strengths = {label: np.full(len(units), strength, np.float32)}
    return in_emotions(subject, track, strengths, subject.emotion.probabilities, {label: units})


def check_label(subject: Subject, label: str) -> None:
    """Refuse a label that no clip of the actor has."""
    if label not in shown_emotions(subject):
        known = ", ".join(shown_emotions(subject)) or "none"
        raise InputError(f"{subject.name} has no clip labelled {label!r} (labels: {known}): label one in the config")


def in_emotions(
    subject: Subject,
    track: Track,
    strengths: Mapping[str, np.ndarray],
    probabilities: np.ndarray,
    units: Mapping[str, np.ndarray],
) -> Track:
    """The track of any speech with the face in emotions that the actor has shown.

    The emotion view gets the label's prototype. The expression and the action units keep what speech and chance tell,
    around the mean of the label's training frames instead of the mean of the emotion that was heard. Several emotions
    add up, each by its strength.

    Args:
        track: what drives T frames without asking.
        strengths: [T] of each label; 0 leaves a frame as it is, 1 is as the actor showed it.
        probabilities: [T, L] of the labels, heard; units: action units [T, 6] of a face in each emotion.
    """
    if track.emotion is None:
        raise InputError(f"the head of {subject.name} has no view of emotion: train it with the method ua3dtalk")
    found = {"emotion": track.emotion, "action_units": track.action_units}
    if track.lip_expression is not None:
        found |= {"lip_expression": track.lip_expression, "lips": track.lips}
        shapes = {
            "lip_expression": told(subject),
            "lips": lip_shapes_of(subject.priors.expression, track.lips.shape[1]),
        }
    for label, strength in strengths.items():
        share = strength[:, None]
        prototype = subject.emotion.prototypes[[subject.emotion.labels.index(label)]]
        prototype = evened(subject, prototype, like=subject.emotion.embedding)
        found["emotion"] = found["emotion"] + share * (prototype - track.emotion)
        found["action_units"] = found["action_units"] + share * (units[label] - track.action_units)
        if track.lip_expression is not None:
            for name, values in shapes.items():
                found[name] = found[name] + share * _way(subject, values, label, probabilities)
    return replace(track, **{name: values.astype(np.float32) for name, values in found.items()})


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
