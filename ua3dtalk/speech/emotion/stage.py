"""The stage: an actor's voice and face in, `emotion.npz` and the trained listener out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.face.emotion import FACIAL_EMOTIONS, facial_emotions, load_net
from ua3dtalk.speech.clips import check_length
from ua3dtalk.speech.emotion.inputs import WINDOW_SECONDS, Voice, held_out_part, training_part
from ua3dtalk.speech.emotion.model import EmotionModel, EmotionTrack, Listener, embedding, save_emotion
from ua3dtalk.speech.emotion.official import OfficialVoice, check_tokens, load_official
from ua3dtalk.speech.emotion.picture import draw_emotion
from ua3dtalk.speech.emotion.settings import EmotionSettings
from ua3dtalk.speech.emotion.teacher import Lesson, check_targets, feature_names, label_names, lesson, targets
from ua3dtalk.speech.emotion.train import Lessons, join, standardise, train_heads, train_small
from ua3dtalk.subject import FPS, Clip, Subject
from ua3dtalk.workflow import atomic


def distil_emotion(
    *,
    subject: Subject,
    pooled: Sequence[Subject] = (),
    faces: Path,
    out: Path,
    out_model: Path,
    picture: Path,
    settings: EmotionSettings,
    seed: int,
    state: str,
) -> None:
    """Learn the emotion of a voice from labels and faces of the training frames, and hear it in every frame.

    Args:
        subject: clips, audio, video, landmarks and speech are read; pooled: the same of other actors, training frames.
        faces: weights of the facial-expression net (asset `fer`).
        out: emotion.npz, keys in docs/stages.md; out_model: emotion.safetensors; picture: png.
        settings, seed: of the training.
        state: stored in both.
    """
    subjects = [subject, *pooled]
    net = load_net(faces)
    lessons = [
        lesson(facial_emotions(net, each.video, each.landmarks), each.landmarks, each.clips) for each in subjects
    ]
    model = learn(subjects, lessons, settings, seed)
    wanted = targets(lessons[0], model.labels)
    everywhere = np.arange(subject.frame_count)
    track = model.track(_hear(model.listener, subject, subject.clips), everywhere)
    # The border of the split is a border of these windows: nothing of the training frames is in them.
    alone = model.track(_hear(model.listener, subject, held_out_part(subject.clips)), subject.test_frames)
    taught = zip(subjects, lessons, strict=True)
    support = np.sum([_support(each, model.labels, one) for each, one in taught], 0)
    shares = [
        recognised(model, track, wanted, subject.test_frames, everywhere),
        recognised(model, alone, wanted, subject.test_frames, subject.test_frames),
    ]
    save_emotion(out_model, model, state)
    with atomic(out) as temporary:
        np.savez(
            temporary,
            embedding=track.embedding,
            probabilities=track.probabilities,
            labels=np.array(model.labels),
            prototypes=model.prototypes,
            support=support,
            attention_entropy=track.attention_entropy,
            targets=wanted,
            teacher_probabilities=lessons[0].probabilities,
            teacher_labels=np.array(FACIAL_EMOTIONS),
            teacher_features=lessons[0].feature,
            teacher_feature_names=np.array(feature_names(subject.landmarks.names)),
            recognised=np.array(shares),
            window_seconds=np.array(WINDOW_SECONDS),
            hop_frames=np.array(1),
            state=np.array(state),
        )
    draw_emotion(picture, track, wanted, model.labels, subject.clips)


def learn(subjects: Sequence[Subject], lessons: Sequence[Lesson], settings: EmotionSettings, seed: int) -> EmotionModel:
    """Train a listener on the training frames of all subjects."""
    frames = [each.train_frames for each in subjects]
    inside = zip(lessons, frames, strict=True)
    labels = label_names(np.concatenate([one.emotions[rows] for one, rows in inside]))
    wanted = [targets(one, labels) for one in lessons]
    for each, rows in zip(subjects, wanted, strict=True):
        check_targets(rows, each.train_frames, each.name)
    speech = subjects[0].speech
    width, official = speech.features.shape[1], settings.checkpoint is not None
    torch.manual_seed(seed)
    if official:
        check_tokens(width, speech.encoder)
    listener = Listener(len(labels), lessons[0].feature.shape[1], width, official, settings.dropout)
    if settings.checkpoint is not None:
        _load_checkpoint(listener, Path(settings.checkpoint), len(labels))
    voices = [_hear(listener, each, training_part(each.clips)) for each in subjects]
    starts = np.cumsum([0, *(each.frame_count for each in subjects)])[:-1]
    examples = Lessons(
        np.concatenate([start + inside for start, inside in zip(starts, frames, strict=True)]),
        np.concatenate([rows[inside] for rows, inside in zip(wanted, frames, strict=True)]),
        np.concatenate([one.feature[inside] for one, inside in zip(lessons, frames, strict=True)]),
    )
    standardise(listener, voices, examples.feature)
    small = [heard for heard in voices if isinstance(heard, Voice)]
    if small:
        train_small(listener, join(small), examples, settings, seed)
    taps = [listener.hear(heard, inside) for heard, inside in zip(voices, frames, strict=True)]
    if official:
        fields = ("attended", "joint", "logits", "attention")
        joined = replace(taps[0], **{name: torch.cat([getattr(tap, name) for tap in taps]) for name in fields})
        train_heads(listener, joined, examples, settings, seed)
    embedded = np.concatenate([embedding(tap.attended).numpy() for tap in taps])
    return EmotionModel(listener, labels, prototypes(embedded, examples.targets), speech.encoder)


def _load_checkpoint(listener: Listener, path: Path, labels: int) -> None:
    """The published weights; their last layer knows IEMOCAP's classes and gives way to one for the actor's."""
    listener.net.logits = torch.nn.Linear(listener.net.logits.in_features, 4)
    load_official(listener.net, path)
    listener.net.logits = torch.nn.Linear(listener.net.logits.in_features, labels)


def _hear(listener: Listener, subject: Subject, clips: Sequence[Clip]) -> Voice | OfficialVoice:
    samples = subject.audio()
    check_length(samples, subject.frame_count)
    return listener.prepare(samples, subject.speech.mel, subject.speech.features, clips)


def prototypes(embedded: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean embedding of each label: [n, 128] weighed by targets [n, L] -> [L, 128]; of a label that nobody showed the
    mean of all."""
    weight = wanted.sum(0)[:, None]
    mean = embedded.mean(0, keepdims=True)
    found: np.ndarray = np.where(weight > 1e-3, wanted.T @ embedded / np.maximum(weight, 1e-3), mean)
    return found.astype(np.float32)


def _support(subject: Subject, labels: Sequence[str], taught: Lesson) -> np.ndarray:
    """Seconds of training frames that showed each label [L]."""
    return targets(taught, labels)[subject.train_frames].sum(0, dtype=np.float32) / np.float32(FPS)


def recognised(
    model: EmotionModel, track: EmotionTrack, wanted: np.ndarray, asked: np.ndarray, frames: np.ndarray
) -> tuple[float, float]:
    """Share of frames whose strongest target the discriminator and the nearest prototype name; NaN without targets.

    Args:
        track: of `frames`; wanted: targets [T, L]; asked: frames to count, among `frames`.
    """
    asked = asked[wanted[asked].sum(1) > 0]
    if not len(asked):
        return float("nan"), float("nan")
    rows = np.searchsorted(frames, asked)
    truth = wanted[asked].argmax(1)
    said = track.probabilities[rows].argmax(1), model.nearest(track.embedding[rows])
    return float((said[0] == truth).mean()), float((said[1] == truth).mean())
