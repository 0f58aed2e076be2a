"""Emotions as they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.rendering.wishes import Wish, parse_wish


def at(wish: Wish | None, *seconds: float) -> dict[str, list[float]]:
    assert wish is not None
    return {label: values.astype(float).round(6).tolist() for label, values in wish.at(np.array(seconds)).items()}


@pytest.mark.parametrize(
    ("text", "strengths"),
    [
        ("happy", {"happy": [1.0]}),
        ("happy:0.8", {"happy": [0.8]}),
        ("sad:0", {"sad": [0.0]}),
        ("happy:0.6,angry:0.3", {"happy": [0.6], "angry": [0.3]}),
    ],
)
def test_words(text: str, strengths: dict[str, list[float]]) -> None:
    assert at(parse_wish(text), 3.0) == strengths
    assert parse_wish(None) is None


def test_a_time_line_is_straight_between_its_key_frames(tmp_path: Path) -> None:
    path = tmp_path / "line.yaml"
    path.write_text("- {at: 1, happy: 0.8}\n- {at: 3, angry: 1}\n")
    assert at(parse_wish(str(path)), 0, 1, 2, 3, 9) == {
        "happy": [0.8, 0.8, 0.4, 0.0, 0.0],
        "angry": [0.0, 0.0, 0.5, 1.0, 1.0],
    }


@pytest.mark.parametrize(
    "text", ["happy:2", "happy:-1", "happy:much", ":1", "happy:nan", "happy:1:1", "a,a", "a:1,b:1"]
)
def test_words_that_cannot_be_meant_are_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"strength") as caught:
        parse_wish(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a time line is a list"),
        ("happy: 1", "a time line is a list"),
        ("- 3", "key frame 1 is no mapping"),
        ("- {happy: 1}", "key frame 1 needs `at`"),
        ("- {at: -1, happy: 1}", "key frame 1 needs `at`"),
        ("- {at: 0, happy: loud}", "key frame 1: give label:strength"),
        ("- {at: 0, happy: true}", "key frame 1: give label:strength"),
        ("- {at: 2, happy: 1}\n- {at: 1, happy: 1}", "times must grow"),
        ("- {at: 0, happy: 1, sad: 1}", "add up to more than 1.5"),
        ("- {at: 0}", "no emotion is named"),
        ("a: [", "cannot be read as a time line"),
        ("- {at: 1" + 400 * "0" + ", happy: 1}", "needs `at`"),
        ("- {at: 0, happy: 1" + 400 * "0" + "}", "strength"),
    ],
)
def test_time_lines_that_cannot_be_meant_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "line.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        parse_wish(str(path))
    assert "\n" not in str(caught.value)


def test_a_time_line_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a time line"):
        parse_wish(str(tmp_path / "none.yaml"))
