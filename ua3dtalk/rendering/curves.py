"""Blendshape curves: a head that 52 named coefficients drive, and the coefficients of what a voice drives.

Curves are a csv with a header of ARKit's names in any order and one row for each frame, 25 a second, values 0..1, as
capture tools write them; other columns are left alone. With a column `time` in seconds, rows may come at any rate.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.face.basis import NAMES
from ua3dtalk.face.expression import UNITS, action_units, unit_range
from ua3dtalk.reading import reading, table_rows
from ua3dtalk.rendering.controls import Track, told
from ua3dtalk.speech.priors.targets import expression_targets
from ua3dtalk.subject import ACTION_UNITS, FPS, LIPS_IN_EXPRESSION, Subject
from ua3dtalk.workflow import atomic

# ARKit's own order. No landmarker sees the tongue: it is written as 0 and not read.
ARKIT = (
    *(f"eye{what}{side}" for side in ("Left", "Right") for what in
      ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")),
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    *(f"mouth{what}{side}" for what in ("Smile", "Frown", "Dimple", "Stretch") for side in ("Left", "Right")),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    *(f"mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
HOW = "a table of curves has columns such as jawOpen and eyeBlinkLeft, and rows of numbers below them"
LONGEST = 6 * 3600.0  # s of a table with times: a time of 1e12 would stand for as many rows
FEWEST = 5  # names of which a table has to have some, to be taken for curves
PENALTY = 1e-2  # of the ridge regression between coefficients and lip shapes, per frame


def read_curves(path: Path) -> np.ndarray:
    """Coefficients [T, 52] in the landmarker's order, 25 frames a second; what a table does not name is 0.

    Raises:
        InputError: one line that says what is wrong and where.
    """
    with reading(path, HOW, InputError, "a table of curves"):
        rows = table_rows(path)
        header = {word.strip().lower(): column for column, word in enumerate(next(rows, []))}
        known = {name: header[name.lower()] for name in NAMES if name.lower() in header}
        chosen = {**known, **({"time": header["time"]} if "time" in header else {})}
        found = [_numbers(row, chosen, line) for line, row in enumerate(rows, 2) if row and known]
    if len(known) < FEWEST or not found:
        raise InputError(f"{path}: {HOW}")
    table = np.stack(found)
    values = np.zeros((len(table), len(NAMES)))
    values[:, [NAMES.index(name) for name in known]] = table[:, : len(known)]
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"{path}: coefficients go from 0 to 1, found {values.min():g} to {values.max():g}")
    if "time" not in header:
        return values
    times = table[:, -1]
    if (np.diff(times) <= 0).any():
        raise InputError(f"{path}: the column time has to grow from row to row")
    if times[-1] - times[0] > LONGEST:
        raise InputError(f"{path}: the column time spans {times[-1] - times[0]:g} s, more than {LONGEST:g}: cut it")
    shown = np.arange(times[0], times[-1] + 1e-6, 1 / FPS)
    return np.stack([np.interp(shown, times, column) for column in values.T], 1)


def _numbers(row: Sequence[str], columns: Mapping[str, int], line: int) -> np.ndarray:
    """Numbers of some columns of a row, float64.

    Raises:
        ValueError: one is missing, no number, or not finite.
    """
    found = np.empty(len(columns))
    for place, (name, column) in enumerate(columns.items()):
        try:
            found[place] = float(row[column])
        except (IndexError, ValueError) as error:
            raise ValueError(f"row {line}: column {name} holds what is no number") from error
        if not math.isfinite(found[place]):
            raise ValueError(f"row {line}: column {name} holds a value that is not finite")
    return found


def write_curves(path: Path, curves: Iterable[np.ndarray]) -> int:
    """Write blocks of coefficients [n, 52] in the landmarker's order as a table in ARKit's; returns the frames."""
    order = [NAMES.index(name) if name in NAMES else None for name in ARKIT]
    frame = 0
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *ARKIT])
        for block in curves:
            for row in block:
                values = ["0" if k is None else f"{row[k]:.4f}" for k in order]
                writer.writerow([f"{frame / FPS:.2f}", *values])
                frame += 1
    return frame


class Curves:
    """Between an actor's coefficients and what drives its head; ranges and regressions are of the training frames.

    train: training frames [n] that show a face.
    """

    def __init__(self, subject: Subject, views: Sequence[str], lips: int) -> None:
        self.subject, self.views, self.lips = subject, views, lips
        self.train = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
        self._targets = expression_targets(subject, self.train)
        self._own = subject.expression.coefficients
        shapes = self._targets.values[self.train, LIPS_IN_EXPRESSION:]
        self._to_lips = _ridge(self._own[self.train], shapes)
        self._from_lips = _ridge(shapes[:, :lips], self._own[self.train])

    def lip_shapes(self, coefficients: np.ndarray) -> np.ndarray:
        """Lip shapes [T, 12] of coefficients [T, 52], in standard deviations."""
        return _predicted(self._to_lips, coefficients)

    def units(self, coefficients: np.ndarray) -> np.ndarray:
        """Action units [T, 6] of coefficients [T, 52], by the ranges of the actor's own."""
        together = np.concatenate([self._own, coefficients])
        return action_units(together, self.train)[len(self._own) :]

    def standard(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients [T, 52] in standard deviations from the actor's mean, as the priors have them."""
        found: np.ndarray = (coefficients - self._targets.mean[:LIPS_IN_EXPRESSION]) / self._deviation
        return found

    def track(self, coefficients: np.ndarray) -> Track:
        """What drives the frames of coefficients [T, 52]."""
        count = len(coefficients)
        shapes, units = self.lip_shapes(coefficients), self.units(coefficients)
        expression = style = emotion = novelty = None
        if "lip_expression" in self.views:
            expression = told(self.subject, np.hstack([self.standard(coefficients), shapes]))
            novelty = np.ones(count)
        if "voice_style" in self.views:
            style = np.repeat(self.subject.priors.voice_style[self.train].mean(0, keepdims=True), count, 0)
        if "emotion" in self.views:  # the actor's usual one
            emotion = np.zeros((count, self.subject.emotion.embedding.shape[1]), np.float32)
        return Track(shapes[:, : self.lips].astype(np.float32), units, expression, style, emotion, novelty)

    def coefficients(self, track: Track) -> np.ndarray:
        """Coefficients [T, 52] in 0..1 of what drives frames: lips as speech tells them, lids and brows as units."""
        if track.lip_expression is not None:
            told_of = track.lip_expression[:, :LIPS_IN_EXPRESSION]
            found = self._targets.mean[:LIPS_IN_EXPRESSION] + self._deviation * told_of
        else:
            found = _predicted(self._from_lips, track.lips)
        for column, unit in enumerate(ACTION_UNITS):
            names = [NAMES.index(name) for name in UNITS[unit][0] if not name.startswith("mouth")]
            score = self._own[self.train][:, [NAMES.index(name) for name in UNITS[unit][0]]].mean(1)
            rest, width = unit_range(score, unit)
            found[:, names] = (rest + width * track.action_units[:, column, None] / 5).astype(found.dtype)
        return np.clip(found, 0, 1)

    @property
    def _deviation(self) -> np.ndarray:
        return self._targets.deviation[:LIPS_IN_EXPRESSION]


def _ridge(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of inputs [n, C] and targets [n, D], and weights [C, D] between what is off them."""
    a, b = inputs.mean(0), targets.mean(0)
    x = inputs - a
    penalty = PENALTY * len(x) * max(float(x.var(0).mean()), 1e-9)
    return a, b, np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (targets - b))


def _predicted(ridge: tuple[np.ndarray, np.ndarray, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    a, b, weights = ridge
    found: np.ndarray = b + (inputs - a) @ weights
    return found
