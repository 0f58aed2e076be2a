"""What a face looks like it feels: probabilities of seven facial expressions from a small picture of the face.

The net is mini-Xception (Arriaga, Valdenegro-Toro and Plöger, 2017) with the published weights, trained on FER2013.
Smiles and surprise are read well; anger, disgust and fear weakly.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ua3dtalk.errors import AssetError
from ua3dtalk.subject import Landmarks
from ua3dtalk.workflow import progress

FACIAL_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # the net's order
SIDE = 64  # px of the net's picture
CROP = 1.0  # side of the square over the larger extent of its points; wider ones read surprise and fear worse
BATCH = 64
WIDTHS = (16, 32, 64, 128)
EPSILON = 1e-3  # of Keras' batch normalisation


class Separable(nn.Module):
    """A 3 x 3 convolution of each channel, then one across channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.norm(self.pointwise(self.depthwise(x)))
        return result


class Block(nn.Module):
    """Two separable convolutions beside a strided shortcut; halves the picture (rounded up)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(outputs, EPSILON)
        self.first, self.second = Separable(inputs, outputs), Separable(outputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(functional.relu(self.first(x)))
        return halve(y) + self.shortcut_norm(self.shortcut(x))


def halve(x: torch.Tensor) -> torch.Tensor:
    """3 x 3 maximum at every second pixel with Keras' "same" padding: [N, C, H, W] -> [N, C, ceil(H/2), ceil(W/2)].

    An even side is padded behind its end only, an odd one on both sides.
    """
    height, width = x.shape[2:]
    padded = functional.pad(x, (width % 2, 1, height % 2, 1), value=-torch.inf)
    return functional.max_pool2d(padded, 3, 2)


class MiniXception(nn.Module):
    """Grey faces [N, 1, 64, 64] in -1..1 -> logits [N, 7] of `FACIAL_EMOTIONS`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleList([nn.Conv2d(1, 8, 3, bias=False), nn.Conv2d(8, 8, 3, bias=False)])
        self.stem_norms = nn.ModuleList([nn.BatchNorm2d(8, EPSILON) for _ in range(2)])
        self.blocks = nn.ModuleList([Block(i, o) for i, o in zip((8, *WIDTHS), WIDTHS, strict=False)])
        self.head = nn.Conv2d(WIDTHS[-1], len(FACIAL_EMOTIONS), 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for convolution, norm in zip(self.stem, self.stem_norms, strict=True):
            x = functional.relu(norm(convolution(x)))
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(x)
        return logits.mean((2, 3))


def load_net(path: Path) -> MiniXception:
    """The net with the weights of the asset `fer` (HDF5, as Keras 2.0 writes it)."""
    import h5py

    net = MiniXception()
    try:
        with h5py.File(path, "r") as file:
            weights = file["model_weights"]
            tensors = {name: _tensor(weights, keras) for name, keras in _names(net)}
        net.load_state_dict(tensors, strict=False)
    except (OSError, KeyError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise AssetError(f"{path} is not the facial expression net ({line}): delete it and run again") from error
    return net.eval()


def _names(net: MiniXception) -> Iterable[tuple[str, tuple[str, str]]]:
    """(name here, (layer, weight) there): Keras numbers the layers of a kind in the order of their making."""
    plain = ["stem.0", "stem.1", *(f"blocks.{k}.shortcut" for k in range(len(WIDTHS))), "head"]
    separable = [f"blocks.{k}.{part}" for k in range(len(WIDTHS)) for part in ("first", "second")]
    norms = ["stem_norms.0", "stem_norms.1"]
    for k in range(len(WIDTHS)):
        norms += [f"blocks.{k}.shortcut_norm", f"blocks.{k}.first.norm", f"blocks.{k}.second.norm"]
    for number, name in enumerate(plain, 1):
        yield f"{name}.weight", (f"conv2d_{number}", "kernel")
    yield "head.bias", (f"conv2d_{len(plain)}", "bias")
    for number, name in enumerate(separable, 1):
        for part in ("depthwise", "pointwise"):
            yield f"{name}.{part}.weight", (f"separable_conv2d_{number}", f"{part}_kernel")
    keras = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for number, name in enumerate(norms, 1):
        yield from ((f"{name}.{ours}", (f"batch_normalization_{number}", theirs)) for ours, theirs in keras.items())


def _tensor(weights: object, keras: tuple[str, str]) -> torch.Tensor:
    """One weight in torch's order: [H, W, in, out] -> [out, in, H, W], depthwise [H, W, in, 1] -> [in, 1, H, W]."""
    layer, weight = keras
    values = torch.from_numpy(np.asarray(weights[layer][f"{layer}_1"][f"{weight}:0"], np.float32))  # type: ignore[index]
    if values.ndim < 4:
        return values
    return values.permute(2, 3, 0, 1) if weight == "depthwise_kernel" else values.permute(3, 2, 0, 1)


def face_square(points: np.ndarray, crop: float = CROP) -> tuple[float, float, float]:
    """(left, top, side) px of the square around a face's points [478, 2 or 3]."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = crop * float((high - low).max())
    left, top = (low + high - side) / 2
    return float(left), float(top), side


def face_picture(frame: np.ndarray, square: tuple[float, float, float]) -> np.ndarray:
    """The square of a frame uint8 [H, W, 3] in grey, float32 [64, 64] in -1..1; the border's pixels go on outside."""
    left, top, side = square
    scale = side / SIDE
    if scale > 1:  # averaged first, because single samples of a larger picture would alias
        frame = cv2.blur(frame, (round(scale), round(scale)))
    to_frame = np.array([[scale, 0, left + scale / 2 - 0.5], [0, scale, top + scale / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(frame, to_frame, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 127.5 - 1


@torch.inference_mode()
def facial_emotions(net: MiniXception, video: np.ndarray, landmarks: Landmarks) -> np.ndarray:
    """Probabilities float32 [T, 7] of `FACIAL_EMOTIONS`; NaN where no face was found.

    Args:
        video: uint8 [T, H, W, 3]; landmarks: of the same frames.
    """
    found = np.full((len(video), len(FACIAL_EMOTIONS)), np.nan, np.float32)
    frames = np.flatnonzero(landmarks.valid)
    for first in progress(range(0, len(frames), BATCH), "facial expressions"):
        batch = frames[first : first + BATCH]
        faces = [face_picture(np.asarray(video[k]), face_square(landmarks.points[k])) for k in batch]
        found[batch] = net(torch.from_numpy(np.stack(faces))[:, None]).softmax(1).numpy()
    return found
