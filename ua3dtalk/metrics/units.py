"""AUE: error of action units, in blendshapes or in OpenFace's intensities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.reading import reading, table_rows

# Blendshapes by the half of the face that they move; gaze (eyeLook...) belongs to no action unit of the metric.
UPPER_PREFIXES = ("brow", "eyeBlink", "eyeSquint", "eyeWide")
LOWER_PREFIXES = ("jaw", "mouth", "cheek", "noseSneer")
OPENFACE_UPPER = (1, 2, 4, 5, 6, 7, 9, 45)
OPENFACE_LOWER = (10, 12, 14, 15, 17, 20, 23, 25, 26)


def squared_error(units: np.ndarray, truth: np.ndarray) -> float:
    """Sum over units of the mean squared difference over frames, of two arrays [n, U].

    Source: the field's auerror script; there the units are OpenFace's intensities 0..5.
    """
    return float(((units.astype(np.float64) - truth) ** 2).mean(axis=0).sum())


def blendshape_error(shapes: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """AUE with the landmarker's blendshapes (0..1) as units: `aue`, `aue_upper`, `aue_lower`.

    Args:
        shapes, truth: [n, 52].
        names: of the 52 columns.
    """
    upper = [k for k, name in enumerate(names) if name.startswith(UPPER_PREFIXES)]
    lower = [k for k, name in enumerate(names) if name.startswith(LOWER_PREFIXES)]
    errors = {"upper": squared_error(shapes[:, upper], truth[:, upper])}
    errors["lower"] = squared_error(shapes[:, lower], truth[:, lower])
    return {"aue": sum(errors.values()), "aue_upper": errors["upper"], "aue_lower": errors["lower"]}


def read_openface(path: Path) -> dict[int, np.ndarray]:
    """Intensities of OpenFace's FeatureExtraction by the number of the action unit: {1: [n], 2: [n], ...}."""
    with reading(path, "run FeatureExtraction with -aus", InputError, "a csv of OpenFace's FeatureExtraction"):
        rows = table_rows(path)
        header = [name.strip() for name in next(rows, [])]
        columns = {name: k for k, name in enumerate(header) if name.startswith("AU") and name.endswith("_r")}
        values = np.array([[float(row[k]) for k in columns.values()] for row in rows if row])
        if not np.isfinite(values).all():
            raise ValueError("a value is not finite")
        units = {int(name[2:-2]): column for name, column in zip(columns, values.T, strict=True)} if len(values) else {}
    missing = [f"AU{unit:02d}_r" for unit in (*OPENFACE_UPPER, *OPENFACE_LOWER) if unit not in units]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: run FeatureExtraction with -aus")
    return units


def openface_error(units: Mapping[int, np.ndarray], truth: Mapping[int, np.ndarray]) -> dict[str, float]:
    """AUE of two read csv files of one length: `aue_openface`, and its halves `aue_openface_upper`, `..._lower`."""
    figures: dict[str, float] = {}
    for half, numbers in (("upper", OPENFACE_UPPER), ("lower", OPENFACE_LOWER)):
        first, second = (np.stack([table[number] for number in numbers], axis=1) for table in (units, truth))
        if len(first) != len(second):
            raise InputError(
                f"OpenFace's csv files have {len(first)} and {len(second)} rows: they must cover one video"
            )
        figures[f"aue_openface_{half}"] = squared_error(first, second)
    return {"aue_openface": sum(figures.values()), **figures}
