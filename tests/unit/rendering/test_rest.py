"""Lips rest where nobody speaks, and are left alone where somebody does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ua3dtalk.rendering.controls import Track
from ua3dtalk.rendering.rest import at_rest, resting, speaking


def track(frames: int, wide: bool, seed: int = 0) -> Track:
    rng = np.random.default_rng(seed)
    lips, units = rng.standard_normal((frames, 3)), rng.uniform(0, 5, (frames, 6))
    if not wide:
        return Track(lips, units)
    more = (rng.standard_normal((frames, 64)) for _ in range(2))
    return Track(lips, units, *more, rng.standard_normal((frames, 128)), rng.uniform(1, 2, frames))


def standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(0)) / values.std(0)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("heard_share", [0.3, 0.7, 1.0, 1.5])
def test_rest_is_as_closed_as_the_actor_was(wide: bool, heard_share: float) -> None:
    """heard_share: how far heard lips move, of how far they did; they are stretched to twice at most, never less."""
    own = track(400, wide)
    train = np.arange(0, 400, 2)
    true = 0.1 + 0.02 * own.lips[:, 0]
    own = replace(own, lips=heard_share * standard(own.lips[train])[np.arange(400) // 2])
    rest = resting(own, train, true)
    closed = sorted(train, key=lambda frame: own.lips[frame, 0])[:10]  # 5 % of 200
    heard = own.lips[train, 0]
    wanted = np.sort(standard(true[train]))[:10].mean()
    least = np.mean([own.lips[frame] for frame in closed], axis=0)
    found = (rest.lips[0, 0] - heard.mean()) / (least[0] - heard.mean())
    assert found == pytest.approx(np.clip(wanted / (least[0] - heard.mean()), 1, 2))
    if wide:
        assert own.lip_expression is not None and rest.lip_expression is not None
        mean, shown = own.lip_expression[train].mean(0), np.mean([own.lip_expression[f] for f in closed], axis=0)
        np.testing.assert_allclose(rest.lip_expression[0], mean + found * (shown - mean))
    else:
        assert rest.lip_expression is None


def test_speech_passes_and_silence_rests() -> None:
    own, heard = track(200, True), track(100, True, seed=1)
    rest = resting(own, np.arange(200), own.lips[:, 0])
    spoken = np.where(np.arange(100) < 50, 0.95, 0.01)
    changed = at_rest(heard, rest, spoken)
    for name in ("lips", "lip_expression", "voice_style"):
        values, before, still = (getattr(each, name) for each in (changed, heard, rest))
        np.testing.assert_allclose(values[:40], before[:40], atol=1e-5)
        np.testing.assert_allclose(values[65:], np.repeat(still, 35, 0), atol=1e-5)
    for name in ("action_units", "emotion", "novelty"):
        assert getattr(changed, name) is getattr(heard, name), "the eyes are not asleep"


def test_lips_come_before_the_sound_and_stay_a_little_after_it() -> None:
    spoken = np.zeros(60)
    spoken[20:40] = 0.9
    share = speaking(spoken)
    assert share.shape == (60,) and share.min() >= 0 and share.max() <= 1 + 1e-9
    assert share[18:42].min() > 0.7 and share[:10].max() < 0.01 and share[50:].max() < 0.01
    assert np.abs(np.diff(share)).max() < 0.4, "a jump"


def test_a_doubtful_sound_moves_lips_a_little() -> None:
    shares = [float(speaking(np.full(30, p))[15]) for p in (0.05, 0.2, 0.3, 0.6)]
    assert shares == pytest.approx([0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_very_short_sounds(frames: int) -> None:
    rest = resting(track(20, True), np.arange(20), np.linspace(0, 0.1, 20))
    assert at_rest(track(frames, True), rest, np.ones(frames)).lips.shape == (frames, 3)
