"""What a trained actor hears of any sound: every condition of the head, computed anew, passage by passage."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ua3dtalk.errors import ConfigError
from ua3dtalk.media.samples import Samples
from ua3dtalk.rendering.controls import PRIOR_VIEWS, Track, heard, read_lips, track_of
from ua3dtalk.rendering.head import Head
from ua3dtalk.rendering.rest import at_rest, resting
from ua3dtalk.speech.emotion.model import load_emotion
from ua3dtalk.speech.mel import log_mel
from ua3dtalk.speech.priors.files import load_priors
from ua3dtalk.speech.voiced import speech_probability
from ua3dtalk.speech.whisper import ENCODER, encode_clip, load_encoder
from ua3dtalk.subject import SAMPLES_PER_FRAME, Clip, Speech, Subject

PASSAGE = 500  # frames heard at a time
# Frames on either side that are heard with them: with these a passage is the 30 s that the speech encoder looks at, and
# the emotion's window of 3 s and the style net see past the passage's ends.
MARGIN = 125


def _trim() -> None:
    """Give freed memory back to the system: glibc keeps what lies between smaller things that stay."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class Passage:
    """A stretch of sound and what is heard in it.

    Attributes:
        start: frame of the sound at which the rows below begin.
        inner: rows that belong to the passage; those around them were heard for context.
        clip, speech: the stretch as one clip with its features.
        track: what drives its frames; its action units are those at rest, for whoever drives to replace.
        spoken: [n] probability that somebody speaks in a frame.
        loudness: [n] root mean square of each frame's samples.
        emotions: [n, L] probabilities of the labels of emotion; L is 0 where the head does not listen for them.
    """

    start: int
    inner: range
    clip: Clip
    speech: Speech
    track: Track
    spoken: np.ndarray
    loudness: np.ndarray
    emotions: np.ndarray


class Hearing(Protocol):
    """What hears a sound, passage after passage."""

    def passages(self, sound: Samples, /) -> Iterable[Passage]: ...


@dataclass(frozen=True)
class Remembered:
    """What was heard of one sound, for whoever needs it again."""

    heard: Sequence[Passage]

    def passages(self, sound: Samples) -> Iterable[Passage]:
        """Of that sound: it is not listened to again."""
        return self.heard


class Ears:
    """Listens as one actor's head was trained to.

    Args:
        subject: the actor; what its own speech was like sets the scales.
        views, reader: of the head.
        whisper: folder of the speech encoder's weights.
    Raises:
        ConfigError: the actor's speech features came from a file, so no new sound can be turned into their like.
    """

    def __init__(self, subject: Subject, head: Head, whisper: Path) -> None:
        encoder = subject.speech.encoder
        if encoder != ENCODER:
            raise ConfigError(
                f"{subject.name} hears by the features of {encoder}, which nothing here computes for a new sound: "
                "train it with backends.speech: whisper"
            )
        self.subject, self.views, self.reader = subject, head.views, head.reader.cpu()
        self._encode = load_encoder(whisper)
        self._priors = load_priors(subject.path("model/priors.safetensors")) if PRIOR_VIEWS & set(head.views) else None
        self.own = heard(subject, self.reader, head.views, subject.expression.action_units)
        self._rest = resting(self.own, subject.train_frames, subject.expression.mouth_opening)
        self._emotion = load_emotion(subject.path("model/emotion.safetensors")) if "emotion" in head.views else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the emotions that are listened for."""
        return self._emotion.labels if self._emotion is not None else ()

    def passages(self, sound: Samples) -> Iterator[Passage]:
        """The whole sound, passage after passage; memory does not depend on its length."""
        count = len(sound) // SAMPLES_PER_FRAME
        first = 0
        while first < count:
            last = first + PASSAGE if first + PASSAGE + MARGIN < count else count
            passage = self.hear(sound, first, last)
            _trim()
            yield passage
            first = last

    def hear(self, sound: Samples, first: int, last: int) -> Passage:
        """Frames first .. last - 1 of a sound."""
        count = len(sound) // SAMPLES_PER_FRAME
        start, stop = max(first - MARGIN, 0), min(last + MARGIN, count)
        samples = np.asarray(sound[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME], np.float32)
        frames = stop - start
        clip = Clip("", "", 0, frames, frames, None, 0.0, 0, 0, (0.0, 0.0, 0.0))
        speech = Speech(encode_clip(self._encode, samples, self.subject.speech.position), log_mel(samples), ENCODER)
        track, emotions = self._track(speech, clip, samples)
        loudness = np.sqrt(np.square(samples.reshape(frames, -1)).mean(1))
        inner = range(first - start, last - start)
        spoken = speech_probability(samples)
        track = at_rest(track, self._rest, spoken)
        return Passage(start, inner, clip, speech, track, spoken, loudness, emotions)

    def _track(self, speech: Speech, clip: Clip, samples: np.ndarray) -> tuple[Track, np.ndarray]:
        lips = read_lips(self.reader, speech, [clip])
        units = np.zeros((clip.length, 6), np.float32)
        priors = self._priors.read(speech, [clip]) if self._priors is not None else None
        listened = self._emotion.listen(samples, speech.features) if self._emotion is not None else None
        embedding, emotions = None, np.zeros((clip.length, 0), np.float32)
        if listened is not None:
            embedding, emotions = listened.embedding, listened.probabilities
        return track_of(self.subject, self.views, lips, units, priors, embedding), emotions
