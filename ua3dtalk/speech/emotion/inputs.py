"""What the small net hears: mel and pitch spectra at 25 Hz and speech tokens, in 3 s windows centred on each frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
import torch

from ua3dtalk.speech.clips import borders, clip_samples
from ua3dtalk.speech.emotion.network import COEFFICIENTS
from ua3dtalk.speech.mel import BANDS, HOP
from ua3dtalk.speech.windows import MEL_PER_FRAME
from ua3dtalk.subject import FPS, SAMPLES_PER_FRAME, TOKENS_PER_FRAME, Clip

WINDOW_SECONDS = 3.0  # CA-MSER's segment
RADIUS = 37  # frames on either side of the window's own: 75 frames are 3 s
STEPS = 2 * RADIUS + 1
TOKENS = STEPS * TOKENS_PER_FRAME
PITCH_WINDOW = 640  # samples: 40 ms, CA-MSER's
BINS_TO_4_KHZ = 401  # of 10 Hz
FIRST_PITCH, PITCHES = 20, 90
COLUMNS = BANDS + PITCHES
assert STEPS == WINDOW_SECONDS * FPS


@dataclass(frozen=True)
class Voice:
    """What is heard of some clips laid end to end: spectrum [T, 170], a row a frame, the mel spectrum (natural log) and
    the pitch spectrum; tokens [2 T, D]."""

    spectrum: np.ndarray
    tokens: np.ndarray
    clips: tuple[Clip, ...]


def voice(audio: np.ndarray, mel: np.ndarray, features: np.ndarray, clips: Sequence[Clip]) -> Voice:
    """From the sound [T * 640] and `Speech`'s mel [4 T, 80] and features [2 T, D]; zero outside of the clips."""
    spectrum = np.zeros((len(features) // TOKENS_PER_FRAME, COLUMNS), np.float32)
    for clip in clips:
        inside = slice(clip.first, clip.end)
        rows = mel[clip.first * MEL_PER_FRAME : clip.end * MEL_PER_FRAME]
        spectrum[inside, :BANDS] = rows.reshape(-1, MEL_PER_FRAME, BANDS).mean(1)
        spectrum[inside, BANDS:] = pitch_spectrum(clip_samples(audio, clip))
    return Voice(spectrum, features.astype(np.float32), tuple(clips))


def pitch_spectrum(samples: np.ndarray) -> np.ndarray:
    """How strong each pitch is: float32 [n, 90] of one clip [n * 640], column k for 8020 / (20 + k) Hz (401 to 74).

    The cepstrum of 40 ms windows up to 4 kHz: a voice's harmonics are a comb in the spectrum, and the comb's spacing a
    peak in the spectrum of its logarithm. Melody carries emotion, and mel bands of 25 ms windows blur it.
    """
    count = len(samples) // SAMPLES_PER_FRAME * MEL_PER_FRAME
    padded = np.pad(samples, PITCH_WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, PITCH_WINDOW)[::HOP][:count]
    magnitude = np.abs(np.fft.rfft(frames * np.hamming(PITCH_WINDOW), 1600, axis=1)[:, :BINS_TO_4_KHZ])
    cepstrum = scipy.fft.dct(np.log(magnitude + 1e-4), axis=1, norm="ortho")
    pitches = cepstrum[:, FIRST_PITCH : FIRST_PITCH + PITCHES]
    return pitches.reshape(-1, MEL_PER_FRAME, PITCHES).mean(1).astype(np.float32)


def training_part(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """The clips without their held-out ends: windows inside them see training frames only."""
    return tuple(replace(clip, length=clip.test_first - clip.first) for clip in clips)


def held_out_part(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """The held-out ends alone."""
    return tuple(replace(clip, first=clip.test_first, length=clip.end - clip.test_first) for clip in clips)


def window_frames(clips: Sequence[Clip], frames: np.ndarray) -> np.ndarray:
    """The frames [n, 75] of the windows around frames; at a clip's borders they turn back, as often as need be.

    A border's row said again and again would be neither silence nor speech.
    """
    first, end = (border[:, None] for border in borders(clips, frames))
    length = end - first
    place = (frames[:, None] - first + np.arange(-RADIUS, RADIUS + 1)) % (2 * length)
    found: np.ndarray = first + np.minimum(place, 2 * length - 1 - place)
    return found


def rows_at(heard: Voice, index: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """(spectrum [n, W, 170], tokens [n, 2 W, D]) of frames [n, W]."""
    tokens = (index[:, :, None] * TOKENS_PER_FRAME + np.arange(TOKENS_PER_FRAME)).reshape(len(index), -1)
    return torch.from_numpy(heard.spectrum[index]), torch.from_numpy(heard.tokens[tokens])


def batches(frames: np.ndarray, size: int = 64) -> Iterator[np.ndarray]:
    """The frames in parts of at most `size`."""
    for first in range(0, len(frames), size):
        yield frames[first : first + size]


def cosine_matrix() -> torch.Tensor:
    """[80, 40] that turns log-mel rows into MFCCs (orthonormal DCT-II)."""
    return torch.from_numpy(scipy.fft.dct(np.eye(BANDS), axis=1, norm="ortho")[:, :COEFFICIENTS].astype(np.float32))
