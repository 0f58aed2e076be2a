"""Whisper's encoder as features of speech: one token every 20 ms.

The weights are the published faster-whisper-base (MIT) in CTranslate2's format. Only the encoder runs, so neither a
tokenizer nor a language is needed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.errors import AssetError
from ua3dtalk.subject import SAMPLES_PER_FRAME, TOKENS_PER_FRAME
from ua3dtalk.workflow import atomic

WINDOW_TOKENS = 1500  # the 30 s that the encoder was trained on
MARGIN_TOKENS = 250  # 5 s of a window's inner end that are context only
SAMPLES_PER_TOKEN = SAMPLES_PER_FRAME // TOKENS_PER_FRAME
MODEL_FILES = ("model.bin", "config.json", "vocabulary.txt")

Encoder = Callable[[np.ndarray], np.ndarray]


def assemble_whisper(parts: Sequence[Path], config: Path, vocabulary: Path, out: Path) -> Path:
    """Lay the model folder that CTranslate2 opens.

    Args:
        parts: the pieces of model.bin in order (one piece when it is whole).
        config, vocabulary: config.json and vocabulary.txt of the same model.
        out: folder to make.
    Returns:
        out, holding `MODEL_FILES`.
    """
    out.mkdir(parents=True, exist_ok=True)
    with atomic(out / "model.bin") as temporary, temporary.open("wb") as whole:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, whole, 1 << 22)
    for source, name in ((config, "config.json"), (vocabulary, "vocabulary.txt")):
        with atomic(out / name) as temporary:
            shutil.copyfile(source, temporary)
    return out


def load_encoder(folder: Path) -> Encoder:
    """Open the model; the returned function maps whisper's mel [80, 3000] to tokens float32 [1500, D]."""
    missing = [name for name in MODEL_FILES if not (folder / name).exists()]
    if missing:
        raise AssetError(f"{folder} lacks {', '.join(missing)}: delete the folder and run again")
    import ctranslate2

    try:
        model = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32")
    except (RuntimeError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise AssetError(f"{folder} is not a Whisper model ({line}): delete the folder and run again") from error

    def encode(mel: np.ndarray) -> np.ndarray:
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[None], dtype=np.float32))
        return np.array(model.encode(view, to_cpu=True))[0]

    return encode


def window_starts(tokens: int) -> list[int]:
    """Starts of the windows over one clip, in tokens; neighbours overlap by twice the margin."""
    starts = [0]
    while starts[-1] + WINDOW_TOKENS < tokens:
        starts.append(starts[-1] + WINDOW_TOKENS - 2 * MARGIN_TOKENS)
    return starts


def encode_clip(encode: Encoder, samples: np.ndarray) -> np.ndarray:
    """Tokens of one clip.

    Args:
        encode: from `load_encoder`.
        samples: float32 [n * 640], 16 kHz.
    Returns:
        float16 [2 n, D]; token j is centred at 20 j ms after the clip's start. Of overlapping windows each keeps
        what is at least 5 s away from its inner ends, so no token is computed without its context.
    """
    tokens = len(samples) // SAMPLES_PER_FRAME * TOKENS_PER_FRAME
    starts = window_starts(tokens)
    kept = []
    for number, start in enumerate(starts):
        piece = samples[start * SAMPLES_PER_TOKEN : (start + WINDOW_TOKENS) * SAMPLES_PER_TOKEN]
        window = encode(whisper_mel(piece))
        left = 0 if number == 0 else MARGIN_TOKENS
        right = tokens - start if number == len(starts) - 1 else WINDOW_TOKENS - MARGIN_TOKENS
        kept.append(window[left:right].astype(np.float16))
    return np.concatenate(kept)


def whisper_mel(samples: np.ndarray) -> np.ndarray:
    """Whisper's own mel of at most 30 s, filled up with silence: float32 [80, 3000], 100 Hz.

    log10, clamped 8 below the window's loudest value and shifted, as the model was trained.
    """
    from faster_whisper.feature_extractor import FeatureExtractor

    whole = np.zeros(WINDOW_TOKENS * SAMPLES_PER_TOKEN, np.float32)
    whole[: len(samples)] = samples
    return FeatureExtractor(feature_size=80)(whole, padding=0)
