"""Any two videos: other rates, sizes, lengths and shapes, without faces and with them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ua3dtalk import cli
from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError, InputError
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.frames import frames_at
from ua3dtalk.metrics.evaluate import evaluate
from ua3dtalk.metrics.image import psnr
from ua3dtalk.metrics.pair import lay_side_by_side


def grey_at(time: float) -> float:
    """Brightness of the test clips: a saw of two seconds."""
    return 30 + 90 * (time % 2)


def clip(path: Path, rate: float = 25, seconds: float = 2, size: tuple[int, int] = (64, 64), offset: int = 0) -> Path:
    """A video whose brightness tells its time; width and height in px."""
    count = round(rate * seconds)
    frames = (np.full((size[1], size[0], 3), round(grey_at(k / rate)) + offset, np.uint8) for k in range(count))
    write_video(path, frames, fps=rate, crf=0)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pair")


def brightness(row: Any) -> np.ndarray:
    return np.array([frame.mean() for frame in row.frames()])


def test_other_rates_are_compared_by_time_at_the_lower_one(folder: Path) -> None:
    pair = lay_side_by_side(clip(folder / "g60.mp4", rate=60), clip(folder / "t25.mp4"))
    assert pair.truth.rate == 25 and len(pair.notes) == 1 and "by time at 25" in pair.notes[0]
    shown, wanted = brightness(pair.generated), brightness(pair.truth)
    assert len(shown) == len(wanted) == 50
    assert np.abs(shown - wanted).max() < 90 / 120 + 2  # half a frame of the quicker one, and the codec's rounding
    assert abs((shown - wanted).mean()) < 0.3  # neither late nor early
    slower = lay_side_by_side(clip(folder / "g12.mp4", rate=12.5), folder / "t25.mp4")
    assert slower.truth.rate == 12.5


def test_the_larger_one_is_shrunk_and_the_common_part_is_compared(folder: Path) -> None:
    large = clip(folder / "large.mp4", size=(128, 96), seconds=3)
    small = clip(folder / "small.mp4", size=(64, 48))
    for generated, truth in ((large, small), (small, large)):
        pair = lay_side_by_side(generated, truth)
        assert next(pair.truth.frames()).shape == next(pair.generated.frames()).shape == (48, 64, 3)
        said = " ".join(pair.notes)
        assert "shrunk to 64x48" in said and "the first 2.00 s are compared" in said
    assert ("the generated video shrunk" in lay_side_by_side(large, small).notes[0]) is True


def test_equal_facts_need_no_words_and_strict_refuses_others(folder: Path) -> None:
    truth, other = clip(folder / "t.mp4"), clip(folder / "o.mp4", offset=9)
    assert lay_side_by_side(other, truth, strict=True).notes == ()
    with pytest.raises(InputError, match=r"differ: 2\.80 s against .*; adapt one, or leave --strict out") as caught:
        lay_side_by_side(clip(folder / "long.mp4", seconds=2.8), truth, strict=True)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_one_line(folder: Path) -> None:
    truth = clip(folder / "square.mp4")
    (folder / "text.mp4").write_text("no video")
    cases = {
        clip(folder / "wide.mp4", size=(96, 64)): "different shape",
        folder / "none.mp4": "does not exist",
        folder / "text.mp4": "not a video",
        clip(folder / "short.mp4", seconds=0.4): "at least 1 s",
    }
    for generated, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            lay_side_by_side(generated, truth)
        assert "\n" not in str(caught.value)


def landmarker() -> Path:
    try:
        return fetch("face_landmarker")
    except AssetError as error:
        pytest.skip(f"face_landmarker cannot be had here: {error}")


def test_without_a_face_the_whole_frame_is_measured_and_it_is_said(folder: Path) -> None:
    landmarker()
    truth, generated = clip(folder / "a.mp4"), clip(folder / "b.mp4", offset=12)
    result = evaluate(generated=generated, truth=truth, out=folder / "m.json", groups=("pixels", "landmarks", "motion"))
    assert result == json.loads((folder / "m.json").read_text())
    assert [(row["name"], row["region"]) for row in result["rows"]] == [("truth", "frame"), ("generated", "frame")]
    assert any("no face was found in the truth" in note for note in result["notes"])
    plain = [psnr(*frames) for frames in zip(frames_at(generated), frames_at(truth), strict=True)]
    assert result["rows"][1]["psnr"] == pytest.approx(np.mean(plain), rel=1e-4)
    assert "lmd_px" not in result["rows"][1]
    with (folder / "m_frames.csv").open() as stream:
        lines = [line for line in csv.DictReader(stream) if line["name"] == "generated"]
    assert [float(line["psnr"]) for line in lines] == pytest.approx(plain, rel=1e-4)
    with pytest.raises(InputError, match="use --region frame"):
        evaluate(generated=generated, truth=truth, out=folder / "m.json", regions=("face",), groups=("pixels",))


def test_only_what_is_asked_for_is_computed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ua3dtalk.assets.fetch", lambda name: pytest.fail(f"{name} is not needed"))
    truth = clip(folder / "c.mp4")
    result = evaluate(generated=truth, truth=truth, out=folder / "n.json", regions=("frame",), groups=("pixels",))
    assert result["frames"] == 50 and result["fps"] == 25 and result["size"] == [64, 64]
    (row,) = [row for row in result["rows"] if row["name"] == "generated"]
    assert row["psnr"] is None and row["ssim"] == 1 and row["ms_ssim"] is None
    assert row.keys() == {"name", "region", "codec", "driven_by", "psnr", "ssim", "ms_ssim"}
    assert row["codec"] == "h264"


def test_a_real_pair_of_other_rate_size_and_length(clips: Path, folder: Path) -> None:
    """A clip against its own recoding: the landmarks' figures must hardly notice."""
    import cv2

    landmarker()
    source = clips / "video" / "obama.mp4"
    frames = (cv2.resize(frame, (300, 300), interpolation=cv2.INTER_AREA) for frame in frames_at(source, 50))
    generated = folder / "real.mp4"
    write_video(generated, (frame for _, frame in zip(range(100), frames, strict=False)), fps=50)
    groups = ("pixels", "landmarks", "motion", "expression")
    result = evaluate(generated=generated, truth=source, out=folder / "r.json", groups=groups, workers=2)
    assert len(result["notes"]) == 3 and result["frames"] == 50 and result["size"] == [300, 300]
    (row,) = [row for row in result["rows"] if (row["name"], row["region"]) == ("generated", "face")]
    assert row["psnr"] > 25 and row["ssim"] > 0.8
    assert row["lmd_px"] < 1 and row["landmark_frames"] == 50
    assert row["mouth_opening_correlation"] > 0.9
    assert 0 <= row["efid_blendshapes52_n50"] < 0.1
    assert row["efid_blendshapes52_n50_low"] <= row["efid_blendshapes52_n50_high"]


def test_the_command_writes_a_file_and_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, generated = clip(folder / "d.mp4"), clip(folder / "e.mp4", offset=12, seconds=3)
    words = ["evaluate", str(generated), str(truth), "--out", str(folder / "x.json"), "--region", "frame"]
    assert cli.main([*words, "--figures", "pixels", "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert "psnr" in printed.out and "note: 3.00 s against the truth's 2.00" in printed.err
    assert (folder / "x.json").exists() and (folder / "x_frames.csv").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [(["--figures", "psnr"], "'psnr' is no group of figures"), (["--strict"], "leave --strict out")],
)
def test_the_command_s_mistakes_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    truth, generated = clip(folder / "f.mp4"), clip(folder / "h.mp4", seconds=3)
    assert cli.main(["evaluate", str(generated), str(truth), "--threads", "1", *extra]) == 1
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.err.startswith("ua3dtalk: error: ")


def test_the_command_is_installed() -> None:
    text = (Path(cli.__file__).parents[1] / "pyproject.toml").read_text()
    assert 'ua3dtalk = "ua3dtalk.cli:main"' in text
