"""When somebody speaks: Silero's voice detector (MIT), whose weights faster-whisper's package carries."""

from __future__ import annotations

import numpy as np

from ua3dtalk.subject import SAMPLES_PER_FRAME

WINDOW = 512  # samples that the detector judges at a time


def speech_probability(samples: np.ndarray) -> np.ndarray:
    """How probably somebody speaks in each video frame.

    Args:
        samples: float32 [n * 640], 16 kHz mono.
    Returns:
        float32 [n] in 0..1, of the detector's window at the frame's middle.
    """
    from faster_whisper.vad import get_vad_model

    frames = len(samples) // SAMPLES_PER_FRAME
    # The detector writes into what it is given.
    padded = np.pad(samples.astype(np.float32), (0, -len(samples) % WINDOW))
    found = np.asarray(get_vad_model()(padded), np.float32).reshape(-1)
    middles = (np.arange(frames) + 0.5) * SAMPLES_PER_FRAME
    return found[(middles / WINDOW).astype(int)]
