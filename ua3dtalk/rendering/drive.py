"""A trained head that says any sound: frames as they are rendered, however long it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from ua3dtalk.media.samples import Samples
from ua3dtalk.rendering.compose import to_bytes
from ua3dtalk.rendering.controls import ControlTrack, Track
from ua3dtalk.rendering.ears import Ears, Passage
from ua3dtalk.rendering.emotions import check_label, in_emotion
from ua3dtalk.rendering.head import Controls, Head
from ua3dtalk.rendering.renderer import HeadRenderer
from ua3dtalk.rendering.replay import Stance
from ua3dtalk.rendering.upper_face import fit_emotion, fit_upper_face
from ua3dtalk.splat.rasterise import Backend
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject


@dataclass(frozen=True)
class HeardFrame:
    """Of one frame: probability that somebody speaks, root mean square of the samples, how new the speech is (1: as the
    actor's own), probabilities [L] of the emotions."""

    spoken: float
    loudness: float
    novelty: float
    emotions: np.ndarray


@dataclass(frozen=True)
class Shown:
    """A frame: what drove it, where the head was, its picture uint8 [H, W, 3], what was heard there."""

    controls: Controls
    stance: Stance
    picture: np.ndarray
    heard: HeardFrame


@dataclass(frozen=True)
class Asked:
    """An emotion that is asked for: a label of the actor's clips, and how strongly (1: as the actor showed it)."""

    label: str
    strength: float = 1.0


class Driver:
    """Drives one head.

    Args:
        subject, head: the actor, and the head on its device.
        ears: what listens to the sound.
        stances: where the head is in the k-th frame.
        seed: of blinks and brows.
        asked: an emotion instead of the one that is heard.
    Raises:
        InputError: the actor has not shown the emotion that is asked for.
    """

    def __init__(
        self,
        subject: Subject,
        head: Head,
        ears: Ears,
        stances: Callable[[int], Stance],
        seed: int,
        device: torch.device,
        backend: Backend = "auto",
        asked: Asked | None = None,
    ) -> None:
        if asked is not None:
            check_label(subject, asked.label)
        self.subject, self.head, self.ears, self.stances, self.device = subject, head, ears, stances, device
        self.seed, self.asked = seed, asked
        self.renderer = HeadRenderer(head, device, backend)

    def __call__(self, sound: Samples) -> Iterator[Shown]:
        """Frame after frame of a sound of whole frames."""
        count = len(sound) // SAMPLES_PER_FRAME
        units = self.upper_face(count)
        wanted = self.upper_face(count, self.asked.label) if self.asked else None
        for passage in self.ears.passages(sound):
            yield from self._frames(passage, units, wanted)

    def upper_face(self, count: int, label: str | None = None) -> np.ndarray:
        """Action units [count, 6] that a model of the training frames, or of a label's, makes up."""
        clips = self.subject.clips
        units = self.subject.expression.action_units.astype(np.float64)
        runs = [np.arange(clip.first, clip.test_first) for clip in clips]
        model = fit_emotion(units, clips, label) if label else fit_upper_face(units, runs)
        return model.sample(count, np.random.default_rng(self.seed))

    def _track(self, passage: Passage, units: np.ndarray, wanted: np.ndarray | None) -> Track:
        """What drives the passage's rows: action units [n, 6] of the whole sound, and those of the emotion if asked."""
        rows = slice(passage.start, passage.start + passage.clip.length)
        track = replace(passage.track, action_units=units[rows])
        if self.asked is None or wanted is None:
            return track
        label, strength = self.asked.label, self.asked.strength
        return in_emotion(self.subject, track, label, strength, passage.emotions, wanted[rows])

    def _frames(self, passage: Passage, units: np.ndarray, wanted: np.ndarray | None) -> Iterator[Shown]:
        track = self._track(passage, units, wanted)
        controls = self.controls(passage, track)
        for row in passage.inner:
            given, stance = controls(row), self.stances(passage.start + row)
            picture = to_bytes(self.renderer(stance.camera, given, stance.background)).cpu().numpy()
            heard = HeardFrame(
                float(passage.spoken[row]),
                float(passage.loudness[row]),
                1.0 if track.novelty is None else float(track.novelty[row]),
                passage.emotions[row],
            )
            yield Shown(given, stance, picture, heard)

    def controls(self, passage: Passage, track: Track) -> ControlTrack:
        """Controls of the passage's rows."""
        saying = saying_instead(self.subject, passage)
        return ControlTrack(saying, track, self.head.face.net.encoder is not None, self.device)

    def deviation(self, shown: Shown) -> np.ndarray:
        """Predicted deviation [H, W] of a frame's colours (0..1), for a head with beliefs."""
        with torch.no_grad():
            return np.asarray(self.renderer.variance(shown.stance.camera, shown.controls).sqrt().cpu().numpy())


def saying_instead(subject: Subject, passage: Passage) -> Subject:
    """The actor's bundle with a passage in place of its own clips and speech."""
    other = Subject(subject.root)
    other.clips, other.speech = (passage.clip,), passage.speech
    return other
