"""Log-mel spectrogram at 100 Hz, four rows to a video frame."""

from __future__ import annotations

import numpy as np

from ua3dtalk.subject import AUDIO_RATE, SAMPLES_PER_FRAME

BANDS = 80
HOP = 160  # samples: 10 ms
WINDOW = 400  # samples: 25 ms
FLOOR = 1e-5  # amplitude below which all is silence; digital zero would be -inf
BLOCK = 6000  # rows computed at a time


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Natural logarithm of the mel amplitudes of one clip.

    Args:
        samples: float [n * 640], 16 kHz.
    Returns:
        float32 [4 n, 80]; row k is the 25 ms window centred at 10 k ms after the clip's start.
    """
    from faster_whisper.feature_extractor import FeatureExtractor

    # librosa's filters; librosa itself takes longer to load than ten seconds of sound to transform.
    filters = FeatureExtractor.get_mel_filters(AUDIO_RATE, WINDOW, BANDS).astype(np.float32)
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    count = len(samples) // SAMPLES_PER_FRAME * (SAMPLES_PER_FRAME // HOP)
    padded = np.pad(samples.astype(np.float32), WINDOW // 2)
    mel = np.empty((count, BANDS), np.float32)
    # in blocks, because the spectrum of an hour would not fit a small machine
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[first * HOP : last * HOP : HOP]
        bands = np.abs(np.fft.rfft(windows * window)).astype(np.float32) @ filters.T
        mel[first:last] = np.log(np.maximum(bands, FLOOR))
    return mel
