"""Blendshape curves in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.face.basis import NAMES
from ua3dtalk.rendering.curves import ARKIT, Curves, read_curves, write_curves
from ua3dtalk.subject import Subject

VIEWS = ("audio", "lip_expression", "voice_style", "emotion")


def table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


FIVE = "jawOpen,eyeBlinkLeft,eyeBlinkRight,mouthClose,browInnerUp"


def test_names_are_arkit_s() -> None:
    assert len(ARKIT) == len(set(ARKIT)) == 52
    assert set(ARKIT) - set(NAMES) == {"tongueOut"} and set(NAMES) - set(ARKIT) == {"_neutral"}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((7, 52)).round(4)
    values[:, NAMES.index("_neutral")] = 0
    path = tmp_path / "c.csv"
    assert write_curves(path, [values[:3], values[3:]]) == 7
    assert path.read_text().splitlines()[0] == "time," + ",".join(ARKIT)
    assert read_curves(path) == pytest.approx(values, abs=1e-9)


def test_tables_of_capture_tools_are_read(tmp_path: Path) -> None:
    """Names with a capital, columns nobody asked for, missing ones."""
    path = table(tmp_path / "c.csv", "Timecode,EyeBlinkLeft,JawOpen,MouthClose,BrowInnerUp,TongueOut,CheekPuff",
                 "00:01,0.5,0.25,0,0,1,0", "00:02,0,0.75,0,0,0,0")  # fmt: skip
    found = read_curves(path)
    assert found[:, NAMES.index("jawOpen")].tolist() == [0.25, 0.75]
    assert found[0, NAMES.index("eyeBlinkLeft")] == 0.5 and found[:, NAMES.index("mouthLeft")].sum() == 0


def test_a_column_of_times_brings_any_rate_to_25(tmp_path: Path) -> None:
    rows = [f"{k / 60},{k / 60},0,0,0,0" for k in range(61)]
    found = read_curves(table(tmp_path / "c.csv", "time," + FIVE, *rows))
    assert found[:, NAMES.index("jawOpen")] == pytest.approx(np.arange(26) / 25, abs=1e-9)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("a,b", "1,2", "has columns such as jawOpen"),
        (FIVE, "", "has columns such as jawOpen"),
        (FIVE, "1,2,0,0,0", "go from 0 to 1, found 0 to 2"),
        (FIVE, "1,x,0,0,0", "column eyeBlinkLeft holds what is no number"),
        (FIVE, "1,,0,0,0", "no number"),
        (FIVE, "1,nan,0,0,0", "not finite"),
        ("time," + FIVE, "1,0,0,0,0,0\n1,0,0,0,0,0", "has to grow"),
    ],
)
def test_what_is_no_table_of_curves_is_one_line(tmp_path: Path, header: str, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_curves(table(tmp_path / "c.csv", header, row))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a table of curves"):
        read_curves(tmp_path / "none.csv")


def test_curves_move_lips_as_the_actor_does(linear: Subject) -> None:
    between = Curves(linear, VIEWS, 3)
    track = between.track(linear.expression.coefficients)
    truth = between._targets.values[:, 52:55]
    train = linear.train_frames
    for k in range(3):
        assert np.corrcoef(track.lips[train, k], truth[train, k])[0, 1] > 0.95
    assert track.lip_expression is not None and track.lip_expression.shape == (linear.frame_count, 64)
    assert track.emotion is not None and not track.emotion.any()


def test_only_views_of_the_head_are_driven(linear: Subject) -> None:
    track = Curves(linear, ("audio", "action_units"), 3).track(linear.expression.coefficients[:4])
    assert track.lip_expression is None and track.voice_style is None and track.emotion is None
    assert track.lips.shape == (4, 3) and track.action_units.shape == (4, 6)


def test_a_blink_stays_a_blink_there_and_back(linear: Subject) -> None:
    between = Curves(linear, ("audio", "action_units"), 3)
    low, high = linear.expression.coefficients[linear.train_frames].min(0), 1.0
    closed = np.repeat(low[None], 2, 0)
    lids = [NAMES.index("eyeBlinkLeft"), NAMES.index("eyeBlinkRight")]
    closed[1, lids] = high
    track = between.track(closed)
    assert track.action_units[:, 5].tolist() == [0, 5]
    back = between.coefficients(track)
    assert (back[1, lids] > back[0, lids] + 0.1).all()
