"""Perceptual distances against the published definition, layer by layer with torch's own modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ua3dtalk import perceptual
from ua3dtalk.array_pickle import read_numpy_pickle
from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError
from ua3dtalk.perceptual import PerceptualDistance, limit_side, load_perceptual


def weights_of(name: str) -> Path:
    try:
        return fetch(name)
    except AssetError as error:
        pytest.skip(f"{name} cannot be had here: {error}")


@pytest.fixture(scope="module")
def shift_tolerant() -> PerceptualDistance:
    return load_perceptual("st_lpips_alex", weights_of("stlpips_alex"))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    import cv2

    noise = np.random.default_rng(0).uniform(0, 255, (2, 64, 52, 3))
    return np.stack([cv2.GaussianBlur(image, (0, 0), 3) * 3 - 250 for image in noise]).clip(0, 255).astype(np.uint8)


class Blur(nn.Module):
    """Reflection by 2, binomial 3 x 3, every second pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2, 1]) / 4
        self.convolution = nn.Conv2d(channels, channels, 3, stride=2, groups=channels, bias=False)
        self.convolution.weight.data = torch.outer(taps, taps).expand(channels, 1, 3, 3).clone()
        self.pad = nn.ReflectionPad2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(self.pad(x))


def published_distance(stages: list[nn.Module], heads: list[torch.Tensor], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """LPIPS as written down: scale, features, unit length over channels, weighted squares, mean over places, sum."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    a, b = ((torch.from_numpy(z).permute(0, 3, 1, 2) / 255.0 * 2 - 1 - shift) / scale for z in (x, y))
    total = torch.zeros(len(x))
    with torch.no_grad():
        for stage, head in zip(stages, heads, strict=True):
            a, b = stage(a), stage(b)
            unit_a, unit_b = (z / (z.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for z in (a, b))
            weighted = nn.functional.conv2d((unit_a - unit_b) ** 2, head.view(1, -1, 1, 1))
            total += weighted.mean(dim=(1, 2, 3))
    return total.numpy()


def convolution(weight: torch.Tensor, bias: torch.Tensor, **options: int) -> nn.Conv2d:
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], **options)
    layer.weight.data, layer.bias.data = weight, bias  # type: ignore[union-attr]
    return layer


def test_shift_tolerant_alexnet_equals_its_modules(shift_tolerant: PerceptualDistance, images: np.ndarray) -> None:
    state = torch.load(weights_of("stlpips_alex"), map_location="cpu", weights_only=True)

    def layer(name: str, padding: int) -> nn.Conv2d:
        return convolution(state[f"net.{name}.weight"], state[f"net.{name}.bias"], padding=padding)

    stages = [
        nn.Sequential(layer("slice1.0", 2), Blur(64), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, 1), Blur(64), layer("slice2.5", 2), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, 1), Blur(192), layer("slice3.9", 1), nn.ReLU()),
        nn.Sequential(layer("slice4.11", 1), nn.ReLU()),
        nn.Sequential(layer("slice5.13", 1), nn.ReLU()),
    ]
    heads = [state[f"lin{k}.model.1.weight"] for k in range(5)]
    other = images[::-1].copy()
    np.testing.assert_allclose(
        shift_tolerant(images, other), published_distance(stages, heads, images, other), rtol=1e-4
    )


def test_distance_is_none_to_itself_symmetric_and_grows_with_blur(
    shift_tolerant: PerceptualDistance, images: np.ndarray
) -> None:
    import cv2

    assert shift_tolerant.name == "st_lpips_alex"
    np.testing.assert_allclose(shift_tolerant(images, images), 0, atol=1e-9)
    other = images[::-1].copy()
    np.testing.assert_allclose(shift_tolerant(images, other), shift_tolerant(other, images), rtol=1e-5)
    blurred = [np.stack([cv2.GaussianBlur(image, (0, 0), s) for image in images]) for s in (1, 2, 4)]
    assert (np.diff([shift_tolerant(b, images).mean() for b in blurred]) > 0).all()


def test_a_pixel_s_shift_costs_less_than_a_pixel_s_blur(shift_tolerant: PerceptualDistance) -> None:
    """What the metric is for."""
    import cv2

    noise = np.random.default_rng(1).uniform(0, 255, (1, 80, 80, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(noise[0], (0, 0), 1)[None]
    shifted, blurred = np.roll(image, 1, axis=2), cv2.GaussianBlur(image[0], (0, 0), 1)[None]
    assert shift_tolerant(shifted, image)[0] < 0.5 * shift_tolerant(blurred, image)[0]


def test_batches_make_no_difference(shift_tolerant: PerceptualDistance, images: np.ndarray) -> None:
    other = images[::-1].copy()
    single = [shift_tolerant(images[k : k + 1], other[k : k + 1])[0] for k in range(len(images))]
    np.testing.assert_allclose(shift_tolerant(images, other), single, rtol=1e-4)


def test_caffe_s_first_layer_is_folded_exactly() -> None:
    """The folded kernel on LPIPS' input equals Caffe's kernel on its own: BGR, 0..255, mean taken off."""
    path = weights_of("squeezenet")
    weights = perceptual.squeezenet_from_arrays(path)
    arrays = read_numpy_pickle(path)
    assert isinstance(arrays, dict)
    kernel, bias = (torch.from_numpy(array) for array in arrays["conv1"])
    rgb = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (1, 3, 31, 33)).astype(np.float32))
    caffe = rgb.flip(1) - torch.tensor([104.0, 117, 123]).view(1, 3, 1, 1)
    expected = nn.functional.conv2d(caffe, kernel.permute(3, 2, 0, 1), bias, stride=2)
    given = (rgb / 127.5 - 1 - perceptual.SHIFT) / perceptual.SCALE
    found = nn.functional.conv2d(given, weights["conv1.weight"], weights["conv1.bias"], stride=2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("backbone", ["alex", "vgg", "squeeze"])
def test_lpips_trunks_equal_the_package_s(backbone: str, images: np.ndarray, lpips_package) -> None:
    """The official code with random trunks of its own and its learned heads, against the same weights here."""
    lpips = lpips_package
    torch.manual_seed(0)
    official = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False).eval()
    trunk = dict(official.net.named_parameters())
    if backbone == "alex":
        weights = {f"features.{name.split('.', 1)[1]}": value.detach() for name, value in trunk.items()}
        stages, count = (lambda x: perceptual.alexnet(weights, x)), 5
    elif backbone == "vgg":
        weights = {f"features.{name.split('.', 1)[1]}": value.detach() for name, value in trunk.items()}
        stages, count = (lambda x: perceptual.vgg16(weights, x)), 5
    else:
        weights = {squeeze_name(name): value.detach() for name, value in trunk.items()}
        stages, count = (lambda x: perceptual.squeezenet(weights, x)), 7
    own = PerceptualDistance("test", stages, perceptual.lpips_heads(backbone, count))
    other = images[::-1].copy()
    first, second = (torch.from_numpy(z).permute(0, 3, 1, 2) / 127.5 - 1 for z in (images, other))
    with torch.no_grad():
        expected = official(first, second).flatten().numpy()
    np.testing.assert_allclose(own(images, other), expected, rtol=1e-4)


def squeeze_name(name: str) -> str:
    """slice2.3.squeeze.weight of torchvision's SqueezeNet 1.1 as fire2/squeeze1x1.weight."""
    _, number, *rest = name.split(".")
    if int(number) == 0:
        return f"conv1.{rest[0]}"
    fire = {3: 2, 4: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8, 12: 9}[int(number)]
    layer = "squeeze1x1" if rest[0] == "squeeze" else rest[0]
    return f"fire{fire}/{layer}.{rest[1]}"


@pytest.fixture(scope="module")
def lpips_package():  # type: ignore[no-untyped-def]
    """The official package; torchvision's CUDA build needs two names defined before it can be imported on a CPU."""
    library = None
    if torch.version.cuda is None:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    try:
        import lpips
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"the package lpips cannot be used here: {error}")
    yield lpips
    del library


def test_only_large_squares_are_shrunk() -> None:
    small, large = np.zeros((100, 100, 3), np.uint8), np.full((400, 400, 3), 7, np.uint8)
    assert limit_side(small) is small
    assert limit_side(large).shape == (256, 256, 3)
    assert (limit_side(large) == 7).all()
    assert limit_side(np.zeros((400, 100, 3), np.uint8)).shape == (256, 64, 3)


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_text("no weights")
    for name in ("st_lpips_alex", "lpips_alex", "lpips_vgg", "lpips_squeeze_proxy"):
        with pytest.raises(AssetError):
            load_perceptual(name, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="no perceptual distance"):
        load_perceptual("lpips", tmp_path / "weights.pth")
