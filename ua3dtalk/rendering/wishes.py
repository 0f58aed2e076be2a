"""What is asked for in words: emotions (one, a blend, or key frames over time) and whose manner of speaking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os.path import exists
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.reading import read_yaml

TIME_LINES = (".yaml", ".yml")
LATEST = 1e6  # s; yaml may hold whole numbers that no float can
STRONGEST = 1.5  # beyond what the actor has shown, and as far as a face may be stretched
HOW = f"give label:strength, joined by commas, each strength from 0 to {STRONGEST}, a .yaml of key frames, or a clip"


@dataclass(frozen=True)
class Wish:
    """Key frames of emotions: times [K] s, ascending; strengths [K, L] of the labels (1: as the actor showed it)."""

    labels: tuple[str, ...]
    times: np.ndarray
    strengths: np.ndarray

    def at(self, seconds: np.ndarray) -> dict[str, np.ndarray]:
        """Strength [n] of each label at times [n] s: straight between key frames, constant before and after."""
        return {
            label: np.interp(seconds, self.times, self.strengths[:, k]).astype(np.float32)
            for k, label in enumerate(self.labels)
        }


def parse_wish(text: str | None) -> Wish | None:
    """`happy`, `happy:0.8`, `happy:0.6,angry:0.3`, the path of a time line, or nothing.

    Raises:
        InputError: one line for whatever cannot be meant.
    """
    if text is None:
        return None
    if Path(text).suffix.lower() in TIME_LINES:
        return read_time_line(Path(text))
    found: dict[str, float] = {}
    for part in text.split(","):
        label, _, strength = part.partition(":")
        if not label or label in found:
            raise InputError(f"--emotion {text}: {HOW}")
        found[label] = _strength(strength or 1.0, f"--emotion {text}")
    return _wish([(0.0, found)], f"--emotion {text}")


def read_time_line(path: Path) -> Wish:
    """Key frames of a yaml file: a list of `{at: seconds, label: strength, ...}`; a label that is not named is at 0."""
    rows = read_yaml(path, "give a list of key frames such as {at: 0, happy: 0.8}", InputError, "a time line")
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: a time line is a list of key frames such as {{at: 0, happy: 0.8}}")
    return _wish([_key_frame(path, number, row) for number, row in enumerate(rows, 1)], str(path))


def _key_frame(path: Path, number: int, row: Any) -> tuple[float, dict[str, float]]:
    where = f"{path}: key frame {number}"
    if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
        raise InputError(f"{where} is no mapping such as {{at: 0, happy: 0.8}}")
    at = row.get("at")
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at <= LATEST:
        raise InputError(f"{where} needs `at`, its time in seconds from 0 on")
    return float(at), {label: _strength(value, where) for label, value in row.items() if label != "at"}


def _strength(value: Any, where: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if isinstance(value, bool) or not 0 <= found <= STRONGEST:
        raise InputError(f"{where}: {HOW}")
    return found


def _wish(rows: Sequence[tuple[float, dict[str, float]]], where: str) -> Wish:
    for (before, _), (after, _) in pairwise(rows):
        if after <= before:
            raise InputError(f"{where}: key frames at {before:g} and {after:g} s: times must grow")
    for at, row in rows:
        if sum(row.values()) > STRONGEST:
            raise InputError(f"{where}: strengths at {at:g} s add up to more than {STRONGEST}: lower them")
    labels = tuple(dict.fromkeys(label for _, row in rows for label in row))
    if not labels:
        raise InputError(f"{where}: no emotion is named: {HOW}")
    strengths = np.array([[row.get(label, 0.0) for label in labels] for _, row in rows])
    return Wish(labels, np.array([at for at, _ in rows]), strengths)


def parse_style(text: str) -> tuple[str, float]:
    """`clip.mp4` or `clip.mp4:0.7` as the guest and the strength.

    Raises:
        InputError: the strength is out of range.
    """
    name, strength = _split(text)
    if not 0 <= strength <= STRONGEST:
        raise InputError(f"--style {text}: the strength goes from 0 to {STRONGEST:g}")
    return name, strength


def parse_example(text: str) -> tuple[str, float] | None:
    """A clip or folder that is there, and the strength, if an emotion is asked for by example.

    Raises:
        InputError: the strength is out of range, or a file is named that is not there.
    """
    name, strength = _split(text)
    kind = Path(name).suffix.lower()
    if kind in TIME_LINES or not exists(name):
        if kind[1:].isalnum() and not kind[1:].isdigit() and kind not in TIME_LINES:
            raise InputError(f"--emotion {text}: no file {name} (looked from {Path.cwd()}): correct the path")
        return None
    if not 0 <= strength <= STRONGEST:
        raise InputError(f"--emotion {text}: the strength goes from 0 to {STRONGEST:g}")
    return name, strength


def _split(text: str) -> tuple[str, float]:
    """What stands before the last colon and the number behind it; all and 1 without."""
    name, colon, number = text.rpartition(":")
    try:
        return (name, float(number)) if colon else (text, 1.0)
    except ValueError:
        return text, 1.0
