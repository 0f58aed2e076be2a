"""Perceptual distances: the difference of a network's normalised features, weighted by learned heads.

It stands beside the rooms because training and metrics both use it. Variants with names of their own, whose values do
not compare with each other:

- ``st_lpips_alex``: ST-LPIPS, an AlexNet trained to tolerate shifts, with its own heads (Ghildyal and Liu, ECCV 2022).
- ``lpips_squeeze_proxy``: LPIPS' heads for SqueezeNet (Zhang et al., CVPR 2018) over a SqueezeNet 1.1 whose weights
  come from another training framework. Close to LPIPS squeeze, but not it.
- ``squeeze_features``: the same SqueezeNet, every channel counted alike: a loss that needs no heads and is not the
  figure that the result is judged by.
- ``lpips_alex``, ``lpips_vgg``: official LPIPS, for whoever has torchvision's ImageNet AlexNet or VGG16.

The networks are written out here because neither torchvision nor the metrics' packages are needed for a dozen layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ua3dtalk.errors import AssetError
from ua3dtalk.reading import MOST_BESIDES, limited_memory, open_regular, reading

Trunk = Callable[[Tensor], list[Tensor]]
Weights = dict[str, Tensor]

# ImageNet's mean and deviation for inputs in -1..1, as LPIPS fixes them
SHIFT = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
SCALE = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]
CAFFE_MEAN = torch.tensor([123.0, 117.0, 104.0])[None, :, None, None]  # RGB, 0..255
MAX_SIDE = 256
VGG16_CONVOLUTIONS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))


class PerceptualDistance:
    """One of the distances.

    Attributes:
        name: the figure's name in metrics.json.
        trunk: normalised input [n, 3, H, W] to the features of each stage.
        heads: one [C] per stage.
    """

    def __init__(self, name: str, trunk: Trunk, heads: Sequence[Tensor]) -> None:
        self.name = name
        self.trunk = trunk
        self.heads = list(heads)

    @torch.inference_mode()
    def features(self, images: np.ndarray) -> list[Tensor]:
        """Unit-length features of each stage of uint8 [n, H, W, 3]: [n, C, h, w] each."""
        return self._stages(torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1)

    def _stages(self, pixels: Tensor) -> list[Tensor]:
        """Unit-length features of pictures [n, 3, H, W] in -1..1."""
        shift, scale = SHIFT.to(pixels.device), SCALE.to(pixels.device)
        stages = self.trunk(((pixels - shift) / scale).contiguous(memory_format=torch.channels_last))
        # Inside the root, so that features which are all zero have a gradient.
        return [stage / (stage.square().sum(dim=1, keepdim=True) + 1e-20).sqrt() for stage in stages]

    def loss(self, picture: Tensor, target: Tensor) -> Tensor:
        """Distance of pictures [H, W, 3] in 0..1, with a gradient to the first."""
        mine = self._stages(picture.permute(2, 0, 1)[None] * 2 - 1)
        with torch.no_grad():
            wanted = self._stages(target.permute(2, 0, 1)[None] * 2 - 1)
        terms = [
            ((x - y).square() * head.to(x.device)[:, None, None]).sum(dim=1).mean()
            for head, x, y in zip(self.heads, mine, wanted, strict=True)
        ]
        return torch.stack(terms).sum()

    @torch.inference_mode()
    def between(self, first: list[Tensor], second: list[Tensor]) -> np.ndarray:
        """Distances [n] of two sets of features (a set of one image is compared with all)."""
        total = torch.zeros(())
        for head, x, y in zip(self.heads, first, second, strict=True):
            total = total + ((x - y).square().mean(dim=(2, 3)) * head).sum(dim=1)
        return total.numpy()

    def __call__(self, images: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Distances [n] of uint8 [n, H, W, 3] frames."""
        return self.between(self.features(images), self.features(truth))


