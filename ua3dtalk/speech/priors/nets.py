"""The nets of Prior Extraction: what the lip expert adds to its kernel reading, the style net, the mixer.

All start as nothing: before training the mixed expression is the kernel's reading.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH = 64  # of f_exp, f_tone and the expression


class LipCorrection(nn.Module):
    """What near frames add to the kernel's reading: codes [B, n, P] -> [B, n, 64]."""

    def __init__(self, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.into = nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Dropout(dropout))
        self.over_time = nn.Conv1d(hidden, hidden, 5, padding=2, padding_mode="replicate")
        self.out = nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(dropout), nothing(nn.Linear(hidden, WIDTH)))

    def forward(self, codes: Tensor) -> Tensor:
        hidden = self.into(codes)
        hidden = hidden + self.over_time(hidden.transpose(1, 2)).transpose(1, 2)
        found: Tensor = self.out(hidden)
        return found


class StyleNet(nn.Module):
    """The way of speaking: frames of mel [B, n, M] -> f_tone [B, n, 64], by a bi-LSTM of two layers along n.

    f_tone is an expression as well: what the lip expert misses. So nets that were trained on different blocks of time
    speak one language.
    Source: NeRF-3DTalker's Audio2style, whose time axis is by mistake the batch; narrower, for seconds of speech.
    """

    def __init__(self, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.into = nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Dropout(dropout))
        self.lstm = nn.LSTM(hidden, hidden, num_layers=2, dropout=dropout, bidirectional=True, batch_first=True)
        self.out = nn.Sequential(nn.Dropout(dropout), nothing(nn.Linear(2 * hidden, WIDTH)))

    def forward(self, mel: Tensor) -> Tensor:
        found: Tensor = self.out(self.lstm(self.into(mel))[0])
        return found


class FuseNet(nn.Module):
    """f_tone, f_exp [B, n, 64] each -> what the style changes in f_exp [B, n, 64]: 128 -> 64 -> 64.

    Source: NeRF-3DTalker's FuseNet; here f_exp is an expression already and passes beside it.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Dropout(dropout), nothing(nn.Linear(WIDTH, WIDTH))
        )

    def forward(self, tone: Tensor, expression: Tensor) -> Tensor:
        found: Tensor = self.layers(torch.cat([tone, expression], -1))
        return found


class PriorNets(nn.Module):
    """All three.

    Forward:
        codes [B, n, P], mel [B, n, M], kernel's reading [B, n, 64] -> what the lip expert adds, f_tone, and what the
        style adds, [B, n, 64] each.
    """

    def __init__(self, codes: int, mel: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.lips = LipCorrection(codes, hidden, dropout)
        self.style = StyleNet(mel, hidden, dropout)
        self.fuse = FuseNet(dropout)

    def forward(self, codes: Tensor, mel: Tensor, reading: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        added = self.lips(codes)
        tone = self.style(mel)
        return added, tone, self.fuse(tone, reading + added)


def nothing(layer: nn.Linear) -> nn.Linear:
    """The layer with all weights 0."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
