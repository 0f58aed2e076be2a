"""Audio, action units and lips on their way to the Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.field.conditioners import ActionUnitEncoder, AudioEncoder, LipReader, perceptron


@pytest.mark.parametrize("width", [1, 29, 384, 1024])
@pytest.mark.parametrize("batch", [1, 3])
def test_audio_encoder_takes_tokens_of_any_width(width: int, batch: int) -> None:
    encoder = AudioEncoder(width, 10)
    assert encoder(torch.randn(batch, AudioEncoder.WINDOWS, AudioEncoder.TOKENS, width)).shape == (batch, 10)


def test_audio_encoder_takes_the_training_tokens_statistics_off() -> None:
    torch.manual_seed(0)
    encoder = AudioEncoder(4, 6)
    tokens = torch.randn(2, 8, 16, 4)
    plain = encoder(tokens)
    mean, deviation = torch.tensor([3.0, -1, 0, 9]), torch.tensor([2.0, 0.5, 1, 7])
    encoder.mean.copy_(mean)
    encoder.deviation.copy_(deviation)
    torch.testing.assert_close(encoder(tokens * deviation + mean), plain, atol=1e-5, rtol=1e-4)


def test_audio_code_is_a_mean_of_the_windows_codes() -> None:
    """Attention weights are positive and sum to one: equal windows give their own code."""
    torch.manual_seed(0)
    encoder = AudioEncoder(4, 6)
    window = torch.randn(1, 1, 16, 4)
    alone = encoder.linear(encoder.convolutions(window[0].transpose(1, 2))[:, :, 0])
    torch.testing.assert_close(encoder(window.expand(1, 8, 16, 4)), alone, atol=1e-5, rtol=1e-4)


def test_blink_passes_as_it_is() -> None:
    units = torch.rand(3, 6)
    encoder = ActionUnitEncoder()
    code = encoder(units)
    assert torch.equal(code[:, 5], units[:, 5])
    torch.testing.assert_close(code[:, :5], encoder.mix(units[:, :5]))
    assert not encoder(torch.zeros(1, 6)).any()  # no bias: no units, no code


def test_lip_reader_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    reader = LipReader(inputs=7, components=4, supports=30, coefficients=3, radius=2)
    shapes = {"mean": (7,), "projection": (7, 4), "supports": (30, 4), "weights": (30, 3), "bias": (3,)}
    v = {name: rng.standard_normal(shape) for name, shape in shapes.items()} | {"spread": np.array(5.0)}
    for name, value in v.items():
        getattr(reader, name).copy_(torch.from_numpy(value))
    windows = rng.standard_normal((5, 7))
    wanted = np.tile(v["bias"], (5, 1))
    for row, window in enumerate(windows):
        for support, weight in zip(v["supports"], v["weights"], strict=True):
            wanted[row] += weight * np.exp(-np.sum(((window - v["mean"]) @ v["projection"] - support) ** 2) / 5)
    np.testing.assert_allclose(reader(torch.from_numpy(windows).float()), wanted, atol=1e-5)
    far = reader(torch.full((1, 7), 1e4))
    np.testing.assert_allclose(far[0], v["bias"], atol=1e-6)  # unheard-of sounds give the mean shape
    assert int(reader.radius) == 2
    assert not list(reader.parameters()), "a regression's solution must not be trained further"


def test_perceptron_by_hand() -> None:
    net = perceptron(3, 4, 2, bias=True)
    first, last = net[0], net[2]
    x = torch.randn(5, 3)
    wanted = (x @ first.weight.T + first.bias).clamp_min(0) @ last.weight.T + last.bias
    torch.testing.assert_close(net(x), wanted)
    assert net[0].bias is not None and perceptron(3, 4, 2)[0].bias is None
