"""What the audio code of each frame is: the actor's main lip shapes, read from speech.

The shapes are the opening of the mouth and principal components of what else the training frames' lips do. A kernel
ridge regression reads them from the speech; penalty and gain of each are chosen by cross-validation over blocks of
time. Training frames are driven by their true shapes, held-out and new speech by the read ones, so the picture learns
from the mouth that it shows while the reader answers for what speech does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.errors import DataError
from ua3dtalk.face.lips import lip_coefficients
from ua3dtalk.field.conditioners import LipReader
from ua3dtalk.reading import reading
from ua3dtalk.rendering.controls import speech_windows
from ua3dtalk.rendering.head import build_reader
from ua3dtalk.speech.priors.blocks import BLOCKS, GAP, LEAST_CORRELATION
from ua3dtalk.speech.priors.hearing import evenly, window_axes
from ua3dtalk.speech.priors.kernel import gaussian_kernel, typical_spread
from ua3dtalk.speech.windows import MEL_PER_FRAME, heard_alone
from ua3dtalk.subject import TOKENS_PER_FRAME, Subject
from ua3dtalk.tensors import read_tensors, write_tensors
from ua3dtalk.training.settings import AudioSettings

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
COMPONENTS = 256  # of the windows, enough to tell them apart
SUPPORTS = 2000  # training windows at most, evenly taken: time and size stay bounded
WIDTH = 1.5  # spread of the kernel in median squared distances between training windows


@dataclass(frozen=True)
class Listening:
    """teacher [T, K] true coefficients, read [T, K] from speech; correlation [K] on validation blocks."""

    reader: LipReader
    teacher: np.ndarray
    read: np.ndarray
    correlation: np.ndarray


def window_weights(subject: Subject, settings: AudioSettings) -> np.ndarray:
    """Weight [F] of each input so that tokens together count 1 and mel together `mel_weight`."""
    tokens = (2 * settings.radius + 1) * TOKENS_PER_FRAME * subject.speech.features.shape[1]
    mel = (2 * settings.radius + 1) * MEL_PER_FRAME * subject.speech.mel.shape[1]
    return np.concatenate([np.full(tokens, tokens**-0.5), np.full(mel, settings.mel_weight * mel**-0.5)])


def fit_listening(subject: Subject, settings: AudioSettings) -> Listening:
    """Fit lip shapes and their reader on the training frames.

    Raises:
        DataError: fewer usable training frames than the regression needs.
    """
    frames = np.arange(subject.frame_count)
    train = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    heard = heard_alone(train, subject.clips, settings.radius)
    if len(heard) < 2 * BLOCKS + 2 * GAP:
        raise DataError(
            f"{subject.root}: {len(heard)} training frames show a face, at least {2 * BLOCKS + 2 * GAP} are needed: "
            "give a longer clip"
        )
    teacher = lip_coefficients(subject, train, settings.mouth_coefficients)
    windows = speech_windows(subject.speech, subject.clips, frames, settings.radius)
    mean, deviation = windows[heard].mean(0), windows[heard].std(0) + 1e-6
    scale = window_weights(subject, settings) / deviation
    inputs = (windows - mean) * scale
    supports = evenly(heard, SUPPORTS)
    axes = window_axes(inputs[supports], COMPONENTS)
    projected = inputs @ axes
    spread = typical_spread(projected[supports], WIDTH)
    near = gaussian_kernel(projected, projected[supports], spread)
    dual, bias, correlation = cross_validated_ridge(near[supports], teacher[supports])
    reader = LipReader(len(mean), axes.shape[1], len(supports), settings.mouth_coefficients, settings.radius)
    values = {
        "mean": mean,
        "projection": scale[:, None] * axes,
        "supports": projected[supports],
        "spread": np.array(spread),
        "weights": dual,
        "bias": bias,
    }
    for name, value in values.items():
        getattr(reader, name).copy_(torch.from_numpy(value))
    read = near @ dual + bias
    return Listening(reader, teacher.astype(np.float32), read.astype(np.float32), correlation)


def cross_validated_ridge(kernel: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ridge regression in its dual form, penalty and gain of each target by blocks of time.

    Args:
        kernel: [n, n] of the inputs in order of time; targets: [n, K].
    Returns:
        dual weights [n, K] (prediction = kernel(new, inputs) @ dual + bias), bias [K], and the correlation [K] of the
        blocks' predictions with the truth.

    Each target's gain makes the blocks' squared error smallest. The first one's, the opening's, also undoes half of
    the shrinking (in logarithms) that a regression towards the mean brings: a mouth that opens too little looks wrong
    before its error grows. Targets that speech does not tell get no weight.
    """
    n = len(kernel)
    predicted = np.zeros((len(PENALTIES), *targets.shape))
    for block in np.array_split(np.arange(n), BLOCKS):
        near = (np.arange(n) >= block[0] - GAP) & (np.arange(n) <= block[-1] + GAP)
        rest = np.flatnonzero(~near)
        for index, solution in enumerate(ridge_path(kernel[np.ix_(rest, rest)], targets[rest])):
            predicted[index, block] = kernel[np.ix_(block, rest)] @ solution + targets[rest].mean(0)
    best = ((predicted - targets) ** 2).mean(1).argmin(0)
    columns = np.arange(targets.shape[1])
    chosen = predicted[best, :, columns].T
    residual = chosen - chosen.mean(0)
    covariance = (residual * (targets - targets.mean(0))).mean(0)
    slope = np.clip(covariance / (residual.var(0) + 1e-12), 0, 1.5)
    correlation = covariance / (residual.std(0) * targets.std(0) + 1e-12)
    gain = np.where(correlation > LEAST_CORRELATION, slope, 0)
    gain[:1] /= np.sqrt(np.clip(correlation[:1], LEAST_CORRELATION, 1))
    solutions = np.stack(list(ridge_path(kernel, targets)))
    dual = solutions[best, :, columns].T * gain
    return dual, targets.mean(0), correlation


def ridge_path(kernel: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """Dual solutions [n, K] for every penalty, from one eigendecomposition."""
    values, vectors = np.linalg.eigh(kernel)
    rotated = vectors.T @ (targets - targets.mean(0))
    return [vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None]) for penalty in PENALTIES]


def save_listening(listening: Listening, out: Path, state: str) -> None:
    """Write reader, teacher and read coefficients as safetensors."""
    tensors = {f"reader.{key}": value for key, value in listening.reader.state_dict().items()}
    tensors |= {
        "teacher": torch.from_numpy(listening.teacher),
        "read": torch.from_numpy(listening.read),
        "correlation": torch.from_numpy(listening.correlation.astype(np.float32)),
    }
    write_tensors(out, tensors, {"state": state})


def load_listening(path: Path) -> Listening:
    """Read what `save_listening` wrote."""
    with reading(path):
        tensors, _ = read_tensors(path)
        reader = build_reader(
            {key.removeprefix("reader."): value for key, value in tensors.items() if key.startswith("reader.")}
        )
        return Listening(reader, tensors["teacher"].numpy(), tensors["read"].numpy(), tensors["correlation"].numpy())
