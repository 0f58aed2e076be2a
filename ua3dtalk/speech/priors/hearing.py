"""How the lip expert hears: principal components of tokens and mel around a frame, near ones louder than far ones.

Weak directions of the tokens tell lips apart too, so components are half whitened (divided by the square root of their
deviation). Every actor's rows are standardised by themselves; the axes are shared, so windows of pooled actors can be
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from ua3dtalk.speech.priors.settings import PriorsSettings
from ua3dtalk.speech.windows import MEL_PER_FRAME, row_windows
from ua3dtalk.subject import TOKENS_PER_FRAME, Clip, Speech

STILL = 1e-3  # added to deviations: an input that hardly moves is not blown up
MOST_ROWS = 20_000  # that components are computed from
MOST_WINDOWS = 1_200  # that axes are computed from
CODE = 400  # axes
CHUNK = 1_000  # windows held at a time


@dataclass(frozen=True)
class Sense:
    """How one kind of rows, tokens or mel, becomes windows.

    mean, deviation: [D] of the actor's training rows; axes: [D, P]; taps: [W] loudness of the rows of a window; centre:
    [W, P] the training frames' mean window; scale: brings their mean squared norm to 1.
    """

    mean: np.ndarray
    deviation: np.ndarray
    axes: np.ndarray
    taps: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    def components(self, rows: np.ndarray) -> np.ndarray:
        """Rows [n, D] -> [n, P] float32."""
        return ((rows.astype(np.float32) - self.mean) / self.deviation) @ self.axes

    def windows(self, rows: np.ndarray, per_frame: int, clips: Sequence[Clip], frames: np.ndarray) -> np.ndarray:
        """Windows [n, W P] float32 around frames [n] of rows [per_frame T, D], in units of a typical window."""
        radius = (len(self.taps) - per_frame) // 2
        windows = row_windows(self.components(rows), per_frame, clips, frames, radius)
        return ((windows * self.taps[:, None] - self.centre) * self.scale).reshape(len(frames), -1)


@dataclass(frozen=True)
class Ear:
    """Both kinds of rows, and the axes [F, P] along which the training frames' windows differ."""

    tokens: Sense
    mel: Sense
    axes: np.ndarray

    def hear(self, speech: Speech, clips: Sequence[Clip], frames: np.ndarray) -> np.ndarray:
        """Codes [n, P + 1] float32 of the windows around frames [n]; tokens together weigh as much as mel.

        The last column is how far the window lies off all axes, so distances of codes also tell what the axes miss.
        """
        frames = np.asarray(frames)
        parts = np.array_split(frames, len(frames) // CHUNK + 1)
        return np.vstack([self._code(self.windows(speech, clips, part)) for part in parts])

    def windows(self, speech: Speech, clips: Sequence[Clip], frames: np.ndarray) -> np.ndarray:
        """Windows [n, F] float32 around frames [n]."""
        tokens = self.tokens.windows(speech.features, TOKENS_PER_FRAME, clips, frames)
        return np.hstack([tokens, self.mel_windows(speech, clips, frames)])

    def mel_windows(self, speech: Speech, clips: Sequence[Clip], frames: np.ndarray) -> np.ndarray:
        """The part of `windows` that is mel."""
        return self.mel.windows(speech.mel, MEL_PER_FRAME, clips, frames)

    def _code(self, windows: np.ndarray) -> np.ndarray:
        along = windows @ self.axes
        missed = np.maximum((windows**2).sum(1) - (along**2).sum(1), 0)
        return np.hstack([along, np.sqrt(missed)[:, None]])

    def voice(self, speech: Speech) -> np.ndarray:
        """What the nets hear of each frame itself: its rows of mel components, [T, 4 P] float32."""
        components = self.mel.components(speech.mel)
        return components.reshape(len(components) // MEL_PER_FRAME, -1)


@dataclass(frozen=True)
class Heard:
    """Speech of one actor and the training frames whose windows reach into no held-out frame."""

    speech: Speech
    clips: Sequence[Clip]
    frames: np.ndarray


def fit_ears(actors: Sequence[Heard], settings: PriorsSettings) -> list[Ear]:
    """One ear for each actor, with common axes."""
    tokens = _fit_sense(actors, "features", TOKENS_PER_FRAME, settings.token_components, settings)
    mel = _fit_sense(actors, "mel", MEL_PER_FRAME, settings.mel_components, settings)
    blank = np.zeros((0, 0), np.float32)
    share = max(MOST_WINDOWS // len(actors), 1)
    windows = np.vstack(
        [
            Ear(*senses, blank).windows(actor.speech, actor.clips, evenly(actor.frames, share))
            for actor, senses in zip(actors, zip(tokens, mel, strict=True), strict=True)
        ]
    )
    axes = window_axes(windows, CODE)
    return [Ear(*senses, axes) for senses in zip(tokens, mel, strict=True)]


def evenly(rows: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the rows, evenly taken."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), count)).round().astype(int)]


def window_axes(windows: np.ndarray, count: int) -> np.ndarray:
    """The min(count, n) orthonormal axes [F, P] along which windows [n, F] have most of their squared norm, strongest
    first."""
    last = len(windows) - 1
    first = max(last + 1 - count, 0)
    values, vectors = eigh(windows @ windows.T, subset_by_index=(first, last))
    strength = np.sqrt(np.maximum(values, 1e-6 * max(float(values.max()), 1e-6)))
    axes: np.ndarray = windows.T @ (vectors / strength)[:, ::-1]
    return axes.astype(np.float32)


def _fit_sense(actors: Sequence[Heard], kind: str, per_frame: int, count: int, settings: PriorsSettings) -> list[Sense]:
    rows = [getattr(actor.speech, kind).astype(np.float32) for actor in actors]
    own = [
        all_rows[(actor.frames[:, None] * per_frame + np.arange(per_frame)).ravel()]
        for all_rows, actor in zip(rows, actors, strict=True)
    ]
    means, deviations = [r.mean(0) for r in own], [r.std(0) + STILL for r in own]
    standard = np.vstack([(r - m) / d for r, m, d in zip(own, means, deviations, strict=True)])
    axes = half_whitened_axes(standard, count, settings.whitening)
    taps = gaussian_taps(per_frame, settings.reach, settings.context)
    senses = []
    for actor, all_rows, mean, deviation in zip(actors, rows, means, deviations, strict=True):
        blank = Sense(mean, deviation, axes, taps, np.zeros(1, np.float32), np.ones(1, np.float32))
        windows = blank.windows(all_rows, per_frame, actor.clips, actor.frames)
        centre = windows.mean(0)
        norm = np.sqrt(((windows - centre) ** 2).sum(1).mean()) or 1.0  # zero where a clip is silent throughout
        senses.append(
            Sense(mean, deviation, axes, taps, centre.reshape(len(taps), -1), np.array([1 / norm], np.float32))
        )
    return senses


def half_whitened_axes(rows: np.ndarray, count: int, whitening: float) -> np.ndarray:
    """Axes [D, P] of the P = min(count, D) strongest principal components, each over deviation ** whitening."""
    rows = rows[:: max(len(rows) // MOST_ROWS, 1)]
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = np.argsort(-values)[:count]
    deviation = np.sqrt(np.maximum(values[kept], 1e-6 * max(float(values.max()), 1e-6)))
    # A component's sign is arbitrary; fixed, so that two machines agree.
    signs = np.sign(vectors[np.abs(vectors[:, kept]).argmax(0), kept])
    return (vectors[:, kept] * signs / deviation**whitening).astype(np.float32)


def gaussian_taps(per_frame: int, reach: int, context: float) -> np.ndarray:
    """Loudness [(2 reach + 1) per_frame] of a window's rows: squares sum to 1, deviation `context` frames."""
    rows = (2 * reach + 1) * per_frame
    distance = (np.arange(rows) - (rows - 1) / 2) / per_frame
    squares = np.exp(-0.5 * (distance / context) ** 2)
    return np.sqrt(squares / squares.sum()).astype(np.float32)
