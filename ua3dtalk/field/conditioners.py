"""What a frame's controls become before they meet the Gaussians: the audio code and the action-unit code."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def perceptron(*widths: int, bias: bool = False) -> nn.Sequential:
    """Linear layers of the given widths with ReLU between them."""
    layers: list[nn.Module] = []
    for index, (inside, outside) in enumerate(pairwise(widths)):
        if index:
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.Linear(inside, outside, bias=bias))
    return nn.Sequential(*layers)


class AudioEncoder(nn.Module):
    """Speech tokens around a frame to one code.

    A convolutional net folds each window of 16 tokens into a vector; an attention over 8 neighbouring windows smooths
    them in time.

    Args:
        width: features of a token (whatever the encoder of speech has).
        code: length of the audio code.
    Forward:
        tokens [B, 8, 16, width] -> code [B, code]. Buffers `mean` and `deviation` [width] of the training tokens come
        off first.
    Source: TalkingGaussian's AudioNet and AudioAttNet (after AD-NeRF), with the width read from the features.
    """

    WINDOWS = 8
    TOKENS = 16
    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, code: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

        def fold(inside: int, outside: int) -> list[nn.Module]:
            return [nn.Conv1d(inside, outside, 3, stride=2, padding=1), nn.LeakyReLU(0.02)]

        self.convolutions = nn.Sequential(*fold(width, 32), *fold(32, 32), *fold(32, 64), *fold(64, 64))
        self.linear = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.02), nn.Linear(64, code))
        widths = (code, 16, 8, 4, 2, 1)
        attention: list[nn.Module] = []
        for inside, outside in pairwise(widths):
            attention += [nn.Conv1d(inside, outside, 3, padding=1), nn.LeakyReLU(0.02)]
        self.attention = nn.Sequential(*attention)
        self.weights = nn.Linear(self.WINDOWS, self.WINDOWS)

    def forward(self, tokens: Tensor) -> Tensor:
        batch = tokens.shape[0]
        tokens = (tokens - self.mean) / self.deviation
        folded = self.convolutions(tokens.flatten(0, 1).transpose(1, 2))  # [8 B, 64, 1]
        codes = self.linear(folded[:, :, 0]).view(batch, self.WINDOWS, -1)
        scores = self.weights(self.attention(codes.transpose(1, 2))[:, 0])  # [B, 8]
        return (torch.softmax(scores, 1)[:, :, None] * codes).sum(1)


class ActionUnitEncoder(nn.Module):
    """Action units (AU 1, 4, 5, 6, 7, 45) [B, 6] to a code [B, 6]; the blink passes as it is.

    Source: TalkingGaussian (method: e' = [MLP(AU1..AU7), AU45]).
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = perceptron(5, 16, 5)

    def forward(self, units: Tensor) -> Tensor:
        return torch.cat([self.mix(units[:, :5]), units[:, 5:]], 1)


class LipReader(nn.Module):
    """A map from the speech around a frame to the actor's main lip shapes: a kernel regression, not a trained net.

    Args:
        inputs: length F of the flattened windows of tokens and mel.
        components: P principal components that windows are compared by.
        supports: training windows n that a window is compared with.
        coefficients: K lip shapes.
        radius: frames of speech on either side that a window holds.
    Forward:
        windows [B, F] -> coefficients [B, K], in standard deviations of the training frames: a sum over the supports,
        weighted by exp(-squared distance / spread), plus the mean shape, which unheard-of sounds fall back to.

    A clip of 20 s has some 400 training frames: a convolutional net learns them by heart, a ridge regression with a
    cross-validated penalty does not (`ua3dtalk.training.listening` fits it).
    """

    mean: Tensor
    projection: Tensor
    supports: Tensor
    spread: Tensor
    weights: Tensor
    bias: Tensor
    radius: Tensor

    def __init__(self, inputs: int, components: int, supports: int, coefficients: int, radius: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("projection", torch.zeros(inputs, components))
        self.register_buffer("supports", torch.zeros(supports, components))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("weights", torch.zeros(supports, coefficients))
        self.register_buffer("bias", torch.zeros(coefficients))
        self.register_buffer("radius", torch.tensor(radius))

    def forward(self, windows: Tensor) -> Tensor:
        projected = (windows - self.mean) @ self.projection
        near = torch.exp(-torch.cdist(projected, self.supports).square() / self.spread)
        return near @ self.weights + self.bias
