"""The space of expressions that speech is mapped to: 64 columns, in deviations of the actor's training frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ua3dtalk.face.lips import lip_coefficients
from ua3dtalk.subject import Subject

LIP_SHAPES = 12
OPENING = "mouthOpening"
REFERENCE = "deep3dExpression"  # names of the reference route's columns, all of which take part in the mouth
LEAST_DEVIATION = 1e-3  # of a coefficient in 0..1: less is the landmarker's noise, not to be blown up


@dataclass(frozen=True)
class Targets:
    """values [T, 64] standardised by the training frames, their mean and deviation [64], names [64]."""

    values: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    names: tuple[str, ...]

    @property
    def mouth(self) -> np.ndarray:
        """[64] bool: the columns by which a reading of speech is judged, those of jaw and lips that move at all."""
        moves = self.deviation > 2 * LEAST_DEVIATION
        return mouth_columns(self.names) & moves


def mouth_columns(names: tuple[str, ...]) -> np.ndarray:
    """[64] bool: coefficients of jaw and mouth, and all lip shapes."""
    return np.array([name.startswith(("jaw", "mouth", "lipShape", REFERENCE)) for name in names])


def expression_targets(subject: Subject, train: np.ndarray) -> Targets:
    """The real frames' expression.

    Args:
        subject: reads expression.npz, landmarks.npz, tracking.npz.
        train: training frames that show a face [n]; nothing is fitted to others.
    Returns:
        the open basis' coefficients, then the lip shapes: the opening of the mouth and principal components of what
        else lips do (`ua3dtalk.face.lips.lip_coefficients`).
    """
    expression = subject.expression
    lips = lip_coefficients(subject, train, LIP_SHAPES)
    raw = np.hstack([expression.coefficients, lips])
    mean = raw[train].mean(0)
    deviation = np.maximum(raw[train].std(0), LEAST_DEVIATION)
    names = (*expression.names, OPENING, *(f"lipShape{index}" for index in range(1, LIP_SHAPES)))
    return Targets(((raw - mean) / deviation).astype(np.float32), mean, deviation, names)
