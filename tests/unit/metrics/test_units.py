"""AUE against its definition, in blendshapes and from OpenFace's tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.metrics.units import (
    OPENFACE_LOWER,
    OPENFACE_UPPER,
    blendshape_error,
    openface_error,
    read_openface,
    squared_error,
)

UNITS = sorted({*OPENFACE_UPPER, *OPENFACE_LOWER})


def write_table(path: Path, values: np.ndarray, separator: str = ", ") -> Path:
    header = ["frame", "confidence", *(f"AU{unit:02d}_r" for unit in UNITS), "AU01_c"]
    lines = [separator.join(header)]
    lines += [separator.join([str(k + 1), "0.98", *(f"{v:.4f}" for v in row), "1"]) for k, row in enumerate(values)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_sum_over_units_of_mean_squares() -> None:
    first, second = np.random.default_rng(0).uniform(0, 5, (2, 7, 3))
    expected = sum(sum((a - b) ** 2 for a, b in zip(first[:, u], second[:, u], strict=True)) / 7 for u in range(3))
    assert squared_error(first, second) == pytest.approx(expected)


def test_halves_of_the_face_add_up_and_gaze_stays_out() -> None:
    names = ["_neutral", "browInnerUp", "eyeBlinkLeft", "eyeLookInLeft", "jawOpen", "mouthSmileLeft", "noseSneerLeft"]
    shapes = np.zeros((4, 7))
    moved = shapes + np.array([0.9, 0.1, 0.2, 0.9, 0.3, 0.4, 0.5])
    errors = blendshape_error(moved, shapes, names)
    assert errors["aue_upper"] == pytest.approx(0.1**2 + 0.2**2)
    assert errors["aue_lower"] == pytest.approx(0.3**2 + 0.4**2 + 0.5**2)
    assert errors["aue"] == pytest.approx(errors["aue_upper"] + errors["aue_lower"])


@pytest.mark.parametrize("separator", [",", ", "])
def test_openface_tables_with_and_without_spaces(tmp_path: Path, separator: str) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0, 5, (2, 9, len(UNITS))).round(4)
    errors = openface_error(
        read_openface(write_table(tmp_path / "a.csv", first, separator)),
        read_openface(write_table(tmp_path / "b.csv", second, separator)),
    )
    means = dict(zip(UNITS, ((first - second) ** 2).mean(axis=0), strict=True))
    assert errors["aue_openface_upper"] == pytest.approx(sum(means[unit] for unit in OPENFACE_UPPER))
    assert errors["aue_openface"] == pytest.approx(sum(means.values()))
    assert errors["aue_openface_lower"] == pytest.approx(sum(means[unit] for unit in OPENFACE_LOWER))


def test_tables_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="as a csv of OpenFace"):
        read_openface(tmp_path / "missing.csv")
    (tmp_path / "short.csv").write_text("frame, AU01_r\n1, 0.5\n")
    with pytest.raises(InputError, match="lacks AU02_r"):
        read_openface(tmp_path / "short.csv")
    (tmp_path / "words.csv").write_text("frame, AU01_r\n1, high\n")
    with pytest.raises(InputError, match="as a csv of OpenFace"):
        read_openface(tmp_path / "words.csv")
    long = read_openface(write_table(tmp_path / "a.csv", np.zeros((9, len(UNITS)))))
    short = read_openface(write_table(tmp_path / "b.csv", np.zeros((8, len(UNITS)))))
    with pytest.raises(InputError, match="9 and 8 rows"):
        openface_error(long, short)
