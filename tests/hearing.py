"""An actor that can hear: the drawn one, with an encoder of speech that takes no weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_subject import TOKEN_WIDTH
from tiny_training import tiny_head

from ua3dtalk.rendering import ears
from ua3dtalk.rendering.head import Head
from ua3dtalk.speech.whisper import ENCODER, WINDOW_TOKENS
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject


def _bands(mel: np.ndarray) -> np.ndarray:
    """Stands for the network: a token is six bands of its two mel rows."""
    rows = mel[: TOKEN_WIDTH * 12].reshape(TOKEN_WIDTH, 12, WINDOW_TOKENS, 2)
    tokens: np.ndarray = rows.mean((1, 3)).T.astype(np.float32)
    return tokens


class _Feels:
    """Stands for the net that hears emotions: an embedding that wanders, and always the same labels."""

    labels = ("neutral", "happy")

    def listen(self, samples: np.ndarray, features: np.ndarray) -> SimpleNamespace:
        frames = len(samples) // SAMPLES_PER_FRAME
        embedding = 8 * np.sin(np.arange(frames)[:, None] / 5 + np.arange(128)).astype(np.float32)
        return SimpleNamespace(embedding=embedding, probabilities=np.tile([0.7, 0.3], (frames, 1)))


@pytest.fixture
def hearing_subject(tiny_subject: Subject, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """The drawn actor as if its speech had been encoded by what `Ears` loads; whoever is loud speaks."""

    def loud(samples: np.ndarray) -> np.ndarray:
        return (np.abs(samples).reshape(-1, SAMPLES_PER_FRAME).max(1) > 0.01).astype(np.float32)

    monkeypatch.setattr(ears, "load_encoder", lambda folder: _bands)
    monkeypatch.setattr(ears, "speech_probability", loud)
    monkeypatch.setattr(ears, "load_emotion", lambda path: _Feels())
    subject = Subject(tiny_subject.root)
    subject.speech = replace(tiny_subject.speech, encoder=ENCODER)
    return subject


@pytest.fixture
def make_head() -> Callable[..., Head]:
    """A function that makes a head whose random reader is not deaf to sounds that are far from its supports."""

    def make(subject: Subject, **given: Any) -> Head:
        head = tiny_head(subject, **given)
        head.reader.spread.fill_(1000.0)
        return head

    return make


@pytest.fixture
def babble() -> Callable[[int], np.ndarray]:
    """A function that gives so many frames of noise whose loudness wanders, never silent."""

    def make(frames: int) -> np.ndarray:
        rng = np.random.default_rng(3)
        level = 0.1 + 0.08 * np.sin(np.arange(frames * SAMPLES_PER_FRAME) / 2500)
        return (level * rng.standard_normal(frames * SAMPLES_PER_FRAME)).clip(-1, 1).astype(np.float32)

    return make
