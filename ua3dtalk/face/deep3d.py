"""Deep3DFaceRecon: coefficients of a 3D morphable face from one picture.

A ResNet-50 that gives 257 numbers; the 64 of the expression are UA-3DTalk's f_exp and the space of E-FID. Names and
shapes of the weights are those of Deep3DFaceRecon_pytorch (Deng et al., "Accurate 3D Face Reconstruction with
Weakly-Supervised Learning", CVPRW 2019), whose face model itself (BFM) is not needed for coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ua3dtalk.errors import DataError
from ua3dtalk.official_weights import load_official

SOURCE = (
    "the network epoch_20.pth is linked from the README of github.com/sicxu/Deep3DFaceRecon_pytorch (code MIT, trained "
    "with the Basel Face Model: academic use, docs/licences.md); name it in priors.deep3d"
)

SIDE = 224  # px
SCALE = 102.0  # px for one unit of the standard points
# Middles of the eyes, tip of the nose, corners of the mouth of the authors' standard face; y up, decimetres.
STANDARD = np.array(
    [
        [-0.31148657, 0.29036078, 0.13377953],
        [0.30979887, 0.28972036, 0.13179526],
        [0.0032535, -0.04617932, 0.55244243],
        [-0.25216928, -0.38133916, 0.22405732],
        [0.2484662, -0.38128236, 0.22235769],
    ]
)
# In the order of the 257 coefficients; the last two layers are shifts in x, y and in z.
PARTS = {"identity": 80, "expression": 64, "texture": 80, "angles": 3, "light": 27, "translation": 3}
_LAYERS = (80, 64, 80, 3, 27, 2, 1)


class _Bottleneck(nn.Module):
    """1 x 1, 3 x 3 with the stride, 1 x 1; the input is added, through a projection where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(self.conv2(out)))
        return torch.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class _ResNet50(nn.Module):
    """Up to the mean over the picture: [B, 3, H, W] to [B, 2048, 1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
            layers = []
            for block in range(blocks):
                layers.append(_Bottleneck(inputs, width, stride=2 if number > 1 and block == 0 else 1))
                inputs = 4 * width
            self.add_module(f"layer{number}", nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3), keepdim=True)


class ReconNet(nn.Module):
    """Pictures RGB in 0..1, [B, 3, 224, 224], to coefficients [B, 257]."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _ResNet50()
        self.final_layers = nn.ModuleList([nn.Conv2d(2048, width, 1) for width in _LAYERS])

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.backbone(pictures)
        return torch.cat([layer(features) for layer in self.final_layers], dim=1).flatten(1)


def load_deep3d(path: Path | str) -> ReconNet:
    """The network from epoch_20.pth (under `net_recon`), a bare state dict, or SadTalker's safetensors."""
    net = ReconNet()
    prefixes = ("module.", "face_3drecon.", "net_recon.")
    load_official(net, path, source=SOURCE, entries=("net_recon", "state_dict"), prefixes=prefixes)
    return net


def split(coefficients: np.ndarray) -> dict[str, np.ndarray]:
    """Coefficients [n, 257] by name (`PARTS`)."""
    ends = np.cumsum(list(PARTS.values()))
    return dict(zip(PARTS, np.split(coefficients, ends[:-1], axis=1), strict=True))


def placement(points: np.ndarray, height: int) -> tuple[float, np.ndarray]:
    """How large and where the face is, as a weak-perspective fit of the standard points.

    Args:
        points: five points [5, 2] px, (0.5, 0.5) the centre of the first pixel; height: of the picture, px.
    Returns:
        scale, px of the picture for one unit; centre [2], where the standard face's origin falls, in the authors'
        coordinates (0 the centre of the first pixel, y up from the last row).
    """
    seen = np.stack([points[:, 0] - 0.5, height - 0.5 - points[:, 1]], axis=1)
    design = np.concatenate([STANDARD, np.ones((5, 1))], axis=1)
    if np.linalg.matrix_rank(seen - seen.mean(0)) < 2:
        raise DataError("the five points of the face lie on a line: its landmarks are wrong")
    fit = np.linalg.lstsq(design, seen, rcond=None)[0]  # [4, 2]: each axis for itself
    return float(np.linalg.norm(fit[:3], axis=0).mean()), fit[3]


def align(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face at its standard size and place.

    Args:
        picture: uint8 [H, W, 3] RGB; points: five points [5, 2] px (`points68.five_points`).
    Returns:
        uint8 [224, 224, 3], black beyond the picture.
    Source: the published preprocessing: 102 px a unit, whole pixels, bicubic.
    """
    height, width = picture.shape[:2]
    size, centre = placement(points, height)
    scale = SCALE / size
    w, h = int(width * scale), int(height * scale)
    left = int(w / 2 - SIDE / 2 + (centre[0] - width / 2) * scale)
    top = int(h / 2 - SIDE / 2 + (height / 2 - centre[1]) * scale)
    resized = Image.fromarray(picture).resize((w, h), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + SIDE, top + SIDE)))


def coefficients(net: ReconNet, pictures: Iterable[np.ndarray], points: np.ndarray, batch: int = 16) -> np.ndarray:
    """All coefficients of every picture; `split` names them.

    Args:
        pictures: n of uint8 [H, W, 3] RGB, read one batch at a time; points: five points of each, [n, 5, 2] px.
    Returns:
        float32 [n, 257].
    """
    device = next(net.parameters()).device
    faces = (align(picture, five) for picture, five in zip(pictures, points, strict=True))
    found = [np.zeros((0, sum(PARTS.values())), np.float32)]
    while some := list(islice(faces, batch)):
        with torch.inference_mode():
            planes = torch.from_numpy(np.stack(some)).to(device).permute(0, 3, 1, 2).float() / 255
            found.append(net(planes).cpu().numpy())
    return np.concatenate(found)


def expressions(net: ReconNet, pictures: Iterable[np.ndarray], points: np.ndarray) -> np.ndarray:
    """The 64 coefficients of the expression, float32 [n, 64]; arguments as for `coefficients`."""
    return split(coefficients(net, pictures, points))["expression"]
