"""Whisper's tokens: two to a frame, at their time, whatever the clip's length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import AssetError
from ua3dtalk.speech.whisper import (
    MARGIN_TOKENS,
    WINDOW_TOKENS,
    encode_clip,
    load_encoder,
    position_share,
    window_starts,
)
from ua3dtalk.subject import AUDIO_RATE, SAMPLES_PER_FRAME


def loudness_encoder(mel: np.ndarray) -> np.ndarray:
    """Stands for the network: a token is the loudness of its two mel rows, so it carries nothing but its time."""
    assert mel.shape == (80, 2 * WINDOW_TOKENS)
    return mel.mean(axis=0).reshape(WINDOW_TOKENS, 2).mean(axis=1, keepdims=True)


@pytest.mark.parametrize("tokens", [2, 1499, 1500, 1501, 2500, 2501, 7000])
def test_windows_cover_a_clip_and_keep_their_margins(tokens: int) -> None:
    starts = window_starts(tokens)
    assert starts[0] == 0
    assert starts[-1] + WINDOW_TOKENS >= tokens
    assert starts == [0] or starts[-1] + MARGIN_TOKENS < tokens
    assert set(np.diff(starts)) <= {WINDOW_TOKENS - 2 * MARGIN_TOKENS}


@pytest.mark.parametrize("frames", [1, 5, 750, 751, 1801])
def test_two_tokens_a_frame(frames: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, frames * SAMPLES_PER_FRAME)
    tokens = encode_clip(loudness_encoder, samples.astype(np.float32))
    assert tokens.shape == (2 * frames, 1)
    assert tokens.dtype == np.float16


def test_clicks_keep_their_time_across_windows() -> None:
    seconds = 77
    samples = np.zeros(seconds * AUDIO_RATE, np.float32)
    onsets = np.arange(1, seconds, 3.1)
    for onset in onsets:
        samples[round(onset * AUDIO_RATE)] = 0.9
    tokens = encode_clip(loudness_encoder, samples)[:, 0]
    for onset in onsets:
        near = slice(round(onset * 50) - 20, round(onset * 50) + 20)
        assert abs(int(tokens[near].argmax()) + near.start - onset * 50) <= 1


def test_a_missing_or_broken_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"lacks model\.bin"):
        load_encoder(tmp_path)
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(AssetError, match="not a Whisper model"):
        load_encoder(tmp_path)


@pytest.fixture(scope="module")
def encoder(whisper_folder: Path):  # type: ignore[no-untyped-def]
    return load_encoder(whisper_folder)


@pytest.fixture(scope="module")
def position(encoder) -> np.ndarray:  # type: ignore[no-untyped-def]
    return position_share(encoder)


def split_point(tokens: np.ndarray) -> int:
    """Where a sequence that has two halves changes: the border with the least scatter on both sides."""

    def scatter(part: np.ndarray) -> float:
        return float(((part - part.mean(axis=0)) ** 2).sum())

    borders = np.arange(20, len(tokens) - 20)
    return int(borders[np.argmin([scatter(tokens[10:k]) + scatter(tokens[k:-10]) for k in borders])])


@pytest.mark.parametrize("onset", [1.0, 1.37])
@pytest.mark.parametrize("kind", ["tone", "noise"])
def test_the_network_hears_an_onset_within_a_token(encoder, position, onset: float, kind: str) -> None:  # type: ignore[no-untyped-def]
    time = np.arange(3 * AUDIO_RATE) / AUDIO_RATE
    rng = np.random.default_rng(1)
    tone = np.sum([np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12)], axis=0)
    sound = tone if kind == "tone" else rng.normal(size=len(time))
    samples = 0.2 * sound * (time >= onset) + rng.normal(0, 1e-3, len(time))
    tokens = encode_clip(encoder, samples.astype(np.float32), position).astype(np.float32)
    assert abs(split_point(tokens) - onset * 50) <= 1


def test_the_place_in_the_window_leaves_the_tokens(encoder, position) -> None:  # type: ignore[no-untyped-def]
    """Tones of 200 ms at random pitch and level: next to none of the tokens' variance may be slower than seconds."""
    rng = np.random.default_rng(2)
    steps, length = 120, AUDIO_RATE // 5
    level = np.repeat((rng.uniform(size=steps) > 0.4) * rng.uniform(0.03, 0.12, steps), length)
    phase = np.cumsum(np.repeat(rng.uniform(100, 250, steps), length)) * 2 * np.pi / AUDIO_RATE
    samples = level * np.sum([np.sin(k * phase) / k for k in range(1, 15)], axis=0)
    samples += rng.normal(0, 2e-3, len(samples))

    def slow_share(tokens: np.ndarray) -> float:
        blocks = tokens.astype(np.float32).reshape(-1, 200, tokens.shape[1])
        return float(blocks.mean(axis=1).var(axis=0).sum() / tokens.var(axis=0, dtype=np.float32).sum())

    plain = encode_clip(encoder, samples.astype(np.float32))
    cleaned = encode_clip(encoder, samples.astype(np.float32), position)
    assert slow_share(plain) > 0.15
    assert slow_share(cleaned) < 0.05
