"""A trained head that says any sound: frames as they are rendered, however long it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from ua3dtalk.errors import InputError
from ua3dtalk.media.samples import Samples
from ua3dtalk.rendering.compose import to_bytes
from ua3dtalk.rendering.controls import ControlTrack, Track
from ua3dtalk.rendering.ears import Hearing, Passage
from ua3dtalk.rendering.emotions import in_emotions
from ua3dtalk.rendering.head import Controls, Head
from ua3dtalk.rendering.renderer import HeadRenderer
from ua3dtalk.rendering.replay import Stance
from ua3dtalk.rendering.rest import speaking
from ua3dtalk.rendering.style import Style
from ua3dtalk.rendering.transfer import displacement, split_labels
from ua3dtalk.rendering.upper_face import fit_emotion, fit_upper_face
from ua3dtalk.rendering.wishes import Wish
from ua3dtalk.splat.rasterise import Backend
from ua3dtalk.subject import FPS, SAMPLES_PER_FRAME, Subject


@dataclass(frozen=True)
class HeardFrame:
    """Of one frame: probability that somebody speaks, root mean square of the samples, how new the speech is (1: as the
    actor's own), probabilities [L] of the emotions."""

    spoken: float
    loudness: float
    novelty: float
    emotions: np.ndarray


@dataclass(frozen=True)
class Cue:
    """A frame before it is rendered: what drives it, where the head is, what was heard there."""

    controls: Controls
    stance: Stance
    heard: HeardFrame


@dataclass(frozen=True)
class Shown(Cue):
    """A frame and its picture uint8 [H, W, 3]."""

    picture: np.ndarray


class Stage:
    """A head that shows what it is given.

    Args:
        subject, head: the actor, and the head on its device.
        stances: where the head is in the k-th frame.

    transferred: emotions it is made to show that the actor never did.
    """

    transferred: tuple[str, ...] = ()

    def __init__(
        self,
        subject: Subject,
        head: Head,
        stances: Callable[[int], Stance],
        device: torch.device,
        backend: Backend = "auto",
    ) -> None:
        self.subject, self.head, self.stances, self.device = subject, head, stances, device
        self.renderer = HeadRenderer(head, device, backend)

    def follow(self, track: Track) -> Iterator[Cue]:
        """Frame after frame of a track that no sound gave.

        Raises:
            InputError: the head listens to more than the track holds.
        """
        if self.head.face.net.encoder is not None:
            raise InputError(
                f"the head of {self.subject.name} listens to speech itself: train it with training.audio.free_code 0"
            )
        controls = ControlTrack(self.subject, track, False, self.device)
        for frame in range(len(track.action_units)):
            yield Cue(controls(frame), self.stances(frame), HeardFrame(0.0, 0.0, 1.0, np.zeros(0)))

    def show(self, cue: Cue) -> Shown:
        """The frame with its picture."""
        picture = to_bytes(self.renderer(cue.stance.camera, cue.controls, cue.stance.background)).cpu().numpy()
        return Shown(cue.controls, cue.stance, cue.heard, picture)

    def alone(self, shown: Cue) -> np.ndarray:
        """The head of a frame without what is behind it, uint8 [H, W, 4], colours not premultiplied."""
        camera, controls = shown.stance.camera, shown.controls
        alpha = 1 - self.renderer.transmittance(camera, controls)[..., None]
        colour = self.renderer(camera, controls, torch.zeros_like(shown.stance.background)) / alpha.clamp(min=1e-3)
        found: np.ndarray = to_bytes(torch.cat([colour, alpha], -1)).cpu().numpy()
        return found

    def deviation(self, shown: Cue) -> np.ndarray:
        """Predicted deviation [H, W] of a frame's colours (0..1), for a head with beliefs."""
        with torch.no_grad():
            return np.asarray(self.renderer.variance(shown.stance.camera, shown.controls).sqrt().cpu().numpy())


class Driver(Stage):
    """A head that any sound drives.

    Args:
        subject, head, stances: as of a stage.
        ears: what listens to the sound.
        seed: of blinks and brows.
        asked: emotions instead of the one that is heard; style: the manner of another person.
    Raises:
        InputError: the actor has not shown an emotion that is asked for, and it cannot be transferred.

    own, transferred: labels asked for that the actor has shown, and those that it has not.
    """

    def __init__(
        self,
        subject: Subject,
        head: Head,
        ears: Hearing,
        stances: Callable[[int], Stance],
        seed: int,
        device: torch.device,
        backend: Backend = "auto",
        asked: Wish | None = None,
        style: Style | None = None,
    ) -> None:
        super().__init__(subject, head, stances, device, backend)
        self.own, self.transferred = split_labels(subject, asked.labels if asked else ())
        if self.transferred and head.face.net.motion is None:
            raise InputError(
                f"{subject.name} has no clip labelled {self.transferred[0]!r}, and its head was trained without "
                "training.landmark_motion, which could carry it over: label a clip in the config"
            )
        self.ears, self.seed, self.asked, self.style = ears, seed, asked, style

    def __call__(self, sound: Samples) -> Iterator[Shown]:
        """Frame after frame of a sound of whole frames.

        Raises:
            InputError: emotions are asked for after its end.
        """
        return map(self.show, self.cues(sound))

    def cues(self, sound: Samples) -> Iterator[Cue]:
        """The same before they are rendered."""
        units, wanted = self._units(sound)
        for passage in self.ears.passages(sound):
            yield from self._frames(passage, units, wanted)

    def _units(self, sound: Samples) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Action units [n, 6] of a sound's frames, and those of each emotion asked for."""
        count = len(sound) // SAMPLES_PER_FRAME
        if self.asked and (last := float(self.asked.times[-1])) > count / FPS:
            raise InputError(f"an emotion is asked for at {last:g} s, the sound ends at {count / FPS:g} s: move it")
        units = self.upper_face(count)
        return units, {label: self.upper_face(count, label) for label in self.own}

    def upper_face(self, count: int, label: str | None = None) -> np.ndarray:
        """Action units [count, 6] that a model of the training frames, or of a label's, makes up."""
        clips = self.subject.clips
        units = self.subject.expression.action_units.astype(np.float64)
        runs = [np.arange(clip.first, clip.test_first) for clip in clips]
        model = fit_emotion(units, clips, label) if label else fit_upper_face(units, runs)
        return model.sample(count, np.random.default_rng(self.seed))

    def _track(self, passage: Passage, units: np.ndarray, wanted: Mapping[str, np.ndarray]) -> Track:
        """What drives the passage's rows: action units [n, 6] of the whole sound, and those of each emotion asked."""
        rows = slice(passage.start, passage.start + passage.clip.length)
        track = replace(passage.track, action_units=units[rows])
        if self.asked and self.own:
            every = self.asked.at(np.arange(rows.start, rows.stop) / FPS)
            strengths = {label: every[label] for label in self.own}
            shown = {label: values[rows] for label, values in wanted.items()}
            track = in_emotions(self.subject, track, strengths, passage.emotions, shown)
        return self.style(track, speaking(passage.spoken)) if self.style else track

    def _carried_over(self, controls: Controls, frame: int) -> Controls:
        """Controls with faces that the actor never made; the head is the less sure the stronger such emotions are."""
        if not (self.transferred or self.style) or self.head.face.net.motion is None:
            return controls
        now = self.asked.at(np.array([frame / FPS])) if self.asked else {}
        strengths = {label: float(now[label][0]) for label in self.transferred}
        moved = displacement(strengths) + (self.style.displacement if self.style else 0)
        novelty = controls.novelty * (1 + sum(strengths.values())) ** 2
        return replace(
            controls, displacement=torch.from_numpy(moved.astype(np.float32)).to(self.device), novelty=novelty
        )

    def _frames(self, passage: Passage, units: np.ndarray, wanted: Mapping[str, np.ndarray]) -> Iterator[Cue]:
        track = self._track(passage, units, wanted)
        controls = self.controls(passage, track)
        for row in passage.inner:
            heard = HeardFrame(
                float(passage.spoken[row]),
                float(passage.loudness[row]),
                1.0 if track.novelty is None else float(track.novelty[row]),
                passage.emotions[row],
            )
            frame = passage.start + row
            yield Cue(self._carried_over(controls(row), frame), self.stances(frame), heard)

    def tracks(self, sound: Samples) -> Iterator[Track]:
        """What drives a sound's frames, passage after passage, without rendering them."""
        units, wanted = self._units(sound)
        for passage in self.ears.passages(sound):
            track = self._track(passage, units, wanted)
            rows = slice(passage.inner.start, passage.inner.stop)
            given = {one.name: value[rows] for one in fields(track) if (value := getattr(track, one.name)) is not None}
            yield Track(**given)

    def controls(self, passage: Passage, track: Track) -> ControlTrack:
        """Controls of the passage's rows."""
        saying = saying_instead(self.subject, passage)
        return ControlTrack(saying, track, self.head.face.net.encoder is not None, self.device)


def saying_instead(subject: Subject, passage: Passage) -> Subject:
    """The actor's bundle with a passage in place of its own clips and speech."""
    other = Subject(subject.root)
    other.clips, other.speech = (passage.clip,), passage.speech
    return other
