"""Lip sync of any two videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_subject import smooth

from ua3dtalk import assets
from ua3dtalk.errors import AssetError
from ua3dtalk.face.basis import expression_basis
from ua3dtalk.media.encode import write_video
from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.pair import VideoRow, lay_side_by_side
from ua3dtalk.metrics.pair_sync import at_25, pair_sync_readings
from ua3dtalk.metrics.scene import Scene
from ua3dtalk.sync.net import LocalSync, save_net

RATE, SECONDS = 25, 4


def film(path: Path, sound: np.ndarray | None, rate: float = RATE) -> Path:
    frames = (np.full((64, 64, 3), k % 200, np.uint8) for k in range(round(rate * SECONDS)))
    write_video(path, frames, fps=rate, audio=sound)
    return path


def noise(seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(16000 * SECONDS)).astype(np.float32)


def talking(frames: int) -> Faces:
    """A face whose jaw moves."""
    basis = expression_basis()
    jaw = np.abs(smooth(np.random.default_rng(2), frames, 1, 2.0))
    points = basis.canonical + jaw[:, :, None] * basis.shapes[list(basis.names).index("jawOpen")]
    return Faces((points * 800 + 32).astype(np.float32), np.zeros((frames, 52), np.float32), ())


def scene_of(rows: tuple[VideoRow, VideoRow]) -> Scene:
    count = round(rows[0].rate * SECONDS)
    return Scene(rows, np.arange(count), (talking(count),) * 2, {}, np.zeros((count, 4)), rows[0].rate, 1)


@pytest.fixture(scope="module")
def whisper() -> Path:
    try:
        return assets.fetch("whisper_base")
    except AssetError as error:
        pytest.skip(f"whisper_base cannot be had here: {error}")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    save_net(LocalSync().eval(), path, {})
    return path


@pytest.mark.parametrize("rate", [25.0, 30.0, 50.0, 15.0])
def test_points_at_25_are_those_of_their_time(rate: float) -> None:
    times = np.arange(round(rate * 3)) / rate
    points = np.stack([times, 2 * times], 1)[:, None]
    found = at_25(points, rate)
    inside = np.arange(75) / 25 <= times[-1]  # beyond the last frame there is only that one
    assert len(found) == 75
    assert found[inside, 0, 0] == pytest.approx(np.arange(75)[inside] / 25, abs=1e-9)


def test_points_without_a_face_stay_unknown_and_reach_no_further() -> None:
    points = np.ones((50, 478, 2))
    points[20] = np.nan
    assert np.flatnonzero(np.isnan(at_25(points, 25)[:, 0, 0])).tolist() == [20]
    assert np.isnan(at_25(points, 50)[10]).all() and np.isfinite(at_25(points, 50)[[9, 11]]).all()


def test_each_video_is_measured_with_its_own_sound(tmp_path: Path, net: Path, whisper: Path) -> None:
    pair = lay_side_by_side(film(tmp_path / "g.mp4", noise(1)), film(tmp_path / "t.mp4", noise(2)))
    rows = (pair.truth, pair.generated)
    readings, notes = pair_sync_readings(scene_of(rows), rows, net, None, whisper)
    assert notes == [] and [reading.row for reading in readings] == [0, 1]
    truth, generated = (reading.figures for reading in readings)
    assert truth.keys() == {"sync_local_confidence", "sync_local_distance", "sync_local_offset_ms"}
    assert truth["sync_local_distance"] != generated["sync_local_distance"]  # the same lips, other sounds


def test_a_silent_video_is_measured_with_the_truth_s_sound_and_it_is_said(
    tmp_path: Path, net: Path, whisper: Path
) -> None:
    pair = lay_side_by_side(film(tmp_path / "g.mp4", None), film(tmp_path / "t.mp4", noise(2)))
    rows = (pair.truth, pair.generated)
    readings, notes = pair_sync_readings(scene_of(rows), rows, net, None, whisper)
    assert "the generated video has no sound" in notes[0]
    assert readings[0].figures == readings[1].figures


def test_without_any_sound_there_are_no_figures(tmp_path: Path, net: Path) -> None:
    pair = lay_side_by_side(film(tmp_path / "g.mp4", None), film(tmp_path / "t.mp4", None))
    rows = (pair.truth, pair.generated)
    readings, notes = pair_sync_readings(scene_of(rows), rows, net, None, None)
    assert readings == [] and "neither video has sound" in notes[0]
