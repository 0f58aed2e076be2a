"""How somebody speaks: a voice said by one person in the manner of another.

What a style is here: where each of the 52 coefficients of the open expression basis usually is, and how far it goes
slowly and quickly. The actor's coefficients, as speech tells them, are stretched and moved until these are the guest's.
What is said stays: it is in when lips move, not in how far. Faces that the actor never made are carried over, like
emotions that it never showed (`ua3dtalk.rendering.transfer`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ua3dtalk.errors import InputError
from ua3dtalk.face.basis import NAMES
from ua3dtalk.rendering.controls import Track
from ua3dtalk.rendering.curves import Curves
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.guest import open_guest
from ua3dtalk.rendering.head import Head
from ua3dtalk.rendering.transfer import moved_by
from ua3dtalk.rendering.wishes import parse_style
from ua3dtalk.subject import LIPS_IN_EXPRESSION, Subject

SLOW = 10.0  # frames, deviation of the filter: slower is mood, quicker is speech
LEAST_GAIN, MOST_GAIN = 0.5, 2.0  # by which a coefficient's motion may be stretched
FARTHEST = 4.0  # deviations of the actor's by which a coefficient's usual value may move
LEAST_DEVIATION = 0.01  # of a coefficient: below it, it is noise
# Gaze and blinks are no manner of speaking.
LEFT_ALONE = [k for k, name in enumerate(NAMES) if name.startswith(("_neutral", "eyeBlink", "eyeLook"))]
OPENING = [
    k
    for k, name in enumerate(NAMES)
    if name.startswith(
        ("jaw", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLower", "mouthUpper", "mouthRoll", "mouthShrug")
    )
]
FEWEST = 25  # frames of a clip that show a face


@dataclass(frozen=True)
class Manner:
    """Of each of D channels: usual value, deviation of the slow part, deviation of the quick part; [D] each."""

    usual: np.ndarray
    slow: np.ndarray
    quick: np.ndarray

    @classmethod
    def of(cls, stretches: list[np.ndarray]) -> Manner:
        """Of stretches [n, D] of frames, 25 a second."""
        slow = [gaussian_filter1d(each, SLOW, axis=0, mode="nearest") for each in stretches]
        usual = np.concatenate(stretches).mean(0)
        quick = np.concatenate([each - low for each, low in zip(stretches, slow, strict=True)])
        return cls(usual, (np.concatenate(slow) - usual).std(0), quick.std(0))

    def distances(self, other: Manner) -> tuple[float, float]:
        """Root mean square over the channels of what usual values differ by, and deviations."""
        usual, slow, quick = self.usual - other.usual, self.slow - other.slow, self.quick - other.quick
        return float(np.sqrt((usual**2).mean())), float(np.sqrt(((slow**2 + quick**2) / 2).mean()))


def manner_of(subject: Subject, coefficients: np.ndarray, frames: np.ndarray) -> Manner:
    """Of coefficients [T, 52] on a person's frame index in the frames [n] that show a face; clips are not mixed."""
    runs = [frames[(frames >= clip.first) & (frames < clip.end)] for clip in subject.clips]
    return Manner.of([coefficients[run].astype(np.float64) for run in runs if len(run)])


class Style:
    """Moves tracks of one actor towards a guest's manner.

    Args:
        curves: between the actor's coefficients and its head.
        own: what the actor's own speech drives its frames by: it moves less than the actor did.
        guest: whose expression.npz and landmarks.npz there are.
        strength: 0 leaves everything as it is, 1 is the guest's manner.
    Raises:
        InputError: too few frames of the guest show a face.

    displacement [478, 3] m: by which the actor's landmarks move all the time.
    """

    def __init__(self, curves: Curves, own: Track, guest: Subject, strength: float) -> None:
        theirs = np.flatnonzero(guest.landmarks.valid)
        if len(theirs) < FEWEST:
            raise InputError(
                f"--style {guest.root}: {len(theirs)} frames show a face; give a clip with {FEWEST} or more"
            )
        self.curves, self.strength = curves, strength
        subject = curves.subject
        shown, wanted = subject.expression.coefficients, manner_of(guest, guest.expression.coefficients, theirs)
        told = manner_of(subject, curves.coefficients(own), curves.train)
        farthest = FARTHEST * np.maximum(shown[curves.train].std(0), LEAST_DEVIATION)
        shift = np.clip(wanted.usual - shown[curves.train].mean(0), -farthest, farthest)
        shift[LEFT_ALONE] = 0
        self._usual, self._shift = told.usual, np.zeros_like(shift)
        self._shift[OPENING] = shift[OPENING]
        self._slow, self._quick = _gain(wanted.slow, told.slow), _gain(wanted.quick, told.quick)
        self.displacement = strength * moved_by(shift - self._shift)

    def __call__(self, track: Track, speaking: np.ndarray) -> Track:
        """The track of frames that follow each other, in the guest's manner.

        Args: speaking [T] in 0..1: whether somebody does. Where nobody speaks the mouth stays as closed as it is.
        """
        before = self.curves.coefficients(track)
        after, share = self.moved(before), speaking[:, None]
        lips = share * (self.curves.lip_shapes(after) - self.curves.lip_shapes(before))
        units = track.action_units + self.curves.units(after) - self.curves.units(before)
        found = {"lips": track.lips + lips[:, : track.lips.shape[1]], "action_units": np.clip(units, 0, 5)}
        if track.lip_expression is not None:
            expression = track.lip_expression.copy()
            expression[:, :LIPS_IN_EXPRESSION] += share * (self.curves.standard(after) - self.curves.standard(before))
            expression[:, LIPS_IN_EXPRESSION:] += lips
            found["lip_expression"] = expression
        return replace(track, **{name: values.astype(np.float32) for name, values in found.items()})

    def moved(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients [T, 52] of the actor in the guest's manner, in 0..1."""
        off = coefficients - self._usual
        slow = gaussian_filter1d(off, SLOW, axis=0, mode="nearest")
        moved = self._usual + self._shift + self._slow * slow + self._quick * (off - slow)
        moved[:, LEFT_ALONE] = coefficients[:, LEFT_ALONE]
        return np.clip(coefficients + self.strength * (moved - coefficients), 0, 1)


def _gain(wanted: np.ndarray, own: np.ndarray) -> np.ndarray:
    """By how much motion of deviation `own` [D] is stretched to become `wanted`."""
    found: np.ndarray = np.clip((wanted + LEAST_DEVIATION) / (own + LEAST_DEVIATION), LEAST_GAIN, MOST_GAIN)
    return found


def style_of(ears: Ears, head: Head, text: str | None, folder: Path) -> Style | None:
    """The style that somebody asks for; folder: empty, for the guest's files."""
    if text is None:
        return None
    name, strength = parse_style(text)
    return Style(Curves(ears.subject, head.views, head.lip_count), ears.own, open_guest(name, folder), strength)
