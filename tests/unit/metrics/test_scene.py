"""The form that all groups of figures share."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ua3dtalk.metrics.scene import Reading, Scene, entries, write_table

COUNT = 5


@dataclass(frozen=True)
class Plain:
    """A row of grey frames, as bright as their number."""

    name: str
    codec: str = "none"
    driven_by: tuple[str, ...] = ("audio", "pose")

    def frames(self) -> Iterator[np.ndarray]:
        for k in range(COUNT):
            yield np.full((6, 8, 3), k, np.uint8)


ROWS = (Plain("truth"), Plain("ours"), Plain("truth", "h264"), Plain("ours", "h264"))


def scene() -> Scene:
    face = np.tile([2, 1, 4], (COUNT, 1))
    whole = np.tile([0, 0, 8, 6], (COUNT, 1))
    return Scene(ROWS, np.arange(10, 10 + COUNT), (), {"frame": whole, "face": face}, np.zeros((COUNT, 4)), 25.0)


def test_rows_are_read_in_step_and_only_as_far_as_needed() -> None:
    read = [(k, [int(frame[0, 0, 0]) for frame in frames]) for k, frames in scene().in_step([3, 1])]
    assert read == [(1, [1] * 4), (3, [3] * 4)]
    assert [k for k, _ in scene().in_step()] == list(range(COUNT))
    assert list(scene().in_step([])) == []


def test_regions_are_cut_by_square_or_rectangle() -> None:
    frame = np.arange(6 * 8 * 3).reshape(6, 8, 3)
    assert scene().cut("frame", 0, frame).shape == (6, 8, 3)
    assert (scene().cut("face", 0, frame) == frame[1:5, 2:6]).all()


def test_a_row_is_compared_with_the_truth_after_the_same_codec() -> None:
    assert [scene().truth_of(k) for k in range(4)] == [0, 0, 0, 2]


def test_uncompressed_rows_come_first_and_figures_of_no_region_stand_in_both() -> None:
    readings = [
        Reading(1, "face", {"psnr": 30.123456789}),
        Reading(1, None, {"lmd_px": None}),
        Reading(3, "frame", {"n": 4}),
    ]
    found = entries(scene(), readings)
    assert [(row["codec"], row["region"], row["name"]) for row in found] == [
        (codec, region, name)
        for codec in ("none", "h264")
        for region in ("frame", "face")
        for name in ("truth", "ours")
    ]
    assert "psnr" not in found[1] and found[1]["lmd_px"] is None
    assert found[3]["psnr"] == 30.1235 and found[3]["lmd_px"] is None
    assert found[5]["n"] == 4


def test_the_table_has_a_line_for_each_frame_and_is_empty_where_nothing_was_computed(tmp_path: Path) -> None:
    values = np.array([1.5, np.nan, np.inf, 2.25, 1e-9])
    write_table(
        tmp_path / "t.csv", scene(), [Reading(1, "face", {}, {"psnr": values}), Reading(1, None, {}, {"aue": values})]
    )
    with (tmp_path / "t.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 4 * 2 * COUNT
    ours = [line for line in lines if (line["name"], line["codec"], line["region"]) == ("ours", "none", "face")]
    assert [line["frame"] for line in ours] == ["10", "11", "12", "13", "14"]
    assert [line["psnr"] for line in ours] == [line["aue"] for line in ours] == ["1.5", "", "", "2.25", "1e-09"]
    assert ours[0]["driven_by"] == "audio+pose"
    frame = [line for line in lines if (line["name"], line["region"]) == ("ours", "frame")]
    assert {line["psnr"] for line in frame} == {""}
