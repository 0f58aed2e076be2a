"""NeRF-3DTalker's style net and the FuseNet that mixes it with the lip expert's expression.

Names and shapes of the weights are those of the authors' checkpoints ("NeRF-3DTalker: Neural Radiance Field with 3D
Prior Aided Audio Disentanglement", classes Audio2style and fus_Audio2style), which hold both nets in one file.

The published code gives the LSTM its *batch* as the axis of time ([1, B, 1280]): what a frame's style is depends on
which frames happened to share its batch. Here time is an axis of its own, [B, T, 1280], and the caller says which
frames belong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ua3dtalk.official_weights import load_official, read_official
from ua3dtalk.speech.reference.wav2lip import BANDS, CHUNK

SOURCE = (
    "a checkpoint of github.com/NeRF-3DTalker/NeRF-3DTalker-code (its training writes epoch_N_fusemodel_ckpt.pth.tar; "
    "no licence is stated, see docs/licences.md); name it in priors.{key}"
)

CHUNK_WIDTH = BANDS * CHUNK  # 1280, bands outermost
HIDDEN = CHUNK_WIDTH // 2
WIDTH = 64


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(0.5))


class _Recurrent(nn.Module):
    """Two bidirectional layers of LSTM; `fc1` is in the published weights and never used."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(CHUNK_WIDTH, HIDDEN, num_layers=2, batch_first=True, bidirectional=True)
        self.fc1 = nn.Linear(2 * HIDDEN, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rnn(x)[0]
        return out


class Audio2Style(nn.Module):
    """Style of the voice from chunks of mel: LSTM 1280 -> 2 x 640, then 1280 -> 640 -> 320 -> 64."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = _Recurrent()
        self.linear1 = _layer(2 * HIDDEN, HIDDEN)
        self.linear2 = _layer(HIDDEN, HIDDEN // 2)
        self.linear3 = _layer(HIDDEN // 2, WIDTH)

    def forward(self, chunks: Tensor) -> Tensor:
        """[B, T, 1280] to [B, T, 64]: T consecutive frames of each of B stretches."""
        out: Tensor = self.linear3(self.linear2(self.linear1(self.rnn(chunks))))
        return out


class FuseNet(nn.Module):
    """Voice style and lip expression to the expression of the frame: 128 -> 64 -> 64."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = _layer(2 * WIDTH, WIDTH)
        self.linear2 = _layer(WIDTH, WIDTH)

    def forward(self, voice_style: Tensor, lip_expression: Tensor) -> Tensor:
        """[..., 64] and [..., 64] to [..., 64]."""
        out: Tensor = self.linear2(self.linear1(torch.cat([voice_style, lip_expression], dim=-1)))
        return out


def load_audio2style(path: Path | str) -> Audio2Style:
    """The style net from a file that holds it under `audio2style`, or alone."""
    net = Audio2Style()
    load_official(net, path, source=SOURCE.format(key="audio2style"), entries=("audio2style", "state_dict"))
    return net


def load_fuse_net(path: Path | str) -> FuseNet:
    """The mixer from a file that holds it under `fusemodel`, or alone."""
    net = FuseNet()
    load_official(net, path, source=SOURCE.format(key="fuse_net"), entries=("fusemodel", "state_dict"))
    return net


def holds_fuse_net(path: Path | str) -> bool:
    """Whether the style net's file brings its mixer with it, as the authors' training writes it."""
    document = read_official(Path(path), SOURCE.format(key="audio2style"))
    return isinstance(document.get("fusemodel"), Mapping)


def voice_style(net: Audio2Style, chunks: np.ndarray, together: int = 1) -> np.ndarray:
    """Style of every frame of one clip.

    Args:
        chunks: [n, 80, 16], chunk i from int(3.2 i) on.
        together: frames that the LSTM hears as one stretch. 1 is nearest to the published training, whose stretches
            were two frames picked at random, and keeps a training frame's style free of held-out speech.
    Returns:
        float32 [n, 64].
    """
    device = next(net.parameters()).device
    flat = torch.from_numpy(np.ascontiguousarray(chunks, np.float32)).flatten(1)
    whole = len(flat) // together * together
    stretches = [flat[:whole].unflatten(0, (-1, together))] if whole else []
    if whole < len(flat):
        stretches.append(flat[whole:][None])
    with torch.inference_mode():
        parts = [net(part.to(device)).flatten(0, 1) for stretch in stretches for part in stretch.split(256)]
    return torch.cat(parts).float().cpu().numpy()


def train_fuse_net(
    voice_style: np.ndarray, lip_expression: np.ndarray, target: np.ndarray, seed: int, steps: int = 2000
) -> FuseNet:
    """A mixer for an actor without a published one: L1 to the expression of the real frames (L_recon).

    Args:
        voice_style, lip_expression, target: [n, 64] of the training frames alone.
    Source: NeRF-3DTalker's loss; its rate of 1e-7 is for days of training, 1e-3 for one actor.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FuseNet()
        style, lips, wanted = (
            torch.from_numpy(np.asarray(a, np.float32)) for a in (voice_style, lip_expression, target)
        )
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999))
        net.train()
        # Dropped outputs under an L1 loss would teach half of the expression.
        net.linear2[2].eval()
        for _ in range(steps):
            rows = torch.randint(len(style), (min(256, len(style)),))
            loss = (net(style[rows], lips[rows]) - wanted[rows]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval().requires_grad_(False)
