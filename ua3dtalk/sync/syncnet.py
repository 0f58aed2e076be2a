"""SyncNet v2, with the names and shapes of the official weights.

Source: Chung and Zisserman, Out of time: automated lip sync in the wild, 2016; the layers are those of the published
file syncnet_v2.model.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from ua3dtalk.official_weights import load_official

EMBEDDING = 1024
FRAMES = 5  # of a window
MFCC_ROWS = 20  # of the same 0.2 s
SIDE = 224
WHERE = "SyncNet's syncnet_v2.model lies at www.robots.ox.ac.uk/~vgg/software/lipsync/data; its licence is not stated"


class SyncNet(nn.Module):
    """Two encoders into one space, where what was seen and what was heard lie near each other when they are in sync."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_block(nn.Conv2d(1, 64, 3, padding=1)),
            nn.MaxPool2d(1, 1),
            *_block(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),
            *_block(nn.Conv2d(192, 384, 3, padding=1)),
            *_block(nn.Conv2d(384, 256, 3, padding=1)),
            *_block(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),
            *_block(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_block(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(256, 512, (1, 6, 6))),
        )

    def hear(self, coefficients: Tensor) -> Tensor:
        """MFCC [n, 1, 13, 20] -> [n, 1024]."""
        return self.netfcaud(self.netcnnaud(coefficients).flatten(1))

    def see(self, faces: Tensor) -> Tensor:
        """Face crops [n, 3, 5, 224, 224], BGR in 0..255 -> [n, 1024]."""
        return self.netfclip(self.netcnnlip(faces).flatten(1))


def load_syncnet(path: Path) -> SyncNet:
    """The net with the official weights, for inference.

    Raises:
        AssetError: the file is missing or is another net's.
    """
    net = SyncNet()
    load_official(net, path, source=WHERE)
    return net


def _block(convolution: nn.Conv2d | nn.Conv3d) -> tuple[nn.Module, ...]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return convolution, norm(convolution.out_channels), nn.ReLU(inplace=True)


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, EMBEDDING))
