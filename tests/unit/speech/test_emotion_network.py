"""The co-attention network, and CA-MSER's published weights in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ua3dtalk.errors import AssetError, ConfigError
from ua3dtalk.speech.emotion.network import CoAttention, SmallSpectrum, attention_entropy, official_network
from ua3dtalk.speech.emotion.official import check_tokens, load_official, official_voice, official_windows
from ua3dtalk.subject import SAMPLES_PER_FRAME, Clip

# Names and shapes of the published model's state dict (CA-MSER: models/ser_model.py, ser_spec.py), wav2vec2 left out.
OFFICIAL = {
    "alexnet_model.features.0": (64, 3, 11, 11),
    "alexnet_model.features.3": (192, 64, 5, 5),
    "alexnet_model.features.6": (384, 192, 3, 3),
    "alexnet_model.features.8": (256, 384, 3, 3),
    "alexnet_model.features.10": (256, 256, 3, 3),
    "post_spec_layer": (128, 9216),
    "post_mfcc_layer": (128, 153600),
    "post_spec_mfcc_att_layer": (149, 256),
    "post_wav_layer": (128, 768),
    "post_att_layer_1": (128, 384),
    "post_att_layer_2": (128, 128),
    "post_att_layer_3": (4, 128),
}
LSTM = {
    f"lstm_mfcc.{kind}_l{layer}{way}": shape
    for layer, inputs in ((0, 40), (1, 512))
    for way in ("", "_reverse")
    for kind, shape in {
        "weight_ih": (1024, inputs),
        "weight_hh": (1024, 256),
        "bias_ih": (1024,),
        "bias_hh": (1024,),
    }.items()
}


def official_shapes() -> dict[str, tuple[int, ...]]:
    shapes = {f"{name}.weight": shape for name, shape in OFFICIAL.items()}
    return shapes | {f"{name}.bias": shape[:1] for name, shape in OFFICIAL.items()} | LSTM


def official_weights() -> dict[str, torch.Tensor]:
    """Random weights under the published names, with those that are not used here."""
    generator = torch.Generator().manual_seed(0)
    weights = {name: 0.02 * torch.randn(shape, generator=generator) for name, shape in official_shapes().items()}
    unused = ("wav2vec2_model.masked_spec_embed", "alexnet_model.classifier.6.weight")
    return weights | {name: torch.zeros(3) for name in unused}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camser") / "model.pth"
    torch.save(official_weights(), path)
    return path


def small_net() -> CoAttention:
    torch.manual_seed(0)
    return CoAttention(3, 150, 6, SmallSpectrum(80)).eval()


def test_the_attended_token_is_the_weighted_sum() -> None:
    net = small_net()
    tokens = torch.randn(2, 150, 6)
    taps = net(torch.randn(2, 75, 80), torch.randn(2, 75, 40), tokens)
    assert (taps.attended.shape, taps.joint.shape, taps.logits.shape) == ((2, 128), (2, 128), (2, 3))
    assert (taps.attention >= 0).all()
    total = sum(taps.attention[:, k, None] * tokens[:, k] for k in range(150))
    expected = torch.relu(total @ net.attended.weight.T + net.attended.bias)
    torch.testing.assert_close(taps.attended, expected, rtol=1e-4, atol=1e-4)


def test_the_entropy_of_attention() -> None:
    one = torch.zeros(1, 150)
    one[0, 7] = 2.5
    half = torch.zeros(1, 150)
    half[0, :2] = 3.0
    found = attention_entropy(torch.cat([one, half, torch.full((1, 150), 0.3), torch.zeros(1, 150)]))
    np.testing.assert_allclose(found, [0, np.log(2) / np.log(150), 1, 1], atol=1e-6)


def test_the_published_weights_fit_by_name_and_shape(checkpoint: Path) -> None:
    net = official_network()
    load_official(net, checkpoint)
    assert sum(value.numel() for value in net.state_dict().values()) == sum(
        int(np.prod(shape)) for shape in official_shapes().values()
    ), "nothing of the net is left as it was"
    weights = official_weights()
    assert torch.equal(net.attention.weight, weights["post_spec_mfcc_att_layer.weight"])
    assert torch.equal(net.rhythm.weight_hh_l1_reverse, weights["lstm_mfcc.weight_hh_l1_reverse"])
    assert torch.equal(net.spectrum.features[10].bias, weights["alexnet_model.features.10.bias"])
    with torch.inference_mode():
        taps = net.eval()(torch.randn(1, 3, 256, 384), torch.randn(1, 300, 40), torch.randn(1, 149, 768))
    assert (taps.attended.shape, taps.logits.shape, taps.attention.shape) == ((1, 128), (1, 4), (1, 149))
    assert taps.logits.isfinite().all()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "emotion.checkpoint: no file "),
        (b"not weights", "is not a file of weights"),
        ({"a": torch.zeros(1)}, "lacks 40 of CA-MSER's 40 tensors, first alexnet_model.features.0.bias"),
        ([1, 2], "lacks 40 of CA-MSER's 40 tensors"),
        ("shape", "post_wav_layer.weight has shape \\[2\\], CA-MSER's is \\[128, 768\\]"),
        ("code", "is not a file of weights"),
    ],
)
def test_a_wrong_checkpoint_is_one_line(tmp_path: Path, content: object, line: str) -> None:
    path = tmp_path / "model.pth"
    if content == "shape":
        content = {name: torch.zeros(1).expand(shape) for name, shape in official_shapes().items()}
        content["post_wav_layer.weight"] = torch.zeros(2)
        torch.save(content, path)
    elif content == "code":
        torch.save({"model": Path}, path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ConfigError, match=line) as caught:
        load_official(official_network(), path)
    assert len(str(caught.value).splitlines()) == 1


def test_the_published_net_needs_its_tokens() -> None:
    check_tokens(768, "wav2vec2")
    with pytest.raises(AssetError, match=r"768-wide tokens, speech\.npz has whisper-base's 512: set backends\.speech"):
        check_tokens(512, "whisper-base")


def test_the_published_inputs() -> None:
    frames = 100
    time = np.arange(frames * SAMPLES_PER_FRAME) / 16_000
    clips = [Clip("", "", 50, 50, 90, None, 25.0, 1, 1, (0, 0, 1))]
    heard = official_voice(np.sin(2 * np.pi * 400 * time).astype(np.float32), np.ones((200, 768), np.float16), clips)
    assert heard.spectrum.shape == (400, 200)
    assert (heard.spectrum[:200] == 0).all(), "outside of the clips nothing is heard"
    assert heard.spectrum[300].argmax() == 20, "400 Hz in bins of 20 Hz"
    low, extent = torch.full((200,), -80.0), torch.full((200,), 80.0)
    pictures, mfcc, tokens = official_windows(heard, np.array([60, 75]), low, extent)
    assert (pictures.shape, mfcc.shape, tokens.shape) == ((2, 3, 256, 384), (2, 300, 40), (2, 149, 768))
    row = pictures[0, 0, :, 190].argmax().item() / 256
    assert row == pytest.approx(1 - 20.5 / 200, abs=0.02), "low frequencies are at the bottom"
    assert pictures[:, 0].min().item() == pytest.approx(-0.485 / 0.229, abs=0.3)
