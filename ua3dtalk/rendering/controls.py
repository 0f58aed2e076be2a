"""The controls of an actor's own frames, on the actor's frame index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.field.conditioners import AudioEncoder, LipReader
from ua3dtalk.rendering.head import Controls
from ua3dtalk.speech.clips import borders
from ua3dtalk.speech.priors.blocks import LEAST_CORRELATION
from ua3dtalk.speech.windows import MEL_PER_FRAME, mel_windows, token_windows
from ua3dtalk.subject import LIPS_IN_EXPRESSION, TOKENS_PER_FRAME, Clip, Speech, Subject

PRIOR_VIEWS = {"lip_expression", "voice_style"}
BLINK_LIMIT = 2.0  # OpenFace's AU45 rarely means more beyond it (TalkingGaussian clips it there)


def action_unit_input(units: np.ndarray) -> np.ndarray:
    """Action units [T, 6] as the nets take them: OpenFace's 0..5, the blink clipped to 0..2."""
    units = units.astype(np.float32).copy()
    units[:, 5] = np.clip(units[:, 5], 0, BLINK_LIMIT)
    return units


def speech_windows(speech: Speech, clips: Sequence[Clip], frames: np.ndarray, radius: int) -> np.ndarray:
    """Tokens and mel of `radius` frames on either side of each frame, flattened for the lip reader: [n, F] float32."""
    tokens = token_windows(speech, clips, frames, radius * TOKENS_PER_FRAME)
    mel = mel_windows(speech, clips, frames, radius * MEL_PER_FRAME)
    return np.concatenate([tokens.reshape(len(frames), -1), mel.reshape(len(frames), -1)], 1).astype(np.float32)


def read_lips(reader: LipReader, speech: Speech, clips: Sequence[Clip]) -> np.ndarray:
    """Lip shapes [T, K] that the reader hears, frame by frame."""
    count = clips[-1].end
    blocks = np.array_split(np.arange(count), max(count // 512, 1))
    with torch.no_grad():
        read = [reader(torch.from_numpy(speech_windows(speech, clips, b, int(reader.radius)))) for b in blocks]
    return torch.cat(read).numpy()


@dataclass(frozen=True)
class Track:
    """What drives T frames: lips [T, K], action_units [T, 6]; where the head has views for them lip_expression [T, 64],
    voice_style [T, 64], emotion [T, 128], novelty [T]."""

    lips: np.ndarray
    action_units: np.ndarray
    lip_expression: np.ndarray | None = None
    voice_style: np.ndarray | None = None
    emotion: np.ndarray | None = None
    novelty: np.ndarray | None = None


class Told(Protocol):
    """Priors of T frames: mixed and voice_style [T, 64], novelty [T]."""

    @property
    def mixed(self) -> np.ndarray: ...
    @property
    def voice_style(self) -> np.ndarray: ...
    @property
    def novelty(self) -> np.ndarray: ...


def heard(subject: Subject, reader: LipReader, views: Sequence[str], action_units: np.ndarray) -> Track:
    """What the actor's speech tells about every frame, and action units [T, 6] of whatever source.

    Priors of a training frame come from models of the other stretches of the clip; the lip reader's shapes and the
    embedding of emotion come from models that were fitted on all training frames. No held-out frame was fitted by
    any. Where the head has a view for the lip expression, the audio view takes its lip shapes from the same prior.
    """
    lips = read_lips(reader, subject.speech, subject.clips)
    priors = subject.priors if PRIOR_VIEWS & set(views) else None
    embedding = subject.emotion.embedding if "emotion" in views else None
    return track_of(subject, views, lips, action_units, priors, embedding)


def track_of(
    subject: Subject,
    views: Sequence[str],
    lips: np.ndarray,
    action_units: np.ndarray,
    priors: Told | None,
    embedding: np.ndarray | None,
) -> Track:
    """What was heard, the actor's own speech or any other, as the head's views take it.

    Args:
        subject: whose training frames set the scales.
        lips: [T, K] of the lip reader; action_units: [T, 6].
        priors, embedding: priors and emotion [T, 128] of the same frames; None where no view takes them.
    """
    lip_expression = voice_style = emotion = novelty = None
    if priors is not None and "lip_expression" in views:
        lip_expression, novelty = told(subject, priors.mixed), np.maximum(priors.novelty, 1)
        lips = lip_shapes_of(lip_expression, lips.shape[1])
    if priors is not None and "voice_style" in views:
        # As it is: it moves as little as it tells. Evened, it would name the frame and little else.
        voice_style = priors.voice_style
    if embedding is not None:
        emotion = evened(subject, embedding, like=subject.emotion.embedding)
    return Track(lips, action_units, lip_expression, voice_style, emotion, novelty)


def told(subject: Subject, mixed: np.ndarray | None = None) -> np.ndarray:
    """The mixed prior [T, 64] (the actor's frames' own, unless given), at rest where it would only tremble."""
    mixed = subject.priors.mixed if mixed is None else mixed
    return np.where(subject.priors.cv_correlation > LEAST_CORRELATION, mixed, 0).astype(np.float32)


def evened(subject: Subject, values: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Values [T, D] around the training frames' mean, in their deviation over all D together.

    `like` [T, D]: whose mean and deviation count, where values are others than the actor's frames'.
    """
    train = (values if like is None else like)[subject.train_frames]
    mean = train.mean(0)
    return ((values - mean) / max(float((train - mean).std()), 1e-6)).astype(np.float32)


def lip_shapes_of(expression: np.ndarray, count: int) -> np.ndarray:
    """The first lip shapes [T, count] of expressions [T, 64] in the priors' space, whose last ones they are."""
    return expression[:, LIPS_IN_EXPRESSION : LIPS_IN_EXPRESSION + count]


class ControlTrack:
    """Controls frame by frame.

    Args:
        subject: the actor.
        track: what drives the frames.
        with_tokens: whether the nets also listen to the tokens themselves.
    """

    def __init__(self, subject: Subject, track: Track, with_tokens: bool, device: torch.device) -> None:
        self._subject = subject
        self._lips = _tensor(track.lips, device)
        self._units = _tensor(action_unit_input(track.action_units), device)
        self._more = {
            name: _tensor(values, device)
            for name in ("lip_expression", "voice_style", "emotion")
            if (values := getattr(track, name)) is not None
        }
        self._novelty = track.novelty
        self._with_tokens = with_tokens
        self._device = device

    def __call__(self, frame: int) -> Controls:
        row = slice(frame, frame + 1)
        return Controls(
            self._lips[row],
            self.tokens(frame) if self._with_tokens else None,
            self._units[row],
            **{name: values[row] for name, values in self._more.items()},
            novelty=1.0 if self._novelty is None else float(self._novelty[frame]),
        )

    def tokens(self, frame: int) -> Tensor:
        """[1, 8, 16, D]: the windows of the frames around, never across the clip's border."""
        clips = self._subject.clips
        around = np.arange(frame - AudioEncoder.WINDOWS // 2, frame + AudioEncoder.WINDOWS // 2)
        first, end = borders(clips, np.array([frame]))
        around = np.clip(around, first[0], end[0] - 1)
        windows = token_windows(self._subject.speech, clips, around, AudioEncoder.TOKENS // 2 - 1)
        return torch.from_numpy(windows.astype(np.float32))[None].to(self._device)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device)
