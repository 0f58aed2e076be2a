"""Networks whose features of single frames are compared as sets: EfficientNet-lite0 and FID's Inception.

- ``efficientnet_lite0``: 1280 features before the classifier (Tan and Le, ICML 2019; the lite variant without
  squeeze-and-excitation, RELU6). Its Frechet distance is a figure of its own and does not compare with FID.
- ``inception``: 2048 features of the Inception v3 of 2015 that FID is defined on (Heusel et al., NeurIPS 2017), with
  the weights and the input of pytorch-fid.

Both are written out because neither torchvision nor the packages they come from are needed for a few dozen layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ua3dtalk.errors import AssetError
from ua3dtalk.perceptual import Weights, load_weights

BATCH = 16
BATCH_NORM_EPSILON = 1e-3  # of both networks
# kernel, stride, expansion, channels, repeats of EfficientNet-lite0's stages
LITE0 = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class FrameFeatures:
    """A network that describes single frames.

    Attributes:
        name: the name that the Frechet distance gets in metrics.json.
        side: frames are resized to a square of this side, px.
        network: [n, 3, side, side] in -1..1 to [n, D].
    """

    def __init__(self, name: str, side: int, network: Callable[[Tensor], Tensor]) -> None:
        self.name, self.side, self.network = name, side, network

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Features float32 [n, D] of uint8 [H, W, 3] frames."""
        found = []
        for first in range(0, len(images), BATCH):
            batch = torch.cat([resized(image, self.side) for image in images[first : first + BATCH]])
            found.append(self.network(batch.contiguous(memory_format=torch.channels_last)))
        return torch.cat(found).numpy()


def resized(image: np.ndarray, side: int) -> Tensor:
    """uint8 [H, W, 3] as [1, 3, side, side] in -1..1, bilinear between pixel centres as in pytorch-fid."""
    planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(planes, size=(side, side), mode="bilinear", align_corners=False) * 2 - 1


def load_features(name: str, weights: Path) -> FrameFeatures:
    """Open a network by its figure's name.

    Args:
        name: ``frechet_efficientnet_lite0`` or ``fid_inception``.
        weights: efficientnet-lite0-57934424.pth or pt_inception-2015-12-05-6726825d.pth.
    Errors: AssetError where the file is not the network's.
    """
    state = load_weights(weights)
    try:
        if name == "frechet_efficientnet_lite0":
            layers = lite0_layers(state)
            return FrameFeatures(name, 224, lambda x: efficientnet_lite0(layers, x))
        if name == "fid_inception":
            folded = inception_layers(state)
            return FrameFeatures(name, 299, lambda x: inception(folded, x))
    except KeyError as error:
        raise AssetError(
            f"{weights} does not hold the layers of {name} ({error} is missing): fetch it again"
        ) from error
    raise ValueError(f"no network of features is called {name!r}")


Layer = tuple[Tensor, Tensor]  # weight and bias of a convolution, its normalisation folded in


def folded(weight: Tensor, norm: str, state: Weights) -> Layer:
    """A convolution without bias and the batch normalisation behind it, as one."""
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return (weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last), bias


def lite0_layers(state: Weights) -> dict[str, Layer]:
    """Folded convolutions of EfficientNet-lite0: stem, head, and expand, depth, project of each numbered block."""

    def layer(convolution: str, norm: str) -> Layer:
        return folded(state[f"{convolution}.weight"], norm, state)

    layers = {"stem": layer("_conv_stem", "_bn0"), "head": layer("_conv_head", "_bn1")}
    number = 0
    for _, _, expansion, _, repeats in LITE0:
        for _ in range(repeats):
            block = f"_blocks.{number}"
            if expansion > 1:
                layers[f"{number}.expand"] = layer(f"{block}._expand_conv", f"{block}._bn0")
            layers[f"{number}.depth"] = layer(f"{block}._depthwise_conv", f"{block}._bn1")
            layers[f"{number}.project"] = layer(f"{block}._project_conv", f"{block}._bn2")
            number += 1
    return layers


def efficientnet_lite0(layers: dict[str, Layer], x: Tensor) -> Tensor:
    """Features [n, 1280] of pictures [n, 3, 224, 224] in -1..1; (v - 127) / 128 of bytes is what it was trained on."""
    x = x * (127.5 / 128) + 0.5 / 128
    x = F.relu6(_same(x, layers["stem"], stride=2))
    number = 0
    for _, first_stride, expansion, _, repeats in LITE0:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            inner = F.relu6(F.conv2d(x, *layers[f"{number}.expand"])) if expansion > 1 else x
            inner = F.relu6(_same(inner, layers[f"{number}.depth"], stride, groups=inner.shape[1]))
            inner = F.conv2d(inner, *layers[f"{number}.project"])
            x = inner + x if stride == 1 and inner.shape == x.shape else inner
            number += 1
    return F.relu6(F.conv2d(x, *layers["head"])).mean(dim=(2, 3))


