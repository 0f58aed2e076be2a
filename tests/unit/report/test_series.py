"""Reading the per-frame table, and what charts are told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import DataError
from ua3dtalk.report.curves import training_charts
from ua3dtalk.report.series import Chart, FrameKey, Line, loudness, numbers, read_frames
from ua3dtalk.subject import Subject

HEAD = "name,driven_by,region,codec,frame,psnr,lmd_px\n"


def test_a_table_is_read_by_row_figure_and_frame(tmp_path: Path) -> None:
    path = tmp_path / "metrics_frames.csv"
    path.write_text(
        HEAD + "truth,,face,none,7,,0\nours,audio+pose,face,none,7,30.5,1.25\nours,audio+pose,face,none,9,,2\n"
    )
    table = read_frames(path)
    (key,) = table.find("ours", "face")
    assert key == FrameKey("ours", "audio+pose", "face", "none")
    np.testing.assert_array_equal(table.series(key, "lmd_px", [7, 8, 9]), [1.25, math.nan, 2])
    np.testing.assert_array_equal(table.series(key, "psnr", [7, 9]), [30.5, math.nan])
    assert np.isnan(table.series(key, "no_such_figure", [7])).all()
    assert table.find("ours", "frame") == [] and table.find("ours", "face", "h264") == []


@pytest.mark.parametrize("text", ["", "name,frame\nours,1\n", HEAD + "ours,,face,none,x,1,1\n", HEAD + "ours,,face\n"])
def test_a_broken_table_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics_frames.csv"
    path.write_text(text)
    if not text:
        assert read_frames(path).rows == {}
        path.unlink()
    with pytest.raises(DataError, match=r"metrics_frames\.csv cannot be read .* run metrics again"):
        read_frames(path)


def test_numbers_are_short_and_json() -> None:
    assert numbers([1 / 3, math.nan, math.inf, 12345.6, np.float32(2)]) == [0.3333, None, None, 12350.0, 2.0]
    chart = Chart(
        "main.x", "time", "t", "a", lines=[Line("n", np.array([1.0, math.nan]), "ours")], points=[(1, 2, "p")]
    )
    found = json.loads(json.dumps(chart.data(), allow_nan=False))
    assert found["lines"][0]["values"] == [1.0, None] and found["points"] == [[1.0, 2.0, "p"]]


def test_loudness_is_that_of_each_frame(tiny_subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.zeros(60 * 640, np.float32)
    sound[640:1280] = 1.0
    sound[1280:1920] = 0.1  # 20 dB below
    monkeypatch.setattr(Subject, "audio", lambda self: sound)
    np.testing.assert_allclose(loudness(tiny_subject, np.array([0, 1, 2])), [0, 1, 2 / 3], atol=1e-6)


def test_training_curves_where_they_are(tmp_path: Path) -> None:
    assert training_charts(tmp_path) == []
    curve = {"every": 20, "loss": [0.5, 0.25], "gaussians": [10, 30]}
    (tmp_path / "train_face.json").write_text(json.dumps(curve))
    (tmp_path / "train_fuse.json").write_text(json.dumps({**curve, "gaussians": [0, 0]}))
    charts = training_charts(tmp_path)
    assert [chart.ident for chart in charts] == ["train_face-loss", "train_face-gaussians", "train_fuse-loss"]
    assert list(charts[0].x) == [20, 40] and charts[0].log
    (tmp_path / "train_fuse.json").write_text("[]")
    with pytest.raises(DataError, match="cannot be read"):
        training_charts(tmp_path)


def test_a_loss_below_0_is_drawn_whole(tmp_path: Path) -> None:
    """A logarithmic axis would leave out what is not positive."""
    for loss, log in (([0.02, 0.01], True), ([0.02, -0.01], False)):
        (tmp_path / "train_mouth.json").write_text(json.dumps({"every": 20, "loss": loss, "gaussians": [0, 0]}))
        assert training_charts(tmp_path)[0].log is log
