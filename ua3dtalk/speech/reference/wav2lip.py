"""Wav2Lip's generator: from a face without its lower half, another frame of it and speech, the face that speaks.

Names and shapes of the weights are those of the official checkpoints (Prajwal et al., "A Lip Sync Expert Is All You
Need", ACM MM 2020). Pictures are BGR in 0..1, as the authors read them. Frames do not see each other: a window of five
frames gives what five single frames give.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ua3dtalk.official_weights import load_official
from ua3dtalk.subject import AUDIO_RATE, FPS

SOURCE = (
    "the generator's checkpoint (wav2lip.pth, wav2lip_gan.pth, or one trained on the actor) is linked from the README "
    "of github.com/Rudrabha/Wav2Lip, research and non-commercial use only (docs/licences.md); name it in priors.wav2lip"
)

SIDE = 96  # px of the face
WINDOW = 5  # frames
CHUNK = 16  # steps of the mel spectrogram that one frame hears: 0.2 s
BANDS = 80
HOP = 200  # samples: 80 steps a second
STEPS_PER_FRAME = AUDIO_RATE / HOP / FPS
SPECTRUM = 800  # samples of window and transform
PREEMPHASIS = 0.97
LOWEST, HIGHEST = 55.0, 7600.0  # Hz
REFERENCE_DB, FLOOR_DB = 20.0, -100.0
LARGEST = 4.0  # the mel lies in -4..4

Pair = int | tuple[int, int]


class ConvBlock(nn.Module):
    """Convolution (or its transpose), batch norm, the input added where asked for, ReLU."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, residual: bool = False) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_block(x)
        return torch.relu(out + x if self.residual else out)


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: Pair = 1, padding: int = 1) -> ConvBlock:
    return ConvBlock(nn.Conv2d(inputs, outputs, kernel, stride, padding))


def _same(width: int, count: int) -> list[ConvBlock]:
    return [ConvBlock(nn.Conv2d(width, width, 3, 1, 1), residual=True) for _ in range(count)]


def _up(inputs: int, outputs: int, same: int) -> nn.Sequential:
    """Twice the side, then residual blocks."""
    double = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(ConvBlock(double), *_same(outputs, same))


