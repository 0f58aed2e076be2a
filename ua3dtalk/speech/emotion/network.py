"""The co-attention network of speech emotion recognition: spectrum and rhythm choose among the speech tokens.

Source: Zou, Si, Chen, Rajan and Chng, Speech Emotion Recognition with Co-attention based Multi-level Acoustic
Information, ICASSP 2022 (CA-MSER). A spectrogram encoder gives s, a bi-LSTM over MFCCs gives m, both [B, 128];
attention ReLU(W [s, m]) without softmax weighs the tokens, their sum gives F1 = w [B, 128]; [s, m, w] becomes F2, F3
and the logits. The constructor's defaults are the small net that learns from one actor's clips in seconds;
`official_network` has the published sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

WIDTH = 128  # of s, m, w, F2 and F3
COEFFICIENTS = 40  # MFCCs of a step


@dataclass(frozen=True)
class Taps:
    """attended [B, 128]: F1, what the attention took from the tokens; joint [B, 128]: F3; logits [B, L];
    attention [B, S] >= 0: the weight of each token."""

    attended: torch.Tensor
    joint: torch.Tensor
    logits: torch.Tensor
    attention: torch.Tensor


class SmallSpectrum(nn.Module):
    """A spectrum [B, steps, bands], its own rows and what three strided convolutions see in them, as means and
    deviations over time [B, size]: which sound comes when tells what is said, not how."""

    def __init__(self, bands: int = 170, channels: int = 8) -> None:
        super().__init__()
        self.size = 2 * bands + 2 * channels * math.ceil(bands / 8)
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=(1, 2), padding=1),
            nn.ReLU(),
        )

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        maps = self.layers(spectrum[:, None]).transpose(1, 2).flatten(2)
        return torch.cat([rows for each in (spectrum, maps) for rows in (each.mean(1), each.std(1))], 1)


class AlexNetFeatures(nn.Module):
    """AlexNet's convolutions over pictures [B, 3, 256, 384] -> [B, 9216]; torchvision's layout, and its numbering."""

    size = 256 * 6 * 6

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(self.features(pictures), 6).flatten(1)


class CoAttention(nn.Module):
    """Spectrum, MFCCs and tokens of a 3 s window -> `Taps`.

    Args:
        labels: L, classes of the discriminator.
        tokens, token_width: S and D of the speech tokens [B, S, D].
        spectrum: encoder of the spectrum with its output's `size`.
        steps: MFCC steps of a window that the LSTM's outputs are laid out over, as published; None for their mean and
            deviation over time.
        hidden, layers: of the bi-LSTM over MFCCs.
        lstm_dropout: between the LSTM's layers; dropout: before each dense layer.
    """

    def __init__(
        self,
        labels: int,
        tokens: int,
        token_width: int,
        spectrum: SmallSpectrum | AlexNetFeatures,
        steps: int | None = None,
        hidden: int = 32,
        layers: int = 1,
        lstm_dropout: float = 0.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.spectrum = spectrum
        self.rhythm = nn.LSTM(COEFFICIENTS, hidden, layers, batch_first=True, dropout=lstm_dropout, bidirectional=True)
        self.spectrum_out = nn.Linear(spectrum.size, WIDTH)
        self.rhythm_out = nn.Linear((steps or 2) * 2 * hidden, WIDTH)
        self.in_time = steps is not None
        self.attention = nn.Linear(2 * WIDTH, tokens)
        self.attended = nn.Linear(token_width, WIDTH)
        self.joint = nn.ModuleList([nn.Linear(3 * WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)])
        self.logits = nn.Linear(WIDTH, labels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, spectrum: torch.Tensor, mfcc: torch.Tensor, tokens: torch.Tensor) -> Taps:
        """spectrum: what its encoder takes; mfcc [B, steps, 40]; tokens [B, S, D]."""
        steps, _ = self.rhythm(functional.normalize(mfcc, dim=2))
        s = functional.relu(self.spectrum_out(self.dropout(self.spectrum(spectrum))))
        rhythm = steps.flatten(1) if self.in_time else torch.cat([steps.mean(1), steps.std(1)], 1)
        m = functional.relu(self.rhythm_out(self.dropout(rhythm)))
        attention = functional.relu(self.attention(self.dropout(torch.cat([s, m], 1))))
        chosen = torch.bmm(attention[:, None], tokens)[:, 0]
        w = functional.relu(self.attended(self.dropout(chosen)))
        joint = torch.cat([s, m, w], 1)
        for layer in self.joint:
            joint = functional.relu(layer(self.dropout(joint)))
        return Taps(w, joint, self.logits(joint), attention)


def official_network() -> CoAttention:
    """The published sizes: AlexNet, a 2-layer bi-LSTM of 256 over 300 steps, wav2vec2's 149 x 768 tokens, 4 classes."""
    return CoAttention(4, 149, 768, AlexNetFeatures(), steps=300, hidden=256, layers=2, lstm_dropout=0.5)


def attention_entropy(attention: torch.Tensor) -> torch.Tensor:
    """How evenly the tokens are used: [B, S] >= 0 -> [B] in 0 (one token) .. 1 (all alike, or none chosen)."""
    total = attention.sum(1, keepdim=True)
    share = torch.where(total > 0, attention / total.clamp_min(1e-12), 1 / attention.shape[1])
    return torch.special.entr(share).sum(1) / torch.log(torch.tensor(float(attention.shape[1])))
