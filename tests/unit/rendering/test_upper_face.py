"""Blinks and brows that nobody gave."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.rendering.upper_face import BLINK, HALF_WIDTH, fit_emotion, fit_upper_face
from ua3dtalk.subject import Clip

LENGTH = 3000
SHAPE = np.array([0.2, 1.2, 2.5, 3.0, 1.5, 0.4])


def blinking(seed: int, length: int = LENGTH) -> np.ndarray:
    """Action units [length, 6]: slow brows, blinks of one shape every 40 to 130 frames."""
    rng = np.random.default_rng(seed)
    units = np.zeros((length, 6))
    for frame in range(1, length):
        units[frame] = 0.95 * units[frame - 1] + 0.1 * rng.standard_normal(6)
    units += 1.5
    units[:, BLINK] = 0.1
    at = int(rng.integers(20, 60))
    while at + len(SHAPE) < length:
        units[at : at + len(SHAPE), BLINK] = SHAPE
        at += int(rng.integers(40, 130))
    return units


def blinks(units: np.ndarray) -> int:
    above = units[:, BLINK] > 1.5
    return int((above[1:] & ~above[:-1]).sum() + above[0])


def test_blinks_come_as_often_and_look_as_they_do_in_training() -> None:
    units = blinking(0)
    sample = fit_upper_face(units, [np.arange(LENGTH)]).sample(20_000, np.random.default_rng(1))
    assert blinks(sample) / 20_000 == pytest.approx(blinks(units) / LENGTH, rel=0.1)
    assert sample[:, BLINK].max() == pytest.approx(3.0)
    peak = int(sample[100:, BLINK].argmax()) + 100
    np.testing.assert_allclose(sample[peak - 3 : peak + 3, BLINK], SHAPE)


def test_brows_wander_as_they_do_in_training() -> None:
    units = blinking(0)
    sample = fit_upper_face(units, [np.arange(LENGTH)]).sample(20_000, np.random.default_rng(1))
    for column in range(BLINK):
        x, y = units[:, column], sample[:, column]
        assert y.mean() == pytest.approx(x.mean(), abs=0.1)
        assert y.std() == pytest.approx(x.std(), rel=0.2)
        assert np.corrcoef(y[1:], y[:-1])[0, 1] == pytest.approx(np.corrcoef(x[1:], x[:-1])[0, 1], abs=0.03)


def test_same_seed_same_face() -> None:
    model = fit_upper_face(blinking(0), [np.arange(LENGTH)])
    one, same, other = (model.sample(500, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_frames_outside_of_the_runs_do_not_matter() -> None:
    units = blinking(0)
    other = units.copy()
    runs = [np.arange(0, 1000), np.arange(1500, 2500)]
    other[1000:1500] = 5.0
    other[2500:] = -3.0
    for field in ("mean", "deviation", "persistence", "blinks", "intervals", "rest"):
        a, b = (getattr(fit_upper_face(u, runs), field) for u in (units, other))
        assert np.array_equal(a, b), field


def test_intervals_never_span_two_runs() -> None:
    units = np.full((400, 6), 1.0)
    units[:, BLINK] = 0.0
    for at in (50, 90, 250, 310):
        units[at, BLINK] = 3.0
    model = fit_upper_face(units, [np.arange(0, 200), np.arange(200, 400)])
    assert sorted(model.intervals) == [40, 60]
    assert model.blinks.shape == (4, 2 * HALF_WIDTH + 1)


def labelled(first: int, length: int, emotion: str | None) -> Clip:
    return Clip("", "", first, length, first + length - 100, emotion, 25.0, 1, 1, (0, 0, 1))


def test_an_emotion_has_its_own_brows_and_everybodys_blinks() -> None:
    units = blinking(0)
    units[1000:2000, 1] += 2.0
    units[1000:2000, BLINK] = 0.1
    units[1900:2000, 1] = 5.0  # held out
    clips = [labelled(0, 1000, "calm"), labelled(1000, 1000, "angry"), labelled(2000, 1000, "calm")]
    calm, angry = (fit_emotion(units, clips, emotion) for emotion in ("calm", "angry"))
    assert angry.mean[1] == pytest.approx(units[1000:1900, 1].mean())
    assert angry.mean[1] - calm.mean[1] == pytest.approx(2.0, abs=0.6)
    assert np.array_equal(angry.blinks, calm.blinks), "no blink was seen while angry"
    assert blinks(angry.sample(5000, np.random.default_rng(0))) > 30


def test_an_emotion_that_was_never_shown_is_one_line() -> None:
    clips = [labelled(0, 1000, "calm"), labelled(1000, 1000, None)]
    with pytest.raises(InputError, match=r"no clip is labelled 'sad' \(labels: calm\)"):
        fit_emotion(blinking(0), clips, "sad")


@pytest.mark.parametrize("level", [0.0, 2.0])
def test_one_who_never_blinks_does_not_learn_to(level: float) -> None:
    units = np.full((200, 6), level)
    sample = fit_upper_face(units, [np.arange(200)]).sample(1000, np.random.default_rng(0))
    np.testing.assert_allclose(sample, level, atol=1e-4)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_short_clips(length: int) -> None:
    sample = fit_upper_face(blinking(0), [np.arange(LENGTH)]).sample(length, np.random.default_rng(0))
    assert sample.shape == (length, 6) and (sample >= 0).all() and (sample <= 5).all()
