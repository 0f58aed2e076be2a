"""The groups of figures that need a network or a sequence, on a made-up scene with networks of arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.fan import fan_readings, points_68
from ua3dtalk.metrics.features import FrameFeatures
from ua3dtalk.metrics.frechet import frechet_distance
from ua3dtalk.metrics.person import identity_readings, motion_readings
from ua3dtalk.metrics.scene import Reading, Scene
from ua3dtalk.metrics.sets import expression_readings, frechet_readings

COUNT, SIDE = 60, 24
NAMES = ("eyeBlinkLeft", "eyeBlinkRight", *(f"shape{k}" for k in range(50)))


@dataclass(frozen=True)
class Made:
    """Noise whose mean differs from row to row."""

    name: str
    seed: int
    codec: str = "none"
    driven_by: tuple[str, ...] = ()

    def frames(self) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        for _ in range(COUNT):
            yield rng.integers(20 * self.seed, 100 + 20 * self.seed, (SIDE, SIDE, 3), np.uint8)


def faces(seed: int) -> Faces:
    rng = np.random.default_rng(seed)
    base = np.random.default_rng(9).uniform(2, 22, (478, 3))
    base[33, :2], base[263, :2] = (4, 8), (14, 8)
    points = np.tile(base, (COUNT, 1, 1)) + rng.normal(0, 0.1 * seed, (COUNT, 1, 3))
    shapes = rng.uniform(0, 0.1, (COUNT, 52))
    for middle in (15, 44)[: seed + 1]:
        shapes[middle - 1 : middle + 2, :2] = ((0.4, 0.4), (0.9, 0.9), (0.4, 0.4))
    return Faces(points.astype(np.float32), shapes.astype(np.float32), NAMES)


@pytest.fixture
def scene() -> Scene:
    rows = (Made("truth", 0), Made("ours", 1), Made("other", 2))
    squares = np.tile([3, 2, 16], (COUNT, 1))
    whole = np.tile([0, 0, SIDE, SIDE], (COUNT, 1))
    numbers = np.concatenate([np.arange(30), np.arange(100, 130)])  # two clips
    found = tuple(faces(k) for k in range(3))
    return Scene(rows, numbers, found, {"frame": whole, "face": squares}, np.zeros((COUNT, 4)), 25.0)


def figure(readings: list[Reading], row: int, key: str, region: str | None = None) -> Any:
    (found,) = [each.figures[key] for each in readings if (each.row, each.region) == (row, region)]
    return found


def test_frechet_figures_are_those_of_the_cut_frames_features(scene: Scene) -> None:
    network = FrameFeatures("frechet_test", 8, lambda x: x[:, :, ::4, ::4].flatten(1))
    readings = frechet_readings(scene, network, {"frame": 10, "face": 1000})
    assert figure(readings, 0, "frechet_test", "face") == 0
    assert figure(readings, 1, "frechet_frames", "frame") == 10
    cut = [[frame[2:18, 3:19] for frame in row.frames()] for row in scene.rows]
    own, truth = network(cut[1]), network(cut[0])
    assert figure(readings, 1, "frechet_test", "face") == pytest.approx(frechet_distance(own, truth), rel=1e-6)
    assert figure(readings, 2, "frechet_test", "face") > figure(readings, 1, "frechet_test", "face")


def test_e_fid_says_extractor_width_frames_and_interval(scene: Scene) -> None:
    scene.faces[2].points[:6], scene.faces[2].blendshapes[:6] = np.nan, np.nan
    readings = expression_readings(scene, seed=0, resamples=20)
    key = f"efid_blendshapes52_n{COUNT - 6}"
    assert figure(readings, 0, key) == 0 and figure(readings, 0, f"{key}_high") == 0
    pair = (scene.faces[k].blendshapes[6:] for k in (1, 0))
    assert figure(readings, 1, key) == pytest.approx(frechet_distance(*pair, shrink=True))
    assert figure(readings, 1, f"{key}_low") <= figure(readings, 1, f"{key}_high")
    assert [each.figures for each in expression_readings(scene, 0, 20)] == [each.figures for each in readings]


def test_identity_is_measured_on_a_few_frames_against_the_truth(scene: Scene) -> None:
    def network(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        vector = np.array([frame.mean(), 60.0])
        return vector / np.linalg.norm(vector) if np.isfinite(points).all() else np.full(2, np.nan)

    scene.faces[1].points[0] = np.nan
    readings = identity_readings(scene, network, most=7)  # type: ignore[arg-type]
    chosen = np.flatnonzero(np.isfinite(readings[0].columns["identity_dlib128"]))
    assert len(chosen) == 7 and figure(readings, 1, "identity_frames") == 7
    vectors = [
        np.stack([network(f, scene.faces[k].points[j]) for j, f in enumerate(row.frames())])[chosen]
        for k, row in enumerate(scene.rows)
    ]
    known = vectors[1][1:] @ vectors[0].T
    assert figure(readings, 1, "identity_dlib128") == pytest.approx(known.mean())
    assert figure(readings, 0, "identity_dlib128") > figure(readings, 1, "identity_dlib128")
    assert figure(readings, 1, "identity_dlib128") > figure(readings, 2, "identity_dlib128")


def test_motion_does_not_look_across_the_end_of_a_clip(scene: Scene) -> None:
    scene.faces[0].points[30:, :, 0] += 5  # the second clip begins elsewhere
    readings = motion_readings(scene)
    assert figure(readings, 0, "jitter") < 1e-6 and figure(readings, 0, "jitter_error") == 0
    assert 0.004 < figure(readings, 1, "jitter_error") < 0.02
    assert figure(readings, 2, "jitter_error") > figure(readings, 1, "jitter_error")
    assert np.flatnonzero(~np.isfinite(readings[1].columns["jitter"])).tolist() == [0, 29, 30, 59]


def test_blinks_are_counted_against_the_truth_s(scene: Scene) -> None:
    readings = motion_readings(scene)
    assert [figure(readings, k, "blinks") for k in range(3)] == [1, 2, 2]
    assert figure(readings, 0, "blinks_per_minute") == pytest.approx(60 / (COUNT / 25))
    assert figure(readings, 1, "blinks_per_minute_difference") == pytest.approx(25)
    assert figure(readings, 0, "blink_seconds_difference") == 0
    assert 0.05 < figure(readings, 1, "blink_seconds") < 0.15
    np.testing.assert_allclose(readings[0].columns["blink"][15], 0.9, atol=1e-6)


class FakeFan:
    """Points at the corners of a net laid over the face's box."""

    def get_landmarks_from_image(self, frame: np.ndarray, detected_faces: list[list[float]]) -> list[np.ndarray]:
        left, top, right, bottom = detected_faces[0]
        grid = np.linspace(0, 1, 68)
        return [np.stack([left + (right - left) * grid**2, top + (bottom - top) * grid], axis=1)]


def test_lmd_on_fan_s_points(scene: Scene) -> None:
    readings = fan_readings(scene, FakeFan(), most=5)
    assert figure(readings, 0, "lmd_fan68_px") == 0 and figure(readings, 1, "fan68_frames") == 5
    chosen = np.flatnonzero(np.isfinite(readings[1].columns["lmd_fan68_px"]))
    plain = []
    for k in chosen:
        sets = [points_68(FakeFan(), np.zeros(1), scene.faces[row].points[k])[48:68] for row in (1, 0)]
        a, b = (each - each.mean(axis=0) for each in sets)
        plain.append(np.mean([np.hypot(*(p - q)) for p, q in zip(a, b, strict=True)]))
    assert figure(readings, 1, "lmd_fan68_px") == pytest.approx(np.mean(plain), rel=1e-4)
    assert np.isnan(points_68(FakeFan(), np.zeros(1), np.full((478, 3), np.nan))).all()
