"""Emotions that the actor never showed: faces everybody makes, carried over by the open expression basis.

Source: Ekman and Friesen's prototypes in action units (happy 6 + 12, sad 1 + 4 + 15, surprised 1 + 2 + 5 + 26, afraid
1 + 2 + 4 + 5 + 7 + 20, angry 4 + 5 + 7 + 23, disgusted 9 + 15 + 17, contemptuous 12 + 14 on one side), each unit as
ARKit's shapes that look like it. The jaw is left to speech. Only landmarks move, as they do in the basis: no crease, no
cheek that this actor would have. So what is shown is as uncertain as it is strong.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.face.basis import expression_basis
from ua3dtalk.rendering.emotions import shown_emotions
from ua3dtalk.rendering.head import Head
from ua3dtalk.subject import Subject

PROTOTYPES: dict[str, dict[str, float]] = {
    "happy": {"cheekSquint": 0.5, "mouthSmile": 0.7, "eyeSquint": 0.2},
    "sad": {"browInnerUp": 0.7, "browDown": 0.2, "mouthFrown": 0.7, "mouthShrugLower": 0.2},
    "angry": {"browDown": 0.9, "eyeSquint": 0.4, "noseSneer": 0.4, "mouthPress": 0.4},
    "surprised": {"browInnerUp": 0.8, "browOuterUp": 0.8, "eyeWide": 0.7},
    "fear": {"browInnerUp": 0.8, "browOuterUp": 0.4, "browDown": 0.2, "eyeWide": 0.7, "mouthStretch": 0.6},
    "disgusted": {"noseSneer": 0.9, "browDown": 0.4, "mouthUpperUp": 0.4, "mouthFrown": 0.3},
    "contempt": {"mouthSmileLeft": 0.5, "mouthDimpleLeft": 0.6},
}


def split_labels(subject: Subject, labels: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels that the actor has shown, and those that have to be transferred.

    Raises:
        InputError: a label is neither.
    """
    shown = shown_emotions(subject)
    for label in labels:
        if label not in shown and label not in PROTOTYPES:
            raise InputError(
                f"{subject.name} has no clip labelled {label!r} (labels: {', '.join(shown) or 'none'}), and it is none "
                f"that can be transferred ({', '.join(PROTOTYPES)}): label a clip in the config"
            )
    own = tuple(label for label in labels if label in shown)
    return own, tuple(label for label in labels if label not in shown)


def transferable(subject: Subject, head: Head) -> tuple[str, ...]:
    """Labels that the actor never showed and that its head can be made to show."""
    shown = shown_emotions(subject)
    return tuple(label for label in PROTOTYPES if label not in shown) if head.face.net.motion is not None else ()


def displacement(strengths: Mapping[str, float]) -> np.ndarray:
    """How landmarks move [478, 3] m in the head's frame, where emotions of `PROTOTYPES` have these strengths."""
    moved = np.zeros_like(expression_basis().canonical)
    for label, strength in strengths.items():
        moved += strength * _face(label)
    return moved


@cache
def _face(label: str) -> np.ndarray:
    return moved_by(np.array([_weight(PROTOTYPES[label], name) for name in expression_basis().names]))


def moved_by(weights: np.ndarray) -> np.ndarray:
    """How landmarks move [478, 3] m under weights [52] of the open basis."""
    found: np.ndarray = np.einsum("k,kld->ld", weights, expression_basis().shapes)
    return found


def _weight(prototype: Mapping[str, float], name: str) -> float:
    """Of a shape by its own name, or by that of both sides."""
    return prototype.get(name, prototype.get(name.removesuffix("Left").removesuffix("Right"), 0.0))
