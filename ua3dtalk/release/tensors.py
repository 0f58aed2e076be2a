"""The tensors and tables that the released loader reads beside the pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.errors import DataError
from ua3dtalk.subject import ACTION_UNITS, FPS, TOKENS_PER_FRAME, Clip, Subject

LETTERS = 29  # width of DeepSpeech's tokens, fixed in the released nets
WINDOW = 16  # tokens
SPLITS = ("train", "val")

# File by file: its name, the array of the bundle, and the shape of one frame's row.
CONDITIONS = {
    "{split}_auds_exp.pth": ("priors.npz: lip_expression", (64,)),
    "{split}_audiostyle.pth": ("priors.npz: voice_style", (64,)),
    "mser_emotion_{split}.pth": ("emotion.npz: embedding", (1, 128)),
}


def conditions(subject: Subject) -> dict[str, torch.Tensor]:
    """The six tensors by file name: float32 on the CPU, rows in the order of the split's frames.

    Errors: DataError when an array of the bundle does not have a row for every frame.
    """
    arrays = {
        "priors.npz: lip_expression": subject.priors.lip_expression,
        "priors.npz: voice_style": subject.priors.voice_style,
        "emotion.npz: embedding": subject.emotion.embedding,
    }
    found = {}
    for name, (array, row) in CONDITIONS.items():
        values = np.asarray(arrays[array], np.float32)
        if values.shape != (subject.frame_count, row[-1]) or not np.isfinite(values).all():
            raise DataError(
                f"{array} is {list(values.shape)} or not finite where [{subject.frame_count}, {row[-1]}] is needed: "
                "delete the file and run again"
            )
        for split, frames in zip(SPLITS, (subject.train_frames, subject.test_frames), strict=True):
            rows = values[frames].reshape(len(frames), *row)
            found[name.format(split=split)] = torch.from_numpy(rows.copy())
    return found


def speech_windows(tokens: np.ndarray, clips: tuple[Clip, ...]) -> np.ndarray:
    """Windows of speech in the layout of `aud_ds.npy`: float32 [T, 16, 29].

    Row i holds tokens 2 i - 8 .. 2 i + 7, silence (zeros) beyond its clip.

    Args:
        tokens: [2 T, 29].
    """
    width = tokens.shape[1]
    windows = np.zeros((len(tokens) // TOKENS_PER_FRAME, WINDOW, width), np.float32)
    half = WINDOW // 2
    for clip in clips:
        own = tokens[TOKENS_PER_FRAME * clip.first : TOKENS_PER_FRAME * clip.end].astype(np.float32)
        padded = np.pad(own, ((half, half), (0, 0)))
        starts = TOKENS_PER_FRAME * np.arange(clip.length)
        windows[clip.first : clip.end] = padded[starts[:, None] + np.arange(WINDOW)]
    return windows


def components(subject: Subject) -> np.ndarray:
    """The speech tokens' first 29 principal components over the training frames, unit variance: float32 [2 T, 29]."""
    tokens = subject.speech.features.astype(np.float32)
    train = (TOKENS_PER_FRAME * subject.train_frames[:, None] + np.arange(TOKENS_PER_FRAME)).ravel()
    mean = tokens[train].mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(tokens[train] - mean, rowvar=False))
    order = np.argsort(-values)[:LETTERS]
    scores = (tokens - mean) @ vectors[:, order] / np.sqrt(np.maximum(values[order], 1e-12))
    return np.pad(scores, ((0, 0), (0, LETTERS - scores.shape[1]))).astype(np.float32)


def action_unit_table(subject: Subject) -> dict[str, np.ndarray]:
    """Columns [T] of OpenFace's table that this project has: the six action units, and AU25 from the open mouth.

    AU25 only orders frames in the released curriculum: it is the mouth's opening between rest and its widest, 0..5.
    """
    units = subject.expression.action_units
    table = {f"{unit}_r": units[:, column] for column, unit in enumerate(ACTION_UNITS)}
    opening = subject.expression.mouth_opening
    rest, wide = np.percentile(opening[subject.train_frames], (10, 99.5))
    table["AU25_r"] = 5 * np.clip((opening - rest) / max(wide - rest, 1e-6), 0, 1)
    return dict(sorted(table.items()))


def write_action_units(path: Path, table: Mapping[str, np.ndarray], valid: np.ndarray) -> None:
    """OpenFace's csv: every column's name but the first begins with a space; row i is frame i."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", *(f" {name}" for name in ("face_id", "timestamp", "confidence", "success", *table))])
        for i, seen in enumerate(valid):
            row = [i + 1, 0, f"{i / FPS:.3f}", f"{float(seen):.2f}", int(seen)]
            writer.writerow([*row, *(f"{values[i]:.4f}" for values in table.values())])
