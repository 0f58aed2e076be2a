"""The trained listener: sound and speech tokens in, an embedding of emotion and probabilities for each frame out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ua3dtalk.errors import DataError
from ua3dtalk.reading import reading
from ua3dtalk.speech.emotion.inputs import COLUMNS, TOKENS, Voice, batches, cosine_matrix, rows_at, voice, window_frames
from ua3dtalk.speech.emotion.network import WIDTH, CoAttention, SmallSpectrum, Taps, attention_entropy, official_network
from ua3dtalk.speech.emotion.official import BINS, OfficialVoice, official_voice, official_windows
from ua3dtalk.speech.mel import BANDS, log_mel
from ua3dtalk.subject import AUDIO_RATE, SAMPLES_PER_FRAME, TOKENS_PER_FRAME, Clip
from ua3dtalk.tensors import check_fit, facts_of, read_tensors, write_tensors

ALIGN_HIDDEN = 64
PLACES = 16  # channels that tell each token's place in the window
WORDS = 0.1  # strength of the other channels beside them: a minute of speech ties any word to some emotion


@dataclass(frozen=True)
class EmotionTrack:
    """embedding [T, 128], root mean square 1; probabilities [T, L]; attention_entropy [T] in 0..1; all float32."""

    embedding: np.ndarray
    probabilities: np.ndarray
    attention_entropy: np.ndarray


class Listener(nn.Module):
    """The co-attention network with the standardisation of its inputs; on its embedding the discriminator and the
    aligning net, as in UA-3DTalk's figure. What the labels teach the network itself comes through its own logits.

    Args:
        labels: L, classes of the discriminator; features: columns of the teacher's feature.
        token_width: D of the speech tokens.
        official: the published sizes and inputs instead of the small ones.
    """

    spectrum_mean: torch.Tensor
    spectrum_scale: torch.Tensor
    tokens_scale: torch.Tensor
    feature_mean: torch.Tensor
    feature_scale: torch.Tensor
    cosines: torch.Tensor
    places: torch.Tensor

    def __init__(
        self, labels: int, features: int, token_width: int, official: bool = False, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.official = official
        if official:
            self.net = official_network()
            self.net.logits = nn.Linear(WIDTH, labels)
        else:
            self.net = CoAttention(labels, TOKENS, token_width + PLACES, SmallSpectrum(COLUMNS), dropout=dropout)
        self.discriminator = nn.Linear(WIDTH, labels)
        self.align = nn.Sequential(nn.Linear(WIDTH, ALIGN_HIDDEN), nn.ReLU(), nn.Linear(ALIGN_HIDDEN, features))
        bands = BINS if official else COLUMNS
        for name, size in (("spectrum", bands), ("feature", features)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))
        self.register_buffer("tokens_scale", torch.ones(token_width))
        self.register_buffer("cosines", cosine_matrix(), persistent=False)
        self.register_buffer("places", place_codes(), persistent=False)

    def prepare(
        self, audio: np.ndarray, mel: np.ndarray, features: np.ndarray, clips: Sequence[Clip]
    ) -> Voice | OfficialVoice:
        """What the net hears of some clips: audio [T * 640], mel [4 T, 80], features [2 T, D]."""
        if self.official:
            return official_voice(audio, features, clips)
        return voice(audio, mel, features, clips)

    def forward(self, spectrum: torch.Tensor, tokens: torch.Tensor) -> Taps:
        """The small net on raw windows: spectrum [B, 75, 170], tokens [B, 150, D]."""
        centred = spectrum - self.spectrum_mean  # or the first coefficient would outweigh all others
        tokens = torch.cat([WORDS / self.tokens_scale * tokens, self.places.expand(len(tokens), -1, -1)], 2)
        mfcc = centred[:, :, :BANDS] @ self.cosines
        taps: Taps = self.net(centred / self.spectrum_scale, mfcc, tokens / TOKENS**0.5)
        return taps

    @torch.inference_mode()
    def hear(self, heard: Voice | OfficialVoice, frames: np.ndarray) -> Taps:
        """Taps [n, ...] of the windows around frames, in the clips of `heard`."""
        self.eval()
        parts = []
        for batch in batches(frames, 8 if self.official else 64):
            if isinstance(heard, OfficialVoice):
                parts.append(self.net(*official_windows(heard, batch, self.spectrum_mean, self.spectrum_scale)))
            else:
                parts.append(self(*rows_at(heard, window_frames(heard.clips, batch))))
        fields = ("attended", "joint", "logits", "attention")
        return Taps(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))


@dataclass(frozen=True)
class EmotionModel:
    """listener; labels: names of its L classes; prototypes [L, 128]: the mean embedding of each label's training
    frames; encoder: which made the tokens that it knows."""

    listener: Listener
    labels: tuple[str, ...]
    prototypes: np.ndarray
    encoder: str

    def listen(self, audio: np.ndarray, features: np.ndarray) -> EmotionTrack:
        """The emotion of one clip's sound.

        Args:
            audio: float [T * 640], 16 kHz mono; samples of an unfinished last frame are left out.
            features: tokens [2 T, D] of the encoder that the model was trained with.
        """
        frames = len(audio) // SAMPLES_PER_FRAME
        width = int(self.listener.tokens_scale.shape[0])
        if frames == 0 or features.shape != (frames * TOKENS_PER_FRAME, width):
            raise DataError(
                f"{frames} frames of sound at {AUDIO_RATE} Hz and speech features {list(features.shape)} do not fit: "
                f"expected [{frames * TOKENS_PER_FRAME}, {width}] of {self.encoder}"
            )
        audio = audio[: frames * SAMPLES_PER_FRAME]
        clip = Clip("", "", 0, frames, frames, None, 0.0, 0, 0, (0.0, 0.0, 0.0))
        mel = np.zeros((0, BANDS)) if self.listener.official else log_mel(audio)
        return self.track(self.listener.prepare(audio, mel, features, [clip]), np.arange(frames))

    def track(self, heard: Voice | OfficialVoice, frames: np.ndarray) -> EmotionTrack:
        """The emotion around frames of what was heard."""
        taps = self.listener.hear(heard, frames)
        entropy = attention_entropy(taps.attention)
        embedded = embedding(taps.attended)
        with torch.inference_mode():
            probabilities = self.listener.discriminator(embedded).softmax(1)
        return EmotionTrack(embedded.numpy(), probabilities.numpy(), entropy.numpy())

    def nearest(self, embedded: np.ndarray) -> np.ndarray:
        """Index of the label [n] whose prototype is nearest to each embedding [n, 128]."""
        return np.linalg.norm(embedded[:, None] - self.prototypes, axis=2).argmin(1)


def embedding(attended: torch.Tensor) -> torch.Tensor:
    """F1 [n, 128] with a root mean square of 1: its direction tells the emotion, its length how much was attended."""
    return attended / attended.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)


def place_codes() -> torch.Tensor:
    """Cosines [150, 16] over the window, the first constant.

    wav2vec2's tokens know where they stand; from Whisper's that was taken off (`speech.whisper`). Without it F1 would
    see the attention, which is where spectrum and rhythm come in, only through whatever was said.
    """
    place = (np.arange(TOKENS) + 0.5) / TOKENS
    return torch.from_numpy(np.cos(np.pi * place[:, None] * np.arange(PLACES)).astype(np.float32))


def save_emotion(path: Path, model: EmotionModel, state: str) -> None:
    """Write `emotion.safetensors`: `listener.*`, `prototypes`; metadata facts (shape and labels) and state."""
    listener = model.listener
    facts = {
        "labels": model.labels,
        "features": int(listener.feature_mean.shape[0]),
        "token_width": int(listener.tokens_scale.shape[0]),
        "official": listener.official,
        "encoder": model.encoder,
    }
    tensors = {f"listener.{name}": value for name, value in listener.state_dict().items()}
    tensors["prototypes"] = torch.from_numpy(model.prototypes)
    write_tensors(path, tensors, {"state": state, "facts": json.dumps(facts)})


def load_emotion(path: Path) -> EmotionModel:
    """Read what `save_emotion` wrote."""
    with reading(path):
        tensors, words = read_tensors(path)
        facts = facts_of(words)
        labels = tuple(facts["labels"])
        if not all(isinstance(label, str) for label in labels):
            raise ValueError("labels are texts")
        prototypes = tensors.pop("prototypes").numpy()
        state = {name.removeprefix("listener."): value for name, value in tensors.items()}

        def build() -> Listener:
            return Listener(len(labels), facts["features"], facts["token_width"], facts["official"])

        check_fit(build, state)
        listener = build()
        listener.load_state_dict(state)
        if prototypes.ndim != 2 or len(prototypes) != len(labels):
            raise ValueError(f"prototypes {list(prototypes.shape)} of {len(labels)} labels")
        return EmotionModel(listener.eval(), labels, prototypes, str(facts["encoder"]))
