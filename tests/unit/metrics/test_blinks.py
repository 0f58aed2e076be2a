"""Blinks found on curves that were drawn with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.metrics.blinks import eye_closure, find_blinks


def curve(times: list[float], width: float, rate: float, seconds: float, height: float = 0.6) -> np.ndarray:
    """Blinks as Gaussian bumps of a width at half height, on eyes that are open to .1, with the landmarker's noise."""
    t = np.arange(round(seconds * rate)) / rate
    sigma = width / (2 * np.sqrt(2 * np.log(2)))
    values = 0.1 + height * np.sum([np.exp(-((t - each) ** 2) / (2 * sigma**2)) for each in times], axis=0)
    return values + np.random.default_rng(0).normal(0, 0.01, len(t))


@pytest.mark.parametrize("rate", [25.0, 30.0, 60.0])
@pytest.mark.parametrize("width", [0.16, 0.3])
def test_drawn_blinks_are_found_with_their_durations(rate: float, width: float) -> None:
    times = [1.03, 3.5, 6.21, 9.4, 9.9]
    found = find_blinks(curve(times, width, rate, 12), rate)
    np.testing.assert_allclose(found.frames / rate, times, atol=1.1 / rate)
    assert found.per_minute == pytest.approx(25)
    assert found.mean_duration == pytest.approx(width, rel=0.1)


def test_small_squints_slow_looks_and_closed_eyes_are_no_blinks() -> None:
    squints = curve([1, 2, 3], 0.16, 25, 5, height=0.12)
    slow = 0.2 + 0.15 * np.sin(2 * np.pi * np.arange(250) / 100)
    asleep = curve([4], 2.5, 25, 8)
    for values in (squints, slow, asleep):
        assert len(find_blinks(values, 25).frames) == 0
    assert find_blinks(squints, 25).per_minute == 0
    assert find_blinks(squints, 25).mean_duration is None


def test_frames_without_a_face_are_not_looked_at() -> None:
    values = curve([1, 4], 0.16, 25, 6)
    values[90:140] = np.nan  # takes the second blink and two seconds
    found = find_blinks(values, 25)
    assert found.frames.tolist() == [25]
    assert found.seconds == pytest.approx(4)
    nothing = find_blinks(np.full(50, np.nan), 25)
    assert nothing.per_minute is None and nothing.mean_duration is None


def test_closure_is_the_mean_of_both_eyes() -> None:
    names = ("eyeBlinkRight", "jawOpen", "eyeBlinkLeft")
    shapes = np.array([[0.2, 0.9, 0.6], [1, 0, 0]])
    np.testing.assert_allclose(eye_closure(shapes, names), [0.4, 0.5])
