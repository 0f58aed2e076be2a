"""Which frame a step trains on. Every choice is a look-up among the training frames, so none can search for ever.

Source: TalkingGaussian: the mouth branch sees wide openings first and closed lips later, the face branch visits mouth
openings and blinks of every size; the remaining steps draw frames at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ua3dtalk.subject import Subject
from ua3dtalk.training.settings import BranchTraining


@dataclass(frozen=True)
class Curriculum:
    """frames [n] that train, opening [n] and blink [n] of each, both in 0..1."""

    frames: np.ndarray
    opening: np.ndarray
    blink: np.ndarray

    def nearest(self, values: np.ndarray, low: float, high: float, rng: np.random.Generator) -> int:
        """A frame whose value lies in a range, or the one nearest to it."""
        inside = np.flatnonzero((values >= low) & (values <= high))
        if len(inside):
            return int(self.frames[rng.choice(inside)])
        return int(self.frames[np.abs(values - (low + high) / 2).argmin()])

    def any(self, rng: np.random.Generator) -> int:
        return int(rng.choice(self.frames))


def curriculum_of(subject: Subject) -> Curriculum:
    """Curriculum over the training frames in which a face is seen."""
    frames = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    opening = subject.expression.mouth_opening[frames]
    top = max(float(np.quantile(opening, 0.95)), 1e-6)
    return Curriculum(frames, np.clip(opening / top, 0, 1), np.clip(subject.expression.blink[frames], 0, 1))


def face_frame(curriculum: Curriculum, iteration: int, settings: BranchTraining, rng: np.random.Generator) -> int:
    """Frame of a step of the face branch."""
    if iteration % settings.curriculum_interval or iteration >= settings.curriculum_until:
        return curriculum.any(rng)
    if iteration < settings.warmup:
        share = iteration / max(settings.warmup, 1)
        return curriculum.nearest(curriculum.opening, share - 0.1, share + 0.1, rng)
    share = iteration / settings.curriculum_until
    return curriculum.nearest(curriculum.blink, share - 0.15, share + 0.3, rng)


def mouth_frame(curriculum: Curriculum, iteration: int, settings: BranchTraining, rng: np.random.Generator) -> int:
    """Frame of a step of the mouth branch."""
    if iteration < settings.warmup:
        return curriculum.nearest(curriculum.opening, 0.95, 1.0, rng)
    if iteration % settings.curriculum_interval or iteration >= settings.curriculum_until:
        return curriculum.any(rng)
    lower_quarter = float(np.quantile(curriculum.opening, 0.25))
    share = iteration / settings.curriculum_until
    return curriculum.nearest(curriculum.opening, 1 - share * (1 - lower_quarter), 1.0, rng)