def _same(x: Tensor, layer: Layer, stride: int, groups: int = 1) -> Tensor:
    """A convolution with TensorFlow's padding: what does not divide evenly goes to the right and below."""
    kernel = layer[0].shape[-1]
    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), *layer, stride=stride, groups=groups)


def inception_layers(state: Weights) -> dict[str, Layer]:
    """Folded convolutions of FID's Inception by torchvision's names."""
    names = [key.removesuffix(".conv.weight") for key in state if key.endswith(".conv.weight")]
    layers = {name: folded(state[f"{name}.conv.weight"], f"{name}.bn", state) for name in names}
    if "Mixed_7c.branch_pool" not in layers:
        raise KeyError("Mixed_7c.branch_pool")
    return layers


def inception(layers: dict[str, Layer], x: Tensor) -> Tensor:
    """Features [n, 2048] of pictures [n, 3, 299, 299] in -1..1.

    The network of FID differs from the published Inception v3: average pools leave the border out, and the last block
    pools by the maximum.
    """
    net = _Inception(layers)
    x = net.reduce(x, "Conv2d_1a_3x3", stride=2)
    x = net.layer(net.reduce(x, "Conv2d_2a_3x3"), "Conv2d_2b_3x3")
    x = net.reduce(net.layer(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1"), "Conv2d_4a_3x3")
    x = F.max_pool2d(x, 3, 2)
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = net.block_35(x, block)
    x = net.halve_35(x, "Mixed_6a")
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = net.block_17(x, block)
    x = net.halve_17(x, "Mixed_7a")
    x = net.block_8(x, "Mixed_7b", _mean_pool)
    return net.block_8(x, "Mixed_7c", _largest_pool).mean(dim=(2, 3))


class _Inception:
    """The blocks of Inception v3, named by the side of their pictures; `layers` by torchvision's names."""

    def __init__(self, layers: dict[str, Layer]) -> None:
        self.layers = layers

    def layer(self, x: Tensor, name: str) -> Tensor:
        """A convolution that keeps the size."""
        height, width = self.layers[name][0].shape[2:]
        return F.relu(F.conv2d(x, *self.layers[name], padding=(height // 2, width // 2)))

    def reduce(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """A convolution without a border."""
        return F.relu(F.conv2d(x, *self.layers[name], stride=stride))

    def chain(self, x: Tensor, block: str, *names: str) -> Tensor:
        for name in names:
            x = self.layer(x, f"{block}.{name}")
        return x

    def block_35(self, x: Tensor, block: str) -> Tensor:
        branches = (
            self.chain(x, block, "branch1x1"),
            self.chain(x, block, "branch5x5_1", "branch5x5_2"),
            self.chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
            self.chain(_mean_pool(x), block, "branch_pool"),
        )
        return torch.cat(branches, dim=1)

    def halve_35(self, x: Tensor, block: str) -> Tensor:
        deep = self.chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2")
        branches = (
            self.reduce(x, f"{block}.branch3x3", 2),
            self.reduce(deep, f"{block}.branch3x3dbl_3", 2),
            F.max_pool2d(x, 3, 2),
        )
        return torch.cat(branches, dim=1)

    def block_17(self, x: Tensor, block: str) -> Tensor:
        branches = (
            self.chain(x, block, "branch1x1"),
            self.chain(x, block, "branch7x7_1", "branch7x7_2", "branch7x7_3"),
            self.chain(x, block, *(f"branch7x7dbl_{k}" for k in range(1, 6))),
            self.chain(_mean_pool(x), block, "branch_pool"),
        )
        return torch.cat(branches, dim=1)

    def halve_17(self, x: Tensor, block: str) -> Tensor:
        deep = self.chain(x, block, "branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3")
        branches = (
            self.reduce(self.layer(x, f"{block}.branch3x3_1"), f"{block}.branch3x3_2", 2),
            self.reduce(deep, f"{block}.branch7x7x3_4", 2),
            F.max_pool2d(x, 3, 2),
        )
        return torch.cat(branches, dim=1)

    def block_8(self, x: Tensor, block: str, pool: Callable[[Tensor], Tensor]) -> Tensor:
        wide = self.chain(x, block, "branch3x3_1")
        deep = self.chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2")
        branches = (
            self.chain(x, block, "branch1x1"),
            *(self.layer(wide, f"{block}.branch3x3_2{end}") for end in "ab"),
            *(self.layer(deep, f"{block}.branch3x3dbl_3{end}") for end in "ab"),
            self.chain(pool(x), block, "branch_pool"),
        )
        return torch.cat(branches, dim=1)


def _mean_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _largest_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 1, 1)
