"""CA-MSER's published weights: their names and shapes, and the inputs that they were trained on.

The checkpoint is a state dict of the published model. Left out of it are wav2vec2 (its tokens come with the bundle's
speech features), AlexNet's classifier (its output is never used), and nothing else. The scaling of the spectrogram to
pictures came from its training set's statistics, which the checkpoint does not hold: here they are the actor's.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ua3dtalk.errors import AssetError, ConfigError
from ua3dtalk.speech.clips import clip_samples
from ua3dtalk.speech.emotion.network import COEFFICIENTS, CoAttention
from ua3dtalk.speech.windows import row_windows
from ua3dtalk.subject import AUDIO_RATE, TOKENS_PER_FRAME, Clip

# The published model's modules and ours.
MODULES = {
    **{f"alexnet_model.features.{k}": f"spectrum.features.{k}" for k in (0, 3, 6, 8, 10)},
    "post_spec_layer": "spectrum_out",
    "post_mfcc_layer": "rhythm_out",
    "post_spec_mfcc_att_layer": "attention",
    "post_wav_layer": "attended",
    "post_att_layer_1": "joint.0",
    "post_att_layer_2": "joint.1",
    "post_att_layer_3": "logits",
}
NOT_USED = ("wav2vec2_model.", "alexnet_model.classifier.")
LABELS = ("angry", "sad", "happy", "neutral")  # IEMOCAP's four, in the checkpoint's order
TOKEN_WIDTH = 768

HOP = 160  # samples: 10 ms
ROWS_PER_FRAME = 4
ROWS, TOKENS = 300, 149  # of a window
BINS = 200  # of the spectrogram's 401: up to 4 kHz
PICTURE = (256, 384)  # px, frequency by time
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation of red, green, blue


def official_names(net: CoAttention) -> dict[str, str]:
    """Name in the checkpoint -> name in `official_network()`."""
    found = {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in MODULES.items() for part in ("weight", "bias")}
    found |= {
        f"lstm_mfcc.{name.removeprefix('rhythm.')}": name for name in net.state_dict() if name.startswith("rhythm.")
    }
    return found


def load_official(net: CoAttention, path: Path) -> None:
    """Fill `official_network()` from the published checkpoint.

    Raises:
        ConfigError: no such file, or not that model's weights.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"emotion.checkpoint: no file {path}; correct the path") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError) as error:
        line = str(error).splitlines()[0]
        raise ConfigError(f"emotion.checkpoint: {path} is not a file of weights ({line}); give CA-MSER's") from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {str(name).removeprefix("module."): value for name, value in tensors.items()}
    wanted = net.state_dict()
    names = official_names(net)
    missing = sorted(set(names) - set(tensors))
    if missing:
        raise ConfigError(
            f"emotion.checkpoint: {path} lacks {len(missing)} of CA-MSER's {len(names)} tensors, first {missing[0]}; "
            "give the published model's state dict"
        )
    for theirs, ours in names.items():
        found = tuple(getattr(tensors[theirs], "shape", ()))
        if found != tuple(wanted[ours].shape):
            raise ConfigError(
                f"emotion.checkpoint: {path}: {theirs} has shape {list(found)}, CA-MSER's is {list(wanted[ours].shape)}"
            )
    net.load_state_dict({ours: tensors[theirs] for theirs, ours in names.items()})


def check_tokens(width: int, encoder: str) -> None:
    """The published attention reads wav2vec2's tokens."""
    if width != TOKEN_WIDTH:
        raise AssetError(
            f"emotion.checkpoint attends to wav2vec2's {TOKEN_WIDTH}-wide tokens, speech.npz has {encoder}'s {width}: "
            "set backends.speech: file and speech.features_file to wav2vec2-base-960h's last hidden state"
        )


@dataclass(frozen=True)
class OfficialVoice:
    """spectrum [4 T, 200] dB and mfcc [4 T, 40] at 100 Hz; tokens [2 T, 768]; the clips they lie in."""

    spectrum: np.ndarray
    mfcc: np.ndarray
    tokens: np.ndarray
    clips: tuple[Clip, ...]


def official_voice(audio: np.ndarray, features: np.ndarray, clips: Sequence[Clip]) -> OfficialVoice:
    """The published front end, clip by clip: pre-emphasis, spectrogram in dB below the clip's loudest, MFCCs.

    Args:
        audio: float [T * 640]; features: tokens [2 T, 768].
    """
    count = len(features) // TOKENS_PER_FRAME * ROWS_PER_FRAME
    spectrum, mfcc = np.zeros((count, BINS), np.float32), np.zeros((count, COEFFICIENTS), np.float32)
    for clip in clips:
        inside = slice(clip.first * ROWS_PER_FRAME, clip.end * ROWS_PER_FRAME)
        spectrum[inside], mfcc[inside] = _rows(clip_samples(audio, clip), clip.length * ROWS_PER_FRAME)
    return OfficialVoice(spectrum, mfcc, features.astype(np.float32), tuple(clips))


def _rows(samples: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(spectrogram [count, 200] dB, MFCC [count, 40]) of one clip."""
    import librosa

    samples = librosa.effects.preemphasis(np.asarray(samples, np.float32), zi=[0.0])
    magnitude = np.abs(librosa.stft(samples, n_fft=800, hop_length=HOP, win_length=640, window="hamming"))
    decibels = librosa.amplitude_to_db(magnitude, ref=np.max)[:BINS]
    mfcc = librosa.feature.mfcc(y=samples, sr=AUDIO_RATE, n_mfcc=COEFFICIENTS, hop_length=HOP, htk=True)
    return decibels.T[:count].astype(np.float32), mfcc.T[:count].astype(np.float32)


def official_windows(
    heard: OfficialVoice, frames: np.ndarray, low: torch.Tensor, extent: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(pictures [n, 3, 256, 384], mfcc [n, 300, 40], tokens [n, 149, 768]) around frames.

    Args:
        low, extent: [200], least dB of each bin over the training frames and how far it goes up from there.
    """
    radius = (ROWS - ROWS_PER_FRAME) // 2
    spectrum = row_windows(heard.spectrum, ROWS_PER_FRAME, heard.clips, frames, radius)
    mfcc = row_windows(heard.mfcc, ROWS_PER_FRAME, heard.clips, frames, radius)
    tokens = row_windows(heard.tokens, TOKENS_PER_FRAME, heard.clips, frames, (TOKENS + 1 - TOKENS_PER_FRAME) // 2)
    grey = ((torch.from_numpy(spectrum) - low) / extent).clamp(0, 1)
    # eight bits, then low frequencies at the bottom: as the published training made its pictures
    grey = (grey * 255).floor().flip(2).transpose(1, 2)[:, None] / 255
    grey = functional.interpolate(grey, PICTURE, mode="bilinear", antialias=True, align_corners=False)
    mean, deviation = (torch.tensor(values)[None, :, None, None] for values in IMAGENET)
    return (grey - mean) / deviation, torch.from_numpy(mfcc), torch.from_numpy(tokens[:, :TOKENS])
