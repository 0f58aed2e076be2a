"""Networks of features against the packages that they are known from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError
from ua3dtalk.metrics import features
from ua3dtalk.metrics.features import load_features


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    import cv2

    rng = np.random.default_rng(0)
    return [cv2.GaussianBlur(rng.integers(0, 256, (150, 170, 3), np.uint8), (0, 0), s) for s in (1, 2, 4)]


def lite0_weights() -> Path:
    try:
        return fetch("efficientnet_lite0")
    except AssetError as error:
        pytest.skip(f"the weights cannot be had here: {error}")


def test_lite0_equals_the_package_s_network(frames: list[np.ndarray]) -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="the reference is not installed")
    weights = lite0_weights()
    official = package.EfficientNet.from_name("efficientnet-lite0")
    official.load_state_dict(torch.load(weights, weights_only=True))
    official.eval()
    given = torch.cat([features.resized(frame, 224) for frame in frames])
    with torch.no_grad():
        wanted = official.extract_features((given * 127.5 + 127.5 - 127) / 128).mean(dim=(2, 3)).numpy()
    found = load_features("frechet_efficientnet_lite0", weights)(frames)
    assert found.shape == (3, 1280)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_lite0_knows_a_folded_layer_by_its_parts() -> None:
    """Without the package: the first layer as convolution, then normalisation, padded by hand."""
    state = torch.load(lite0_weights(), weights_only=True)
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (0, 1, 0, 1)), state["_conv_stem.weight"], stride=2)
    normed = torch.nn.functional.batch_norm(
        plain, *(state[f"_bn0.{key}"] for key in ("running_mean", "running_var", "weight", "bias")), eps=1e-3
    )
    found = features._same(x, features.lite0_layers(state)["stem"], stride=2)
    torch.testing.assert_close(found, normed, rtol=1e-4, atol=1e-5)


def test_inception_equals_pytorch_fid_with_the_same_random_weights(frames: list[np.ndarray], pytorch_fid: Any) -> None:
    torch.manual_seed(0)
    network = pytorch_fid.InceptionV3([3]).eval()
    with torch.no_grad():
        given = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2) / 255.0
        wanted = network(given)[0].squeeze(3).squeeze(2).numpy()
    layers = features.inception_layers(pytorch_fid.state)
    found = features.FrameFeatures("fid_inception", 299, lambda x: features.inception(layers, x))(frames)
    assert found.shape == (3, 2048)
    assert wanted.std(axis=0).max() > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.fixture(scope="module")
def pytorch_fid() -> Any:
    """pytorch-fid's module, whose weights are random instead of fetched; kept as its `state`."""
    library = None
    if torch.version.cuda is None:  # torchvision's CUDA build needs two names defined before it can be imported
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    try:
        from pytorch_fid import inception
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"the package pytorch-fid cannot be used here: {error}")
    # Its own function builds the net and then asks an address for weights.
    kept = inception.load_state_dict_from_url
    original = torch.nn.Module.load_state_dict

    def keep(self: torch.nn.Module, state: dict[str, torch.Tensor], *options: Any, **more: Any) -> Any:
        if state is random:
            generator = torch.Generator().manual_seed(1)
            for name, value in self.state_dict().items():
                if name.endswith("running_var"):
                    value.uniform_(0.5, 1.5, generator=generator)
                elif name.endswith(("running_mean", "bn.bias")):
                    value.normal_(0, 0.1, generator=generator)
                elif name.endswith("conv.weight"):
                    value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
            inception.state = {name: value.clone() for name, value in self.state_dict().items()}
            return None
        return original(self, state, *options, **more)

    random: dict[str, torch.Tensor] = {}
    inception.load_state_dict_from_url = lambda *_, **__: random
    torch.nn.Module.load_state_dict = keep  # type: ignore[method-assign]
    yield inception
    torch.nn.Module.load_state_dict = original  # type: ignore[method-assign]
    inception.load_state_dict_from_url = kept
    del library


def test_other_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(3)}, path)
    for name in ("frechet_efficientnet_lite0", "fid_inception"):
        with pytest.raises(AssetError, match="fetch it again"):
            load_features(name, path)
    with pytest.raises(ValueError, match="no network of features"):
        load_features("fid", path)
