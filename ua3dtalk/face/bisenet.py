"""BiSeNet for face parsing (19 classes of CelebAMask-HQ), the network that AD-NeRF and its heirs use.

Written after the paper (Yu et al., "BiSeNet: Bilateral Segmentation Network", ECCV 2018) with the parameter names of
the published weights `79999_iter.pth`; the spatial path is ResNet-18's own stage at 1/8. Only the first of the three
heads is built: the two others supervise training and are skipped when the weights are loaded.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ua3dtalk.errors import AssetError
from ua3dtalk.workflow import atomic

CLASSES = 19
# px of the square input. It was trained on 512; at 448 it agrees with known regions as well and takes three quarters
# of the time.
SIDE = 448
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ConvBNReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    """ResNet's block of two 3 x 3 convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.downsample(x) + self.bn2(self.conv2(y)))


class ResNet18(nn.Module):
    """Features [B, 128, H/8, W/8], [B, 256, H/16, W/16], [B, 512, H/32, W/32]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class AttentionRefinement(nn.Module):
    """Channels weighted by what the whole picture shows (the paper's ARM)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(F.adaptive_avg_pool2d(x, 1))))


class ContextPath(nn.Module):
    """From 1/32 back up to 1/8: spatial features [B, 128, H/8, W/8] and context of the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet18()
        self.arm16 = AttentionRefinement(256, 128)
        self.arm32 = AttentionRefinement(512, 128)
        self.conv_head32 = ConvBNReLU(128, 128)
        self.conv_head16 = ConvBNReLU(128, 128)
        self.conv_avg = ConvBNReLU(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(x)
        whole = self.conv_avg(F.adaptive_avg_pool2d(last, 1))  # [B, 128, 1, 1], broadcast below
        x = F.interpolate(self.arm32(last) + whole, scale_factor=2.0, mode="nearest")
        x = F.interpolate(self.arm16(sixteenth) + self.conv_head32(x), scale_factor=2.0, mode="nearest")
        return eighth, self.conv_head16(x)


class FeatureFusion(nn.Module):
    """Both paths together, channels weighted (the paper's FFM)."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvBNReLU(256, 256, 1)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        x = self.convblk(torch.cat([spatial, context], dim=1))
        weight = torch.sigmoid(self.conv2(F.relu(self.conv1(F.adaptive_avg_pool2d(x, 1)))))
        return x * weight + x


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvBNReLU(256, 256)
        self.conv_out = nn.Conv2d(256, CLASSES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """uint8 RGB [B, H, W, 3], H and W multiples of 32, to logits [B, 19, H/8, W/8].

    Picture normalisation is part of the network, and the logits stay at an eighth of the size: whoever reads them
    enlarges them bilinearly (corners aligned, as in training) to the size that is wanted, then takes the largest.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion()
        self.conv_out = Head()
        self.register_buffer("mean", torch.tensor(MEAN) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD) * 255, persistent=False)

    def forward(self, rgb: Tensor) -> Tensor:
        x = ((rgb.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        return self.conv_out(self.ffm(*self.cp(x)))


def load_parser(weights: Path) -> BiSeNet:
    """The network with the published weights, ready to be asked.

    Errors: AssetError where the file is missing or holds another network.
    """
    if not Path(weights).is_file():
        raise AssetError(f"{weights} is missing: it holds the face parser's weights; fetch the assets first")
    network = BiSeNet()
    try:
        published = torch.load(weights, map_location="cpu", weights_only=True)
        wanted = {k: v for k, v in published.items() if not k.startswith(("conv_out16.", "conv_out32."))}
        network.load_state_dict(wanted)
    except Exception as error:  # torch.load and load_state_dict raise whatever their parsers raise
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AssetError(f"{weights} does not hold BiSeNet's 19-class weights ({cause}): fetch it again") from error
    return network.eval()


def export_parser(*, weights: Path, out: Path) -> None:
    """Write the parser as ONNX (opset 17, input uint8 [1, 448, 448, 3], output logits [1, 19, 56, 56])."""
    network = load_parser(weights)
    example = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    with atomic(out) as temporary, torch.no_grad():
        torch.onnx.export(
            network,
            (example,),
            str(temporary),
            input_names=["rgb"],
            output_names=["logits"],
            opset_version=17,
            dynamo=False,
        )