def limit_side(image: np.ndarray, side: int = MAX_SIDE) -> np.ndarray:
    """A picture whose longer side has at most `side` px, shrunk by averaging areas."""
    import cv2

    height, width = image.shape[:2]
    if max(height, width) <= side:
        return image
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def load_perceptual(name: str, weights: Path, device: torch.device | None = None) -> PerceptualDistance:
    """Open a distance by its name.

    Args:
        name: ``st_lpips_alex``, ``lpips_squeeze_proxy``, ``squeeze_features``, ``lpips_alex`` or ``lpips_vgg``.
        weights: alex_shift_tolerant.pth, squeezenet_weights.pkl, alexnet-owt-7be5be79.pth or vgg16-397923af.pth.
        device: where the pictures will be, None for the CPU.
    """
    if name == "st_lpips_alex":
        state = _on(device, load_weights(weights))
        heads = [state[f"lin{k}.model.1.weight"].flatten() for k in range(5)]
        return PerceptualDistance(name, lambda x: shift_tolerant_alexnet(state, x), heads)
    if name == "lpips_squeeze_proxy":
        squeeze = _on(device, squeezenet_from_arrays(weights))
        return PerceptualDistance(name, lambda x: squeezenet(squeeze, x), lpips_heads("squeeze", 7))
    if name == "squeeze_features":
        squeeze = _on(device, squeezenet_from_arrays(weights))
        return PerceptualDistance(name, lambda x: squeezenet(squeeze, x), [torch.ones(())[None]] * 7)
    if name == "lpips_alex":
        alex = _on(device, load_weights(weights))
        return PerceptualDistance(name, lambda x: alexnet(alex, x), lpips_heads("alex", 5))
    if name == "lpips_vgg":
        vgg = _on(device, load_weights(weights))
        return PerceptualDistance(name, lambda x: vgg16(vgg, x), lpips_heads("vgg", 5))
    raise ValueError(f"no perceptual distance is called {name!r}")


def _on(device: torch.device | None, weights: Weights) -> Weights:
    return {key: value.to(device or "cpu") for key, value in weights.items()}


def load_weights(path: Path) -> Weights:
    """A state dict, read without running what a pickle may hold."""
    # A damaged pickle may ask for gigabytes in a few bytes.
    with reading(path, "fetch it again", AssetError, "weights"), open_regular(path) as file:
        with limited_memory(MOST_BESIDES + 3 * path.stat().st_size):
            state: Weights = torch.load(file, map_location="cpu", weights_only=True)
        return state


def lpips_heads(backbone: str, count: int) -> list[Tensor]:
    """LPIPS' learned heads, version 0.1, out of the installed package (which is not imported)."""
    spec = find_spec("lpips")
    if spec is None or spec.origin is None:
        raise AssetError('LPIPS needs its heads: run "pip install lpips", or set metrics.perceptual to st_lpips_alex')
    state = load_weights(Path(spec.origin).parent / "weights" / "v0.1" / f"{backbone}.pth")
    return [state[f"lin{k}.model.1.weight"].flatten() for k in range(count)]


def shift_tolerant_alexnet(w: Weights, x: Tensor) -> list[Tensor]:
    """ST-LPIPS' AlexNet: no stride but in blurred subsampling, behind convolutions and pools.

    Source: Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022, the AlexNet of table 5.
    """
    x1 = F.relu(blur_pool(F.conv2d(x, w["net.slice1.0.weight"], w["net.slice1.0.bias"], padding=2)))
    x2 = blur_pool(F.max_pool2d(x1, 3, stride=1))
    x2 = F.relu(F.conv2d(x2, w["net.slice2.5.weight"], w["net.slice2.5.bias"], padding=2))
    x3 = blur_pool(F.max_pool2d(x2, 3, stride=1))
    x3 = F.relu(F.conv2d(x3, w["net.slice3.9.weight"], w["net.slice3.9.bias"], padding=1))
    x4 = F.relu(F.conv2d(x3, w["net.slice4.11.weight"], w["net.slice4.11.bias"], padding=1))
    x5 = F.relu(F.conv2d(x4, w["net.slice5.13.weight"], w["net.slice5.13.bias"], padding=1))
    return [x1, x2, x3, x4, x5]


