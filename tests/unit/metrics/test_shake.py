"""Trembling of the rigid part, on faces that are shaken by known amounts."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.metrics.shake import jitter, jitter_error, rigid_places, root_mean_square, tremble

COUNT = 3000


def still_face(count: int = COUNT) -> np.ndarray:
    """One made-up face, [count, 478, 3], whose outer eye corners are 100 px apart."""
    face = np.random.default_rng(0).uniform(80, 220, (478, 3))
    face[33, :2], face[263, :2] = (100, 150), (200, 150)
    return np.tile(face, (count, 1, 1))


def moved(points: np.ndarray, shift: np.ndarray, angle: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Turned (radians) and scaled about (150, 150), then shifted, frame by frame."""
    z = (points[..., 0] - 150) + 1j * (points[..., 1] - 150)
    z = z * (size * np.exp(1j * angle))[:, None] + (150 + shift[:, :1]) + 1j * (150 + shift[:, 1:])
    return np.stack([z.real, z.imag, points[..., 2]], axis=-1)


def nodding(count: int = COUNT) -> np.ndarray:
    """A wanted movement: 20 px to and fro and 6 degrees, once in two seconds."""
    phase = 2 * np.pi * np.arange(count) / 50
    shift = np.stack([20 * np.sin(phase), 8 * np.cos(phase)], axis=1)
    return moved(still_face(count), shift, 0.1 * np.sin(phase), 1 + 0.05 * np.cos(phase))


def test_a_shake_that_is_new_in_every_frame_reads_its_deviation() -> None:
    shake = np.random.default_rng(1).normal(0, 1.5, (COUNT, 2))
    shaken = moved(still_face(), shake, np.zeros(COUNT), np.ones(COUNT))
    assert root_mean_square(jitter(shaken)) == pytest.approx(0.015, rel=0.05)
    assert root_mean_square(jitter_error(shaken, still_face())) == pytest.approx(0.015, rel=0.05)
    assert root_mean_square(jitter(still_face())) == pytest.approx(0, abs=1e-12)


def test_wanted_movement_falls_out_of_the_error_and_a_shake_on_it_does_not() -> None:
    truth = nodding()
    assert root_mean_square(jitter_error(truth, truth)) == 0
    shake = np.random.default_rng(2).normal(0, 1, (COUNT, 2))
    shaken = truth.copy()
    shaken[..., :2] += shake[:, None]
    assert root_mean_square(jitter_error(shaken, truth)) == pytest.approx(0.01, rel=0.07)
    late = np.roll(truth, 1, axis=0)
    assert root_mean_square(jitter_error(late[1:], truth[1:])) < 0.003  # late by a frame is no tremble


def test_a_trembling_turn_counts() -> None:
    angle = np.random.default_rng(3).normal(0, 0.01, COUNT)
    turned = moved(still_face(), np.zeros((COUNT, 2)), angle, np.ones(COUNT))
    assert root_mean_square(jitter(turned)) > 0.002


def test_noise_of_single_points_averages_out_and_the_mouth_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    noisy = still_face()
    noisy[..., :2] += rng.normal(0, 1, (COUNT, 478, 2))
    assert root_mean_square(jitter(noisy)) < 0.005
    talking = still_face()
    talking[:, [13, 14, 17, 61, 152, 291]] += rng.normal(0, 10, (COUNT, 1, 3))
    assert root_mean_square(jitter(talking)) == pytest.approx(0, abs=1e-12)


def test_similarities_are_fitted_exactly() -> None:
    truth = nodding(60)
    places = rigid_places(truth)
    np.testing.assert_allclose(places, truth[:, [*RIGID], :2], atol=1e-9)


RIGID = (
    *(10, 109, 338, 67, 297, 103, 332, 151, 9, 8, 168, 6, 197, 195),
    *(33, 263, 133, 362, 127, 356, 162, 389, 21, 251, 54, 284),
)


def test_frames_without_a_face_and_the_ends_have_no_value() -> None:
    points = nodding(12)
    points[5] = np.nan
    assert np.flatnonzero(~np.isfinite(jitter(points))).tolist() == [0, 4, 5, 6, 11]
    assert root_mean_square(jitter(np.full((4, 478, 3), np.nan))) is None
    assert np.isnan(tremble(np.arange(2.0))).all()
