"""metrics.json of a small made-up bundle, with the networks replaced by arithmetic."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ua3dtalk.errors import DataError
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.frames import frames_at
from ua3dtalk.metrics import networks, report
from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.image import psnr
from ua3dtalk.metrics.rows import Row
from ua3dtalk.perceptual import PerceptualDistance
from ua3dtalk.settings import MetricsSettings
from ua3dtalk.subject import Subject

SIZE, FRAMES, TEST = 48, 60, 20
FIGURES = {
    "psnr",
    "ssim",
    "st_lpips_alex",
    "lmd_px",
    "lmd_normalised",
    "aue",
    "mouth_opening_correlation",
    "mouth_opening_gain",
    "ms_ssim",
    "jitter",
    "jitter_error",
    "blinks_per_minute",
    "blink_seconds",
    f"efid_blendshapes52_n{TEST}",
    f"efid_blendshapes52_n{TEST}_low",
    f"efid_blendshapes52_n{TEST}_high",
}


def opening_of(frame: np.ndarray) -> float:
    """The made-up mouth is as open as the frame's first pixel is bright."""
    return float(frame[0, 0, 0]) / 255 * 10


def see(rows: Sequence[Row], blind: dict[str, Sequence[int]]) -> list[Faces]:
    """A landmarker for made-up frames; rows named in `blind` have no face in those frames."""
    base = np.random.default_rng(7).uniform(14, 34, (478, 3)).astype(np.float32)
    base[33, :2], base[263, :2] = (14, 20), (34, 20)
    results = []
    for row in rows:
        points = np.tile(base, (len(row.index), 1, 1))
        shapes = np.zeros((len(row.index), 52), np.float32)
        for k, frame in enumerate(row.frames()):
            for upper, lower in ((82, 87), (13, 14), (312, 317)):
                points[k, upper, :2], points[k, lower, :2] = (24, 28), (24, 28 + opening_of(frame))
            shapes[k, 1] = opening_of(frame) / 10
            if k in blind.get(row.name, ()):
                points[k], shapes[k] = np.nan, np.nan
        results.append(
            Faces(
                points,
                shapes,
                ("_neutral", "jawOpen", "eyeBlinkLeft", "eyeBlinkRight", *(f"eyeLook{k}" for k in range(48))),
            )
        )
    return results


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    rng = np.random.default_rng(0)
    video = rng.integers(0, 255, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    np.save(tmp_path / "video.npy", video)
    clip = {
        "path": "a.mp4",
        "sha256": "0",
        "first": 0,
        "length": FRAMES,
        "test_first": FRAMES - TEST,
        "emotion": None,
        "fps": 25.0,
        "width": SIZE,
        "height": SIZE,
        "crop": [0, 0, SIZE],
    }
    (tmp_path / "clips.json").write_text(json.dumps({"clips": [clip]}))
    names = np.array([f"shape{k}" for k in range(52)])
    points = rng.uniform(0, SIZE, (FRAMES, 478, 3))
    np.savez(
        tmp_path / "landmarks.npz",
        points=points,
        blendshapes=np.zeros((FRAMES, 52)),
        valid=np.ones(FRAMES, bool),
        names=names,
    )
    cameras = np.tile(np.eye(4), (FRAMES, 1, 1))
    cameras[:, :3, 3] = rng.normal([0, 0, 0.6], 0.01, (FRAMES, 3))
    K = np.tile(np.diag([100.0, 100, 1]), (FRAMES, 1, 1))
    neutral = rng.uniform(-0.1, 0.1, (478, 3))
    np.savez(tmp_path / "tracking.npz", K=K, world_to_camera=cameras, neutral=neutral, residual=np.zeros(FRAMES))
    features = rng.normal(size=(2 * FRAMES, 12)).astype(np.float16)
    np.savez(
        tmp_path / "speech.npz",
        features=features,
        mel=np.zeros((4 * FRAMES, 80)),
        position=np.zeros((0, 0)),
        encoder="test",
    )
    return Subject(tmp_path)


@pytest.fixture
def renders(subject: Subject) -> Path:
    """ours is the truth with a mouth that opens half as much; static_mean never moves."""
    folder = subject.root / "renders"
    (folder / "test").mkdir(parents=True)
    truth = np.array(subject.video[subject.test_frames])
    ours = truth.copy()
    ours[:, 0, 0, 0] //= 2
    np.save(folder / "test" / "ours.npy", ours)
    np.save(folder / "test" / "static_mean.npy", np.full_like(truth, 120))
    rows = [
        {"name": "ours", "driven_by": ["audio", "pose"], "file": "test/ours.npy"},
        {"name": "static_mean", "driven_by": ["pose"], "file": "test/static_mean.npy"},
    ]
    document = {"state": "r", "frames": subject.test_frames.tolist(), "rows": rows, "speed": {"frames_per_second": 50}}
    (folder / "test.json").write_text(json.dumps(document))
    return folder


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(subject: Subject, renders: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def write(blind: dict[str, Sequence[int]] | None = None, draw: bool = False, **settings: object) -> dict[str, Any]:
        import torch

        if not draw:
            monkeypatch.setattr(report, "draw_metrics", lambda *_: None)
        monkeypatch.setattr(report, "detect_faces", lambda model, rows, workers: see(rows, blind or {}))
        plain = PerceptualDistance("st_lpips_alex", lambda x: [x + 10], [torch.ones(3)])
        monkeypatch.setattr(networks, "load_perceptual", lambda name, weights: plain)
        out = subject.root / "metrics.json"
        report.write_metrics(
            subject=subject,
            renders=renders,
            out=out,
            frames=subject.root / "metrics_frames.csv",
            picture=subject.root / "metrics.png",
            landmarker=Path("none"),
            weights={"st_lpips_alex": Path("none")},
            settings=MetricsSettings(**settings),  # type: ignore[arg-type]
            method="baseline",
            budget="demo",
            seed=3,
            cost={"train_face": {"seconds": 7.0}},
            state="s",
        )
        return json.loads(out.read_text())  # type: ignore[no-any-return]

    return write


def row(result: dict[str, Any], name: str, region: str = "face") -> dict[str, Any]:
    (found,) = [entry for entry in result["rows"] if entry["name"] == name and entry["region"] == region]
    return found


def test_every_row_has_every_figure_in_both_regions(run: Run, subject: Subject) -> None:
    result = run(draw=True)
    assert {key: result[key] for key in ("actor", "method", "budget", "seed", "state", "frames")} == {
        "actor": subject.name,
        "method": "baseline",
        "budget": "demo",
        "seed": 3,
        "state": "s",
        "frames": TEST,
    }
    names = ["truth", "ours", "static_mean", "nearest_pose", "nearest_audio"]
    expected = [(name, region) for region in ("frame", "face") for name in names]
    assert [(entry["name"], entry["region"]) for entry in result["rows"]] == expected
    assert all(entry.keys() >= FIGURES | {"driven_by", "frames_without_face"} for entry in result["rows"])
    assert row(result, "ours")["driven_by"] == ["audio", "pose"]
    assert row(result, "nearest_audio")["driven_by"] == ["audio"]
    assert result["speed"] == {"frames_per_second": 50}
    assert result["cost"] == {"train_face": {"seconds": 7.0}}
    assert result["test_frames"] == [[FRAMES - TEST, FRAMES - 1]]
    assert Image.open(subject.root / "metrics.png").width > 500


def test_the_truth_row_is_perfect_and_ours_is_what_it_was_made(run: Run) -> None:
    result = run()
    truth, ours = row(result, "truth"), row(result, "ours")
    assert truth["psnr"] is None
    assert truth["ssim"] == 1 and truth["mouth_opening_correlation"] == 1 and truth["mouth_opening_gain"] == 1
    assert truth["lmd_px"] == truth["aue"] == truth["st_lpips_alex"] == 0
    assert truth["jitter_error"] == truth[f"efid_blendshapes52_n{TEST}"] == 0
    assert ours["mouth_opening_correlation"] > 0.99
    assert ours["mouth_opening_gain"] == pytest.approx(0.5, abs=0.02)
    assert row(result, "ours", "frame")["psnr"] > row(result, "nearest_pose", "frame")["psnr"]
    assert ours["psnr"] is None  # the made-up mouth lies outside the face crop
    assert row(result, "static_mean")["mouth_opening_correlation"] is None


def test_frames_without_a_face_leave_all_rows_and_are_counted(run: Run) -> None:
    result = run({"ours": [0, 1, 2], "truth": [2, 5]})
    assert row(result, "ours")["frames_without_face"] == 3
    assert row(result, "truth")["frames_without_face"] == 2
    assert row(result, "nearest_pose")["frames_without_face"] == 0
    assert {entry["landmark_frames"] for entry in result["rows"]} == {TEST - 4}


def test_a_row_that_is_hardly_a_face_does_not_spoil_the_others(run: Run) -> None:
    result = run({"static_mean": range(15)})
    hardly = row(result, "static_mean")
    assert hardly["frames_without_face"] == 15
    assert hardly["lmd_px"] is None and hardly["mouth_opening_correlation"] is None
    assert row(result, "ours")["landmark_frames"] == TEST


def test_perceptual_frames_are_said(run: Run) -> None:
    result = run(perceptual_frames_face=7, perceptual_frames_whole=3)
    assert row(result, "ours")["perceptual_frames"] == 7
    assert row(result, "ours", "frame")["perceptual_frames"] == 3


def test_what_comes_back_from_the_mp4_files_has_rows_of_its_own(run: Run, subject: Subject, renders: Path) -> None:
    ours = np.load(renders / "test" / "ours.npy")
    write_video(renders / "truth.mp4", iter(subject.video[subject.test_frames]))
    write_video(renders / "test.mp4", iter(255 - ours))
    rows = run()["rows"]
    compressed = [entry for entry in rows if entry["codec"] == "h264"]
    assert rows[-len(compressed) :] == compressed
    assert [(entry["name"], entry["region"]) for entry in compressed] == [
        (name, region) for region in ("frame", "face") for name in ("truth", "ours")
    ]
    truth, kept = compressed[0], compressed[1]
    noise = np.mean(
        [
            psnr(shown, subject.video[k])
            for shown, k in zip(decoded(renders / "truth.mp4"), subject.test_frames, strict=True)
        ]
    )
    assert truth["psnr"] == pytest.approx(noise, rel=1e-4)  # what the codec alone costs
    between = zip(decoded(renders / "test.mp4"), decoded(renders / "truth.mp4"), strict=True)
    assert kept["psnr"] == pytest.approx(np.mean([psnr(*pair) for pair in between]), rel=1e-4)


def decoded(path: Path) -> list[np.ndarray]:
    return list(frames_at(path))


def test_a_video_that_does_not_fit_is_one_line(run: Run, subject: Subject, renders: Path) -> None:
    write_video(renders / "truth.mp4", iter(subject.video[subject.test_frames]))
    write_video(renders / "test.mp4", iter(subject.video[:7]))
    with pytest.raises(DataError, match=r"test\.mp4 does not hold the 20 frames"):
        run()


def test_the_table_of_frames_has_the_figures_means(run: Run, subject: Subject) -> None:
    result = run()
    with (subject.root / "metrics_frames.csv").open() as stream:
        lines = [line for line in csv.DictReader(stream) if (line["name"], line["region"]) == ("nearest_pose", "face")]
    assert [int(line["frame"]) for line in lines] == subject.test_frames.tolist()
    for key in ("psnr", "ssim", "lmd_px", "aue", "st_lpips_alex"):
        values = [float(line[key]) for line in lines if line[key]]
        assert np.mean(values) == pytest.approx(row(result, "nearest_pose")[key], rel=1e-4)
    assert lines[0]["mouth_opening"]


def test_two_runs_write_the_same_bytes(run: Run, subject: Subject) -> None:
    run()
    first = (subject.root / "metrics.json").read_bytes()
    run()
    assert (subject.root / "metrics.json").read_bytes() == first


def test_no_face_at_all_is_one_line(run: Run) -> None:
    with pytest.raises(DataError, match="no held-out frame has a face"):
        run({"truth": range(TEST)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "test.json").write_text("{"), r"test\.json cannot be read"),
        (lambda folder: (folder / "test.json").write_text('{"frames": [999], "rows": []}'), "does not fit the clips"),
        (lambda folder: (folder / "test" / "ours.npy").write_bytes(b"x"), r"ours\.npy cannot be read"),
        (lambda folder: np.save(folder / "test" / "ours.npy", np.zeros((3, 4), np.uint8)), "where uint8"),
    ],
)
def test_damaged_renders_are_one_line(run: Run, renders: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(renders)
    with pytest.raises(DataError, match=message):
        run()