def blur_pool(x: Tensor) -> Tensor:
    """Every second pixel after a binomial blur of 3 x 3; the border is mirrored by 2 px."""
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype)
    kernel = (taps[:, None] * taps[None, :]).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def alexnet(w: Weights, x: Tensor) -> list[Tensor]:
    """torchvision's AlexNet up to each rectified convolution."""

    def layer(k: int, x: Tensor, stride: int, padding: int) -> Tensor:
        return F.relu(F.conv2d(x, w[f"features.{k}.weight"], w[f"features.{k}.bias"], stride=stride, padding=padding))

    x1 = layer(0, x, 4, 2)
    x2 = layer(3, F.max_pool2d(x1, 3, 2), 1, 2)
    x3 = layer(6, F.max_pool2d(x2, 3, 2), 1, 1)
    x4 = layer(8, x3, 1, 1)
    return [x1, x2, x3, x4, layer(10, x4, 1, 1)]


def vgg16(w: Weights, x: Tensor) -> list[Tensor]:
    """torchvision's VGG16 up to the last rectified convolution of each of its five blocks."""
    stages: list[Tensor] = []
    for block in VGG16_CONVOLUTIONS:
        x = F.max_pool2d(x, 2) if stages else x
        for k in block:
            x = F.relu(F.conv2d(x, w[f"features.{k}.weight"], w[f"features.{k}.bias"], padding=1))
        stages.append(x)
    return stages


def squeezenet(w: Weights, x: Tensor) -> list[Tensor]:
    """SqueezeNet 1.1 at the seven places where LPIPS reads it."""

    def fire(name: str, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, w[f"{name}/squeeze1x1.weight"], w[f"{name}/squeeze1x1.bias"]))
        one = F.conv2d(x, w[f"{name}/expand1x1.weight"], w[f"{name}/expand1x1.bias"])
        three = F.conv2d(x, w[f"{name}/expand3x3.weight"], w[f"{name}/expand3x3.bias"], padding=1)
        return F.relu(torch.cat([one, three], dim=1))

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    x1 = F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"], stride=2))
    x2 = fire("fire3", fire("fire2", pool(x1)))
    x3 = fire("fire5", fire("fire4", pool(x2)))
    x4 = fire("fire6", pool(x3))
    x5 = fire("fire7", x4)
    x6 = fire("fire8", x5)
    return [x1, x2, x3, x4, x5, x6, fire("fire9", x6)]


def squeezenet_from_arrays(path: Path) -> Weights:
    """The pickle of numpy arrays as weights for `squeezenet`.

    Its kernels are [h, w, in, out] and its first one expects Caffe's input (BGR, 0..255, mean taken off); here it gets
    RGB in the deviations of LPIPS, so channels are turned round and scale and shift are folded into the kernel.
    """
    from ua3dtalk.array_pickle import read_numpy_pickle

    arrays = read_numpy_pickle(path)
    if not isinstance(arrays, dict) or "conv1" not in arrays:
        raise AssetError(f"{path} does not hold SqueezeNet's layers: fetch it again")
    weights: Weights = {}
    for name, (kernel, bias) in arrays.items():
        weights[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(np.transpose(kernel, (3, 2, 0, 1)))).float()
        weights[f"{name}.bias"] = torch.from_numpy(np.asarray(bias)).flatten().float()
    kernel = weights["conv1.weight"].flip(1)
    rest = (SHIFT + 1) * 127.5 - CAFFE_MEAN
    weights["conv1.bias"] = weights["conv1.bias"] + (kernel * rest).sum(dim=(1, 2, 3))
    weights["conv1.weight"] = kernel * SCALE * 127.5
    return weights