class Wav2Lip(nn.Module):
    """Generator: from sides of 96 px down to 1, and up again from the code of the speech with the face's skips."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder_blocks = nn.ModuleList(
            [
                nn.Sequential(_conv(6, 16, 7, padding=3)),
                nn.Sequential(_conv(16, 32, stride=2), *_same(32, 2)),
                nn.Sequential(_conv(32, 64, stride=2), *_same(64, 3)),
                nn.Sequential(_conv(64, 128, stride=2), *_same(128, 2)),
                nn.Sequential(_conv(128, 256, stride=2), *_same(256, 2)),
                nn.Sequential(_conv(256, 512, stride=2), *_same(512, 1)),
                nn.Sequential(_conv(512, 512, padding=0), _conv(512, 512, 1, padding=0)),
            ]
        )
        self.audio_encoder = nn.Sequential(
            _conv(1, 32),
            *_same(32, 2),
            _conv(32, 64, stride=(3, 1)),
            *_same(64, 2),
            _conv(64, 128, stride=3),
            *_same(128, 2),
            _conv(128, 256, stride=(3, 2)),
            *_same(256, 1),
            _conv(256, 512, padding=0),
            _conv(512, 512, 1, padding=0),
        )
        self.face_decoder_blocks = nn.ModuleList(
            [
                nn.Sequential(_conv(512, 512, 1, padding=0)),
                nn.Sequential(ConvBlock(nn.ConvTranspose2d(1024, 512, 3)), *_same(512, 1)),
                _up(1024, 512, 2),
                _up(768, 384, 2),
                _up(512, 256, 2),
                _up(320, 128, 2),
                _up(160, 64, 2),
            ]
        )
        self.output_block = nn.Sequential(_conv(80, 32), nn.Conv2d(32, 3, 1), nn.Sigmoid())

    def forward(self, speech: Tensor, faces: Tensor) -> Tensor:
        """Faces that speak.

        Args:
            speech: [B, 1, 80, 16], or windows [B, T, 1, 80, 16].
            faces: [B, 6, 96, 96], or windows [B, 6, T, 96, 96]: the face with its lower half black, then the reference.
        Returns:
            BGR in 0..1, [B, 3, 96, 96], or [B, 3, T, 96, 96].
        """
        if faces.dim() == 5:
            batch, _, frames = faces.shape[:3]
            single = self(speech.flatten(0, 1), faces.transpose(1, 2).flatten(0, 1))
            return single.unflatten(0, (batch, frames)).transpose(1, 2)
        skips: list[Tensor] = []
        x = faces
        for block in self.face_encoder_blocks:
            x = block(x)
            skips.append(x)
        x = self.audio_encoder(speech)
        for block in self.face_decoder_blocks:
            x = torch.cat([block(x), skips.pop()], dim=1)
        picture: Tensor = self.output_block(x)
        return picture


def load_wav2lip(path: Path | str) -> Wav2Lip:
    """The generator from an official checkpoint, ready for inference."""
    net = Wav2Lip()
    load_official(net, path, source=SOURCE, entries=("state_dict",))
    return net


def wav2lip_mel(samples: np.ndarray) -> np.ndarray:
    """The authors' mel spectrogram of one clip: decibels mapped from -100..0 (below 20 dB) to -4..4.

    Args:
        samples: float [n], 16 kHz.
    Returns:
        float32 [1 + n // 200, 80], 80 steps a second; step k is centred at sample 200 k.
    """
    import librosa
    from scipy.signal import lfilter

    emphasised = lfilter([1.0, -PREEMPHASIS], [1.0], samples.astype(np.float64)).astype(np.float32)
    # The authors' librosa mirrored the sound at its ends; newer ones pad with silence unless told.
    spectrum = np.abs(librosa.stft(emphasised, n_fft=SPECTRUM, hop_length=HOP, win_length=SPECTRUM, pad_mode="reflect"))
    bank = librosa.filters.mel(sr=AUDIO_RATE, n_fft=SPECTRUM, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST)
    decibels = 20 * np.log10(np.maximum(10 ** (FLOOR_DB / 20), bank @ spectrum)) - REFERENCE_DB
    scaled = 2 * LARGEST * (decibels - FLOOR_DB) / -FLOOR_DB - LARGEST
    mel: np.ndarray = np.clip(scaled, -LARGEST, LARGEST).T.astype(np.float32)
    return mel


def mel_chunks(mel: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """What the frames hear: 16 steps from int(3.2 i) on, held inside the clip.

    Args:
        mel: [S, 80] of one clip, S >= 16; frames: [n] counted from the clip's first.
    Returns:
        [n, 80, 16].
    """
    starts = np.clip((STEPS_PER_FRAME * np.asarray(frames)).astype(int), 0, len(mel) - CHUNK)
    return mel[starts[:, None] + np.arange(CHUNK)].swapaxes(1, 2)


def window(faces: np.ndarray, mel: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """The net's input for five frames from one on.

    Args:
        faces: uint8 [n, 96, 96, 3] RGB of one clip; mel: [S, 80] of the clip; frame: 0..n-1.
    Returns:
        pictures float32 [6, 5, 96, 96]: frames i..i+4 with their lower half black, then frames 0..4;
        speech float32 [5, 1, 80, 16]: chunks of frames i-1..i+3. Past the clip's ends the nearest is repeated.
    Source: NeRF-3DTalker's loader, which for frame 0 alone listens to frames 1..5 instead.
    """
    last = len(faces) - 1
    shown = np.minimum(np.arange(frame, frame + WINDOW), last)
    held = np.minimum(np.arange(WINDOW), last)
    pictures = np.concatenate([_masked(_planes(faces[shown])), _planes(faces[held])], axis=1)
    heard = mel_chunks(mel, np.arange(frame - 1, frame - 1 + WINDOW))
    return pictures.swapaxes(0, 1), heard[:, None]


def speaking_faces(net: Wav2Lip, faces: np.ndarray, mel: np.ndarray, batch: int = 32) -> np.ndarray:
    """The first frame of every window, without computing the four others: frames do not see each other.

    Args:
        faces: uint8 [n, 96, 96, 3] RGB of one clip; mel: [S, 80] of the clip.
    Returns:
        uint8 [n, 96, 96, 3] RGB.
    """
    device = next(net.parameters()).device
    spoken = np.empty_like(faces)
    chunks = mel_chunks(mel, np.arange(-1, len(faces) - 1))[:, None]
    for first in range(0, len(faces), batch):
        some = faces[first : first + batch]
        reference = np.broadcast_to(_planes(faces[:1]), (len(some), 3, SIDE, SIDE))
        pictures = np.concatenate([_masked(_planes(some)), reference], axis=1)
        with torch.inference_mode():
            out = net(torch.from_numpy(chunks[first : first + batch]).to(device), torch.from_numpy(pictures).to(device))
        bgr = (out * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        spoken[first : first + batch] = bgr[..., ::-1]
    return spoken


def _planes(faces: np.ndarray) -> np.ndarray:
    """uint8 [n, H, W, 3] RGB to float32 [n, 3, H, W] BGR in 0..1."""
    return np.ascontiguousarray(faces[..., ::-1].transpose(0, 3, 1, 2), np.float32) / 255


def _masked(planes: np.ndarray) -> np.ndarray:
    """The lower half black: where the mouth is, which the net shall not see."""
    planes[:, :, planes.shape[2] // 2 :] = 0
    return planes
