"""How figures are read, and rows as tables."""

from __future__ import annotations

import math

import pytest

from ua3dtalk.report.figures import GROUPS, READINGS, is_end, merit, reading_of, shown
from ua3dtalk.report.tables import figure_line, figure_tables


def test_a_variant_is_said_and_the_longest_name_counts() -> None:
    assert reading_of("lpips_vgg").unit == "vgg"
    assert reading_of("st_lpips_vgg").title == "ST-LPIPS" and reading_of("st_lpips_vgg").unit == "vgg"
    found = reading_of("efid_blendshapes52_n126")
    assert (found.title, found.unit, found.better) == ("E-FID", "blendshapes52 n126", "down")
    assert reading_of("sync_local_confidence").better == "up", "its own line before the one with *"


def test_a_figure_that_nobody_described_is_shown_under_its_name() -> None:
    found = reading_of("a_figure_of_tomorrow")
    assert found.title == "a figure of tomorrow" and found.better is None and found.group in GROUPS


def test_every_reading_has_a_group_and_one_sentence() -> None:
    for key, reading in READINGS.items():
        assert reading.group in GROUPS and reading.meaning.endswith("."), key


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (26.364, 2, "26.36"), (-0.0393, 2, "−0.04"), (None, 2, "–"), (math.nan, 2, "–"), (math.inf, 1, "–"),
        (0.0, 3, "0.000"), (0.00004, 3, "4e−05"), (-0.0032, 2, "−0.003"), (126, 0, "126"), (True, 2, "True"),
        ("h264", 2, "h264"), ([0.5, 1], 1, "0.5, 1.0"),
    ],
)  # fmt: skip
def test_figures_as_text(value: object, decimals: int, text: str) -> None:
    assert shown(value, decimals) == text


def test_merit_goes_the_right_way() -> None:
    assert merit(2, "up") > merit(1, "up") and merit(2, "down") < merit(1, "down")  # type: ignore[operator]
    assert merit(1.1, "one") > merit(0.8, "one") and merit(-3, "zero") > merit(5, "zero")  # type: ignore[operator]
    assert merit(14, "truth", 15) > merit(12, "truth", 15)  # type: ignore[operator]
    assert merit(14, "truth", None) is None and merit(None, "up") is None and merit(3, None) is None
    assert merit(True, "up") is None and merit(math.inf, "up") is None


def test_the_best_is_marked_but_never_the_truth() -> None:
    line = figure_line("lmd_px", [0.0, 1.2, 1.5, None], ["truth", "ours", "opponent", "opponent"])
    assert [cell.best for cell in line.cells] == [False, True, False, False]
    assert [cell.text for cell in line.cells] == ["0.00", "1.20", "1.50", "–"]


def test_a_tie_at_what_is_shown_marks_both_and_equal_rows_mark_none() -> None:
    tie = figure_line("psnr", [30.001, 30.002, 29], ["ours", "ours", "opponent"])
    assert [cell.best for cell in tie.cells] == [True, True, False]
    equal = figure_line("psnr", [30.0, 30.0], ["ours", "opponent"])
    assert not any(cell.best for cell in equal.cells)
    alone = figure_line("psnr", [None, 30.0], ["truth", "ours"])
    assert not any(cell.best for cell in alone.cells)


def test_tables_by_region_and_codec() -> None:
    rows = [
        {"name": name, "region": region, "codec": codec, "driven_by": ["audio"] * (name == "ours"), "psnr": 30.0}
        for codec in ("none", "h264")
        for region in ("frame", "face")
        for name in ("truth", "ours")
    ]
    tables = figure_tables(rows)
    assert [table.title for table in tables] == [
        "Face crop", "Face crop, after H.264", "Whole frame", "Whole frame, after H.264",
    ]  # fmt: skip
    assert [column.kind for column in tables[0].columns] == ["truth", "ours"]
    assert tables[0].columns[1].driven_by == "audio"


def test_rows_of_before_there_were_codecs() -> None:
    (table,) = figure_tables([{"name": "ours", "region": "face", "driven_by": [], "psnr": 1.0}])
    assert table.title == "Face crop"


def test_ends_of_an_interval_stand_in_the_figures_cell() -> None:
    row = {"name": "ours", "region": "face", "driven_by": [], "efid_x": 0.5, "efid_x_low": 0.4, "efid_x_high": 0.75}
    (table,) = figure_tables([row])
    lines = [line for _, lines in table.groups for line in lines]
    assert [line.key for line in lines] == ["efid_x"]
    assert lines[0].cells[0].interval == "0.400 to 0.750"


def test_lowest_and_highest_of_another_figure_are_no_interval() -> None:
    assert not is_end("mouth_opening_low", {"mouth_opening_low", "mouth_opening_high"})
    assert is_end("efid_high", {"efid"})
